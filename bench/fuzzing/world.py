"""A fresh server on an embedded PostgreSQL, with a small world in it, and what that world calls its things."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.commands.demo import loading_of
from app.commands.rebuild_totals import rebuild
from app.store.database import Database
from app.store.embedded.server import EmbeddedPostgres
from bench.serving import winnow_serve

KEY = "wnw_" + "f" * 40
ROOT = Path(__file__).parents[2]
EXAMPLES = 25
"""Names of a kind that requests are made of."""
_NAMES = {
    "campaign": ("SELECT key FROM campaign ORDER BY id", "SELECT 'cmp_' || id FROM campaign ORDER BY id"),
    "merchant": ("SELECT key FROM merchant ORDER BY id", "SELECT 'mer_' || id FROM merchant ORDER BY id"),
    "test": ("SELECT key FROM ab_test ORDER BY id", "SELECT 'tst_' || id FROM ab_test ORDER BY id"),
    "user": ("SELECT external_id FROM app_user ORDER BY id", "SELECT 'usr_' || id FROM app_user ORDER BY id"),
    "variant": (
        "SELECT DISTINCT key FROM ab_test_variant ORDER BY 1",
        "SELECT 'var_' || id FROM ab_test_variant ORDER BY 1",
    ),
    "metric": ("SELECT DISTINCT key FROM ab_test_metric ORDER BY 1",),
    "segment": ("SELECT DISTINCT segment FROM app_user ORDER BY 1",),
    "model": ("SELECT 'mod_' || n FROM generate_series(1, 8) n",),
    "job": ("SELECT 'job_' || n FROM generate_series(1, 20) n",),
}

type Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class World:
    """A running server, its database, and names that exist in it, by kind."""

    url: str
    database_url: str
    names: Names
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of an admin."""
        return {"Authorization": f"Bearer {KEY}"}

    def errors(self) -> list[str]:
        """Return the lines in which the server told of an unforeseen error."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if '"level": "error"' in line]

    def differing(self) -> list[str]:
        """Return the totals that are not what the events say."""
        return asyncio.run(self._differing())

    async def _differing(self) -> list[str]:
        database = await Database.open(self.database_url, default=False)
        try:
            return [
                f"{found.table}, {found.part}: {found.differences:,}" for found in await rebuild(database, repair=False)
            ]
        finally:
            await database.close()

    def waiting_jobs(self) -> int:
        """Return how many jobs wait, as no worker runs."""
        return asyncio.run(self._count("SELECT count(*) FROM job WHERE finished_at IS NULL"))

    async def _count(self, query: str) -> int:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


@contextmanager
def fresh_world(*, size: float = 0.002, trained: bool = False, **variables: str) -> Iterator[World]:
    """Serve a new world while the context lasts, without a worker: jobs that are asked for wait.

    `trained` has models learn from its events first, as far as these can bear one.
    """
    with tempfile.TemporaryDirectory(prefix="winnow-fuzz-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user where this runs as root
        postgres = EmbeddedPostgres(Path(folder) / "postgres-data", durable=False)
        postgres.start()
        try:
            names = asyncio.run(fill(postgres.url, size=size))
            if trained:
                _train(postgres.url)
            with served(postgres.url, names, Path(folder) / "server.log", variables) as world:
                yield world
        finally:
            postgres.stop()


def _train(url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "app.cli", "train"], env={**os.environ, "DATABASE_URL": url}, cwd=ROOT, check=False
    )


async def fill(url: str, *, size: float) -> Names:
    """Load the world of the demo, and return names of what is in it."""
    database = await Database.open(url, default=False)
    try:
        await database.migrate()
        await loading_of(database).load(size=size)
        return {
            kind: [name for query in queries for name in await _some(database, query)]
            for kind, queries in _NAMES.items()
        }
    finally:
        await database.close()


async def _some(database: Database, query: str) -> list[str]:
    return [row[0] for row in await database.fetch(f"SELECT * FROM ({query}) AS names LIMIT {EXAMPLES}")]


@contextmanager
def served(database_url: str, names: Names, log: Path, variables: Mapping[str, str]) -> Iterator[World]:
    """Serve a database that is filled."""
    settings = {
        "DATABASE_URL": database_url,
        "WINNOW_BOOTSTRAP_KEY": KEY,
        "WINNOW_LOG_FORMAT": "json",
        "WINNOW_LOG_LEVEL": "warning",
        "WINNOW_RUN_WORKER": "false",
        **variables,
    }
    with log.open("w") as written, winnow_serve(errors=written, **settings) as serving:
        yield World(serving.url, database_url, names, log)
