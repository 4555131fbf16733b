"""Two local servers: a primary, and a standby made of its base backup that follows it."""

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from app.runtime.clock import SystemClock
from app.store.database import Database
from app.store.embedded.accounts import database_account
from app.store.embedded.binaries import Binaries, readable_binaries, wheel_binaries
from app.store.embedded.server import EmbeddedPostgres
from app.store.reading import ReplicatedDatabase
from app.store.replica import Replica

POSTGRESQL_15 = Path("/usr/lib/postgresql/15/bin")
AT_ONCE = "max_standby_streaming_delay = 0\nhot_standby_feedback = off\n"
"""Replaying never waits for a query: the query is cancelled."""


@dataclass
class Servers:
    """A primary and its standby."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres

    async def on_primary(self, statement: str, *args: object) -> object:
        return await _ask(self.primary.url, statement, *args)

    async def on_standby(self, statement: str, *args: object) -> object:
        return await _ask(self.standby.url, statement, *args)

    async def pause(self) -> None:
        await self.on_standby("SELECT pg_wal_replay_pause()")

    async def resume(self) -> None:
        await self.on_standby("SELECT pg_wal_replay_resume()")

    async def position(self) -> object:
        """Return where the primary's log is."""
        return await self.on_primary("SELECT pg_current_wal_flush_lsn()::text")

    async def caught_up(self) -> object:
        """Wait until the standby has everything; return where the primary's log was."""
        position = await self.position()
        while not await self.on_standby("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", position):
            pass
        return position

    def other_database(self, name: str) -> str:
        return urlunsplit(urlsplit(self.standby.url)._replace(path=f"/{name}"))


async def _ask(url: str, statement: str, *args: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *args)
    finally:
        await connection.close()


def copy_to(standby: Path, primary: EmbeddedPostgres, binaries: Binaries) -> None:
    """Make a standby's data by pg_basebackup, as docs/operations says."""
    cluster = standby / "postgres"
    cluster.mkdir(mode=0o700, parents=True)
    standby.chmod(0o711)
    options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", primary.url]
    user = {}
    account = database_account(standby / "nothing")
    if account is not None:
        os.chown(cluster, account.user, account.group)
        user = {"user": account.user, "group": account.group, "extra_groups": []}
    command = [binaries.folder / "pg_basebackup", "--pgdata", cluster, *options]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **user)
    (cluster / "local.conf").write_text(AT_ONCE)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can reach where the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="winnow-replica-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def binaries(request: pytest.FixtureRequest, folder: Path) -> Binaries:
    """Binaries that user can read, copied once for both servers where that needs a copy."""
    of_15 = request.config.getoption("database") == "postgresql15"
    found, account = Binaries(POSTGRESQL_15) if of_15 else wheel_binaries(), database_account(folder / "nothing")
    return found if account is None else readable_binaries(found, account, near=folder)


@pytest_asyncio.fixture(scope="session")
async def servers(folder: Path, binaries: Binaries) -> AsyncIterator[Servers]:
    with EmbeddedPostgres(folder / "primary", binaries=binaries, durable=False) as primary:
        # durable False would have commits seen before they are in the log that is sent
        await _ask(primary.url, "ALTER DATABASE winnow SET synchronous_commit = on")
        database = await Database.open(primary.url, default=False)
        await database.migrate()
        await database.close()
        copy_to(folder / "standby", primary, binaries)
        with EmbeddedPostgres(folder / "standby", binaries=binaries, durable=False) as standby:
            yield Servers(primary, standby)


@pytest.fixture
def open_replicated(servers: Servers):
    """Open the primary with its standby as a web process does."""

    @asynccontextmanager
    async def opened(url: str = "", **given: float) -> AsyncIterator[ReplicatedDatabase]:
        database = await ReplicatedDatabase.open(servers.primary.url, default=False)
        options = {"max_lag_seconds": 2.0, "statement_timeout_seconds": 60.0} | given
        url = url or servers.standby.url
        database.replica = Replica(url, primary_url=servers.primary.url, clock=SystemClock(), **options)
        await database.replica.start()
        try:
            yield database
        finally:
            await database.close()

    return opened


@pytest.fixture
def stopped():
    """Let a server's processes stand still: `with stopped(process_id):`."""

    @contextmanager
    def stop(process_id: int) -> Iterator[None]:
        server = psutil.Process(process_id)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    return stop


@pytest.fixture
def gauge():
    """The value of a metric of the replica."""

    def value(name: str, replica: Replica) -> float | None:
        return REGISTRY.get_sample_value(name, {"replica": replica.name})

    return value
