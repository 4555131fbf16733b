"""The queue of background work: what clients see of a job, and PgQueuer's entry that brings it to a worker.

Both are written in one transaction. A worker that dies leaves its job RUNNING and its entry without a heartbeat; the
next worker takes the entry up again, and the number of the attempt keeps the first, should it only have been asleep,
from writing any more.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.ports.driver import Driver, NotifyCallback

from app.runtime.broadcast import Broadcast
from app.store.database import Connection, Database, Pool
from app.store.models.codes import JobStatus
from app.store.notifications import JOBS
from app.store.queue_tables import QUEUE_TABLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a job: which one it is, from 1 on, and what is asked."""

    job_id: int
    kind: str
    number: int
    arguments: Mapping[str, Any]


def queries_of(driver: Driver) -> Queries:
    """Return PgQueuer's statements on our tables."""
    return Queries(
        driver,
        qbe=QueryBuilderEnvironment(QUEUE_TABLES),
        qbq=QueryQueueBuilder(QUEUE_TABLES),
        qbs=QuerySchedulerBuilder(QUEUE_TABLES),
    )


class PoolDriver(AsyncpgPoolDriver):
    """PgQueuer's way to a database; it keeps one connection of the pool for listening.

    A worker announces to itself, from time to time, that it hears announcements, and ends where it does not. It begins
    with that while it begins to listen, and on two connections either may come first: so the first waits for the other.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._listens = asyncio.Event()

    @override
    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        await super().add_listener(channel, callback)
        self._listens.set()

    @override
    async def notify(self, channel: str, payload: str) -> None:
        await self._listens.wait()
        await super().notify(channel, payload)


def pool_driver(database: Database) -> Driver:
    """Return PgQueuer's way to a database, for a worker."""
    return PoolDriver(database.pool)


class JobQueue:
    """Jobs on their way; each change is announced."""

    def __init__(self, database: Database, broadcast: Broadcast) -> None:
        self._database = database
        self._broadcast = broadcast

    async def add(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        requested_by: str | None = None,
        once: str | None = None,
        at: datetime,
    ) -> int:
        """Queue a job and return its id; where one of the same `once` waits or runs already, return that one's."""
        async with self._database.transaction() as connection:
            job_id = await self.put(connection, kind, arguments, requested_by=requested_by, once=once, at=at)
        await self.announce(job_id)
        return job_id

    async def put(
        self,
        connection: Connection,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        requested_by: str | None = None,
        once: str | None = None,
        at: datetime,
    ) -> int:
        """Queue a job as `add` does, in a transaction with more in it; announce it once that is committed."""
        job_id = await connection.fetchval(INSERT, kind, dict(arguments), requested_by, once, at)
        if job_id is None:
            return await connection.fetchval(SAME, once)
        await _queries_in(connection).enqueue(kind, str(job_id).encode())
        return job_id

    async def begin(self, job_id: int, *, at: datetime) -> Attempt | None:
        """Begin another attempt; None where the job has ended, or was cancelled while it waited."""
        row = await self._database.fetchrow(BEGIN, job_id, at)
        if row is None:
            return None
        await self.announce(job_id)
        return Attempt(job_id=job_id, kind=row["kind"], number=row["attempts"], arguments=row["arguments"] or {})

    async def tell(self, attempt: Attempt, progress: float, message: str) -> bool:
        """Write how far an attempt is; return whether it is to go on."""
        row = await self._database.fetchrow(TELL, attempt.job_id, attempt.number, min(max(progress, 0.0), 1.0), message)
        await self.announce(attempt.job_id)
        return row is not None and not row["cancel_requested"]

    async def goes_on(self, attempt: Attempt) -> bool:
        """Return whether nobody cancelled the job, and no other worker took it over."""
        return await self._database.fetchval(GOES_ON, attempt.job_id, attempt.number) or False

    async def end(
        self,
        attempt: Attempt,
        status: JobStatus,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
        at: datetime,
    ) -> None:
        """Write how a job ended, where this attempt is still the one that runs it."""
        outcome = None if result is None else dict(result)
        await self._database.execute(END, attempt.job_id, attempt.number, status.value, outcome, error, at)
        await self.announce(attempt.job_id)

    async def wait_again(self, attempt: Attempt, *, error: str | None) -> None:
        """Put a job back into the queue; an attempt that was interrupted, not failed, is not counted."""
        await self._database.execute(WAIT_AGAIN, attempt.job_id, attempt.number, error)
        await self.announce(attempt.job_id)

    async def cancel(self, connection: Connection, job_id: int, *, at: datetime) -> JobStatus | None:
        """End a job that waits, and ask one that runs to end; return its status before, None where it has ended."""
        before = await connection.fetchval("SELECT status FROM job WHERE id = $1 FOR UPDATE", job_id)
        if before not in (JobStatus.QUEUED.value, JobStatus.RUNNING.value):
            return None
        await connection.execute(CANCEL, job_id, at)
        return JobStatus(before)

    async def clean(self, *, before: datetime) -> int:
        """Forget jobs that ended before a time, and the queue's own records of them; return how many jobs."""
        await self._database.execute(f"DELETE FROM {QUEUE_TABLES.queue_table_log} WHERE created < $1", before)
        await self._database.execute(f"DELETE FROM {QUEUE_TABLES.statistics_table} WHERE created < $1", before)
        return await self._database.fetchval(CLEAN, before)

    async def announce(self, job_id: int) -> None:
        """Say that a job changed."""
        await self._broadcast.publish(JOBS, [str(job_id)])


