"""A day of the week in what is learned of send times: there where it is in the opens, by users' own calendars."""

from datetime import date

import numpy as np
import pytest

from app.optimizer.extracting import THURSDAY
from app.optimizer.send_times import SendTimeInputs, learn_send_times

USERS, DAYS = 60, 84
FIRST = (date(2026, 1, 1) - date(1970, 1, 1)).days + THURSDAY


def inputs(gain: float, *, day: int = 2) -> SendTimeInputs:
    """Twelve weeks of sends, opened more often on one day of the week."""
    rng = np.random.default_rng(11)
    count = 12_000
    days = np.sort(rng.integers(FIRST, FIRST + DAYS, count))
    return SendTimeInputs(
        users=rng.integers(0, USERS, count),
        user_ids=np.arange(1, USERS + 1),
        segments=np.full(USERS, -1),
        segment_names=("",),
        hours=rng.integers(7, 22, count),
        days=days,
        opened=(rng.random(count) < np.where(days % 7 == day, 0.2 * gain, 0.2)).astype(np.float64),
        at=days * 86_400_000_000,
        quiet=(),
    )


def test_days_are_counted_from_monday() -> None:
    assert date(2026, 1, 1).weekday() == FIRST % 7


@pytest.mark.parametrize(("gain", "expected"), [(2.0, 2), (1.0, None)])
def test_a_day_is_advised_where_there_is_one(gain: float, expected: int | None) -> None:
    learned = learn_send_times(inputs(gain), seed=1)
    assert learned.weekday == expected
    assert ("Wednesday was best before, and since then" in learned.scores["weekday"]["reason"]) is (gain > 1.0)
