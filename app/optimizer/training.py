"""Training, as a job does it.

A job reads one snapshot of the events, computes elsewhere, and stores each kind's version with all its predictions in
one transaction. Done again after it was broken off, it makes the versions that are missing and leaves the others. Data
that cannot bear a model make none: what is missing is said in the job's result.
"""

import asyncio
import time
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog

from app.errors import NotEnoughData, Unavailable
from app.optimizer.artefacts import MISSING
from app.optimizer.courses import COURSES, Made, Plan
from app.optimizer.extracting import Extract, Question, extract
from app.optimizer.predictions import of_response
from app.optimizer.preparing import ranking_inputs
from app.optimizer.response import rank_again
from app.optimizer.segments import Split, Targets, read_splits
from app.runtime.clock import Clock
from app.runtime.compute import Compute
from app.runtime.progress import Told
from app.store.database import Database
from app.store.experiments import ExperimentStore
from app.store.learning import Span, TrainingStore
from app.store.model_versions import ModelVersions, NewVersion, VersionRow
from app.store.models.codes import ModelKind
from engine.errors import NotEnoughData as NotEnoughForEngine

STEPS = 3
"""Of one kind: prepared, learned, saved."""

type Outcome = VersionRow | str
"""A version, or why there is none."""

log = structlog.get_logger(__name__)


