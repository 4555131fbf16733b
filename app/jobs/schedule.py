"""What is done when nobody asks: by the minute and by the day, by one worker of all."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from app.abtests.reallocating import Reallocating
from app.jobs.tasks import ADVISE, DROP_OLD_EVENTS, FOLD_TOTALS, REALLOCATE
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

    async def reallocate() -> None:
        if await reallocating.count_due():
            await queue.add(REALLOCATE, {}, once=REALLOCATE, at=clock.now())

    async def fold_totals() -> None:
        await queue.add(FOLD_TOTALS, {}, once=FOLD_TOTALS, at=clock.now())

    async def drop_old_events() -> None:
        await queue.add(DROP_OLD_EVENTS, {}, once=DROP_OLD_EVENTS, at=clock.now())

    async def advise() -> None:
        await queue.add(ADVISE, {}, once=ADVISE, at=clock.now())

    async def rank_campaigns() -> None:
        await queue.add(RANK_CAMPAIGNS, {}, once=RANK_CAMPAIGNS, at=clock.now())

    async def clean() -> None:
        await queue.clean(before=clock.now() - timedelta(days=KEPT_DAYS))

    return [
        Appointment(name="reallocate", times="* * * * *", do=reallocate),
        Appointment(name="clean-jobs", times="17 3 * * *", do=clean),
        Appointment(name="fold-totals", times="27 3 * * *", do=fold_totals),
        Appointment(name="drop-old-events", times="37 3 * * *", do=drop_old_events),
        Appointment(name="rank-campaigns", times="2 */6 * * *", do=rank_campaigns),
        Appointment(name="advise", times="7 */6 * * *", do=advise),
        *([] if training is None else [Appointment(name="train", times="47 2 * * *", do=training.schedule)]),
    ]
