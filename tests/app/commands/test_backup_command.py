"""A backup is the whole database: restored, it says the same, and goes on."""

import os
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from app.asgi import assembled
from app.ingestion.batches import read_mappings
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.store.database import Database
from app.store.dumping import dump

ROOT = Path(__file__).parents[3]
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"
FILL = """
WITH merchant AS (INSERT INTO merchant (key, name, category) VALUES ('m', 'M', 'Food') RETURNING id)
INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)
SELECT 'c', 'C', id, 'ACTIVE', '{1}', 5 FROM merchant
"""


def winnow(*arguments: str, database_url: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {} if database_url is None else {"DATABASE_URL": database_url}
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@asynccontextmanager
async def services_of(url: str):
    database = await Database.open(url, default=False)
    try:
        async with assembled(database, LocalBroadcast(), SystemClock()) as assembly:
            yield assembly.services
    finally:
        await database.close()


async def record(url: str, name: str) -> None:
    kinds = ("SENT", "OPENED", "CONVERTED") * 20
    common = {"occurredAt": datetime.now(UTC), "campaignId": "c"}
    events = [
        {"id": f"{name}-{number}", "type": kind, "userId": f"u{number % 7}", **common}
        for number, kind in enumerate(kinds)
    ]
    async with services_of(url) as services:
        receipt = await services.ingestion.record(read_mappings(events))
    assert receipt.accepted == len(events)


async def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table, partitions too, as text."""
    connection = await asyncpg.connect(url)
    try:
        names = [row["relname"] for row in await connection.fetch(TABLES)]
        return {
            name: sorted(row[0] for row in await connection.fetch(f'SELECT t::text FROM "{name}" t')) for name in names
        }
    finally:
        await connection.close()


@pytest.fixture
async def filled(new_database) -> str:
    url = await new_database()
    connection = await asyncpg.connect(url)
    await connection.execute(FILL)
    await connection.close()
    await record(url, "first")
    return url


async def test_what_is_restored_is_the_same_and_goes_on(filled, new_database, tmp_path: Path) -> None:
    file = tmp_path / "winnow.dump"
    done = winnow("backup", str(file), database_url=filled)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    empty = await new_database(empty=True)
    done = winnow("restore", str(file), database_url=empty)
    assert (done.returncode, done.stderr) == (0, "")
    restored = await contents(empty)
    assert restored == await contents(filled)
    assert len(restored["event_key"]) == 60
    assert winnow("rebuild-totals", "--check", database_url=empty).returncode == 0
    await record(empty, "second")  # sequences go on, and ids are known
    async with services_of(empty) as services:
        again = {"id": "first-0", "type": "SENT", "occurredAt": datetime.now(UTC), "userId": "u1", "campaignId": "c"}
        assert (await services.ingestion.record(read_mappings([again]))).duplicates == 1


async def test_a_database_that_is_not_empty_is_left_as_it_is(filled, new_database, tmp_path: Path) -> None:
    file = tmp_path / "winnow.dump"
    dump_in_thread(filled, file)
    other = await new_database()
    before = await contents(other)
    done = winnow("restore", str(file), database_url=other)
    assert done.returncode != 0
    assert "restore into an empty one" in done.stderr
    assert await contents(other) == before


def dump_in_thread(url: str, file: Path) -> None:
    """It runs an event loop of its own."""
    from threading import Thread

    thread = Thread(target=dump, args=(url, file))
    thread.start()
    thread.join()


async def test_what_is_no_backup_is_refused_and_leaves_nothing(new_database, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("no dump")
    empty = await new_database(empty=True)
    done = winnow("restore", str(file), database_url=empty)
    assert done.returncode != 0
    assert "pg_restore failed" in done.stderr
    assert await contents(empty) == {}


@pytest.mark.parametrize("place", ["nowhere/winnow.dump", "."])
async def test_a_place_that_cannot_be_written_is_said_and_an_older_backup_stays(
    filled, tmp_path: Path, place: str
) -> None:
    done = winnow("backup", str(tmp_path / place), database_url=filled)
    assert done.returncode != 0
    assert "cannot be written" in done.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # pathlib would block, says ruff


def test_a_password_is_not_among_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.store import dumping

    seen: list = []

    def run(command, **given):
        seen.append((command, given.get("env", {}).get("PGPASSWORD")))
        return subprocess.CompletedProcess(command, 0, "pg_dump (PostgreSQL) 99.1", "")

    monkeypatch.setattr(dumping.subprocess, "run", run)
    dumping._run("pg_dump", [], "postgresql://ann:s%2Fcret@db:5433/winnow?sslmode=require", 18)
    command, password = seen[-1]
    assert command[1:] == ["--dbname=postgresql://ann@db:5433/winnow?sslmode=require"]
    assert password == "s/cret"
