"""The database: one address, a pool for set-based SQL, Tortoise for single rows, and the migrations of both."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import Any, Self

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from tortoise.context import TortoiseContext, get_current_context
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from app.errors import DatabaseUnavailable, IncompatibleVersion, Unavailable
from app.runtime.tracing import is_tracing, span
from app.store.orm import APP_LABEL, CONNECTION, keep_session, orm_config
from app.store.standby import Standby

OLDEST_SERVER = 15
LATEST = "__latest__"
FIRST = "__first__"
_MIGRATION_LOCK = 0x57494E4E4F57  # "WINNOW"
_LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a statement meets that is begun while its connection is being ended
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # connections, memory, room on the disk
    asyncpg.PostgresIOError,
)

_STATEMENT_METHODS = ("execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval", "copy_records_to_table")

type Record = asyncpg.Record
type Connection = PoolConnectionProxy[asyncpg.Record]
type Pool = asyncpg.Pool[asyncpg.Record]
type Watch = Callable[[str], None]
"""Called with the text of each statement of the pool; for tests that count them."""
type Progress = Callable[[str, str, str], object]
"""Called with what happens ("apply_start", "apply_done", ...), the app's label and the migration's name."""


class Database:
    """An open database. `fetch` and its like take a connection of the pool for one statement, `transaction` for many.

    A transaction never asks the pool for a second connection: with every connection taken by somebody who waits for
    another, none would ever come.
    """

    def __init__(self, url: str, *, pool: Pool, orm: TortoiseContext) -> None:
        self.url = url
        self.pool = pool
        self._orm = orm
        self._standby = Standby(pool, most=max(pool.get_max_size() // 2, pool.get_max_size() - 3))

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        pool_size: int = 10,
        orm_pool_size: int = 5,
        statement_timeout_seconds: float | None = None,
        watch: Watch | None = None,
        default: bool = True,
    ) -> Self:
        """Connect to PostgreSQL 15 or newer.

        `default` makes Tortoise's models speak to this database in every task of the process; only one may be.
        """
        server_settings = _server_settings(statement_timeout_seconds)
        pool = await _open_pool(url, size=pool_size, server_settings=server_settings, watch=watch)
        try:
            await _check_server(pool)
            config = orm_config(url, pool_size=orm_pool_size, server_settings=server_settings)
            with TortoiseContext() as orm:
                await orm.init(config, _enable_global_fallback=default)
        except BaseException:
            pool.terminate()
            raise
        return cls(url, pool=pool, orm=orm)

    async def close(self) -> None:
        """Give back all connections."""
        await self._orm.close_connections()
        await self._standby.close()
        try:
            await asyncio.wait_for(self.pool.close(), 10)
        except TimeoutError:
            self.pool.terminate()

    async def migrate(self, target: str = LATEST, *, progress: Progress | None = None) -> None:
        """Bring the schema to a migration, the latest unless named; of several processes one after another does it."""
        async with self._only_migration():
            with self.models():  # Tortoise's transactions look for their connection there
                apps = orm_config(self.url)["apps"]
                executor = MigrationExecutor(self._orm.db(CONNECTION), apps)
                await executor.migrate([MigrationTarget(app_label=APP_LABEL, name=target)], progress=progress)

    async def pending_migrations(self) -> list[str]:
        """Return the names of the migrations that are not applied yet."""
        with self.models():
            executor = MigrationExecutor(self._orm.db(CONNECTION), orm_config(self.url)["apps"])
            steps = await executor.plan([MigrationTarget(app_label=APP_LABEL, name=LATEST)])
        return [step.migration.name for step in steps]

    @contextmanager
    def models(self) -> Generator[None]:
        """Let models speak to this database, default or not, in the present task and those it starts."""
        if get_current_context() is self._orm:
            yield
            return
        with self._orm:
            yield

    async def ping(self) -> None:
        """Raise DatabaseUnavailable unless the server answers."""
        try:
            await self.fetchval("SELECT 1")
        except (*_LOST, asyncpg.PostgresError) as error:
            raise unavailable(error) from error

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """Return all rows of one statement."""
        return await self._standby.run("fetch", query, *args)

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """Return the first row of one statement."""
        return await self._standby.run("fetchrow", query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """Return the first value of the first row of one statement."""
        return await self._standby.run("fetchval", query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """Run one statement; return what the server says of it, such as "UPDATE 3"."""
        return await self._standby.run("execute", query, *args)

    async def executemany(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of arguments, all or none."""
        await self._standby.run("executemany", query, rows)

    @asynccontextmanager
    async def transaction(self, *, readonly: bool = False) -> AsyncGenerator[Connection]:
        """Hold one connection, in a transaction that is rolled back where the context is left by an error."""
        async with self.connection() as connection, connection.transaction(readonly=readonly):
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Hold one connection of the pool."""
        connection = await self._standby.take()
        try:
            yield connection
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def _only_migration(self) -> AsyncGenerator[None]:
        connection = await asyncpg.connect(self.url)
        try:
            # Asked for again and again rather than waited for: a waiting statement holds a snapshot, and the other
            # process's CREATE INDEX CONCURRENTLY would wait for that.
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _MIGRATION_LOCK):  # noqa: ASYNC110  # see above
                await asyncio.sleep(0.1)
            yield
        finally:
            await connection.close()


def is_timeout(error: BaseException) -> bool:
    """Tell whether a statement was ended because it took longer than the settings allow."""
    return isinstance(error, asyncpg.QueryCanceledError) and "statement timeout" in str(error)


def timed_out() -> Unavailable:
    """Return the refusal of what took longer than the settings allow."""
    return Unavailable(
        "The database took longer than WINNOW_STATEMENT_TIMEOUT_SECONDS allows a query: "
        "ask for a narrower window or send less at once, or try again when less is going on."
    )


def is_too_large(error: BaseException) -> bool:
    """Tell whether a statement was ended because what it came to is larger than any number of its kind."""
    return isinstance(error, asyncpg.NumericValueOutOfRangeError)


def is_unstorable(error: BaseException) -> bool:
    """Tell whether a text had a character that PostgreSQL has no text for: NUL."""
    return isinstance(error, (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError))


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error says that the server is gone or going, so that the caller may try again later."""
    return isinstance(error, (*_LOST, DatabaseUnavailable))


