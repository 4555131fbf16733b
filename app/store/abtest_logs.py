"""What tests decided and what came of it, unit by unit."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedValues:
    """Units of one variant with the same probability and value (in micros for money)."""

    test_id: int
    variant_id: int
    probability: float
    value: int
    units: int


class TestLogs:
    """Reads the logs of tests."""

    __test__ = False

    def __init__(self, database: Database) -> None:
        self._database = database

    async def values(self, test_ids: Sequence[int]) -> dict[int, list[LoggedValues]]:
        """Return what exposed units were given, with what probability, and what they did in their test's metric."""
        found: dict[int, list[LoggedValues]] = {test_id: [] for test_id in test_ids}
        for row in await self._database.fetch(LOGGED_VALUES, list(test_ids)):
            found[row["test_id"]].append(LoggedValues(**dict(row)))
        return found


LOGGED_VALUES = """
SELECT a.test_id, a.variant_id, a.probability, u.value, count(*) AS units
FROM ab_test_assignment a
JOIN ab_test_metric m ON m.test_id = a.test_id AND m.position = 0
JOIN unit_metric u ON u.test_id = a.test_id AND u.metric_id = m.id AND u.user_id = a.user_id
WHERE a.test_id = ANY($1::bigint[]) AND a.first_exposed_at IS NOT NULL
GROUP BY a.test_id, a.variant_id, a.probability, u.value
ORDER BY a.test_id, a.variant_id, a.probability, u.value
"""
