"""What a user's own clock shows at a moment: time zones and changes of the clock, for many moments at once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from engine.arrays import IntArray

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


def micros(at: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return round(at.timestamp() * SECOND)


def local_micros(at: IntArray, places: IntArray, *, zones: Sequence[str | None]) -> IntArray:
    """Return what the clock of each moment's zone shows, as microseconds of a day count that knows no zones.

    `at` is in microseconds since 1970, `places` are those of each moment's zone; None stands for UTC. An hour that the
    clock shows twice is the same hour both times; one it skips is nobody's.
    """
    local = at.astype(np.int64)
    for place, name in enumerate(zones):
        mine = np.flatnonzero(places == place)
        if mine.size:
            changes, offsets = _offsets(name or "UTC", int(at[mine].min()), int(at[mine].max()))
            local[mine] += offsets[np.searchsorted(changes, at[mine], side="right")]
    return local


def _offsets(zone: str, start: int, end: int) -> tuple[IntArray, IntArray]:
    """Return when a zone's distance from UTC changes, and the distance before the first change and after each."""
    known = _zone(zone)
    days = np.append(np.arange(start, end, DAY), end).tolist()
    offsets = [_offset(known, day) for day in days]
    changes = [
        _change(known, before, after)
        for before, after, old, new in zip(days, days[1:], offsets, offsets[1:], strict=False)
        if old != new
    ]
    kept = offsets[:1] + [_offset(known, change) for change in changes]
    return np.array(changes, dtype=np.int64), np.array(kept, dtype=np.int64)


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """Return the first second of the distance that holds at `after`, by halving."""
    target = _offset(zone, after)
    low, high = before // SECOND, -(-after // SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(zone, middle * SECOND) == target else (middle, high)
    return high * SECOND


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at / SECOND, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * SECOND


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # a zone that another machine's tables knew
        return ZoneInfo("UTC")
