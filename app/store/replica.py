"""A standby that answers reads which may be a little old: connected to, watched, and left while it is no good.

Every second the primary is asked where its log is and the standby how far it came. Both by connections of their own:
what is measured is not to wait for a place in a pool.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from app.errors import DomainError, Unavailable
from app.runtime.clock import Clock
from app.store.database import Database
from app.store.lag import Positions

PROBE_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
"""A server that does not say within this time where its log is counts as gone."""
ANSWER_SECONDS = 60.0
COMEBACK = 0.5
"""A standby that was left because it lagged is used again from this share of the limit on."""
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, DomainError)

LAG = Gauge(
    "winnow_replica_lag_seconds",
    "How old what the read replica shows is at most; +Inf while that is not known",
    ["replica"],
    multiprocess_mode="mostrecent",
)
USED = Gauge("winnow_replica_used", "Whether reads go to the replica", ["replica"], multiprocess_mode="mostrecent")
READS = Counter("winnow_replica_reads", "Operations that may read a replica, by who answered them", ["source"])

log = structlog.get_logger(__name__)


class Replica:
    """A standby of the primary, from `start` to `close`. `choose` gives it where it may be read now."""

    def __init__(
        self,
        url: str,
        *,
        primary_url: str,
        clock: Clock,
        max_lag_seconds: float,
        pool_size: int = 10,
        statement_timeout_seconds: float | None = None,
    ) -> None:
        self._url = url
        self._primary_url = primary_url
        self._clock = clock
        self._max_lag_seconds = max_lag_seconds
        self._pool_size = pool_size
        self._statement_timeout_seconds = statement_timeout_seconds
        self._positions = Positions()
        self._primary: Any = None
        self._standby: Any = None
        self._database: Database | None = None
        self._left_because: str | None = "it was not connected to yet"
        self._told: bool | None = None
        self._task: asyncio.Task[None] | None = None
        self.name = _name(url)
        self.answer_seconds = statement_timeout_seconds or ANSWER_SECONDS
        """How long a read may take, waiting for a connection included, before it is asked elsewhere."""

    async def start(self) -> None:
        """Connect, if it answers, and watch it from now on; a standby that is gone keeps nobody from starting."""
        await self._look()
        self._task = asyncio.create_task(self._watch(), name="watch-replica")

    async def close(self) -> None:
        """Leave it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()
        _terminate(self._primary)

    def choose(self) -> Database | None:
        """Return the standby's database where it is to be read now, else None."""
        if self._left_because is not None or self.lag_seconds > self._max_lag_seconds:
            return None
        return self._database

    def doubt(self, error: BaseException) -> None:
        """Leave the standby until it was looked at again: it failed a read."""
        self._left_because = f"it failed a read ({_words(error)})"

    @property
    def lag_seconds(self) -> float:
        """How old what it shows is at most, infinite where that is not known."""
        return self._positions.lag(self._clock.monotonic())

    @property
    def state(self) -> dict[str, Any]:
        """Return what to tell whoever looks after it."""
        used, lag = self.choose() is not None, self.lag_seconds
        told = {"used": used, "lagSeconds": None if lag == float("inf") else round(lag, 3)}
        return told if used else {**told, "reason": self._reason()}

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(min(PROBE_SECONDS, self._max_lag_seconds / 4))
            await self._look()

    async def _look(self) -> None:
        with suppress(*_FAILURES):  # without the primary's position the lag grows, and tells
            await self._note_primary()
        try:
            await self._note_standby()
        except _FAILURES as error:
            self._left_because = _words(error)
            await self._disconnect()
        self._tell()

    async def _note_primary(self) -> None:
        if self._primary is None or self._primary.is_closed():
            self._primary = await _within(_connect(self._primary_url))
        moment = self._clock.monotonic()
        try:
            self._positions.note(moment, await _within(self._primary.fetchval(PRIMARY_POSITION)))
        except BaseException:
            _terminate(self._primary)
            raise

    async def _note_standby(self) -> None:
        if self._standby is None:
            self._standby = await _within(_connect(self._url))
        row = await _within(self._standby.fetchrow(STANDBY_POSITION))
        if not row["in_recovery"]:
            raise Unavailable("it is no standby: it was promoted, or WINNOW_REPLICA_URL names another server")
        if row["position"] is None:
            raise Unavailable("it does not say how far it has replayed the log")
        if self._database is None:
            self._database = await self._open()
        self._positions.reached(row["position"])
        self._left_because = None if self.lag_seconds <= self._limit() else self._lagging()

    async def _open(self) -> Database:
        await self._check_same()
        return await _within(
            Database.open(
                self._url,
                pool_size=self._pool_size,
                orm_pool_size=1,
                statement_timeout_seconds=self._statement_timeout_seconds,
                default=False,
            )
        )

    async def _check_same(self) -> None:
        if self._primary is None or self._primary.is_closed():
            raise Unavailable("the primary does not answer, to compare it with")
        if await _within(self._standby.fetchrow(IDENTITY)) != await _within(self._primary.fetchrow(IDENTITY)):
            raise Unavailable("it is a standby of another server, or WINNOW_REPLICA_URL names another of its databases")

    def _limit(self) -> float:
        return self._max_lag_seconds if self._told else self._max_lag_seconds * COMEBACK

    def _lagging(self) -> str:
        lag = self.lag_seconds
        known = "an unknown time" if lag == float("inf") else f"{lag:.1f} s"
        return f"it lags by {known}, and the limit is {self._max_lag_seconds:g} s"

    def _reason(self) -> str:
        return self._left_because or self._lagging()

    def _tell(self) -> None:
        """Log when reads begin and cease to go to the standby: once each."""
        used = self.choose() is not None
        LAG.labels(self.name).set(self.lag_seconds)
        USED.labels(self.name).set(used)
        if used is not self._told:
            if used:
                log.info("replica_used", replica=self.name, lag_seconds=round(self.lag_seconds, 3))
            else:
                log.warning("replica_not_used", replica=self.name, reason=self._reason(), reads="go to the primary")
            self._told = used

    async def _disconnect(self) -> None:
        """Break every connection: whoever waits for an answer asks the primary."""
        database, self._database = self._database, None
        if database is not None:
            database.pool.terminate()
            with suppress(*_FAILURES):
                await _within(database.close())
        _terminate(self._standby)
        self._standby = None


async def _connect(url: str) -> Any:
    return await asyncpg.connect(url, server_settings={"application_name": "winnow replica watch"})


async def _within[T](asked: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asked


def _terminate(connection: Any) -> None:
    if connection is not None and not connection.is_closed():
        connection.terminate()


def _words(error: BaseException) -> str:
    if isinstance(error, DomainError):
        return error.message
    if isinstance(error, TimeoutError):
        return f"it did not answer within {PATIENCE_SECONDS:g} s"
    if isinstance(error, OSError):
        return f"it does not answer ({error})"
    return str(error) or type(error).__name__


def _name(url: str) -> str:
    """Return where it is, without what else an address may hold."""
    place = urlsplit(url)
    return f"{place.hostname or 'socket'}:{place.port or 5432}"


PRIMARY_POSITION = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
STANDBY_POSITION = """
SELECT pg_is_in_recovery() AS in_recovery, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS position
"""
IDENTITY = "SELECT system_identifier, current_database() AS name FROM pg_control_system()"