class Training:
    """Trains. `targets` tells whom a test is for: the users it holds out are found by that."""

    def __init__(self, database: Database, *, targets: Targets, compute: Compute, clock: Clock, plan: Plan) -> None:
        self._store = TrainingStore(database)
        self._experiments = ExperimentStore(database)
        self._targets = targets
        self._versions = ModelVersions(database)
        self._compute = compute
        self._clock = clock
        self._plan = plan

    async def train(
        self,
        kinds: Collection[ModelKind],
        *,
        told: Told,
        job_id: int | None = None,
        activate: bool | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """Train these kinds; return, by kind, the version made, or why there is none.

        `activate` None lets a new version serve unless somebody went back to an earlier one. Events before `until`, the
        present unless given, are learned from.
        """
        missing = {kind: await self._made(job_id, kind) for kind in COURSES if kind in kinds}
        progress = Progress(told, {kind for kind, made in missing.items() if made is None})
        outcomes: dict[ModelKind, Outcome] = {kind: made for kind, made in missing.items() if made is not None}
        outcomes |= await self._train(progress, job_id=job_id, activate=activate, until=until or self._clock.now())
        await told(1.0, _summary(outcomes))
        return _result(outcomes)

    async def rank_campaigns(self, *, told: Told) -> dict[str, Any]:
        """Rank users' campaigns that are live now by the response model that serves; return how many places there are.

        Campaigns come and go between two trainings, and a version gone back to knows only those of its time.
        """
        serving = await self._versions.artefact(ModelKind.RESPONSE)
        if serving is None:
            return {"ranked": 0, "reason": "No response model serves: train one."}
        model_id, artefact = serving
        await told(0.0, "reading events")
        read = await extract(self._store, self._question(self._clock.now()), read_splits=_no_splits)
        await told(0.3, "ranking campaigns")
        inputs = await asyncio.to_thread(ranking_inputs, read)
        ranked = await self._compute.run(rank_again, artefact, inputs)
        stored = await self._versions.replace(ModelKind.RESPONSE, model_id, of_response(ranked))
        return {"ranked": len(ranked.users) if stored else 0}

    async def _made(self, job_id: int | None, kind: ModelKind) -> VersionRow | None:
        return None if job_id is None else await self._versions.of_job(job_id, kind)

    async def _train(
        self, progress: "Progress", *, job_id: int | None, activate: bool | None, until: datetime
    ) -> dict[ModelKind, Outcome]:
        if not progress.kinds:
            return {}
        await progress.reading()
        try:
            read = await extract(self._store, self._question(until), read_splits=self._splits)
        except NotEnoughData as refusal:
            return dict.fromkeys(progress.kinds, refusal.message)
        log.info("training_read", sends=len(read.sends), users=len(read.users), end=read.span.end.isoformat())
        return await together(
            {kind: self._one(kind, read, progress, job_id=job_id, activate=activate) for kind in progress.kinds}
        )

    async def _splits(self, span: Span) -> list[Split]:
        return await read_splits(
            self._experiments,
            start=span.start,
            end=span.end,
            outcome_days=self._plan.outcome_days,
            targets=self._targets,
        )

    def _question(self, until: datetime) -> Question:
        return Question(until=until, days=self._plan.days, outcome_days=self._plan.outcome_days)

    async def _one(
        self, kind: ModelKind, read: Extract, progress: "Progress", *, job_id: int | None, activate: bool | None
    ) -> Outcome:
        async def step() -> None:
            await progress.step(kind)

        started = time.perf_counter()
        try:
            made = await COURSES[kind](read, self._plan, self._compute, step)
        except NotEnoughForEngine as refusal:
            log.info("training_refused", kind=kind.value, reason=str(refusal))
            await progress.done(kind)
            return str(refusal)
        except ModuleNotFoundError as error:
            raise Unavailable(MISSING) from error
        await step()
        new = self._version(kind, made, read, seconds=time.perf_counter() - started)
        saved = await self._versions.save(new, job_id=job_id, activate=activate, keep=self._plan.keep)
        await progress.done(kind)
        return saved

    def _version(self, kind: ModelKind, made: Made, read: Extract, *, seconds: float) -> NewVersion:
        return NewVersion(
            kind=kind,
            training_rows=made.rows,
            seconds=seconds,
            scores=made.scores,
            importances=made.importances,
            artefact=made.artefact,
            refusals=made.refusals,
            window_start=read.span.start,
            window_end=read.span.end,
            trained_at=self._clock.now(),
            predictions=made.predictions,
        )


async def _no_splits(_span: Span) -> list[Split]:
    return []


class Progress:
    """How far the training of several kinds is: reading, then so many steps of each."""

    def __init__(self, told: Told, kinds: Collection[ModelKind]) -> None:
        self._told = told
        self._steps = dict.fromkeys((kind for kind in COURSES if kind in kinds), 0)

    @property
    def kinds(self) -> list[ModelKind]:
        """What is trained, in order."""
        return list(self._steps)

    async def reading(self) -> None:
        """Tell that the events are read."""
        await self._told(0.0, "reading events")

    async def step(self, kind: ModelKind) -> None:
        """Tell that one more step of a kind is done."""
        self._steps[kind] += 1
        await self._tell(kind)

    async def done(self, kind: ModelKind) -> None:
        """Tell that a kind is done."""
        self._steps[kind] = STEPS
        await self._tell(kind)

    async def _tell(self, kind: ModelKind) -> None:
        share = (1 + sum(self._steps.values())) / (1 + STEPS * len(self._steps))
        await self._told(share, f"{_name(kind)}: {self._steps[kind]} of {STEPS} steps")


async def together[K, V](work: Mapping[K, Awaitable[V]]) -> dict[K, V]:
    """Return what all of it returns, by key; where one fails, or it is cancelled, the others are ended."""
    tasks = {key: asyncio.ensure_future(one) for key, one in work.items()}
    try:
        await asyncio.gather(*tasks.values())
    finally:
        for task in tasks.values():
            task.cancel()
    return {key: task.result() for key, task in tasks.items()}


def _name(kind: ModelKind) -> str:
    return kind.value.lower().replace("_", " ")


def _summary(outcomes: Mapping[ModelKind, Outcome]) -> str:
    return " ".join(f"{_name(kind)}: {_told_of(outcome)}" for kind, outcome in outcomes.items())


def _told_of(outcome: Outcome) -> str:
    if isinstance(outcome, str):
        return f"not trained. {outcome}"
    return f"version {outcome.version}{'' if outcome.active else ', not active'}."


def _result(outcomes: Mapping[ModelKind, Outcome]) -> dict[str, Any]:
    made = {kind.value: asdict(one) for kind, one in outcomes.items() if not isinstance(one, str)}
    return {"made": made, "refused": {kind.value: one for kind, one in outcomes.items() if isinstance(one, str)}}
