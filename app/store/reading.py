"""Who answers an operation's reads: the primary, or a standby until it fails one of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import asyncpg

from app.store.database import Connection, Database, Record, is_unavailable
from app.store.replica import READS, Replica

CONFLICTS = (
    asyncpg.SerializationError,  # "canceling statement due to conflict with recovery"
    asyncpg.DeadlockDetectedError,  # the same, where replaying waited for what the statement holds
    asyncpg.ReadOnlySQLTransactionError,  # a statement that also writes
)


class Source(StrEnum):
    """Which server answered."""

    PRIMARY = "PRIMARY"
    REPLICA = "REPLICA"


class Reading:
    """One operation's reads; entered, they go to the standby where that is any good.

    When it fails one, that one and all that follow are asked at the primary: nothing read later is older.
    """

    __slots__ = ("_database", "_replica", "_token", "lag_seconds", "source")

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._database: Database | None = None
        self._token: Token[Reading | None] | None = None
        self.source: Source | None = None
        """Who answers; None before it is entered."""
        self.lag_seconds = 0.0
        """How old what is read is at most."""

    def __enter__(self) -> Self:
        self._database = self._replica.choose()
        self.source = Source.PRIMARY if self._database is None else Source.REPLICA
        if self._database is not None:
            self.lag_seconds = self._replica.lag_seconds
        self._token = _PRESENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _PRESENT.reset(self._token)
        READS.labels(str(self.source).lower()).inc()

    @property
    def answer_seconds(self) -> float:
        """Return how long the standby has for one statement."""
        return self._replica.answer_seconds

    @property
    def database(self) -> Database | None:
        """Return the standby's database, None where the primary is to be asked."""
        return self._database

    def fall_back(self, error: Exception) -> None:
        """Go on at the primary; raise `error` where that would not help."""
        lost = is_unavailable(error)
        if not lost and not isinstance(error, CONFLICTS):
            raise error
        if lost:
            self._replica.doubt(error)
        self._database, self.source = None, Source.PRIMARY


_PRESENT: ContextVar[Reading | None] = ContextVar("reading", default=None)


class ReplicatedDatabase(Database):
    """A primary with a standby: what an entered Reading asks goes there, everything else to the primary."""

    replica: Replica | None = None

    async def close(self) -> None:
        """Give back all connections, those to the standby too."""
        if self.replica is not None:
            await self.replica.close()
        await super().close()

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """Return all rows of one statement."""
        return await self._ask("fetch", query, args)

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """Return the first row of one statement."""
        return await self._ask("fetchrow", query, args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """Return the first value of the first row of one statement."""
        return await self._ask("fetchval", query, args)

    @asynccontextmanager
    async def transaction(self, *, readonly: bool = False) -> AsyncGenerator[Connection]:
        """Hold one connection, in a transaction; at the standby only where it is readonly."""
        standby = _standby() if readonly else None
        async with (standby or super()).transaction(readonly=readonly) as connection:
            yield connection

    async def _ask(self, method: str, query: str, args: tuple[object, ...]) -> Any:
        reading = _PRESENT.get()
        if reading is not None and reading.database is not None:
            try:
                async with asyncio.timeout(reading.answer_seconds):
                    return await getattr(reading.database, method)(query, *args)
            except Exception as error:  # noqa: BLE001  # raised again unless the primary may know better
                reading.fall_back(error)
        return await getattr(super(), method)(query, *args)


def _standby() -> Database | None:
    reading = _PRESENT.get()
    return None if reading is None else reading.database


def replica_of(database: Database) -> Replica | None:
    """Return the standby of a database, None where it has none."""
    return database.replica if isinstance(database, ReplicatedDatabase) else None
