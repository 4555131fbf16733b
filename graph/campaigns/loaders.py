"""Where campaigns' and merchants' fields come from: one set-based call for all objects of one place in the tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.campaigns.cohorts import Cohort
from app.campaigns.metrics import Dimension, Interval, Metrics, Roi, SegmentPerformance, TrendPoint, Window
from app.campaigns.portfolio import MerchantPerformance, PortfolioSummary, Ranked
from app.errors import InvalidInput
from app.store.campaign_parts import DAYS, MERCHANT, TOTALS, CampaignPart
from app.store.campaigns import CampaignRow, MerchantRow
from app.store.measures import Measures
from graph.campaigns import types
from graph.campaigns.inputs import After, First, InWindow, window_of
from graph.connections import Listing, checked_first
from graph.context import Context
from graph.fields import Along, Parts, loads

MAX_PERIODS = 366

Periods = Annotated[
    int,
    strawberry.argument(
        description=f"How many intervals to follow each cohort, from 1 to {MAX_PERIODS}.", graphql_type=int | None
    ),
]
TrendInterval = Annotated[Interval, strawberry.argument(description="The width of the intervals.")]
CohortInterval = Annotated[Interval, strawberry.argument(description="The width of the intervals: DAY or WEEK.")]
SplitBy = Annotated[Dimension, strawberry.argument(description="What splits the events.")]


@dataclass(frozen=True, slots=True)
class PortfolioIn:
    """All campaigns together, and the window they were summed in."""

    summary: PortfolioSummary
    window: Window


def ids(rows: Sequence[Any]) -> list[int]:
    """Return the rows' numbers, each once."""
    return list(dict.fromkeys(row.id for row in rows))


def taken_along[Value](campaigns: Sequence[CampaignRow], part: CampaignPart[Value]) -> list[Value] | None:
    """Return a part of campaigns that was read along with each of them; None where it was not."""
    written = [campaign.along.get(part) for campaign in campaigns]
    return None if None in written else [part.read(one) for one in written if one is not None]


def _merchant_along(
    _context: Context, campaigns: Sequence[CampaignRow], part: CampaignPart[MerchantRow]
) -> list[MerchantRow] | None:
    return taken_along(campaigns, part)


def _metrics_along(
    context: Context, campaigns: Sequence[CampaignRow], part: CampaignPart[Measures]
) -> list[Metrics] | None:
    totals = taken_along(campaigns, part)
    return None if totals is None else context.services.metrics.of_totals(totals)


def _trend_along(
    context: Context, campaigns: Sequence[CampaignRow], part: CampaignPart[list[tuple[datetime, Measures]]]
) -> list[list[TrendPoint]] | None:
    days = taken_along(campaigns, part)
    return None if days is None else context.services.metrics.of_days(days)


def _totals_part(*, window: InWindow = None) -> CampaignPart[Measures] | None:
    return TOTALS if window is None else None


def _days_part(
    *, interval: TrendInterval = Interval.DAY, window: InWindow = None
) -> CampaignPart[list[tuple[datetime, Measures]]] | None:
    return DAYS if window is None and interval is Interval.DAY else None


@loads(types.Campaign, "merchant", along=Along(lambda: MERCHANT, _merchant_along))
async def campaign_merchants(context: Context, campaigns: Sequence[CampaignRow]) -> list[MerchantRow]:
    """Load whose offers these are."""
    return await _merchants(context, [campaign.merchant_id for campaign in campaigns])


@loads(types.Campaign, "metrics", along=Along(_totals_part, _metrics_along))
async def campaign_metrics(
    context: Context, campaigns: Sequence[CampaignRow], *, window: InWindow = None
) -> list[Metrics]:
    """Load how campaigns did."""
    found = await context.services.metrics.metrics(ids(campaigns), window_of(window))
    return [found[campaign.id] for campaign in campaigns]


@loads(types.Campaign, "segments")
async def campaign_segments(
    context: Context, campaigns: Sequence[CampaignRow], *, window: InWindow = None, by: SplitBy = Dimension.SEGMENT
) -> list[list[SegmentPerformance]]:
    """Load the parts of campaigns' events."""
    found = await context.services.metrics.segments(ids(campaigns), window_of(window), by=by)
    return [found[campaign.id] for campaign in campaigns]


