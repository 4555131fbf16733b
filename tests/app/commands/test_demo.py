import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from app.commands.demo import FOLLOW, QUERY, demo_settings, flag_call, kept_key

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "demo"


def start(folder, **variables):
    command = [sys.executable, "-m", "app.cli", "demo", "--data-dir", str(folder), "--port", "0", "--size", "0.02"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True)


def read_until(process, pattern):
    lines = ""
    for line in process.stdout:
        lines += line
        if found := re.search(pattern, lines):
            return found
    pytest.fail(f"the demo ended: {lines}")


def ask(url, key, query):
    answer = httpx.post(f"{url}/graphql", json={"query": query}, headers={"Authorization": f"Bearer {key}"})
    body = answer.json()
    assert "errors" not in body
    return body["data"]


def test_the_demo_from_its_first_start_to_ctrl_c(folder):
    # a database that must not be touched: were it used, the demo would not start
    others = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/production", "WINNOW_DATA_DIR": "/nonexistent"}
    with start(folder, **others) as process:
        try:
            url, key = read_until(process, r"Look at\s+(\S+)/\n\s+Key\s+(wnw_[\w-]{40})\n").groups()
            assert [entry["rank"] for entry in ask(url, key, QUERY)["topCampaigns"]] == [1, 2, 3]
            await_live_traffic(url, key)
            check_the_lines_about_tests(url, key)
            family = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
    assert code == 0
    assert len(family) > 3
    assert psutil.wait_procs(family, timeout=5)[1] == []


def check_the_lines_about_tests(url, key):
    flag = subprocess.run(["sh", "-c", flag_call(url, key)], capture_output=True, text=True, check=True)
    assert json.loads(flag.stdout)["variant"] in {"control", "warm"}
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    seen = []
    with httpx.stream("POST", f"{url}/graphql/stream", json={"query": FOLLOW}, headers=headers, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                data = json.loads(line.removeprefix("data: "))["data"]["testResults"]
                seen.append(sum(row["exposed"] for row in data["totals"]))
            if len(seen) > 1:
                break
    assert seen[1] > seen[0]


def await_live_traffic(url, key):
    sent = "{ portfolio { metrics { sent } } }"
    first = ask(url, key, sent)["portfolio"]["metrics"]["sent"]
    assert 2_000 < first < 3_000
    deadline = time.monotonic() + 30
    while ask(url, key, sent)["portfolio"]["metrics"]["sent"] < first + 3:
        assert time.monotonic() < deadline, "no live traffic came"
        time.sleep(0.3)


def test_a_key_is_made_once_and_kept_to_its_owner(tmp_path):
    key = kept_key(tmp_path / "demo")
    assert kept_key(tmp_path / "demo") == key
    assert (tmp_path / "demo" / "demo-key").stat().st_mode & 0o077 == 0


def test_another_database_or_data_folder_is_never_used(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://production")
    monkeypatch.setenv("WINNOW_DATA_DIR", "/var/lib/winnow")
    monkeypatch.setenv("WINNOW_BOOTSTRAP_KEY", "given")
    settings = demo_settings()
    assert settings.database_url is None
    assert settings.data_dir.name == "winnow-demo"
    assert settings.bootstrap_key.get_secret_value() == "given"


def test_everything_that_is_printed_is_one_line():
    assert "\n" not in QUERY + FOLLOW + flag_call("http://127.0.0.1:8000", "key")
