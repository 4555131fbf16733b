"""Local hours, held against the standard library's own clock, moment by moment."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.optimizer.local_hours import HOUR, local_micros

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
]


def at(*moments: str) -> np.ndarray:
    return np.array([round(datetime.fromisoformat(moment).timestamp() * 1_000_000) for moment in moments])


def hours(moments: np.ndarray, zone: str | None) -> list[int]:
    shown = local_micros(moments, np.zeros(len(moments), dtype=np.int64), zones=[zone])
    return (shown // HOUR % 24).tolist()


def test_the_clock_goes_forward_and_back() -> None:
    spring = at("2026-03-29T00:59:59+00:00", "2026-03-29T01:00:00+00:00")
    assert hours(spring, "Europe/Berlin") == [1, 3]
    autumn = at("2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00", "2026-10-25T02:30:00+00:00")
    assert hours(autumn, "Europe/Berlin") == [2, 2, 3]


def test_a_change_within_the_window_changes_what_follows_it() -> None:
    assert hours(at("2026-03-01T17:00:00+00:00", "2026-03-20T17:00:00+00:00"), "America/New_York") == [12, 13]


def test_zones_with_half_hours_and_zones_not_known() -> None:
    moment = at("2026-01-01T18:45:00+00:00")
    assert hours(moment, "Asia/Kolkata") == [0]
    assert hours(moment, None) == [18]
    assert hours(moment, "Middle-earth/Shire") == [18]
    assert hours(moment, "../etc/passwd") == [18]


def test_nothing_and_one_moment() -> None:
    assert hours(np.empty(0, dtype=np.int64), "Europe/Berlin") == []
    assert hours(at("1970-01-01T00:00:00+00:00"), "Europe/Berlin") == [1]


@settings(max_examples=40, deadline=None)
@given(
    seconds=st.lists(st.integers(1_293_840_000, 1_830_000_000), min_size=1, max_size=8),  # 2011 to 2027
    zone=st.sampled_from(ZONES),
)
def test_every_moment_is_what_the_zone_says(seconds: list[int], zone: str) -> None:
    micros = np.array(seconds) * 1_000_000
    local = local_micros(micros, np.zeros(len(micros), dtype=np.int64), zones=[zone])
    known = [datetime.fromtimestamp(second, UTC) for second in seconds]
    shown = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC) for moment in known]
    assert local.tolist() == [int(moment.timestamp()) * 1_000_000 for moment in shown]


@pytest.mark.parametrize("zone", ZONES)
def test_around_each_change_of_a_year(zone: str) -> None:
    start = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    micros = np.arange(start, start + 370 * 86_400, 1_800) * 1_000_000
    local = local_micros(micros, np.zeros(len(micros), dtype=np.int64), zones=[zone])
    offsets = [
        datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone)).utcoffset().total_seconds()
        for second in (micros // 1_000_000).tolist()
    ]
    assert ((local - micros) // 1_000_000).tolist() == offsets
