"""How fast events become durable over HTTP, totals kept, beside a bare insert of the same rows.

The peer is what PostgreSQL alone can do: `INSERT ... SELECT FROM unnest(...) ON CONFLICT DO NOTHING` of the same
columns into a plain table whose only index is its key, one connection, arrays prepared before the clock starts. Both
sides write to the same database, durably, in turns; each round gives a ratio. `--connections` senders keep one request
of 200 events each in the air against `winnow serve` with one web process, which does everything a server does: HTTP,
the key, limits, decoding, checks, users, keys, events in their partitions with all indexes, totals of campaigns by hour
and day, of merchants, of cohorts, commit, answer.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import statistics
import tempfile
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from bench.claims import Claim, Row
from bench.serving import winnow_serve

KEY = "wnw_" + "b" * 40
HTTP, BARE = "HTTP, 200 a request", "bare, 200 a statement"
STORED = Claim(
    name="events stored and counted over HTTP", unit="events/s", peer="bare INSERT of the rows", promised=0.5, rate=True
)
CLAIMS = (STORED,)
COLUMNS = {
    "key": "uuid",
    "occurred_at": "timestamptz",
    "user_id": "bigint",
    "campaign_id": "bigint",
    "merchant_id": "bigint",
    "test_id": "bigint",
    "variant_id": "bigint",
    "value_micros": "bigint",
    "cost_micros": "bigint",
    "offer_micros": "bigint",
    "probability": "double precision",
    "latitude": "double precision",
    "longitude": "double precision",
    "type": "smallint",
    "channel": "smallint",
    "segment": "text",
    "event_id": "text",
}
TYPES = ["SENT"] * 40 + ["DELIVERED"] * 30 + ["OPENED"] * 15 + ["CLICKED"] * 8 + ["ACTIVATED"] * 4 + ["CONVERTED"] * 3
CODES = {"SENT": 1, "DELIVERED": 2, "OPENED": 3, "CLICKED": 4, "ACTIVATED": 5, "CONVERTED": 6}
CHANNELS = ["PUSH", "EMAIL", "SMS", "IN_APP"]
CAMPAIGNS, MERCHANTS, USERS = 40, 12, 5_000
CATALOGUE = f"""
    INSERT INTO merchant (key, name, category) SELECT 'm' || n, 'M' || n, 'food' FROM generate_series(1, {MERCHANTS}) n;
    INSERT INTO campaign (key, name, merchant_id, channels, offer_amount)
        SELECT 'c' || n, 'C' || n, n % {MERCHANTS} + 1, '{{1,2}}', 5 FROM generate_series(1, {CAMPAIGNS}) n;
    INSERT INTO app_user (external_id, segment)
        SELECT 'user-' || n, (ARRAY['new', 'loyal', 'lapsed'])[n % 3 + 1] FROM generate_series(1, {USERS}) n;
    CREATE TABLE bare (LIKE event INCLUDING DEFAULTS, PRIMARY KEY (key));
"""
INSERT = f"""
    INSERT INTO bare ({", ".join(COLUMNS)})
    SELECT * FROM unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(COLUMNS.values(), start=1))})
    ON CONFLICT (key) DO NOTHING
"""


def make_events(count: int, rng: random.Random) -> list[dict]:
    """Live traffic: a funnel of 40 campaigns within ten minutes."""
    now = datetime.now(UTC)
    events = []
    for _ in range(count):
        kind = rng.choice(TYPES)
        event = {
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "type": kind,
            "occurredAt": (now - timedelta(seconds=rng.random() * 600)).isoformat(timespec="milliseconds"),
            "userId": f"user-{rng.randrange(USERS) + 1}",
            "campaignId": f"c{rng.randrange(CAMPAIGNS) + 1}",
            "channel": rng.choice(CHANNELS),
        }
        if kind == "CONVERTED":
            event["value"] = f"{rng.uniform(5, 80):.2f}"
        events.append(event)
    return events


def to_row(event: dict) -> tuple:
    """Return what is stored of an event, as the bare insert's columns."""
    user, campaign = int(event["userId"][5:]), int(event["campaignId"][1:])
    value = round(float(event["value"]) * 1_000_000) if "value" in event else None
    return (
        uuid.UUID(bytes=hashlib.blake2b(event["id"].encode(), digest_size=16).digest()),
        datetime.fromisoformat(event["occurredAt"]),
        user,
        campaign,
        campaign % MERCHANTS + 1,
        *(None, None, value, None, 5_000_000, None, None, None),
        CODES[event["type"]],
        CHANNELS.index(event["channel"]) + 1,
        ("new", "loyal", "lapsed")[user % 3],
        event["id"],
    )


