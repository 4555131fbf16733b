"""The kinds of background work. A task may be run again from its beginning: what it did before it does not do twice."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from app.abtests.reallocating import Reallocating
from app.operations.upkeep import Upkeep
from app.optimizer.advising import Advising
from app.optimizer.requesting import RANK_CAMPAIGNS, TRAIN
from app.optimizer.training import Training
from app.runtime.clock import Clock
from app.runtime.progress import Told
from app.store.models.codes import ModelKind
from app.store.queue import JobQueue

REALLOCATE = "reallocate"
ADVISE = "advise"
FOLD_TOTALS = "fold_totals"
DROP_OLD_EVENTS = "drop_old_events"
FORGET_ADVICE = "forget_advice"
JOB_ID = "job_id"
"""The argument that names the job, beside its own: what a job made bears its number, so that it is not made again."""

type Task = Callable[[Mapping[str, Any], Told], Awaitable[Mapping[str, Any] | None]]
"""Does the work that its arguments name, and returns what is worth keeping of it."""


def tasks(
    *,
    queue: JobQueue,
    reallocating: Reallocating,
    upkeep: Upkeep,
    training: Training,
    advising: Advising,
    clock: Clock,
) -> dict[str, Task]:
    """Return the tasks by kind. Training is followed by advice, another job."""

    async def reallocate(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        return {"tests": await reallocating.reallocate_due(told=told)}

    async def fold_totals(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        return {"rows": await upkeep.fold_totals(told=told)}

    async def drop_old_events(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        return {"months": await upkeep.drop_old_events(told=told)}

    async def forget_advice(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        await told(0.0, "forgetting advice that no longer stands")
        return {"forgotten": await upkeep.forget_advice()}

    async def train(arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        kinds = [ModelKind(kind) for kind in arguments["kinds"]]
        made = await training.train(kinds, told=told, job_id=arguments[JOB_ID], activate=arguments.get("activate"))
        await queue.add(ADVISE, {}, once=ADVISE, at=clock.now())
        return made

    async def rank_campaigns(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        return await training.rank_campaigns(told=told)

    async def advise(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        await told(0.0, "looking at what campaigns did lately")
        return asdict(await advising.advise())

    return {
        REALLOCATE: reallocate,
        FOLD_TOTALS: fold_totals,
        DROP_OLD_EVENTS: drop_old_events,
        FORGET_ADVICE: forget_advice,
        TRAIN: train,
        RANK_CAMPAIGNS: rank_campaigns,
        ADVISE: advise,
    }
