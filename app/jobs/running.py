"""Runs one attempt of a job: reports, ends early where it is cancelled, and is tried again where it fails."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job

from app.errors import DomainError, DomainErrors, Unavailable
from app.jobs.tasks import JOB_ID, Task
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock
from app.runtime.memory import give_back
from app.runtime.tracing import span
from app.store.models.codes import JobStatus
from app.store.notifications import JOBS
from app.store.queue import Attempt, JobQueue
from engine.errors import EngineError

MOST_ATTEMPTS = 5
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0
CHECK_SECONDS = 5.0
"""A job is asked this often whether it goes on, should an announcement be lost."""

log = structlog.get_logger(__name__)


class Cancelled(Exception):
    """The job is not to go on."""


class JobRunner:
    """Runs jobs that the queue hands over. `stop` interrupts those that run; they go back into the queue."""

    def __init__(self, queue: JobQueue, tasks: Mapping[str, Task], *, broadcast: Broadcast, clock: Clock) -> None:
        self._queue = queue
        self._tasks = tasks
        self._broadcast = broadcast
        self._clock = clock
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Interrupt what runs."""
        self._stopping.set()

    async def run(self, entry: Job) -> None:
        """Run the job of one entry. Raises RetryRequested where the entry is to come again."""
        attempt = await self._queue.begin(int(entry.payload or b"0"), at=self._clock.now())
        if attempt is None:
            return
        if attempt.number > MOST_ATTEMPTS:  # its workers died of it
            await self._end(attempt, JobStatus.FAILED, error=f"Given up after {MOST_ATTEMPTS} attempts.")
            return
        work = asyncio.create_task(self._work(attempt))
        await self._first_of(work, attempt)
        give_back()  # what training has read is larger than all else that a worker holds
        if work.cancelled():
            await self._interrupted(attempt)
        else:
            await self._ended(attempt, work)

    async def _work(self, attempt: Attempt) -> Mapping[str, Any] | None:
        async def told(progress: float, message: str) -> None:
            if not await self._queue.tell(attempt, progress, message):
                raise Cancelled

        with span(f"job {attempt.kind}", job__id=attempt.job_id, job__attempt=attempt.number):
            return await self._tasks[attempt.kind]({**attempt.arguments, JOB_ID: attempt.job_id}, told)

    async def _first_of(self, work: asyncio.Task[Mapping[str, Any] | None], attempt: Attempt) -> None:
        """Wait until the work is done; end it where it is cancelled, or this worker stops."""
        others = [asyncio.create_task(self._until_cancelled(attempt)), asyncio.create_task(self._stopping.wait())]
        try:
            await asyncio.wait([work, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, *others):
                task.cancel()  # does nothing to what is done
            await asyncio.wait([work, *others])

    async def _until_cancelled(self, attempt: Attempt) -> None:
        with self._broadcast.subscribe(JOBS, [str(attempt.job_id)]) as changes:
            while await self._queue.goes_on(attempt):
                with suppress(TimeoutError):
                    await asyncio.wait_for(anext(changes), CHECK_SECONDS)

    async def _interrupted(self, attempt: Attempt) -> None:
        if await self._queue.goes_on(attempt):  # this worker stops: another takes it up at once
            await self._queue.wait_again(attempt, error=None)
            raise RetryRequested(reason="The worker stopped.")
        await self._end(attempt, JobStatus.CANCELLED)

    async def _ended(self, attempt: Attempt, work: asyncio.Task[Mapping[str, Any] | None]) -> None:
        error = work.exception()
        if error is None:
            await self._end(attempt, JobStatus.SUCCEEDED, result=work.result())
        elif isinstance(error, Cancelled):
            await self._end(attempt, JobStatus.CANCELLED)
        elif _is_final(error) or attempt.number >= MOST_ATTEMPTS:
            log.error("job_failed", job=attempt.job_id, kind=attempt.kind, exc_info=error)
            await self._end(attempt, JobStatus.FAILED, error=_words(error))
        else:
            await self._try_again(attempt, error)

    async def _try_again(self, attempt: Attempt, error: BaseException) -> None:
        seconds = min(FIRST_RETRY_SECONDS * 2 ** (attempt.number - 1), LONGEST_RETRY_SECONDS)
        log.warning("job_tried_again", job=attempt.job_id, kind=attempt.kind, seconds=seconds, exc_info=error)
        await self._queue.wait_again(attempt, error=_words(error))
        raise RetryRequested(delay=timedelta(seconds=seconds), reason=_words(error)) from error

    async def _end(
        self,
        attempt: Attempt,
        status: JobStatus,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        await self._queue.end(attempt, status, result=result, error=error, at=self._clock.now())


def _is_final(error: BaseException) -> bool:
    """Say whether trying again cannot help: it was refused, and not for want of something that may come back."""
    return isinstance(error, (DomainError, DomainErrors, EngineError)) and not isinstance(error, Unavailable)


def _words(error: BaseException) -> str:
    """Return what clients may read of an error: our own words, else only its kind; the log has the rest."""
    own = isinstance(error, (DomainError, DomainErrors, EngineError))
    return str(error) if own else f"An unexpected {type(error).__name__}; the worker's log says more."
