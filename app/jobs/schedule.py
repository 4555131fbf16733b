"""What is done when nobody asks: by the minute and by the day, by one worker of all."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from app.abtests.reallocating import Reallocating
from app.jobs.tasks import ADVISE, DROP_OLD_EVENTS, FOLD_TOTALS, FORGET_ADVICE, REALLOCATE
from app.optimizer.requesting import RANK_CAMPAIGNS, TrainingRequests
from app.runtime.clock import Clock
from app.store.queue import JobQueue

KEPT_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """Something done at times: minute, hour, day of the month, month, day of the week, in UTC."""

    name: str
    times: str
    do: Callable[[], Awaitable[object]]


def appointments(
    queue: JobQueue, *, reallocating: Reallocating, training: TrainingRequests | None, clock: Clock
) -> list[Appointment]:
    """Return the schedule. Work that may take long is only queued here, once whatever is late.

    `training` None leaves training to those who ask for it.
    """

    async def add(kind: str) -> None:
        await queue.add(kind, {}, once=kind, at=clock.now())

    async def reallocate() -> None:
        if await reallocating.count_due():
            await add(REALLOCATE)

    async def clean() -> None:
        await queue.clean(before=clock.now() - timedelta(days=KEPT_DAYS))

    return [
        Appointment(name="reallocate", times="* * * * *", do=reallocate),
        Appointment(name="clean-jobs", times="17 3 * * *", do=clean),
        Appointment(name="fold-totals", times="27 3 * * *", do=partial(add, FOLD_TOTALS)),
        Appointment(name="drop-old-events", times="37 3 * * *", do=partial(add, DROP_OLD_EVENTS)),
        Appointment(name="forget-advice", times="41 3 * * *", do=partial(add, FORGET_ADVICE)),
        Appointment(name="rank-campaigns", times="2 */6 * * *", do=partial(add, RANK_CAMPAIGNS)),
        Appointment(name="advise", times="7 */6 * * *", do=partial(add, ADVISE)),
        *([] if training is None else [Appointment(name="train", times="47 2 * * *", do=training.schedule)]),
    ]
