"""What a test consists of beside its own row, and totals of its own metric: for lists that show a part of each test."""

from collections.abc import Sequence
from enum import Enum, auto

from msgspec import Struct

from app.store.database import Database
from app.store.models.codes import MetricKind


class Part(Enum):
    """What is read of a test beside its own row; what is not read is empty."""

    VARIANTS = auto()
    METRICS = auto()
    ALLOCATION = auto()


type Parts = frozenset[Part]

WHOLE: Parts = frozenset(Part)


class OwnTotals(Struct, frozen=True, kw_only=True):
    """What one variant's units did by the test's own metric; sums in micros for money, else whole numbers."""

    test_id: int
    variant_id: int
    kind: MetricKind
    exposed: int
    multiple_exposed: int
    converted: int
    value_sum: int
    value_squares: int
    denominator_sum: int


async def own_totals(database: Database, test_ids: Sequence[int]) -> dict[int, dict[int, OwnTotals]]:
    """Return totals by test and variant, over slots and segments; variants without exposures are left out."""
    found: dict[int, dict[int, OwnTotals]] = {}
    for test, variant, kind, exposed, multiple, converted, value, squares, denominator in await database.fetch(
        OWN_TOTALS, list(test_ids)
    ):
        found.setdefault(test, {})[variant] = OwnTotals(
            test_id=test,
            variant_id=variant,
            kind=MetricKind(kind),
            exposed=exposed,
            multiple_exposed=multiple,
            converted=converted,
            value_sum=int(value),
            value_squares=int(squares),
            denominator_sum=int(denominator),
        )
    return found


# Sums of numerics come as text: PostgreSQL's numeric is read far more slowly, and they are whole.
OWN_TOTALS = """
SELECT t.test_id, t.variant_id, m.kind, sum(t.exposed)::bigint, sum(t.multiple_exposed)::bigint,
       sum(t.converted)::bigint, sum(t.value_sum)::text, sum(t.value_squares)::text, sum(t.denominator_sum)::text
FROM ab_test_metric m JOIN test_totals t ON t.test_id = m.test_id AND t.metric_id = m.id
WHERE m.test_id = ANY($1::bigint[]) AND m.position = 0 GROUP BY t.test_id, t.variant_id, m.kind
"""
