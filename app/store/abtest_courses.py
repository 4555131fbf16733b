"""What tests' units did, by the day on which they were exposed: what a test's course is made of."""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from app.store.database import Database

# Sums of numerics come as text: they are whole numbers past 64 bits.
BY_DAY = """
SELECT u.test_id, u.variant_id, (a.first_exposed_at AT TIME ZONE 'UTC')::date AS day,
       count(*) AS exposed, count(*) FILTER (WHERE u.value > 0) AS converted,
       sum(u.value::numeric)::text AS value_sum, sum(u.value::numeric * u.value)::text AS value_squares,
       sum(u.denominator::numeric)::text AS denominator_sum,
       sum(u.denominator::numeric * u.denominator)::text AS denominator_squares,
       sum(u.value::numeric * u.denominator)::text AS product_sum
FROM ab_test_metric m
JOIN unit_metric u ON u.test_id = m.test_id AND u.metric_id = m.id
JOIN ab_test_assignment a ON a.test_id = u.test_id AND a.user_id = u.user_id
WHERE m.test_id = ANY($1::bigint[]) AND m.position = 0
GROUP BY 1, 2, 3 ORDER BY 1, 3, 2
"""


class DaySums(Struct, frozen=True, kw_only=True):
    """Exact sums over a variant's units first exposed on one day (UTC), by the test's own metric; micros for money."""

    variant_id: int
    day: date
    exposed: int
    converted: int
    value_sum: int
    value_squares: int
    denominator_sum: int
    denominator_squares: int
    product_sum: int


SUMS = tuple(name for name in DaySums.__struct_fields__ if name not in {"variant_id", "day"})


class TestCourses:
    """Reads units by the day of their exposure."""

    __test__ = False

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_day(self, test_ids: Sequence[int]) -> dict[int, list[DaySums]]:
        """Return each test's days, in their order: one statement, whose cost grows with the tests' units."""
        found: dict[int, list[DaySums]] = {test_id: [] for test_id in test_ids}
        for row in await self._database.fetch(BY_DAY, list(test_ids)):
            sums = {name: int(row[name]) for name in SUMS}
            found[row["test_id"]].append(DaySums(variant_id=row["variant_id"], day=row["day"], **sums))
        return found
