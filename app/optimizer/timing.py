"""When to send to a user: the learned hour that is not a quiet one, on the user's own clock; a random one to some.

A share of users, set by the team, gets a random hour that is not quiet, anew each day, so that models keep learning
from hours that nobody chose. Both draws are hashes of the user and the day: asked twice, the answer is the same, and
with what probability an hour was answered can be told for any day from then on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import InvalidInput, NotEnoughData
from app.runtime.clock import Clock
from app.store.campaigns import UserRow
from app.store.learned import LearnedStore, SendTimeRow
from app.store.models.codes import Evidence
from engine.assignment.hashing import hash_fraction
from engine.effects import IntervalEstimate

HOURS = 24
UNKNOWN_ZONE = "UTC"
UNTRAINED = "No send times are trained yet: call trainModels once events have come in."


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTime:
    """When to send to a user, and why; see the fields of the graph's type of this name."""

    hour: int
    day_of_week: int | None
    timezone: str
    open_probability: float
    interval: IntervalEstimate
    evidence: Evidence
    by_hour: tuple[float, ...]
    sends: int
    quiet_hours: tuple[int, ...]
    explored: bool
    probability: float
    next_at: datetime
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """The share of users who get a random hour, a fraction."""

    share: float = 0.0

    def hour(self, user: str, day: date, *, best: int, allowed: Sequence[int]) -> "Drawn":
        """Return the hour for a user on a day of its own calendar, and how it came about."""
        explored = hash_fraction(user, seed=f"send-time-explored:{day.isoformat()}") < self.share
        place = hash_fraction(user, seed=f"send-time-hour:{day.isoformat()}")
        hour = allowed[int(place * len(allowed))] if explored else best
        probability = self.share / len(allowed) + (1.0 - self.share) * (hour == best)
        return Drawn(hour, explored, probability)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An hour, whether it was drawn at random, and with what probability it was answered."""

    hour: int
    explored: bool
    probability: float


class Timing:
    """Answers when to send, from the rows that the active model has written."""

    def __init__(
        self, learned: LearnedStore, *, clock: Clock, quiet_hours: Sequence[int] = (), exploration: Exploration
    ) -> None:
        self._learned = learned
        self._clock = clock
        self._quiet_hours = tuple(quiet_hours)
        self._exploration = exploration

    async def send_times(
        self, users: Sequence[UserRow], *, quiet_hours: Sequence[int] | None = None, on: date | None = None
    ) -> dict[int, SendTime | NotEnoughData]:
        """Return when to send to users, or that nothing is trained; one statement whatever their number.

        `quiet_hours` are local hours, the team's where not given; `on` is the day of the exploration, today for the
        user where not given.
        """
        quiet = _checked_quiet(self._quiet_hours if quiet_hours is None else quiet_hours)
        segments = {user.segment for user in users if user.segment}
        rows = await self._learned.send_times({user.id for user in users}, segments)
        now = self._clock.now()
        return {user.id: self._send_time(user, rows.of(user.id, user.segment), quiet, on, now) for user in users}

    def _send_time(
        self, user: UserRow, row: SendTimeRow | None, quiet: tuple[int, ...], on: date | None, now: datetime
    ) -> SendTime | NotEnoughData:
        if row is None:
            return NotEnoughData(UNTRAINED)
        zone, unknown = _zone(user.timezone)
        rates = _rates(row)
        allowed = [hour for hour in range(HOURS) if hour not in quiet]
        best = _best(row, rates, allowed)
        day = on or now.astimezone(zone).date()
        drawn = self._exploration.hour(user.external_id, day, best=best, allowed=allowed)
        interval = _interval(row, rates, drawn.hour)
        return SendTime(
            hour=drawn.hour,
            day_of_week=row.day_of_week,
            timezone=str(zone),
            open_probability=interval.point,
            interval=interval,
            evidence=row.evidence,
            by_hour=rates,
            sends=row.sends,
            quiet_hours=quiet,
            explored=drawn.explored,
            probability=drawn.probability,
            next_at=hour_of(on, drawn.hour, zone)
            if on
            else next_at(drawn.hour, zone, now, weekday=None if drawn.explored else row.day_of_week),
            reasons=(*_reasons(row, drawn, rates, best), *unknown),
        )


def hour_of(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return when, in UTC, a clock of this zone shows this hour sharp on a day.

    Where the clock is put forward past it, the moment it would have been; where it shows it twice, the first time.
    """
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def next_at(hour: int, zone: ZoneInfo, now: datetime, *, weekday: int | None = None) -> datetime:
    """Return the next time, in UTC, that a clock of this zone shows this hour sharp, on that day (1 to 7) if given."""
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(10))
    moments = (hour_of(day, hour, zone) for day in days if weekday in (None, day.isoweekday()))
    return next(moment for moment in moments if moment > now)


def _checked_quiet(hours: Sequence[int]) -> tuple[int, ...]:
    quiet = tuple(sorted(set(hours)))
    if any(hour not in range(HOURS) for hour in quiet) or len(quiet) >= HOURS:
        raise InvalidInput(
            "Quiet hours are hours from 0 to 23 and never all of them: leave at least one to send at.",
            path=("quietHours",),
        )
    return quiet


def _zone(name: str | None) -> tuple[ZoneInfo, tuple[str, ...]]:
    """Return a time zone; UTC, and words that say so, where it is not known."""
    if name is None:
        return ZoneInfo(UNKNOWN_ZONE), ("The user's time zone is not known: the hour is meant in UTC.",)
    try:
        return ZoneInfo(name), ()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(UNKNOWN_ZONE), (f"{name!r} is no time zone known here: the hour is meant in UTC.",)


def _rates(row: SendTimeRow) -> tuple[float, ...]:
    return tuple(float(rate) for rate in row.by_hour)


def _best(row: SendTimeRow, rates: Sequence[float], allowed: Sequence[int]) -> int:
    """Return the allowed hour of the highest rate; of equals the one that the model named."""
    return max(allowed, key=lambda hour: (rates[hour], hour == row.hour))


def _interval(row: SendTimeRow, rates: Sequence[float], hour: int) -> IntervalEstimate:
    """Return the interval at an hour: the model's at its own; at another one as wide, on the scale of log-odds."""
    if hour == row.hour:
        return IntervalEstimate(point=row.open_probability, low=row.low, high=row.high)
    own, there = _logit(row.open_probability), _logit(rates[hour])
    low, high = (_expit(there + _logit(end) - own) for end in (row.low, row.high))
    return IntervalEstimate(point=rates[hour], low=low, high=high)


def _logit(rate: float) -> float:
    inside = min(max(rate, 1e-9), 1.0 - 1e-9)
    return math.log(inside / (1.0 - inside))


def _expit(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


_WHOSE = {
    Evidence.USER: "the user's own opens",
    Evidence.SEGMENT: "the segment's opens: there are too few of the user's own",
    Evidence.GLOBAL: "everyone's opens: there are too few of the user's own and of the segment",
}


def _reasons(row: SendTimeRow, drawn: Drawn, rates: Sequence[float], best: int) -> tuple[str, ...]:
    mean = sum(rates) / len(rates)
    times = f"{rates[drawn.hour] / mean:.1f} times the day's mean" if mean > 0 else "as likely as at any hour"
    said = [f"Opens at {drawn.hour}:00 local time are expected {times}, by {_WHOSE[row.evidence]}."]
    highest = _best(row, rates, range(HOURS))
    if best != highest:
        said.append(f"The best hour of all, {highest}:00, is quiet.")
    if drawn.explored:
        said.append(f"Drawn at random, to learn from; the best hour known is {best}:00.")
    return tuple(said)
