"""Tries an upgrade: an earlier release fills a data folder, this one goes on with it, and nothing is lost or changed.

    .venv/bin/python scripts/try_upgrade.py COMMIT [--events 20000]

COMMIT is of this repository's history and is run by the present environment, from a folder of its own. It makes a
campaign and a test, takes events, and is stopped; then, each time asking the graph for the same figures:

1. this release serves the folder, takes the first events again (all duplicates) and new ones, and all totals are what
   the events say;
2. `winnow backup` writes a file while it serves, `winnow restore` makes another folder of it, and that one is served;
3. the stopped folder is copied (`cp -a`), and the copy is served.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
KEY = "trial-" + "k" * 40
FIGURES = """
{
  portfolio { metrics { sent delivered converted revenue } }
  campaign(id: "spring") { metrics { sent converted revenue roi } }
  test(id: "colour") { results { totals { exposed converted mean variant { key } } } }
}
"""
MAKE = (
    'createMerchant(input: {key: "shop", name: "Shop", category: "Food"})',
    'createCampaign(input: {key: "spring", name: "Spring", merchantId: "shop", channels: [PUSH], offerAmount: 5})',
    """createTest(input: {
        key: "colour", name: "Colour", campaignId: "spring",
        variants: [{key: "a", name: "A", weight: 0.5, isControl: true}, {key: "b", name: "B", weight: 0.5}],
        metric: {key: "bought", kind: CONVERSION, event: CONVERTED}
    })""",
    'startTest(id: "colour")',
)


@contextmanager
def serving(source: Path, folder: Path) -> Iterator[httpx.Client]:
    """Serve a data folder by the code in `source`."""
    environment = {**os.environ, "WINNOW_BOOTSTRAP_KEY": KEY, "PYTHONPATH": str(source)}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data-dir", str(folder)]
    began = time.monotonic()
    with (
        (folder.parent / "log").open("ab") as log,
        subprocess.Popen(command, cwd=source, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        line = server.stdout.readline() if server.stdout else ""
        if "ready" not in line:
            raise SystemExit(f"It did not start: see {log.name}")
        print(f"  served after {time.monotonic() - began:.1f} s")
        try:
            url = line.split()[-1].removesuffix("/graphql")
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as client:
                yield client
        finally:
            server.terminate()
            server.wait(60)


def ask(client: httpx.Client, query: str) -> Any:
    """Return an operation's data; end where it has errors."""
    answer = client.post("/graphql", json={"query": query}).json()
    if "errors" in answer or any((one or {}).get("errors") for one in answer["data"].values() if isinstance(one, dict)):
        raise SystemExit(f"{query}\n{json.dumps(answer)}")
    return answer["data"]


def send(client: httpx.Client, name: str, events: int, at: datetime) -> dict[str, int]:
    """Send events of four kinds; return how many were accepted, known and refused."""
    found = {"accepted": 0, "duplicates": 0, "rejected": 0}
    for start in range(0, events, 2_000):
        lines = [json.dumps(event(name, number, at)) for number in range(start, min(start + 2_000, events))]
        receipt = client.post("/v1/events", content="\n".join(lines).encode()).raise_for_status().json()
        found["accepted"] += receipt["accepted"]
        found["duplicates"] += receipt["duplicates"]
        found["rejected"] += len(receipt["rejected"])
    return found


def event(name: str, number: int, at: datetime) -> dict[str, Any]:
    """Return one event: users are shown the test, and sent, open and convert."""
    kind = ("EXPOSED", "SENT", "OPENED", "CONVERTED")[number % 4]
    user, occurred_at = number // 4, at + timedelta(milliseconds=number % 4)
    common = {"id": f"{name}-{number}", "type": kind, "userId": f"{name}-{user}", "occurredAt": occurred_at.isoformat()}
    if kind == "EXPOSED":
        return {**common, "testId": "colour"}
    value = {"value": f"{3 + user % 5}.50"} if kind == "CONVERTED" else {}
    return {**common, "campaignId": "spring", "channel": "PUSH", **value}


def winnow(*arguments: str) -> str:
    """Run a command of this release."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "-m", "app.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"winnow {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def same(what: str, found: Any, expected: Any) -> None:
    """End where figures differ."""
    if found != expected:
        raise SystemExit(f"{what}:\n{json.dumps(found)}\nis not\n{json.dumps(expected)}")
    print(f"  {what}: as before")


def main() -> None:
    """Try it."""
    parser = argparse.ArgumentParser(description="Try an upgrade, a backup, a restore and a copy.")
    parser.add_argument("commit")
    parser.add_argument("--events", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winnow-upgrade-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        work.chmod(0o711)
        old = work / "old"
        old.mkdir()
        archive = subprocess.run(["git", "archive", arguments.commit], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "x", "-C", old], input=archive.stdout, check=True)
        try_all(work, old, arguments.events)


def try_all(work: Path, old: Path, events: int) -> None:
    """Go through the three ways, in folders below `work`."""
    data, file = work / "data", work / "winnow.dump"
    print(f"{old}: {', '.join(sorted(path.stem for path in (old / 'migrations').glob('0*.py')))}")
    with serving(old, data) as client:
        for step in MAKE:
            ask(client, f"mutation {{ {step} {{ errors {{ message }} }} }}")
        at = datetime.now(UTC)
        print(f"  {send(client, 'first', events, at)}")
        before = ask(client, FIGURES)
        print(f"  {json.dumps(before)}")

    print("this release on the same folder")
    with serving(ROOT, data) as client:
        same("figures", ask(client, FIGURES), before)
        print(f"  the same events again: {send(client, 'first', events, at)}")
        same("figures", ask(client, FIGURES), before)
        print(f"  new events: {send(client, 'second', events, at)}")
        after = ask(client, FIGURES)
        print(f"  {winnow('rebuild-totals', '--check', '--data-dir', str(data))}")
        began = time.monotonic()
        print(f"  {winnow('backup', str(file), '--data-dir', str(data))} {time.monotonic() - began:.1f} s")

    print("restored from the backup")
    began = time.monotonic()
    print(f"  {winnow('restore', str(file), '--data-dir', str(work / 'restored'))} {time.monotonic() - began:.1f} s")
    with serving(ROOT, work / "restored") as client:
        same("figures", ask(client, FIGURES), after)
        print(f"  known events: {send(client, 'second', events, at)}")
        print(f"  {winnow('rebuild-totals', '--check', '--data-dir', str(work / 'restored'))}")

    print("copied while it was stopped")
    subprocess.run(["cp", "-a", data, work / "copy"], check=True)
    with serving(ROOT, work / "copy") as client:
        same("figures", ask(client, FIGURES), after)


if __name__ == "__main__":
    main()
