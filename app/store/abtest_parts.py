"""What a test consists of beside its own row, and totals of its own metric: for lists that show a part of each test."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import cast

from app.store.database import Database


class Part(Enum):
    """What is read of a test beside its own row; what is not read is empty."""

    DETAILS = auto()
    """Of its own row, what few lists show: hypothesis, planned size and effect, holdout, winner, its making and end."""
    PLAN = auto()
    """Of its own row, what only decides: statistics' settings, traffic, targeting, guardrails' stops."""
    VARIANTS = auto()
    PAYLOADS = auto()
    """Variants' payloads as objects; else they are `orjson.Fragment`s, to be shown."""
    METRICS = auto()
    ALLOCATION = auto()


type Parts = frozenset[Part]

WHOLE: Parts = frozenset(Part)


type OwnTotals = tuple[int, str, int, int, int, str, str, str]
"""What one variant's units did by the test's own metric: variant id, the metric's kind, units exposed, exposed to more
variants, converted; then decimal digits, in micros for money: sums of values, of their squares, of denominators."""


async def own_totals(database: Database, test_ids: Sequence[int]) -> dict[int, OwnTotals]:
    """Return totals by variant, over slots and segments; variants without exposures are left out."""
    rows = await database.fetch(OWN_TOTALS, list(test_ids))
    return {row[0]: cast("OwnTotals", row) for row in rows}


# Sums of numerics come as text: PostgreSQL's numeric is read far more slowly, and they are whole.
OWN_TOTALS = """
SELECT t.variant_id, m.kind, sum(t.exposed)::bigint, sum(t.multiple_exposed)::bigint,
       sum(t.converted)::bigint, sum(t.value_sum)::text, sum(t.value_squares)::text, sum(t.denominator_sum)::text
FROM ab_test_metric m JOIN test_totals t ON t.test_id = m.test_id AND t.metric_id = m.id
WHERE m.test_id = ANY($1::bigint[]) AND m.position = 0 GROUP BY t.variant_id, m.kind
"""
