"""Attempts of jobs on real PostgreSQL: reported, tried again, cancelled, interrupted, and done by one worker."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.auth.auditing import Audit
from app.auth.principals import COMMAND_LINE
from app.errors import InvalidInput, InvalidTransition, NotFound, Unavailable
from app.jobs import running
from app.jobs.running import JobRunner
from app.jobs.worker import Worker, working
from app.operations.job_control import JobControl
from app.runtime.clock import SystemClock
from app.store.access import AccessStore
from app.store.database import Database
from app.store.jobs import JobRow, JobStore
from app.store.models.codes import JobStatus
from app.store.notifications import PostgresBroadcast
from app.store.queue import JobQueue

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Office:
    """A queue, and workers on it."""

    def __init__(self, database: Database, broadcast: PostgresBroadcast) -> None:
        self.database = database
        self.broadcast = broadcast
        self.queue = JobQueue(database, broadcast)
        self.store = JobStore(database, broadcast)
        self.tasks: dict[str, Any] = {}
        self.open: list[tuple[asyncio.Event, asyncio.Task[None]]] = []

    @property
    def control(self) -> JobControl:
        audit = Audit(AccessStore(self.database))
        return JobControl(self.database, jobs=self.store, queue=self.queue, audit=audit, clock=SystemClock())

    def work(self) -> asyncio.Event:
        """Begin another worker; setting the event stops it."""
        runner = JobRunner(self.queue, self.tasks, broadcast=self.broadcast, clock=SystemClock())
        worker = Worker(self.database, runner, kinds=self.tasks, appointments=[], heartbeat_seconds=1.0)
        stopping = asyncio.Event()
        self.open.append((stopping, asyncio.create_task(working(worker, stopping))))
        return stopping

    async def add(self, kind: str = "dig", **arguments: Any) -> int:
        return await self.queue.add(kind, arguments, at=NOW)

    async def job(self, job_id: int) -> JobRow:
        return (await self.store.jobs([job_id]))[job_id]

    async def until(self, job_id: int, holds: Callable[[JobRow], bool]) -> JobRow:
        async with asyncio.timeout(15):
            while not holds(job := await self.job(job_id)):  # noqa: ASYNC110  # as another process would look
                await asyncio.sleep(0.02)
        return job

    async def ended(self, job_id: int) -> JobRow:
        return await self.until(job_id, lambda job: job.ended)


@pytest_asyncio.fixture
async def office(clean_database: Database) -> AsyncIterator[Office]:
    broadcast = await PostgresBroadcast(clean_database).start()
    office = Office(clean_database, broadcast)
    yield office
    for stopping, _ in office.open:
        stopping.set()
    await asyncio.gather(*(task for _, task in office.open))
    await broadcast.close()


async def test_a_job_is_done_and_tells_how_far_it_is(office: Office) -> None:
    seen: list[float] = []

    async def dig(arguments: Any, told: Any) -> dict[str, Any]:
        await told(0.5, "half")
        seen.append((await office.job(job_id)).progress)
        return {"depth": arguments["depth"]}

    office.tasks["dig"] = dig
    job_id = await office.add(depth=3)
    assert (await office.job(job_id)).status is JobStatus.QUEUED
    office.work()
    job = await office.ended(job_id)
    assert (job.status, job.progress, job.message, job.error) == (JobStatus.SUCCEEDED, 1.0, "half", None)
    assert seen == [0.5]
    assert await office.database.fetchval("SELECT result FROM job WHERE id = $1", job_id) == {"depth": 3}


async def test_of_many_workers_one_does_each_job(office: Office) -> None:
    done: list[int] = []

    async def dig(arguments: Any, _told: Any) -> None:
        await asyncio.sleep(0.01)
        done.append(arguments["number"])

    office.tasks["dig"] = dig
    jobs = [await office.add(number=number) for number in range(20)]
    for _ in range(3):
        office.work()
    for job_id in jobs:
        await office.ended(job_id)
    assert sorted(done) == list(range(20))


async def test_a_failing_job_is_tried_again_later_and_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FIRST_RETRY_SECONDS", 0.05)
    times: list[float] = []

    async def dig(_arguments: Any, _told: Any) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 4:
            raise OSError("a stone")

    office.tasks["dig"] = dig
    job_id = await office.add()
    office.work()
    job = await office.ended(job_id)
    assert job.status is JobStatus.SUCCEEDED
    assert len(times) == 4
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True))


async def test_what_is_unavailable_is_tried_again_and_what_is_refused_is_not(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "FIRST_RETRY_SECONDS", 0.01)
    tries: list[int] = []

    async def dig(_arguments: Any, _told: Any) -> None:
        tries.append(1)
        raise Unavailable("No spade.") if len(tries) == 1 else InvalidInput("No place.")

    office.tasks["dig"] = dig
    job_id = await office.add()
    office.work()
    job = await office.ended(job_id)
    assert (job.status, job.error, len(tries)) == (JobStatus.FAILED, "No place.", 2)


async def test_a_task_is_told_which_job_it_is(office: Office) -> None:
    async def dig(arguments: Any, _told: Any) -> dict[str, Any]:
        return dict(arguments)

    office.tasks["dig"] = dig
    job_id = await office.add(depth=3)
    office.work()
    await office.ended(job_id)
    result = await office.database.fetchval("SELECT result FROM job WHERE id = $1", job_id)
    assert result == {"depth": 3, "job_id": job_id}


async def test_a_job_that_never_succeeds_fails_without_telling_secrets(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "FIRST_RETRY_SECONDS", 0.01)
    tries: list[int] = []

    async def dig(_arguments: Any, _told: Any) -> None:
        tries.append(1)
        raise OSError("password=hunter2")

    office.tasks["dig"] = dig
    job_id = await office.add()
    office.work()
    job = await office.ended(job_id)
    assert (job.status, len(tries)) == (JobStatus.FAILED, running.MOST_ATTEMPTS)
    assert job.error == "An unexpected OSError; the worker's log says more."


async def test_what_is_refused_is_not_tried_again(office: Office) -> None:
    tries: list[int] = []

    async def dig(_arguments: Any, _told: Any) -> None:
        tries.append(1)
        raise InvalidInput("Too deep: dig less.")

    office.tasks["dig"] = dig
    job_id = await office.add()
    office.work()
    job = await office.ended(job_id)
    assert (job.status, job.error, len(tries)) == (JobStatus.FAILED, "Too deep: dig less.", 1)


async def test_a_waiting_job_is_cancelled_at_once_and_never_run(office: Office) -> None:
    tries: list[int] = []

    async def dig(_arguments: Any, _told: Any) -> None:
        tries.append(1)

    office.tasks["dig"] = dig
    job_id, other = await office.add(), await office.add()
    job = await office.control.cancel(job_id, principal=COMMAND_LINE)
    assert job.status is JobStatus.CANCELLED
    office.work()
    assert (await office.ended(other)).status is JobStatus.SUCCEEDED
    assert tries == [1]
    with pytest.raises(InvalidTransition):
        await office.control.cancel(job_id, principal=COMMAND_LINE)
    with pytest.raises(NotFound):
        await office.control.cancel(999, principal=COMMAND_LINE)
    rows = await office.database.fetch("SELECT action, subject_id FROM audit_entry")
    assert [tuple(row) for row in rows] == [("job.cancel", str(job_id))]


async def test_a_running_job_is_cancelled_where_it_is(office: Office) -> None:
    async def dig(_arguments: Any, _told: Any) -> None:
        await asyncio.sleep(60)

    office.tasks["dig"] = dig
    job_id = await office.add()
    office.work()
    await office.until(job_id, lambda job: job.status is JobStatus.RUNNING)
    before = asyncio.get_running_loop().time()
    await office.control.cancel(job_id, principal=COMMAND_LINE)
    assert (await office.ended(job_id)).status is JobStatus.CANCELLED
    assert asyncio.get_running_loop().time() - before < 3


async def test_a_stopped_worker_gives_its_job_back(office: Office) -> None:
    began: list[int] = []

    async def dig(_arguments: Any, _told: Any) -> None:
        began.append(1)
        await asyncio.sleep(60 if len(began) == 1 else 0)

    office.tasks["dig"] = dig
    job_id = await office.add()
    stopping = office.work()
    await office.until(job_id, lambda _: bool(began))
    stopping.set()
    await office.open[0][1]
    assert (await office.job(job_id)).status is JobStatus.QUEUED
    office.work()
    assert (await office.ended(job_id)).status is JobStatus.SUCCEEDED
    assert await office.database.fetchval("SELECT attempts FROM job WHERE id = $1", job_id) == 1


async def test_what_is_asked_once_waits_once(office: Office) -> None:
    first = await office.queue.add("dig", {}, once="hole", at=NOW)
    assert await office.queue.add("dig", {}, once="hole", at=NOW) == first
    assert await office.database.fetchval("SELECT count(*) FROM job_queue") == 1


async def test_an_attempt_that_was_taken_over_writes_no_more(office: Office) -> None:
    job_id = await office.add()
    asleep = await office.queue.begin(job_id, at=NOW)
    awake = await office.queue.begin(job_id, at=NOW)
    assert asleep is not None
    assert awake is not None
    assert not await office.queue.tell(asleep, 0.9, "still here")
    await office.queue.end(asleep, JobStatus.SUCCEEDED, at=NOW)
    assert (await office.job(job_id)).status is JobStatus.RUNNING
    await office.queue.end(awake, JobStatus.FAILED, error="no", at=NOW)
    assert (await office.job(job_id)).error == "no"


async def test_old_jobs_are_forgotten(office: Office) -> None:
    old, waiting = await office.add(), await office.add()
    attempt = await office.queue.begin(old, at=NOW)
    assert attempt is not None
    await office.queue.end(attempt, JobStatus.SUCCEEDED, at=NOW)
    assert await office.queue.clean(before=NOW) == 0
    assert await office.queue.clean(before=NOW + timedelta(seconds=1)) == 1
    assert set(await office.store.jobs([old, waiting])) == {waiting}
