"""What people may do to background work."""

from app.auth.auditing import Audit
from app.auth.principals import Principal
from app.errors import InvalidTransition, NotFound
from app.runtime.clock import Clock
from app.store.database import Database
from app.store.jobs import JobRow, JobStore
from app.store.queue import JobQueue


class JobControl:
    """Cancels jobs."""

    def __init__(self, database: Database, *, jobs: JobStore, queue: JobQueue, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._queue = queue
        self._audit = audit
        self._clock = clock

    async def cancel(self, job_id: int, *, principal: Principal) -> JobRow:
        """End a job that waits; ask one that runs to end, which it does at its next step."""
        if not await self._jobs.jobs([job_id]):
            raise NotFound("There is no job of this id: check it.", path=("id",))
        async with self._database.transaction() as connection:
            before = await self._queue.cancel(connection, job_id, at=self._clock.now())
            if before is None:
                raise InvalidTransition("This job has ended: there is nothing left to cancel.", path=("id",))
            states = {"before": {"status": before}, "after": {"cancel_requested": True}}
            await self._audit.record(connection, principal, action="job.cancel", subject=("job", job_id), **states)
        await self._queue.announce(job_id)
        return (await self._jobs.jobs([job_id]))[job_id]
