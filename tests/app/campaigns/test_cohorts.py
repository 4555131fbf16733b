from datetime import date

import pytest

from app.campaigns.cohorts import Cohort, CohortAnalysis
from app.campaigns.metrics import Interval
from app.errors import InvalidInput


@pytest.fixture
def analysis(performance) -> CohortAnalysis:
    return CohortAnalysis(performance)


@pytest.fixture
async def conversions(record) -> None:
    """Ann: Sunday 30 Nov, Monday 1, Tuesday 9 Dec. Bob: Monday 1 and 15. Cyd: Monday 1, and in another campaign."""
    for user, days in {1: ["11-30", "12-01", "12-09"], 2: ["12-01", "12-15"], 3: ["12-01"]}.items():
        for day in days:
            await record("CONVERTED", f"2025-{day}T12:00", user=user)
    await record("CONVERTED", "2025-11-01T12:00", user=3, campaign=2)
    await record("SENT", "2025-10-01T12:00", user=3)


async def test_weeks(analysis: CohortAnalysis, conversions: None) -> None:
    found = await analysis.cohorts([1], periods=4)
    assert found[1] == [
        Cohort(starts_at=date(2025, 11, 24), size=1, retained=[1, 1, 1, 0], retention=[1, 1, 1, 0]),
        Cohort(starts_at=date(2025, 12, 1), size=2, retained=[2, 0, 1, 0], retention=[1, 0, 0.5, 0]),
    ]


async def test_days(analysis: CohortAnalysis, conversions: None) -> None:
    found = await analysis.cohorts([1], Interval.DAY, periods=2)
    assert [(cohort.starts_at, cohort.retained) for cohort in found[1]] == [
        (date(2025, 11, 30), [1, 1]),
        (date(2025, 12, 1), [2, 0]),
    ]


async def test_many_campaigns_are_one_statement(analysis: CohortAnalysis, conversions: None, statements) -> None:
    with statements.watched() as seen:
        found = await analysis.cohorts([1, 2, 3])
    assert len(seen) == 1
    assert [len(found[id_]) for id_ in (1, 2, 3)] == [2, 1, 0]
    assert {len(cohort.retained) for cohort in found[1]} == {8}


async def test_an_earlier_conversion_that_comes_late_moves_its_user(analysis, conversions: None, record) -> None:
    await record("CONVERTED", "2025-11-20T12:00", user=2)
    found = await analysis.cohorts([1], periods=5)
    assert [(cohort.starts_at, cohort.retained) for cohort in found[1]] == [
        (date(2025, 11, 17), [1, 0, 1, 0, 1]),
        (date(2025, 11, 24), [1, 1, 1, 0, 0]),
        (date(2025, 12, 1), [1, 0, 0, 0, 0]),
    ]


@pytest.mark.parametrize(
    ("interval", "periods", "path"),
    [
        (Interval.HOUR, 8, "interval"),
        (Interval.DAY, 0, "periods"),
        (Interval.DAY, -1, "periods"),
        (Interval.WEEK, 367, "periods"),
    ],
)
async def test_what_cannot_be_asked(analysis: CohortAnalysis, interval: Interval, periods: int, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await analysis.cohorts([1], interval, periods=periods)
    assert refused.value.path == (path,)
