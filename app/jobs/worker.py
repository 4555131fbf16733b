"""The worker: takes jobs from the queue and keeps the schedule, until it is told to stop."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pgqueuer import PgQueuer
from pgqueuer.domain.errors import FailingListenerError
from pgqueuer.domain.models import Schedule
from pgqueuer.domain.types import Channel

from app.errors import DatabaseUnavailable
from app.jobs.running import JobRunner
from app.jobs.schedule import Appointment
from app.store.database import Database
from app.store.queue import pool_driver, queries_of
from app.store.queue_tables import QUEUE_TABLES

JOBS_AT_ONCE = 4


class Worker:
    """One run of PgQueuer over our tasks and appointments. Ends at `stop`, or by an error where the database goes.

    `appointments` are its schedule, by name.
    """

    def __init__(
        self,
        database: Database,
        runner: JobRunner,
        *,
        kinds: Iterable[str],
        appointments: Sequence[Appointment],
        heartbeat_seconds: float,
    ) -> None:
        driver = pool_driver(database)
        self.appointments = {appointment.name: appointment for appointment in appointments}
        self._runner = runner
        self._heartbeat = timedelta(seconds=heartbeat_seconds)
        self._queuer = PgQueuer(driver, channel=Channel(QUEUE_TABLES.channel), queries=queries_of(driver))
        for kind in kinds:
            self._queuer.entrypoint(kind, accepts_context=False)(runner.run)
        for appointment in appointments:
            self._keep(appointment)

    async def run(self) -> None:
        """Work until `stop`. Raises DatabaseUnavailable where announcements are not heard any more."""
        try:
            await self._queuer.run(
                dequeue_timeout=self._heartbeat / 8,  # looks as often for jobs whose worker has died
                batch_size=1,
                max_concurrent_tasks=JOBS_AT_ONCE,
                heartbeat_timeout=self._heartbeat,
                shutdown_on_listener_failure=True,
            )
        except FailingListenerError as error:
            raise DatabaseUnavailable("The worker's connection for announcements is lost: it opens another.") from error

    def stop(self) -> None:
        """Take no more jobs, and give back those that run."""
        self._runner.stop()
        self._queuer.shutdown.set()

    def _keep(self, appointment: Appointment) -> None:
        async def do(_schedule: Schedule) -> None:
            await appointment.do()

        self._queuer.schedule(appointment.name, appointment.times, accepts_context=False)(do)


async def working(worker: Worker, stopping: asyncio.Event) -> None:
    """Run a worker until told to stop; what ends it before is raised."""
    work = asyncio.create_task(worker.run())
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
    worker.stop()
    waiting.cancel()
    await work