async def bare_rate(url: str, events: list[dict], *, size: int, connections: int = 1) -> float:
    """Insert the rows, `size` a statement, and return rows a second."""
    rows = [to_row(event) for event in events]
    batches = [list(map(list, zip(*rows[at : at + size], strict=True))) for at in range(0, len(rows), size)]
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)
    waiting = iter(batches)

    async def insert() -> None:
        async with pool.acquire() as connection:
            statement = await connection.prepare(INSERT)
            for batch in waiting:
                await statement.fetch(*batch)

    start = time.perf_counter()
    await asyncio.gather(*(insert() for _ in range(connections)))
    rate = len(rows) / (time.perf_counter() - start)
    await pool.close()
    return rate


async def http_rate(address: tuple[str, int], events: list[dict], *, size: int, connections: int) -> float:
    """Post the events, `size` a request, and return events a second, all answered as accepted."""
    lines = [json.dumps(event).encode() for event in events]
    requests = iter([_request(b"\n".join(lines[at : at + size])) for at in range(0, len(lines), size)])
    accepted = 0

    async def send() -> None:
        nonlocal accepted
        reader, writer = await asyncio.open_connection(*address)
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            accepted += json.loads(await reader.readexactly(length))["accepted"]
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(connections)))
    rate = len(events) / (time.perf_counter() - start)
    assert accepted == len(events), f"{accepted} of {len(events)} accepted"
    return rate


def _request(body: bytes) -> bytes:
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def database_url():
    """Yield BENCH_DATABASE_URL, or a durable PostgreSQL of the bench's own."""
    if given := os.environ.get("BENCH_DATABASE_URL"):
        yield given
        return
    from app.store.embedded.server import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder))
        yield postgres.start().url
        postgres.stop()


async def run(url: str, options: argparse.Namespace) -> dict[str, list[float]]:
    from app.store.database import Database

    database = await Database.open(url)
    await database.migrate()
    await database.execute(CATALOGUE)
    rng = random.Random(1)
    fresh = lambda: make_events(options.events, rng)  # every run stores rows of its own
    address = ("127.0.0.1", options.port)
    rates: dict[str, list[float]] = {}
    variables = {"DATABASE_URL": url, "WINNOW_BOOTSTRAP_KEY": KEY, "WINNOW_EVENTS_PER_SECOND": "1e9"}
    with winnow_serve("--log-level", "warning", port=options.port, **variables):
        await http_rate(address, make_events(5_000, rng), size=200, connections=options.connections)
        for _ in range(options.rounds):
            for name, measure in {
                BARE: lambda: bare_rate(url, fresh(), size=200),
                "bare, 2000 a statement": lambda: bare_rate(url, fresh(), size=2000),
                HTTP: lambda: http_rate(address, fresh(), size=200, connections=options.connections),
            }.items():
                await database.execute("CHECKPOINT")
                rates.setdefault(name, []).append(await measure())
                print(f"  {name:<24} {rates[name][-1]:>10,.0f} rows/s", flush=True)
    await database.close()
    _print(rates, options)
    return rates


def _print(rates: dict[str, list[float]], options: argparse.Namespace) -> None:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\nMedians of {options.rounds} rounds of {options.events:,} events, {options.connections} connections:")
    for name, rate in medians.items():
        print(f"  {name:<24} {rate:>10,.0f} rows/s")
    http = medians[HTTP]
    for name in (BARE, "bare, 2000 a statement"):
        ratios = [h / b for h, b in zip(rates[HTTP], rates[name], strict=True)]
        print(f"  ratio to {name}: {http / medians[name]:.2f}  (rounds: {', '.join(f'{r:.2f}' for r in ratios)})")


def speed() -> list[Row]:
    """Measure with short rounds, and return the table's rows."""
    with database_url() as url:
        rates = asyncio.run(run(url, argparse.Namespace(events=30_000, rounds=3, connections=32, port=8123)))
    return [STORED.rounds(list(zip(rates[HTTP], rates[BARE], strict=True)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000, help="events in each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--port", type=int, default=8123)
    options = parser.parse_args()
    with database_url() as url:
        asyncio.run(run(url, options))


if __name__ == "__main__":
    main()