def unavailable(error: BaseException) -> DatabaseUnavailable:
    """Return the error to raise instead of a connection's own."""
    reason = str(error) or type(error).__name__
    if isinstance(error, asyncpg.DiskFullError):
        return DatabaseUnavailable(
            f"The database has no room left on its disk ({reason}), and nothing was stored: make room, then try again."
        )
    return DatabaseUnavailable(
        f"The database does not answer ({reason}): see that PostgreSQL runs and DATABASE_URL is right, then try again."
    )


def refusal_of(error: BaseException) -> Unavailable | None:
    """Return what to tell a caller whose statement took too long or met no server; None for any other error."""
    if is_timeout(error):
        return timed_out()
    return unavailable(error) if is_unavailable(error) else None


async def _open_pool(url: str, *, size: int, server_settings: dict[str, str], watch: Watch | None) -> Pool:
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_set_codecs,
            reset=keep_session,
            server_settings=server_settings,
            connection_class=_connection_class(watch),
        )
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ValueError) as error:
        raise unavailable(error) from error
    except _LOST as error:
        raise unavailable(error) from error


async def _check_server(pool: Pool) -> None:
    number = int(await pool.fetchval("SHOW server_version_num"))
    if number // 10_000 < OLDEST_SERVER:
        raise IncompatibleVersion(
            f"The server at DATABASE_URL is PostgreSQL {number // 10_000}; Winnow needs {OLDEST_SERVER} or newer: "
            "upgrade it, or unset DATABASE_URL to use the embedded one."
        )


async def _set_codecs(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
        format="binary",
    )
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=orjson.dumps, decoder=orjson.loads, format="binary"
    )


def _encode_jsonb(value: object) -> bytes:
    return b"\x01" + orjson.dumps(value)  # the version of jsonb's binary form


def _decode_jsonb(data: bytes) -> Any:
    return orjson.loads(memoryview(data)[1:])


def _connection_class(watch: Watch | None) -> Any:
    if watch is not None:
        return _wrapped_class(_told(watch))
    return _wrapped_class(_traced) if is_tracing() else asyncpg.Connection


def _wrapped_class(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    methods = {name: wrap(getattr(asyncpg.Connection, name)) for name in _STATEMENT_METHODS}
    return type("WrappedConnection", (asyncpg.Connection,), {"__slots__": (), **methods})


def _told(watch: Watch) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    # asyncpg's own query loggers are called later, when the test that counts may have gone on
    def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(connection: Any, query: str, *args: Any, **kwargs: Any) -> Any:
            watch(query)
            return method(connection, query, *args, **kwargs)

        return call

    return wrap


def _traced(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def call(connection: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        name = f"SQL {query.split(maxsplit=1)[0]}"
        with span(name, db__system__name="postgresql", db__query__text=query):
            return await method(connection, query, *args, **kwargs)

    return call


def _server_settings(statement_timeout_seconds: float | None) -> dict[str, str]:
    settings = {"application_name": "winnow", "timezone": "UTC", "jit": "off"}
    if statement_timeout_seconds is not None:
        settings["statement_timeout"] = f"{round(statement_timeout_seconds * 1000)}ms"
    return settings
