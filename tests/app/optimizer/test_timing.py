"""When to send: which row answers, quiet hours, the random slice, and clocks that are put forward and back."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy.stats import binomtest

from app.optimizer.timing import Exploration, Timing, next_at
from app.runtime.clock import ManualClock
from app.store.campaigns import UserRow
from app.store.learned import SendTimeRow, SendTimeRows
from app.store.models.codes import Evidence

DAY = date(2026, 3, 2)


class Rows:
    """Everyone's row, best at 9."""

    async def send_times(self, user_ids, segments) -> SendTimeRows:
        del user_ids, segments
        rates = tuple(0.3 if hour == 9 else 0.1 for hour in range(24))
        row = SendTimeRow(
            user_id=None,
            segment=None,
            hour=9,
            day_of_week=None,
            sends=100,
            open_probability=0.3,
            low=0.2,
            high=0.4,
            by_hour=rates,
            evidence=Evidence.GLOBAL,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return SendTimeRows(by_user={}, by_segment={}, everyone=row)


def user(number: int, timezone: str | None = "UTC") -> UserRow:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    return UserRow(
        id=number,
        external_id=f"u-{number}",
        segment=None,
        timezone=timezone,
        attributes=None,
        latitude=None,
        longitude=None,
        created_at=then,
        updated_at=then,
    )


def timing(share: float, clock: ManualClock | None = None) -> Timing:
    return Timing(Rows(), clock=clock or ManualClock(), exploration=Exploration(share=share))


async def test_nobody_is_explored_unless_the_team_says_so() -> None:
    found = await timing(0.0).send_times([user(n) for n in range(1, 500)])
    assert {(one.hour, one.explored, one.probability) for one in found.values()} == {(9, False, 1.0)}


async def test_a_share_gets_a_random_hour_that_is_not_quiet_with_the_probability_it_says() -> None:
    users, quiet = [user(n) for n in range(1, 8_001)], (0, 1, 2, 3)
    found = list((await timing(0.2).send_times(users, quiet_hours=quiet, on=DAY)).values())
    explored = [one for one in found if one.explored]
    assert binomtest(len(explored), len(found), 0.2).pvalue > 1e-3
    assert {one.hour for one in explored} == set(range(4, 24))
    counts = Counter(one.hour for one in explored)
    expected = len(explored) / 20
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 45  # 99.9 % of chi-squared of 19
    assert [one.probability for one in found] == pytest.approx([0.01 + 0.8 * (one.hour == 9) for one in found])
    weights = np.array([1.0 / one.probability for one in found])
    assert weights[[one.hour == 14 for one in found]].sum() == pytest.approx(8_000, rel=0.3)


async def test_asked_twice_on_a_day_the_answer_is_the_same_and_another_on_another_day() -> None:
    users = [user(n) for n in range(1, 400)]
    [once, again, later] = [await timing(1.0).send_times(users, on=day) for day in (DAY, DAY, DAY + timedelta(days=1))]
    assert [one.hour for one in once.values()] == [one.hour for one in again.values()]
    same = sum(one.hour == other.hour for one, other in zip(once.values(), later.values(), strict=True))
    assert same < len(users) / 8
    assert all(one.reasons[1].startswith("Drawn at random") for one in once.values())


@pytest.mark.parametrize(
    ("weekday", "expected"),
    [(1, "2026-03-09T08:00:00Z"), (2, "2026-03-03T08:00:00Z"), (7, "2026-03-08T08:00:00Z")],
)
def test_on_an_advised_day_of_the_week(weekday: int, expected: str) -> None:
    monday = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    assert next_at(9, ZoneInfo("Europe/Rome"), monday, weekday=weekday) == datetime.fromisoformat(expected)


async def test_the_day_is_the_users_own() -> None:
    clock = ManualClock(datetime(2026, 3, 1, 23, 30, tzinfo=UTC))  # the second of March in Rome
    users = [user(n, "Europe/Rome") for n in range(1, 50)]
    today = await timing(1.0, clock).send_times(users)
    assert [one.hour for one in today.values()] == [
        one.hour for one in (await timing(1.0, clock).send_times(users, on=DAY)).values()
    ]


@pytest.mark.parametrize(
    ("hour", "zone", "now", "expected"),
    [
        (9, "UTC", "2026-03-02T08:59:59Z", "2026-03-02T09:00:00Z"),
        (9, "UTC", "2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"),
        (9, "Europe/Rome", "2026-03-02T08:30:00Z", "2026-03-03T08:00:00Z"),
        (23, "America/Los_Angeles", "2026-03-02T08:00:00Z", "2026-03-03T07:00:00Z"),
        (9, "Asia/Kolkata", "2026-03-02T00:00:00Z", "2026-03-02T03:30:00Z"),
        (9, "Europe/Rome", "2026-03-28T09:00:00Z", "2026-03-29T07:00:00Z"),  # put forward in between
        (2, "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),  # skipped: 3:00 on the clock
        (2, "Europe/Rome", "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z"),  # shown twice: the first
    ],
)
def test_the_next_time_the_clock_shows_the_hour(hour: int, zone: str, now: str, expected: str) -> None:
    moment = datetime.fromisoformat(now)
    assert next_at(hour, ZoneInfo(zone), moment) == datetime.fromisoformat(expected)


async def test_with_a_day_it_is_the_hour_of_that_day() -> None:
    [found] = (await timing(0.0).send_times([user(1, "Asia/Tokyo")], on=date(2026, 3, 29))).values()
    assert found.next_at == datetime(2026, 3, 29, tzinfo=UTC)


async def test_equal_rates_leave_the_models_own_hour() -> None:
    class Flat(Rows):
        async def send_times(self, user_ids, segments) -> SendTimeRows:
            rows = await super().send_times(user_ids, segments)
            flat = SendTimeRow(**{name: getattr(rows.everyone, name) for name in SendTimeRow.__slots__} | FLAT)
            return SendTimeRows(by_user={}, by_segment={}, everyone=flat)

    found = await Timing(Flat(), clock=ManualClock(), exploration=Exploration()).send_times([user(1)])
    assert (found[1].hour, found[1].open_probability) == (17, 0.1)


FLAT = {"by_hour": (0.1,) * 24, "hour": 17, "open_probability": 0.1, "low": 0.05, "high": 0.2}
