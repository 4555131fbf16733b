"""Training asked for, by people and by the schedule, and versions made active and taken back."""

from collections.abc import Collection
from dataclasses import asdict

from app.auth.auditing import Audit
from app.auth.principals import Permission, Principal
from app.errors import DomainErrors, NotFound
from app.runtime.clock import Clock
from app.store.database import Connection, Database
from app.store.jobs import JobRow, JobStore
from app.store.model_versions import ModelVersions, VersionRow
from app.store.models.codes import ModelKind
from app.store.queue import JobQueue

TRAIN = "train"
RANK_CAMPAIGNS = "rank_campaigns"
"""The kinds of job."""


class TrainingRequests:
    """What people ask for: to train, and which version serves."""

    def __init__(self, database: Database, *, jobs: JobStore, queue: JobQueue, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._queue = queue
        self._audit = audit
        self._clock = clock
        self._versions = ModelVersions(database)

    async def request(self, kinds: Collection[ModelKind] | None = None, *, principal: Principal) -> JobRow:
        """Queue the training of these kinds, of all where none are named; once while the same waits or runs."""
        principal.require(Permission.TRAIN_MODELS)
        names = [kind.value for kind in ModelKind if not kinds or kind in kinds]
        async with self._database.transaction() as connection:
            job_id = await self._queue.put(
                connection,
                TRAIN,
                {"kinds": names, "activate": True},
                requested_by=principal.name,
                once=_once(names),
                at=self._clock.now(),
            )
            await self._audit.record(
                connection, principal, action="model.train", subject=("job", job_id), after={"kinds": names}
            )
        await self._queue.announce(job_id)
        return (await self._jobs.jobs([job_id]))[job_id]

    async def schedule(self) -> None:
        """Queue the training of all kinds, as the schedule does: a version somebody went back to keeps serving."""
        names = [kind.value for kind in ModelKind]
        await self._queue.add(TRAIN, {"kinds": names}, once=_once(names), at=self._clock.now())

    async def activate(self, model_id: int, *, principal: Principal) -> VersionRow:
        """Let a version serve: its predictions are given from now on."""
        principal.require(Permission.TRAIN_MODELS)
        async with self._database.transaction() as connection:
            changed = await self._versions.activate(connection, model_id)
            if changed is None:
                message = "No version of a model has this id: list the models to find it."
                raise DomainErrors([NotFound(message, path=("id",))])
            before, after = changed
            await self._audit.record(
                connection,
                principal,
                action="model.activate",
                subject=("model", model_id),
                before=None if before is None else asdict(before),
                after=asdict(after),
            )
            ranking = await self._put_ranking(connection) if after.kind is ModelKind.RESPONSE else None
        if ranking is not None:
            await self._queue.announce(ranking)
        return after

    async def _put_ranking(self, connection: Connection) -> int:
        """Queue the ranking of the campaigns that are live now, by the response model that serves."""
        return await self._queue.put(connection, RANK_CAMPAIGNS, {}, once=RANK_CAMPAIGNS, at=self._clock.now())


def _once(names: list[str]) -> str:
    return f"{TRAIN} {' '.join(sorted(names))}"
