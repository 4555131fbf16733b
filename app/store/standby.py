"""Connections at hand for single statements.

Giving a connection back to asyncpg's pool and taking it again costs as much as a small statement does. One goes from a
statement straight to the next that waits instead, and some are kept for the next to come: never after an error, and
never for long.
"""

import asyncio
import time
from collections import deque
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from app.errors import DatabaseUnavailable

type Connection = PoolConnectionProxy[asyncpg.Record]
type Pool = asyncpg.Pool[asyncpg.Record]

KEPT_SECONDS = 60.0
"""One that was idle for longer is closed, not used: something between here and the server may have dropped it."""

HANDED_SECONDS = 0.05
"""Who waits for longer waits in the pool's own queue instead: some connections are given back there."""

WAIT_SECONDS = 5.0
"""Who has waited so long for a connection is told to come again, rather than left to wait for who knows how long."""


class Standby:
    """Connections of a pool, at most `most` of them kept: the others stay for whoever asks the pool itself."""

    def __init__(self, pool: Pool, *, most: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._pool = pool
        self._wait_seconds = wait_seconds
        self._most = most
        self._queueing = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._kept: list[tuple[Connection, float]] = []

    async def take(self) -> Connection:
        """Return a connection; waits where the pool has none, and raises DatabaseUnavailable where none comes."""
        while self._kept:
            connection, since = self._kept.pop()
            if time.monotonic() - since < KEPT_SECONDS and _is_open(connection):
                return connection
            await self._discard(connection)
        handed = await self._handed() if self._is_exhausted() else None
        return await self._acquired() if handed is None else handed

    async def _handed(self) -> Connection | None:
        """Return the connection of a statement that ends soon; None where none does."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting.append(waiting)
        late = loop.call_later(HANDED_SECONDS, _give_up, waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            handed = None if waiting.cancelled() else waiting.result()
            if handed is not None:
                await self.give_back(handed)
            raise
        finally:
            late.cancel()

    def _is_exhausted(self) -> bool:
        return self._pool.get_size() == self._pool.get_max_size() and self._pool.get_idle_size() == 0

    async def _acquired(self) -> Connection:
        self._queueing += 1
        try:
            return await self._pool.acquire(timeout=self._wait_seconds)
        except TimeoutError as error:
            raise DatabaseUnavailable(
                f"No connection to the database was free within {self._wait_seconds:g} s: try again when less is going "
                "on, or raise WINNOW_POOL_SIZE."
            ) from error
        finally:
            self._queueing -= 1

    async def give_back(self, connection: Connection) -> None:
        """Return a connection that is as it was to the next statement, or to the pool."""
        if self._queueing or not _is_open(connection):
            await self._pool.release(connection)
        elif not self._hand_over(connection):
            if len(self._kept) < self._most:
                self._kept.append((connection, time.monotonic()))
            else:
                await self._pool.release(connection)

    def _hand_over(self, connection: Connection) -> bool:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return True
        return False

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


def _give_up(waiting: asyncio.Future[Connection | None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _is_open(connection: Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # it was lost, and the pool has taken it back
        return False
