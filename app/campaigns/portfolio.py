"""All campaigns together, and the best of them."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from app.campaigns.metrics import (
    Dimension,
    Metrics,
    SegmentPerformance,
    TrendPoint,
    check_length,
    ranked_parts,
    trend,
)
from app.errors import InvalidInput
from app.runtime.clock import Clock
from app.store.campaigns import CampaignStore, check_first
from app.store.currencies import CurrencyStore
from app.store.measures import Measures
from app.store.models.codes import CampaignStatus
from app.store.performance import Breakdown, PerformanceStore
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
class CurrencyPerformance:
    """What the campaigns of one currency did, and how many there are."""

    currency: str
    campaigns: int
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

    def __init__(
        self, store: PerformanceStore, campaigns: CampaignStore, clock: Clock, *, currencies: CurrencyStore
    ) -> None:
        self._store = store
        self._campaigns = campaigns
        self._clock = clock
        self._currencies = currencies

    async def portfolio(self, window: Window = EVERYTHING) -> PortfolioSummary:
        """Return the number of campaigns, of active ones, and the metrics of all together."""
        counts = await self._campaigns.count_by_status()
        measures = await self._store.portfolio(window)
        return PortfolioSummary(
            campaigns=sum(counts.values()), active=counts.get(CampaignStatus.ACTIVE, 0), metrics=self._metrics(measures)
        )

    async def trend(self, interval: Interval = Interval.DAY, *, window: Window = EVERYTHING) -> list[TrendPoint]:
        """Return the trend of all campaigns together; as `CampaignMetrics.trends`."""
        check_length(interval, window)
        parts = await self._store.portfolio_parts(window, by=Breakdown(interval))
        return trend(parts, interval, window=window, as_of=self._clock.now())

    async def by_merchant(self, window: Window = EVERYTHING, *, first: int = 10) -> list[MerchantPerformance]:
        """Return the `first` (1 to 100) merchants with events in the window, highest revenue first, ties by id."""
        check_first(first)
        found = await self._store.merchants(window=window)
        best = sorted(found.items(), key=lambda pair: (-pair[1].revenue_micros, pair[0]))[:first]
        return [
            MerchantPerformance(rank=rank, merchant_id=id_, metrics=self._metrics(measures))
            for rank, (id_, measures) in enumerate(best, start=1)
        ]

    async def by_channel(self, window: Window = EVERYTHING) -> list[SegmentPerformance]:
        """Return the channels with events in the window, ranked as segments are."""
        parts = await self._store.portfolio_parts(window, by=Breakdown.CHANNEL)
        return ranked_parts(parts, Dimension.CHANNEL, as_of=self._clock.now())

    async def by_currency(self, window: Window = EVERYTHING) -> list[CurrencyPerformance]:
        """Return what campaigns did by their currency, in which alone money adds up; most campaigns first."""
        currencies = await self._currencies.of_campaigns()
        measures = await self._store.campaigns(list(currencies), window)
        sums = {currency: Measures() for currency in currencies.values()}
        for campaign_id, found in measures.items():
            sums[currencies[campaign_id]] += found
        counts = Counter(currencies.values())
        return [
            CurrencyPerformance(currency=currency, campaigns=count, metrics=self._metrics(sums[currency]))
            for currency, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ]

    async def top_campaigns(
        self,
        by: CampaignMetric = CampaignMetric.ROI,
        first: int = 10,
        *,
        window: Window = EVERYTHING,
        minimum_sent: int = 0,
    ) -> list[Ranked]:
        """Return the `first` (1 to 100) best campaigns by one metric, ties by id.

        Best is highest, for the cost per conversion lowest. Campaigns without events in the window are left out, those
        whose metric has no value, and those that sent fewer than `minimum_sent`.
        """
        check_first(first)
        if minimum_sent < 0:
            raise InvalidInput("Ask for at least 0 sent.", path=("minimumSent",))
        found = await self._store.top_campaigns(by, first, window=window, minimum_sent=minimum_sent)
        return [Ranked(rank=rank, value=value, campaign_id=id_) for rank, (id_, value) in enumerate(found, start=1)]

    def _metrics(self, measures: Measures) -> Metrics:
        return Metrics(measures=measures, as_of=self._clock.now())
