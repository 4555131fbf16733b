"""What tests stand on: one PostgreSQL cluster a run, one database a worker, a clean one a test, a real server."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from app.runtime.clock import ManualClock
from app.runtime.settings import Settings
from app.store.database import Database
from app.store.embedded.binaries import Binaries
from app.store.embedded.server import EmbeddedPostgres

ROOT = Path(__file__).parent.parent
POSTGRESQL_15 = Path("/usr/lib/postgresql/15/bin")
TEMPLATE_LOCK = 7_001
ADMIN_KEY = "admin-key-of-the-tests"


# ------------------------------------------------------------------------------------------------ options


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        default=os.environ.get("WINNOW_TEST_DATABASE", "embedded"),
        help="embedded (default), postgresql15 (Debian's binaries), or the URL of a server on which to make databases",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "database: uses PostgreSQL (set by itself, from the fixtures)")
    config.pluginmanager.register(ClusterOfRun(config), "cluster-of-run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("database")


class ClusterOfRun:
    """The cluster of a whole run. With pytest-xdist it is the controller's, which outlives its workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._server: EmbeddedPostgres | None = None
        self._folder: Path | None = None

    @property
    def url(self) -> str:
        inherited = getattr(self._config, "workerinput", {}).get("cluster_url")
        choice = self._config.getoption("database")
        if inherited or "://" in choice:
            return inherited or choice
        return (self._server or self._start(choice)).url

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        node.workerinput["cluster_url"] = self.url

    def pytest_unconfigure(self) -> None:
        if self._server:
            self._server.stop()
        if self._folder:
            shutil.rmtree(self._folder)

    def _start(self, choice: str) -> EmbeddedPostgres:
        binaries = {"embedded": None, "postgresql15": Binaries(POSTGRESQL_15)}[choice]
        self._folder = Path(tempfile.mkdtemp(prefix="winnow-tests-"))
        self._folder.chmod(0o711)  # PostgreSQL runs as another user where the tests run as root
        self._server = EmbeddedPostgres(self._folder, binaries=binaries, durable=False)
        self._server.start()
        return self._server


# ------------------------------------------------------------------------------------------------ databases


