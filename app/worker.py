"""The background process: everything that jobs need, put together. `python -m app.worker`, or `winnow worker`."""

import asyncio
import signal
from contextlib import suppress

import structlog

from app.abtests.reallocating import Reallocating
from app.auth.auditing import Audit
from app.commands.use_cases import lifecycle_and_analyzing, training_of
from app.errors import Unavailable
from app.jobs.running import JobRunner
from app.jobs.schedule import appointments
from app.jobs.tasks import tasks
from app.jobs.verdicts import verdicts_of
from app.jobs.worker import Worker, working
from app.operations.upkeep import Upkeep
from app.optimizer.advising import Advising
from app.optimizer.requesting import TrainingRequests
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock, SystemClock
from app.runtime.cluster import compute_of
from app.runtime.compute import Compute
from app.runtime.logging import configure_logging
from app.runtime.memory import keep_large_apart
from app.runtime.processes import Backoff
from app.runtime.settings import Settings
from app.runtime.tracing import tracing
from app.store.abtests import TestStore
from app.store.access import AccessStore
from app.store.activity import ActivityStore
from app.store.database import Database, is_unavailable
from app.store.jobs import JobStore
from app.store.learned import LearnedStore
from app.store.notifications import PostgresBroadcast
from app.store.performance import PerformanceStore
from app.store.policies import PolicyStore
from app.store.queue import JobQueue
from app.store.recommendations import RecommendationStore

log = structlog.get_logger(__name__)


def main() -> None:
    """Work until SIGTERM or SIGINT."""
    settings = Settings.load()
    configure_logging(settings)
    run(settings)


def run(settings: Settings) -> None:
    """Work with these settings until SIGTERM or SIGINT."""
    keep_large_apart()
    with tracing(settings):
        asyncio.run(_until_signal(settings))


async def _until_signal(settings: Settings) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await keep_working(settings, stopping)


async def keep_working(settings: Settings, stopping: asyncio.Event) -> None:
    """Work until told to stop, and begin anew, after a wait that grows, where the database was gone."""
    loop, backoff = asyncio.get_running_loop(), Backoff()
    while not stopping.is_set():
        try:
            await _work(settings, stopping)
        except Exception as error:
            if not is_unavailable(error):
                raise
            wait = backoff.next_wait(loop.time())
            log.warning("worker_without_database", error=str(error), retry_in_seconds=wait)
            await _wait(stopping, wait)


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def _work(settings: Settings, stopping: asyncio.Event) -> None:
    if settings.database_url is None:
        raise Unavailable(
            "DATABASE_URL names no database: name the one that `winnow serve` uses; its own comes with a worker."
        )
    database = await Database.open(
        settings.database_url.get_secret_value(), pool_size=settings.pool_size, orm_pool_size=1
    )
    broadcast, compute = PostgresBroadcast(database), compute_of(settings)
    try:
        await broadcast.start()
        worker = assembled(database, broadcast, SystemClock(), settings, compute=compute)
        log.info("worker_ready")
        await working(worker, stopping)
    finally:
        await compute.close()
        await broadcast.close()
        await database.close()


def assembled(
    database: Database, broadcast: Broadcast, clock: Clock, settings: Settings, *, compute: Compute
) -> Worker:
    """Put a worker together."""
    queue, audit = JobQueue(database, broadcast), Audit(AccessStore(database))
    reallocating = Reallocating(
        database,
        tests=TestStore(database),
        policies=PolicyStore(database),
        audit=audit,
        broadcast=broadcast,
        clock=clock,
    )
    upkeep = Upkeep(
        database,
        clock=clock,
        keep_months=settings.keep_event_months,
        keep_advice_days=settings.keep_advice_days,
    )
    training = training_of(database, compute=compute, clock=clock, settings=settings)
    requests = TrainingRequests(database, jobs=JobStore(database, broadcast), queue=queue, audit=audit, clock=clock)
    known = tasks(
        queue=queue,
        reallocating=reallocating,
        upkeep=upkeep,
        training=training,
        advising=_advising(database, clock, compute=compute),
        clock=clock,
    )
    return Worker(
        database,
        JobRunner(queue, known, broadcast=broadcast, clock=clock),
        kinds=known,
        appointments=appointments(
            queue,
            reallocating=reallocating,
            training=requests if settings.train_nightly else None,
            clock=clock,
        ),
        heartbeat_seconds=settings.job_heartbeat_seconds,
    )


def _advising(database: Database, clock: Clock, *, compute: Compute) -> Advising:
    _, analyzing = lifecycle_and_analyzing(database, clock)
    return Advising(
        activity=ActivityStore(database),
        performance=PerformanceStore(database),
        learned=LearnedStore(database),
        recommendations=RecommendationStore(database),
        verdicts=verdicts_of(TestStore(database), analyzing),
        compute=compute,
        clock=clock,
    )


if __name__ == "__main__":
    main()
