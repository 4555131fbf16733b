"""Half-open stretches of time, and which table answers for which part of one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Interval(StrEnum):
    """The width of a trend's or a cohort's intervals, aligned in UTC; a week starts on Monday."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"


@dataclass(frozen=True, slots=True)
class Window:
    """The time from `from_` until before `to`, in UTC; an end left out is open.

    Raises InvalidInput for an end without a time zone, and where `from_` is not before `to`.
    """

    from_: datetime | None = None
    to: datetime | None = None


EVERYTHING = Window()
