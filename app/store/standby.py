"""Connections at hand for single statements.

Giving a connection back to asyncpg's pool and taking it again costs as much as a small statement does. Some are kept
from one statement to the next instead: never while anybody waits for one, never after an error, and never for long.
"""

import time
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from app.errors import DatabaseUnavailable

type Connection = PoolConnectionProxy[asyncpg.Record]
type Pool = asyncpg.Pool[asyncpg.Record]

KEPT_SECONDS = 60.0
"""One that was idle for longer is closed, not used: something between here and the server may have dropped it."""

WAIT_SECONDS = 5.0
"""Who has waited so long for a connection is told to come again, rather than left to wait for who knows how long."""


class Standby:
    """Connections of a pool, at most `most` of them kept; the others stay for whoever asks the pool itself."""

    def __init__(self, pool: Pool, *, most: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._pool = pool
        self._wait_seconds = wait_seconds
        self._most = most
        self._waiting = 0
        self._kept: list[tuple[Connection, float]] = []

    async def take(self) -> Connection:
        """Return a connection; waits where the pool has none, and raises DatabaseUnavailable where none comes."""
        while self._kept:
            connection, since = self._kept.pop()
            if time.monotonic() - since < KEPT_SECONDS and _is_open(connection):
                return connection
            await self._discard(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=self._wait_seconds)
        except TimeoutError as error:
            raise DatabaseUnavailable(
                f"No connection to the database was free within {self._wait_seconds:g} s: try again when less is going "
                "on, or raise WINNOW_POOL_SIZE."
            ) from error
        finally:
            self._waiting -= 1

    async def give_back(self, connection: Connection) -> None:
        """Return a connection that is as it was to the next statement, or to the pool."""
        if self._waiting or len(self._kept) >= self._most or not _is_open(connection):
            await self._pool.release(connection)
        else:
            self._kept.append((connection, time.monotonic()))

    async def run(self, method: str, *args: Any) -> Any:
        """Call a method of a connection; after an error the pool sees to it."""
        connection = await self.take()
        try:
            result = await getattr(connection, method)(*args)
        except BaseException:
            await self._pool.release(connection)
            raise
        await self.give_back(connection)
        return result

    async def close(self) -> None:
        """Give everything back."""
        while self._kept:
            await self._pool.release(self._kept.pop()[0])

    async def _discard(self, connection: Connection) -> None:
        if _is_open(connection):
            connection.terminate()
        await self._pool.release(connection)


def _is_open(connection: Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # it was lost, and the pool has taken it back
        return False
