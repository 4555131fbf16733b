import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from app.cli import build, command_names
from app.runtime.settings import Settings


def run(*arguments: str) -> str:
    # a wide terminal, so that no line is folded
    result = CliRunner().invoke(build(command_names()), arguments, env={"COLUMNS": "300", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_the_promised_commands_are_there():
    assert {"serve", "migrate", "keys", "demo"} <= set(command_names())
    listed = run("--help")
    assert all(name in listed for name in command_names())


def test_every_command_explains_itself():
    for name in command_names():
        assert len(run(name, "--help").splitlines()) > 5


@pytest.mark.parametrize("field", ["host", "port", "workers", "log_format"])
def test_help_shows_option_environment_and_default(field: str):
    shown = re.sub(r"[│\s]+", " ", run("serve", "--help"))
    assert f"--{field.replace('_', '-')}" in shown
    assert f"WINNOW_{field.upper()}. Default: {Settings.model_fields[field].default}" in shown
    assert "DATABASE_URL" in shown


def winnow(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_version():
    assert re.fullmatch(r"Winnow \d+\.\d+\.\d+\n", winnow("--version").stdout)


def test_a_refusal_is_one_message_without_a_traceback():
    refused = winnow("serve", "--port", "-1")
    assert refused.returncode == 2
    assert refused.stderr.startswith("winnow: ")
    assert "port" in refused.stderr
    assert "Traceback" not in refused.stderr
    unreachable = winnow("migrate", "--database-url", "postgresql://nobody:hush@127.0.0.1:1/nothing")
    assert unreachable.returncode == 1
    assert "DATABASE_URL" in unreachable.stderr
    assert "hush" not in unreachable.stderr
    assert "Traceback" not in unreachable.stderr
