"""Statements about background work."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.runtime.broadcast import Broadcast
from app.store.database import Database
from app.store.models.codes import JobStatus
from app.store.notifications import JOBS

ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
_COLUMNS = "id, kind, status, progress, message, error, created_at, started_at, finished_at"
_INSERT = f"""
    INSERT INTO job (kind, status, progress, arguments, requested_by, attempts, cancel_requested, created_at)
    VALUES ($1, 'QUEUED', 0, $2, $3, 0, false, $4)
    RETURNING {_COLUMNS}
"""
_UPDATE = f"""
    UPDATE job SET
        status = coalesce($3, status),
        progress = CASE WHEN $3 = 'SUCCEEDED' THEN 1 ELSE coalesce($4, progress) END,
        message = coalesce($5, message),
        error = coalesce($6, error),
        result = coalesce($7, result),
        started_at = coalesce(started_at, CASE WHEN $3 = 'RUNNING' THEN $2::timestamptz END),
        finished_at = CASE WHEN $3 = ANY ($8::text[]) THEN $2::timestamptz END
    WHERE id = $1 AND NOT status = ANY ($8::text[])
    RETURNING {_COLUMNS}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A piece of background work: how far it is, a fraction, and how it ended."""

    id: int
    kind: str
    status: JobStatus
    progress: float
    message: str | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        """Say whether nothing will change any more."""
        return self.status in ENDED


class JobStore:
    """The jobs; each change is announced."""

    def __init__(self, database: Database, broadcast: Broadcast) -> None:
        self._database = database
        self._broadcast = broadcast

    async def jobs(self, ids: Iterable[int]) -> dict[int, JobRow]:
        """Return the jobs with these ids."""
        rows = await self._database.fetch(f"SELECT {_COLUMNS} FROM job WHERE id = ANY ($1::bigint[])", list(ids))
        return {row["id"]: _job(row) for row in rows}

    async def create(
        self, kind: str, arguments: Mapping[str, Any], *, requested_by: str | None = None, at: datetime
    ) -> JobRow:
        """Put a job in the queue."""
        row = await self._database.fetchrow(_INSERT, kind, dict(arguments), requested_by, at)
        return await self._announced(_job(row))

    async def update(
        self,
        job_id: int,
        status: JobStatus | None = None,
        *,
        progress: float | None = None,
        message: str | None = None,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
        at: datetime,
    ) -> JobRow | None:
        """Write what is given; return the job, or None where there is none or it has ended already."""
        if progress is not None and not 0 <= progress <= 1:
            raise ValueError(f"Progress is a fraction from 0 to 1, not {progress}.")
        given = (None if status is None else status.value, progress, message, error)
        outcome = None if result is None else dict(result)
        row = await self._database.fetchrow(_UPDATE, job_id, at, *given, outcome, [one.value for one in ENDED])
        return None if row is None else await self._announced(_job(row))

    async def _announced(self, job: JobRow) -> JobRow:
        await self._broadcast.publish(JOBS, [str(job.id)])
        return job


def _job(row: Any) -> JobRow:
    values: dict[str, Any] = {**row, "status": JobStatus(row["status"])}
    return JobRow(**values)
