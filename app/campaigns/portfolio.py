"""All campaigns together, and the best of them."""

from dataclasses import dataclass
from enum import StrEnum

from app.campaigns.metrics import Metrics, SegmentPerformance, TrendPoint
from app.runtime.clock import Clock
from app.store.campaigns import CampaignStore
from app.store.performance import PerformanceStore
from app.store.windows import EVERYTHING, Interval, Window


class CampaignMetric(StrEnum):
    """What campaigns can be ranked by."""

    DELIVERY_RATE = "DELIVERY_RATE"
    OPEN_RATE = "OPEN_RATE"
    CLICK_THROUGH_RATE = "CLICK_THROUGH_RATE"
    CONVERSION_RATE = "CONVERSION_RATE"
    AVERAGE_ORDER_VALUE = "AVERAGE_ORDER_VALUE"
    COST_PER_CONVERSION = "COST_PER_CONVERSION"
    ROI = "ROI"
    REVENUE = "REVENUE"
    CONVERTED = "CONVERTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioSummary:
    """How many campaigns there are and run, and what all of them did."""

    campaigns: int
    active: int
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantPerformance:
    """A merchant's place by revenue."""

    rank: int
    merchant_id: int
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A campaign's place by one metric; money is in the campaign's currency."""

    rank: int
    value: float
    campaign_id: int


class PortfolioAnalysis:
    """Reads what all campaigns did together, and ranks them."""

    def __init__(self, store: PerformanceStore, campaigns: CampaignStore, clock: Clock) -> None:
        self._store = store
        self._campaigns = campaigns
        self._clock = clock

    async def portfolio(self, window: Window = EVERYTHING) -> PortfolioSummary:
        """Return the number of campaigns, of active ones, and the metrics of all together."""
        raise NotImplementedError

    async def trend(self, interval: Interval = Interval.DAY, *, window: Window = EVERYTHING) -> list[TrendPoint]:
        """Return the trend of all campaigns together; as `CampaignMetrics.trends`."""
        raise NotImplementedError

    async def by_merchant(self, window: Window = EVERYTHING, *, first: int = 10) -> list[MerchantPerformance]:
        """Return the `first` (1 to 100) merchants with events in the window, highest revenue first, ties by id."""
        raise NotImplementedError

    async def by_channel(self, window: Window = EVERYTHING) -> list[SegmentPerformance]:
        """Return the channels with events in the window, ranked as segments are."""
        raise NotImplementedError

    async def top_campaigns(
        self,
        by: CampaignMetric = CampaignMetric.ROI,
        first: int = 10,
        *,
        window: Window = EVERYTHING,
        minimum_sent: int = 0,
    ) -> list[Ranked]:
        """Return the `first` (1 to 100) best campaigns by one metric, ties by id.

        Best is highest, for the cost per conversion lowest. Campaigns whose metric has no value are left out, and those
        that sent fewer than `minimum_sent` in the window.
        """
        raise NotImplementedError
