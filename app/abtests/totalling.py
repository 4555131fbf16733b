"""What variants' units did by their test's own metric: the part of results that needs no statistics."""

from datetime import datetime

from msgspec import Struct

from app.abtests.results import VariantTotals
from app.abtests.summarising import MICROS, MONEY
from app.store.abtest_rows import OwnTotals, TestDefinition, VariantRow
from app.store.models.codes import MetricKind
from engine.summaries import mean_and_deviation


class TotalsAlone(Struct, frozen=True, gc=False, kw_only=True):
    """What `TestResults` has of these names, and nothing else of it."""

    as_of: datetime
    totals: tuple[VariantTotals, ...]


_SCALES = {kind: MICROS if kind in MONEY else 1 for kind in MetricKind}


def totals_alone(definition: TestDefinition, *, as_of: datetime) -> TotalsAlone:
    """Return the totals of a test's variants, in their order, given its own totals."""
    own = {one.variant_id: one for one in definition.own_totals or ()}
    totals = [_totals(variant, own.get(variant.id)) for variant in definition.variants]
    return TotalsAlone(as_of=as_of, totals=tuple(totals))


def _totals(variant: VariantRow, own: OwnTotals | None) -> VariantTotals:
    if own is None:
        return VariantTotals(variant, 0, 0, 0, None, None)
    exposed, kind = own.exposed, own.kind
    mean, deviation = mean_and_deviation(exposed, own.value_sum, squares=own.value_squares, scale=_SCALES[kind])
    if kind is MetricKind.RATIO:
        mean = _ratio(mean, own.denominator_sum, exposed)
    return VariantTotals(variant, exposed, own.converted, own.multiple_exposed, mean, deviation)


def _ratio(mean: float | None, denominator: int, exposed: int) -> float | None:
    return mean / (denominator / exposed) if mean is not None and denominator else None
