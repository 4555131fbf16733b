"""Rows of the optimizer's types where what is stored is not yet what clients see."""

from dataclasses import dataclass
from decimal import Decimal

from app.store.learned import OfferCurveRow, SegmentRankRow
from app.store.triples import estimate_of
from engine.effects import IntervalEstimate


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One amount of a campaign's curve."""

    amount: Decimal
    conversion_rate: IntervalEstimate
    profit_per_user: IntervalEstimate


def curve(row: OfferCurveRow) -> list[CurvePoint]:
    """Return a campaign's curve as it was stored."""
    return [
        CurvePoint(
            Decimal(str(point["amount"])), estimate_of(point["conversion_rate"]), estimate_of(point["profit_per_user"])
        )
        for point in row.curve
    ]


def expected_lift(row: SegmentRankRow) -> IntervalEstimate:
    """Return what sending adds in a segment."""
    return IntervalEstimate(point=row.expected_lift, low=row.low, high=row.high)
