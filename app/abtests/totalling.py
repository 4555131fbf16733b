"""What variants' units did by their test's own metric: the part of results that needs no statistics."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from app.abtests.results import VariantTotals
from app.abtests.summarising import MICROS, MONEY
from app.store.abtest_parts import OwnTotals
from app.store.abtests import TestDefinition, VariantRow
from app.store.models.codes import MetricKind
from engine.summaries import mean_and_deviation


class TotalsAlone(Struct, frozen=True, kw_only=True):
    """What `TestResults` has of these names, and nothing else of it."""

    as_of: datetime
    totals: tuple[VariantTotals, ...]


def totals_alone(definition: TestDefinition, own: Mapping[int, OwnTotals], *, as_of: datetime) -> TotalsAlone:
    """Return the totals of a test's variants, in their order, given totals by variant."""
    totals = [_totals(variant, own.get(variant.id)) for variant in definition.variants]
    return TotalsAlone(as_of=as_of, totals=tuple(totals))


def _totals(variant: VariantRow, own: OwnTotals | None) -> VariantTotals:
    if own is None:
        return VariantTotals(variant, 0, 0, 0, None, None)
    _, kind, exposed, multiple, converted, value_sum, squares, denominator = own
    scale = MICROS if kind in MONEY else 1
    mean, deviation = mean_and_deviation(exposed, int(value_sum), squares=int(squares), scale=scale)
    if kind == MetricKind.RATIO:
        mean = _ratio(mean, int(denominator), exposed)
    return VariantTotals(variant, exposed, converted, multiple, mean, deviation)


def _ratio(mean: float | None, denominator: int, exposed: int) -> float | None:
    return mean / (denominator / exposed) if mean is not None and denominator else None