@dataclass(frozen=True)
class TestCluster:
    """A server on which tests may make databases."""

    __test__ = False
    url: str

    def database_url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def create(self, name: str, *, template: str = "template1") -> str:
        async with self._maintenance() as connection:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.database_url(name)

    async def drop(self, name: str) -> None:
        async with self._maintenance() as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def migrated(self, name: str) -> None:
        """Make a migrated database, once a run: the first worker does, the others wait for it."""
        async with self._maintenance() as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", TEMPLATE_LOCK)
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
                database = await Database.open(self.database_url(name), default=False)
                await database.migrate()
                await database.close()

    @asynccontextmanager
    async def _maintenance(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> TestCluster:
    """The run's PostgreSQL: embedded, Debian's 15 or a given server."""
    return TestCluster(request.config.pluginmanager.getplugin("cluster-of-run").url)


@pytest_asyncio.fixture(scope="session")
async def template(cluster: TestCluster, testrun_uid: str) -> AsyncIterator[str]:
    """The name of a migrated, empty database to copy."""
    name = f"winnow_template_{testrun_uid[:12]}"
    await cluster.migrated(name)
    return name


@pytest.fixture(scope="session")
def testrun_uid(request: pytest.FixtureRequest) -> str:
    """The same in all workers of a run (pytest-xdist's, or made up without it)."""
    return getattr(request.config, "workerinput", {}).get("testrunuid") or secrets.token_hex(8)


@pytest_asyncio.fixture(scope="session")
async def new_database(cluster: TestCluster, template: str) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Make a database and return its URL: a copy of the migrated one, or `new_database(empty=True)` for a bare one."""
    made: list[str] = []

    async def make(*, empty: bool = False) -> str:
        made.append(f"winnow_{secrets.token_hex(6)}")
        return await cluster.create(made[-1], template="template1" if empty else template)

    yield make
    for name in made:
        await cluster.drop(name)


@pytest.fixture(scope="session")
def statements() -> "Statements":
    """The SQL statements sent through `database`; `with statements.watched() as seen:` collects them.

    Those of the test's own task and of tasks it starts meanwhile, or, `watched(everywhere=True)`, those of any task.
    """
    return Statements()


class Statements:
    def __init__(self) -> None:
        self._everywhere: list[list[str]] = []
        self._here: ContextVar[tuple[list[str], ...]] = ContextVar("watchers", default=())

    def __call__(self, query: str) -> None:
        for seen in (*self._everywhere, *self._here.get()):
            seen.append(query)

    @contextmanager
    def watched(self, *, everywhere: bool = False) -> Iterator[list[str]]:
        seen: list[str] = []
        if everywhere:
            self._everywhere.append(seen)
            yield seen
            self._everywhere.remove(seen)
        else:
            token = self._here.set((*self._here.get(), seen))
            yield seen
            self._here.reset(token)


@pytest_asyncio.fixture(scope="session")
async def database(new_database, statements: Statements) -> AsyncIterator[Database]:
    """The worker's own migrated database, as earlier tests left it."""
    database = await Database.open(await new_database(), watch=statements)
    yield database
    await database.close()


CLEAN = """
DO $$
DECLARE
    item record;
    filled boolean;
BEGIN
    SET LOCAL session_replication_role = replica;  -- foreign keys need no check where everything goes
    FOR item IN
        SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> 'tortoise_migrations'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', item.name) INTO filled;
        IF filled THEN
            EXECUTE format('DELETE FROM %s', item.name);
        END IF;
    END LOOP;
    FOR item IN
        SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
    LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', item.name);
    END LOOP;
END $$
"""


@pytest_asyncio.fixture
async def clean_database(database: Database) -> Database:
    """The worker's database with every table empty and every id beginning at 1."""
    await database.execute(CLEAN)
    return database


# ------------------------------------------------------------------------------------------------ the runtime


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at 2026-01-01 until it is advanced."""
    return ManualClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", log_format="json")


# ------------------------------------------------------------------------------------------------ a real server


@dataclass(frozen=True)
class RunningServer:
    """`winnow serve` in processes of its own, on a database of its own."""

    url: str
    key: str
    database_url: str
    process: subprocess.Popen[str]
    errors: IO[str]

    def log(self) -> str:
        """Return what the server wrote on standard error so far; the file's offset is the server's."""
        number = self.errors.fileno()
        return os.pread(number, os.fstat(number).st_size, 0).decode()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def serving(database_url: str, **variables: str) -> Iterator[RunningServer]:
    """Run `winnow serve` on a database, until the context is left."""
    environment = {**os.environ, "DATABASE_URL": database_url, "WINNOW_BOOTSTRAP_KEY": ADMIN_KEY, **variables}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        line = process.stdout.readline()
        if not line.startswith("Winnow is ready"):
            process.kill()
            process.communicate()
            errors.seek(0)
            pytest.fail(f"winnow serve did not start: {line}{errors.read()}")
        try:
            url = line.split()[-1].removesuffix("/graphql")
            yield RunningServer(url=url, key=ADMIN_KEY, database_url=database_url, process=process, errors=errors)
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest_asyncio.fixture(scope="session")
async def server(new_database) -> AsyncIterator[RunningServer]:
    """The real application behind a real uvicorn on a free port; `server.headers` carry an admin key."""
    with serving(await new_database()) as running:
        yield running


@pytest.fixture(scope="session")
def start_server() -> Callable[..., AbstractContextManager[RunningServer]]:
    """Run another real server: `with start_server(database_url, WINNOW_PORT="0") as running:`."""
    return serving


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[RunningServer]]:
    """Run `winnow serve` on a database of the test's own, while the context lasts."""
    return serving


@pytest.fixture(scope="session")
def free_port() -> Iterator[Callable[[], int]]:
    """Return a port that was free a moment ago."""
    import socket

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find
