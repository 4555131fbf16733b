"""Half-open stretches of time, and which table answers for which part of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Self

from app.errors import InvalidInput

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# A Monday: weeks, days and hours are counted from here.
ORIGIN = datetime(1, 1, 1, tzinfo=UTC)
# Room for aligning an instant outwards without leaving the calendar.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """The width of a trend's or a cohort's intervals, aligned in UTC; a week starts on Monday."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"

    @property
    def width(self) -> timedelta:
        """Return how long an interval is: UTC has no longer or shorter days."""
        return _WIDTHS[self]


_WIDTHS = {Interval.HOUR: HOUR, Interval.DAY: DAY, Interval.WEEK: 7 * DAY}


def _in_utc(at: datetime | None, end: str) -> datetime | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise InvalidInput(f"`{end}` has no time zone: end it with Z or an offset.", path=("window", end))
    if not EARLIEST <= at <= LATEST:
        raise InvalidInput(f"`{end}` lies outside the calendar: give a year from 2 to 9998.", path=("window", end))
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The time from `from_` until before `to`, in UTC; an end left out is open.

    Raises InvalidInput for an end without a time zone or outside the years 2 to 9998, and if the window is reversed or
    empty.
    """

    from_: datetime | None = None
    to: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "from_", _in_utc(self.from_, "from"))
        object.__setattr__(self, "to", _in_utc(self.to, "to"))
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise InvalidInput("The window is empty or reversed: give a `from` before its `to`.", path=("window",))


EVERYTHING = Window()


class Rung(IntEnum):
    """What a part of a window is read from, the widest first."""

    TOTAL = 0
    DAY = 1
    HOUR = 2
    EVENT = 3


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a window that one rung answers exactly."""

    rung: Rung
    from_: datetime | None
    to: datetime | None


def ladder(window: Window, *, widest: Rung = Rung.DAY) -> tuple[Span, ...]:
    """Return the disjoint spans that make up a window: all time, or whole days, then whole hours, then ragged edges."""
    if window == EVERYTHING:
        return (Span(widest, None, None),)
    widest = max(widest, Rung.DAY)
    return tuple(_climb(window.from_, window.to, tuple(Rung)[widest:]))


def floor(at: datetime, width: timedelta) -> datetime:
    """Return the start of the interval that `at` lies in."""
    return at - (at - ORIGIN) % width


def ceiling(at: datetime, width: timedelta) -> datetime:
    """Return the first start of an interval that is not before `at`."""
    return at + (ORIGIN - at) % width


def _climb(from_: datetime | None, to: datetime | None, rungs: Sequence[Rung]) -> list[Span]:
    rung, *rest = rungs
    if rung is Rung.EVENT:
        return [Span(rung, from_, to)]
    inner = _Whole.within(from_, to, DAY if rung is Rung.DAY else HOUR)
    if inner.empty:
        return _climb(from_, to, rest)
    spans = [Span(rung, inner.from_, inner.to)]
    if inner.from_ != from_:
        spans += _climb(from_, inner.from_, rest)
    if inner.to != to:
        spans += _climb(inner.to, to, rest)
    return spans


@dataclass(frozen=True, slots=True)
class _Whole:
    """The whole intervals within a stretch."""

    from_: datetime | None
    to: datetime | None

    @classmethod
    def within(cls, from_: datetime | None, to: datetime | None, width: timedelta) -> Self:
        return cls(from_ and ceiling(from_, width), to and floor(to, width))

    @property
    def empty(self) -> bool:
        return self.from_ is not None and self.to is not None and self.from_ >= self.to