@loads(types.Campaign, "trend", along=Along(_days_part, _trend_along))
async def campaign_trends(
    context: Context,
    campaigns: Sequence[CampaignRow],
    *,
    interval: TrendInterval = Interval.DAY,
    window: InWindow = None,
) -> list[list[TrendPoint]]:
    """Load campaigns' trends."""
    found = await context.services.metrics.trends(ids(campaigns), interval, window=window_of(window))
    return [found[campaign.id] for campaign in campaigns]


@loads(types.Campaign, "roi")
async def campaign_rois(context: Context, campaigns: Sequence[CampaignRow], *, window: InWindow = None) -> list[Roi]:
    """Load campaigns' returns."""
    found = await context.services.metrics.rois(ids(campaigns), window_of(window))
    return [found[campaign.id] for campaign in campaigns]


@loads(types.Campaign, "cohorts")
async def campaign_cohorts(
    context: Context,
    campaigns: Sequence[CampaignRow],
    *,
    interval: CohortInterval = Interval.WEEK,
    periods: Periods = 8,
) -> list[list[Cohort]]:
    """Load campaigns' cohorts."""
    found = await context.services.cohorts.cohorts(ids(campaigns), interval, periods=_checked_periods(periods))
    return [found[campaign.id] for campaign in campaigns]


@loads(types.Merchant, "campaigns")
async def merchant_campaigns(
    context: Context, merchants: Sequence[MerchantRow], *, first: First = 20, after: After = None
) -> list[Listing[CampaignRow]]:
    """Load a page of each merchant's campaigns."""
    pages = await context.services.campaigns.campaign_pages(ids(merchants), checked_first(first), after=after)
    return [Listing(page=pages[merchant.id], count=_count_by_merchant, of=merchant.id) for merchant in merchants]


@loads(types.Merchant, "metrics")
async def merchant_metrics(
    context: Context, merchants: Sequence[MerchantRow], *, window: InWindow = None
) -> list[Metrics]:
    """Load how merchants' campaigns did together."""
    found = await context.services.metrics.merchant_metrics(ids(merchants), window_of(window))
    return [found[merchant.id] for merchant in merchants]


@loads(types.RankedCampaign, "campaign")
async def ranked_campaigns(context: Context, places: Sequence[Ranked], *, parts: Parts) -> list[CampaignRow]:
    """Load the campaigns of a ranking."""
    ids_ranked = [place.campaign_id for place in places]
    found = await context.services.campaigns.campaigns(ids_ranked, parts=parts)
    return [found[place.campaign_id] for place in places]


@loads(types.MerchantPerformance, "merchant")
async def ranked_merchants(context: Context, places: Sequence[MerchantPerformance]) -> list[MerchantRow]:
    """Load the merchants of a ranking."""
    return await _merchants(context, [place.merchant_id for place in places])


@loads(types.Portfolio, "trend")
async def portfolio_trend(
    context: Context, portfolios: Sequence[PortfolioIn], *, interval: TrendInterval = Interval.DAY
) -> list[list[TrendPoint]]:
    """Load the trend of all campaigns together."""
    return [await context.services.portfolio.trend(interval, window=one.window) for one in portfolios]


@loads(types.Portfolio, "by_merchant")
async def portfolio_by_merchant(
    context: Context, portfolios: Sequence[PortfolioIn], *, first: First = 10
) -> list[list[MerchantPerformance]]:
    """Load the merchants with the highest revenue."""
    limit = checked_first(first)
    return [await context.services.portfolio.by_merchant(one.window, first=limit) for one in portfolios]


@loads(types.Portfolio, "by_channel")
async def portfolio_by_channel(context: Context, portfolios: Sequence[PortfolioIn]) -> list[list[SegmentPerformance]]:
    """Load how each channel did."""
    return [await context.services.portfolio.by_channel(one.window) for one in portfolios]


async def _merchants(context: Context, merchant_ids: Sequence[int]) -> list[MerchantRow]:
    found = await context.services.campaigns.merchants(list(dict.fromkeys(merchant_ids)))
    return [found[merchant_id] for merchant_id in merchant_ids]


async def _count_by_merchant(context: Context, merchant_ids: Sequence[int]) -> Mapping[int, int]:
    return await context.services.campaigns.count_campaigns_by_merchant(merchant_ids)


def _checked_periods(periods: int) -> int:
    if not 1 <= periods <= MAX_PERIODS:
        raise InvalidInput(
            f"`periods` must be from 1 to {MAX_PERIODS}, not {periods}: ask for less.", path=("periods",)
        )
    return periods
