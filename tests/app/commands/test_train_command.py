"""`winnow train`, as it is typed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "-m", "app.cli", "train", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


async def test_refusals_are_said_one_by_one_and_the_command_fails(new_database) -> None:
    found = run(await new_database(), "affinity", "send-time")
    assert found.returncode == 1
    assert {line.split(":")[0] for line in found.stdout.splitlines()} == {"AFFINITY", "SEND_TIME"}
    assert "There are no events yet" in found.stdout


async def test_a_kind_that_is_none_is_refused(new_database) -> None:
    found = run(await new_database(), "clairvoyance")
    assert found.returncode == 2
    assert "There is no kind 'clairvoyance' of a model" in found.stderr