def _queries_in(connection: Any) -> Queries:
    return queries_of(AsyncpgDriver(connection))


INSERT = """
INSERT INTO job (kind, status, progress, arguments, requested_by, deduplication_key, attempts, cancel_requested,
                 created_at)
VALUES ($1, 'QUEUED', 0, $2, $3, $4, 0, false, $5)
ON CONFLICT (deduplication_key) WHERE status IN ('QUEUED', 'RUNNING') DO NOTHING
RETURNING id
"""
SAME = "SELECT max(id) FROM job WHERE deduplication_key = $1"
BEGIN = """
UPDATE job SET status = 'RUNNING', attempts = attempts + 1, started_at = coalesce(started_at, $2), progress = 0,
               message = NULL, error = NULL
WHERE id = $1 AND status IN ('QUEUED', 'RUNNING') AND NOT cancel_requested
RETURNING kind, attempts, arguments
"""
TELL = """
UPDATE job SET progress = $3, message = $4 WHERE id = $1 AND attempts = $2 AND status = 'RUNNING'
RETURNING cancel_requested
"""
GOES_ON = """
SELECT NOT cancel_requested FROM job WHERE id = $1 AND attempts = $2 AND status = 'RUNNING'
"""
END = """
UPDATE job SET status = $3::text, result = $4, error = $5, finished_at = $6,
               progress = CASE WHEN $3::text = 'SUCCEEDED' THEN 1 ELSE progress END
WHERE id = $1 AND attempts = $2 AND status = 'RUNNING'
"""
WAIT_AGAIN = """
UPDATE job SET status = 'QUEUED', error = $3::text, attempts = attempts - (CASE WHEN $3::text IS NULL THEN 1 ELSE 0 END)
WHERE id = $1 AND attempts = $2 AND status = 'RUNNING'
"""
CANCEL = """
UPDATE job SET cancel_requested = true, status = CASE status WHEN 'QUEUED' THEN 'CANCELLED' ELSE status END,
               finished_at = CASE status WHEN 'QUEUED' THEN $2::timestamptz END
WHERE id = $1
"""
CLEAN = """
WITH gone AS (
    DELETE FROM job WHERE status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND finished_at < $1 RETURNING id
)
SELECT count(*) FROM gone
"""
