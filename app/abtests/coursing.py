"""A test's course: what its results would have said at the end of each day, by the units exposed until then.

Units count with all they did until now, so that the last point is the present result; earlier ones differ from what a
looker saw then by what their units did later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.abtests.results import Question, compare_schools
from app.abtests.summarising import MetricTotals, metric_of
from app.runtime.clock import Clock
from app.store.abtest_courses import SUMS, DaySums, TestCourses
from app.store.abtest_rows import TestDefinition, TotalsRow
from engine.frequentist.results import FrequentistResult
from engine.sequential.comparing import SequentialResult

MOST_POINTS = 120
"""Longer courses are drawn by several days at once: more points are more than a screen shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursePoint:
    """The comparison at one time, of the units exposed before; None where there were too few."""

    definition: TestDefinition
    at: datetime
    exposed: int
    frequentist: FrequentistResult | None
    sequential: SequentialResult | None


class Coursing:
    """Computes the courses of tests."""

    def __init__(self, courses: TestCourses, *, clock: Clock) -> None:
        self._courses = courses
        self._clock = clock

    async def courses(self, definitions: Mapping[int, TestDefinition]) -> dict[int, list[CoursePoint]]:
        """Return each test's points, in the order of time; none where nobody was exposed."""
        now = self._clock.now()
        by_day = await self._courses.by_day(list(definitions))
        return {test_id: course(definition, by_day[test_id], now=now) for test_id, definition in definitions.items()}


def course(definition: TestDefinition, days: Sequence[DaySums], *, now: datetime) -> list[CoursePoint]:
    """Return the points of one test: at the end of each day from its first exposure to its last."""
    if not days:
        return []
    sums = {variant.id: dict.fromkeys(SUMS, 0) for variant in definition.variants}
    points: list[CoursePoint] = []
    remaining = list(days)
    for last in _last_days(days[0].day, days[-1].day):
        while remaining and remaining[0].day <= last:
            _add(sums[remaining[0].variant_id], remaining.pop(0))
        end = datetime.combine(last + timedelta(days=1), time(), UTC)
        points.append(_point(definition, sums, at=min(end, now)))
    return points


def _last_days(first: date, last: date) -> list[date]:
    """Return the days at whose end a point lies; the last one always."""
    length = (last - first).days + 1
    step = -(-length // MOST_POINTS)
    return [last - timedelta(days=back) for back in range(0, length, step)][::-1]


def _add(sums: dict[str, int], day: DaySums) -> None:
    for name in SUMS:
        sums[name] += getattr(day, name)


def _point(definition: TestDefinition, sums: Mapping[int, Mapping[str, int]], *, at: datetime) -> CoursePoint:
    metric = metric_of(definition, None)
    rows = tuple(_row(definition, metric.id, variant.id, sums[variant.id]) for variant in definition.variants)
    totals = MetricTotals(metric=metric, variants=definition.variants, rows=rows)
    question = Question(metric=metric, level=definition.test.confidence_level)
    frequentist, sequential = compare_schools(definition, question, totals)
    return CoursePoint(
        definition=definition,
        at=at,
        exposed=sum(totals.exposed),
        frequentist=frequentist,
        sequential=sequential,
    )


def _row(definition: TestDefinition, metric_id: int, variant_id: int, sums: Mapping[str, int]) -> TotalsRow:
    return TotalsRow(
        test_id=definition.test.id,
        metric_id=metric_id,
        variant_id=variant_id,
        segment=None,
        multiple_exposed=0,
        covariate_sum=0,
        covariate_squares=0,
        covariate_product=0,
        log_sum=0,
        log_squares=0,
        **sums,
    )
