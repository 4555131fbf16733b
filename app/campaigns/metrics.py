"""How campaigns perform: counts, the seven calculated metrics, segments, trends and return.

Everything takes many ids at once and answers by id, in a number of statements that does not depend on how many. An id
without events gets zeros. Windows are half open, exact to the instant, in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.runtime.clock import Clock
from app.store.measures import Measures
from app.store.performance import PerformanceStore
from app.store.windows import EVERYTHING, Interval, Window

__all__ = [
    "EVERYTHING",
    "CampaignMetrics",
    "Dimension",
    "Interval",
    "Measures",
    "Metrics",
    "Roi",
    "SegmentPerformance",
    "TrendPoint",
    "Window",
]


class Dimension(StrEnum):
    """What segments split a campaign's events by (the contract's SegmentDimension)."""

    SEGMENT = "SEGMENT"
    CHANNEL = "CHANNEL"
    HOUR_OF_DAY = "HOUR_OF_DAY"
    DAY_OF_WEEK = "DAY_OF_WEEK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Measures and what is calculated from them. A rate is None where its denominator is 0. Money is exact and unrounded."""

    measures: Measures
    as_of: datetime

    @property
    def revenue(self) -> Decimal:
        """Return the value of all conversions, in the campaign's currency."""
        raise NotImplementedError

    @property
    def cost(self) -> Decimal:
        """Return rewards paid and delivery together, in the campaign's currency."""
        raise NotImplementedError

    @property
    def delivery_rate(self) -> float | None:
        """Return delivered / sent."""
        raise NotImplementedError

    @property
    def open_rate(self) -> float | None:
        """Return opened / delivered."""
        raise NotImplementedError

    @property
    def click_through_rate(self) -> float | None:
        """Return clicked / opened."""
        raise NotImplementedError

    @property
    def conversion_rate(self) -> float | None:
        """Return converted / delivered."""
        raise NotImplementedError

    @property
    def average_order_value(self) -> Decimal | None:
        """Return revenue / converted."""
        raise NotImplementedError

    @property
    def cost_per_conversion(self) -> Decimal | None:
        """Return cost / converted."""
        raise NotImplementedError

    @property
    def roi(self) -> float | None:
        """Return (revenue - cost) / cost."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPerformance:
    """One part of a campaign's events; `segment` is "(none)" where the events name none."""

    segment: str
    rank: int
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """One interval of a trend; `starts_at` is the aligned start of the interval, even where the window starts within it."""

    starts_at: datetime
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """Return on what was spent. Money is exact and unrounded, in the campaign's currency."""

    revenue: Decimal
    reward_cost: Decimal
    delivery_cost: Decimal
    profit: Decimal
    roi: float | None
    break_even_conversions: int | None


class CampaignMetrics:
    """Reads performance of campaigns and merchants."""

    def __init__(self, store: PerformanceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def metrics(self, campaign_ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Metrics]:
        """Return each campaign's metrics."""
        raise NotImplementedError

    async def merchant_metrics(self, merchant_ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Metrics]:
        """Return each merchant's metrics: all its campaigns together."""
        raise NotImplementedError

    async def segments(
        self, campaign_ids: Sequence[int], window: Window = EVERYTHING, *, by: Dimension = Dimension.SEGMENT
    ) -> dict[int, list[SegmentPerformance]]:
        """Return each campaign's parts that have events, best conversion rate first; those without a rate come last.

        Channels are named as in the contract, hours "00" to "23", days "MONDAY" to "SUNDAY", both in UTC.
        """
        raise NotImplementedError

    async def trends(
        self, campaign_ids: Sequence[int], interval: Interval = Interval.DAY, *, window: Window = EVERYTHING
    ) -> dict[int, list[TrendPoint]]:
        """Return each campaign's trend without gaps: an interval without events is zeros.

        An open end of the window reaches to the first, or the last, interval with events.
        Raises InvalidInput where a trend would have more than 5,000 points.
        """
        raise NotImplementedError

    async def rois(self, campaign_ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Roi]:
        """Return each campaign's return on what was spent."""
        raise NotImplementedError
