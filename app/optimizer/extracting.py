"""What a training sees: sends, what came of them, purchases and visits of a window, read once for all kinds."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from app.errors import NotEnoughData
from app.optimizer.local_hours import DAY, HOUR, local_micros, micros
from app.optimizer.segments import Split
from app.optimizer.sends import DAY_MICROS, SendLog, send_log
from app.store.columns import Columns
from app.store.learning import Span, TrainedCampaign, TrainedMerchant, TrainedUser, TrainingReading, TrainingStore
from app.store.models.codes import EventType
from engine.arrays import FloatArray, IntArray

THURSDAY = 3
"""The first of January 1970, with Monday as 0."""
NO_EVENTS = "There are no events yet: send what happened, and train again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at: `days` before `until`, or before the last event where it is older; all times aware.

    `outcome_days` is how long after a send a conversion, and an open, still count as its own.
    """

    until: datetime
    days: float
    outcome_days: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Extract:
    """One snapshot. `span` is the window; purchases and visits reach as far back again: what was known at its start.

    `users` are those sent to, or seen, in the window; `splits` is what chance divided, campaign by campaign.
    """

    span: Span
    outcome_days: float
    sends: SendLog
    visits: Columns
    converted: Columns
    users: dict[int, TrainedUser]
    campaigns: dict[int, TrainedCampaign]
    merchants: dict[int, TrainedMerchant]
    segments: tuple[str, ...]
    splits: tuple[Split, ...]

    @cached_property
    def user_ids(self) -> IntArray:
        """Ids of the users, in order: shape (u,)."""
        return np.array(sorted(self.users), dtype=np.int64)

    @cached_property
    def user_segments(self) -> IntArray:
        """Each user's present segment, by its place in `segments`; -1 for none: shape (u,)."""
        places = {name: place for place, name in enumerate(self.segments) if name}
        return np.array([places.get(self.users[user].segment, -1) for user in self.user_ids.tolist()], dtype=np.int64)

    @cached_property
    def send_users(self) -> IntArray:
        """Each send's user, by place in `user_ids`: shape (n,)."""
        return np.searchsorted(self.user_ids, self.sends.users)

    @cached_property
    def send_clocks(self) -> IntArray:
        """What the clock of each send's user showed, in microseconds of a count without zones: shape (n,)."""
        zones = [self.users[user].timezone for user in self.user_ids.tolist()]
        names = sorted({zone for zone in zones if zone is not None})
        place = {name: number for number, name in enumerate(names, start=1)}
        codes = np.array([0 if zone is None else place[zone] for zone in zones], dtype=np.int64)
        return local_micros(self.sends.at, codes[self.send_users], zones=[None, *names])

    @property
    def send_hours(self) -> IntArray:
        """Each send's hour by its user's clock: shape (n,)."""
        return (self.send_clocks // HOUR) % 24

    @property
    def send_days(self) -> IntArray:
        """Each send's day by its user's calendar, counted from Monday, 29 December 1969: shape (n,)."""
        return self.send_clocks // DAY + THURSDAY

    @cached_property
    def known(self) -> IntArray:
        """Places of the sends whose outcome is known: they had their days."""
        return np.flatnonzero(self.sends.at + round(self.outcome_days * DAY_MICROS) <= micros(self.span.end))

    def days(self, at: IntArray) -> FloatArray:
        """Return moments in days since the window's start."""
        return (at - micros(self.span.start)) / DAY_MICROS

    @property
    def end_day(self) -> float:
        """The window's end, in the same days."""
        return (micros(self.span.end) - micros(self.span.start)) / DAY_MICROS


type ReadSplits = Callable[[Span], Awaitable[Sequence[Split]]]
"""Reads what chance divided in a window."""


async def extract(store: TrainingStore, question: Question, *, read_splits: ReadSplits) -> Extract:
    """Read a window. Raises NotEnoughData where nothing ever happened."""
    async with store.reading() as reading:
        last = await reading.last_event_at(question.until)
        if last is None:
            raise NotEnoughData(NO_EVENTS)
        end = min(question.until, last + timedelta(microseconds=1))
        span = Span(start=end - timedelta(days=question.days), end=end)
        splits = tuple(await read_splits(span))
        return await _read(reading, span, outcome_days=question.outcome_days, splits=splits)


async def _read(reading: TrainingReading, span: Span, *, outcome_days: float, splits: tuple[Split, ...]) -> Extract:
    before = Span(start=span.start - (span.end - span.start), end=span.end)
    segments = await reading.segments(span)
    sent = await reading.sends(span, segments)
    opened = await reading.responses(span, EventType.OPENED)
    converted = await reading.responses(span, EventType.CONVERTED)
    log = send_log(sent, opened=opened, converted=converted, drawn=await reading.drawn_amounts(span))
    visits = await reading.visits(before)
    ids = np.union1d(np.unique(log.users), np.unique(visits["user_id"]))
    users = await reading.users(ids.tolist())
    kept = np.fromiter(users, dtype=np.int64, count=len(users))
    return Extract(
        span=span,
        outcome_days=outcome_days,
        sends=log.take(np.isin(log.users, kept)),
        visits=_of_users(visits, kept),
        converted=converted,
        users=users,
        campaigns=await reading.campaigns(span.end),
        merchants=await reading.merchants(),
        segments=tuple(segments),
        splits=splits,
    )


def _of_users(columns: Columns, users: IntArray) -> Columns:
    kept = np.isin(columns["user_id"], users)
    return {name: column[kept] for name, column in columns.items()}
