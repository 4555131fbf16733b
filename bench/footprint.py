"""What Winnow takes of a machine: memory of each process, disk of the events, and how fast they came.

    scripts/bench footprint --events 1000000

A server of its own, durable, with one web process and one worker on a new data folder. Events are of 100,000 users, 20
campaigns and one test of two variants, over the last 20 days: sent, opened, converted and exposed in turns, 1,000 a
request, 8 requests in the air. Memory is PSS, so that pages shared by PostgreSQL's processes count once.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from bench.serving import winnow_serve

KEY = "footprint-" + "k" * 40
USERS, CAMPAIGNS, IN_THE_AIR, A_REQUEST = 100_000, 20, 8, 1_000
KINDS = ("SENT", "OPENED", "CONVERTED", "EXPOSED")
MEBIBYTE = 1024 * 1024
MAKE = (
    'createMerchant(input: {key: "shop", name: "Shop", category: "Food"})',
    *(
        f'createCampaign(input: {{key: "c{number}", name: "C", merchantId: "shop", channels: [PUSH], offerAmount: 5}})'
        for number in range(CAMPAIGNS)
    ),
    """createTest(input: {
        key: "colour", name: "Colour",
        variants: [{key: "a", name: "A", weight: 0.5, isControl: true}, {key: "b", name: "B", weight: 0.5}],
        metric: {key: "bought", kind: CONVERSION, event: CONVERTED}
    })""",
)
START = 'startTest(id: "colour", at: "{at}")'


def memory(server: subprocess.Popen[str]) -> dict[str, float]:
    """Return the megabytes of each kind of process."""
    found: dict[str, float] = {}
    whole = psutil.Process(server.pid)
    for process in (whole, *whole.children(recursive=True)):
        kind = kind_of(process, whole)
        found[kind] = found.get(kind, 0.0) + process.memory_full_info().pss / MEBIBYTE
    return found


def kind_of(process: psutil.Process, whole: psutil.Process) -> str:
    if process == whole:
        return "command"
    words = " ".join(process.cmdline())
    kinds = {"app.commands.web": "web process", "app.worker": "worker"}
    return next((kind for name, kind in kinds.items() if name in words), "PostgreSQL, all processes")


def lines(first: int, at: datetime) -> bytes:
    """Return the body of one request."""
    return b"\n".join(event(number, at) for number in range(first, first + A_REQUEST))


def event(number: int, at: datetime) -> bytes:
    kind = KINDS[number % 4]
    user = number * 7919 % USERS
    given = {
        "id": f"e-{number:09d}",
        "type": kind,
        "userId": f"user-{user:06d}",
        "occurredAt": (at - timedelta(seconds=number * 613 % 1_700_000)).isoformat(),
    }
    if kind == "EXPOSED":
        given["testId"] = "colour"
    else:
        given |= {"campaignId": f"c{number % CAMPAIGNS}", "channel": "PUSH"}
    if kind == "CONVERTED":
        given["value"] = f"{number % 90 + 1}.50"
    return json.dumps(given).encode()


async def send(url: str, events: int) -> tuple[float, int]:
    """Send; return the seconds it took and how many events were accepted."""
    at, firsts, accepted = datetime.now(UTC), itertools.count(0, A_REQUEST), 0

    async def sender(client: httpx.AsyncClient) -> None:
        nonlocal accepted
        while (first := next(firsts)) < events:
            answer = await client.post("/v1/events", content=lines(first, at))
            accepted += answer.raise_for_status().json()["accepted"]

    began = time.monotonic()
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": KEY}, timeout=120) as client:
        await asyncio.gather(*(sender(client) for _ in range(IN_THE_AIR)))
    return time.monotonic() - began, accepted


async def sizes(folder: Path) -> dict[str, float]:
    """Return the megabytes of the database, by what they hold; the data folder's with its log."""
    from app.store.database import Database
    from app.store.embedded.folder import DataFolder

    database = await Database.open(DataFolder(folder).listening().url, default=False)
    try:
        await database.execute("CHECKPOINT")
        rows = await database.fetch(SIZES)
    finally:
        await database.close()
    files = await asyncio.to_thread(bytes_of, folder)
    return {row["what"]: float(row["bytes"]) / MEBIBYTE for row in rows} | {"the data folder": files / MEBIBYTE}


def bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


SIZES = """
SELECT CASE WHEN relname ~ '^event_\\d|^event$|^event_default' THEN 'events with their indexes'
            WHEN relname ~ '^event_key' THEN 'keys of events, against duplicates'
            WHEN relname ~ '^(ab_test_assignment|unit_metric|test_totals)' THEN 'what the test''s units did'
            WHEN relname ~ '^app_user' THEN 'users' ELSE 'all else' END AS what,
       sum(pg_total_relation_size(oid)) AS bytes
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1
UNION ALL SELECT 'the database', pg_database_size(current_database())
"""


def told(title: str, values: dict[str, float]) -> None:
    print(title)
    for name, value in sorted(values.items()):
        print(f"  {name:40} {value:8.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description="What Winnow takes of a machine.")
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory(prefix="winnow-footprint-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "data"
        Path(name).chmod(0o711)
        variables = {"DATABASE_URL": None, "WINNOW_BOOTSTRAP_KEY": KEY, "WINNOW_EVENTS_PER_SECOND": "1000000"}
        with winnow_serve("--data-dir", str(folder), errors=subprocess.DEVNULL, **variables) as serving:
            server, url = serving.process, serving.url
            make(url)
            time.sleep(5)
            told("memory at rest", memory(server))
            before = asyncio.run(sizes(folder))
            seconds, accepted = asyncio.run(send(url, events))
            print(f"{accepted:,} events accepted in {seconds:.0f} s: {accepted / seconds:,.0f} a second")
            told("memory after them", memory(server))
            after = asyncio.run(sizes(folder))
            told(f"disk of {accepted:,} events", {key: after[key] - before.get(key, 0.0) for key in after})


def make(url: str) -> None:
    """Make what events speak of."""
    began = (datetime.now(UTC) - timedelta(days=21)).isoformat()
    with httpx.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=60) as client:
        for step in (*MAKE, START.format(at=began)):
            query = f"mutation {{ {step} {{ errors {{ message }} }} }}"
            answer = client.post("/graphql", json={"query": query}).json()
            if "errors" in answer or any(one["errors"] for one in answer["data"].values()):
                raise SystemExit(f"{query}: {answer}")


if __name__ == "__main__":
    main()
