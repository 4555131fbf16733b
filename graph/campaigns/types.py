"""What clients see of merchants, campaigns and how they perform."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any

import strawberry

from app.auth.principals import Permission
from app.campaigns.metrics import Dimension, Interval
from app.campaigns.portfolio import CampaignMetric
from app.store.campaigns import CampaignOrder
from app.store.models import codes
from app.store.models.codes import CampaignStatus
from graph.connections import Connection
from graph.fields import reading, related
from graph.identifiers import Identified, Kind
from graph.scalars import Amount, BigInt

strawberry.enum(CampaignStatus, description="A campaign's place in its life.")
strawberry.enum(
    Interval, description="The width of a trend's or a cohort's intervals, aligned in UTC; weeks start on Monday."
)
strawberry.enum(
    Dimension, name="SegmentDimension", description="What segments split a campaign's events by; hours and days in UTC."
)
strawberry.enum(
    CampaignMetric,
    description="What campaigns are ranked by: the highest first, for the cost per conversion the lowest.",
)
strawberry.enum(
    CampaignOrder,
    description="The order of campaigns: NAME and STARTS_AT ascending, the others descending; without a value last.",
)


@strawberry.enum(description="How an offer reaches a user.")
class Channel(Enum):
    """The contract's channels."""

    PUSH = codes.Channel.PUSH
    EMAIL = codes.Channel.EMAIL
    SMS = codes.Channel.SMS
    IN_APP = codes.Channel.IN_APP


def _id(kind: Kind) -> Any:
    return reading("Opaque id, usable wherever an id is asked for.", Identified(kind))


def _measure(name: str, description: str) -> Any:
    return reading(description, attrgetter(f"measures.{name}"))


@strawberry.type(description="Counts of a campaign's events, and the seven metrics calculated from them.")
class CampaignMetrics:
    """The row is an `app.campaigns.metrics.Metrics`."""

    sent: BigInt = _measure("sent", "Messages sent, a count.")
    delivered: BigInt = _measure("delivered", "Messages delivered, a count.")
    opened: BigInt = _measure("opened", "Messages opened, a count.")
    clicked: BigInt = _measure("clicked", "Messages clicked, a count.")
    activated: BigInt = _measure("activated", "Offers activated, a count.")
    converted: BigInt = _measure("converted", "Conversions, a count.")
    geofence_entries: BigInt = _measure("geofence_entries", "Times a user came near the merchant, a count.")
    revenue: Decimal = reading("Value of all conversions, money.", Amount("measures.revenue_micros"))
    cost: Decimal = reading(
        "Cash-back paid for conversions plus cost of delivery, money.", Amount("measures.cost_micros")
    )
    delivery_rate: float | None = reading("delivered / sent, a fraction; null when nothing was sent.")
    open_rate: float | None = reading("opened / delivered, a fraction; null when nothing was delivered.")
    click_through_rate: float | None = reading("clicked / opened, a fraction; null when nothing was opened.")
    conversion_rate: float | None = reading("converted / delivered, a fraction; null when nothing was delivered.")
    average_order_value: Decimal | None = reading("revenue / converted, money; null when nothing was converted.")
    cost_per_conversion: Decimal | None = reading("cost / converted, money; null when nothing was converted.")
    roi: float | None = reading("(revenue - cost) / cost, a fraction; null when nothing was spent.")
    as_of: datetime = reading("When these figures were read, UTC.")


@strawberry.type(description="One part of a campaign's events.")
class SegmentPerformance:
    """The row is an `app.campaigns.metrics.SegmentPerformance`."""

    segment: str = reading(
        'The segment, channel, hour ("00" to "23") or day ("MONDAY"); "(none)" where events name none.'
    )
    rank: int = reading("Place by conversion rate, 1 is best; parts without a rate come last.")
    metrics: CampaignMetrics = reading("What happened in this part.")


@strawberry.type(description="One interval of a trend.")
class TrendPoint:
    """The row is an `app.campaigns.metrics.TrendPoint`."""

    starts_at: datetime = reading("Start of the interval, UTC.")
    metrics: CampaignMetrics = reading("What happened in the interval, as far as it lies in the window.")


@strawberry.type(description="Return on what a campaign cost.")
class Roi:
    """The row is an `app.campaigns.metrics.Roi`."""

    revenue: Decimal = reading("Value of all conversions, money.")
    reward_cost: Decimal = reading("Cash-back paid for conversions, money.")
    delivery_cost: Decimal = reading("Cost of sending and everything else but cash-back, money.")
    profit: Decimal = reading("revenue - rewardCost - deliveryCost, money.")
    roi: float | None = reading("profit / (rewardCost + deliveryCost), a fraction; null when nothing was spent.")
    break_even_conversions: int | None = reading(
        "How many conversions pay for the delivery at the mean margin so far, a count; null without a positive margin."
    )


@strawberry.type(description="The users whose first conversion in the campaign fell into one interval.")
class Cohort:
    """The row is an `app.campaigns.cohorts.Cohort`."""

    starts_at: date = reading("First day of the interval, UTC.")
    size: int = reading("Users in the cohort, a count.")
    retained: list[int] = reading(
        "Users who converted in the k-th interval after the first, counts; the first is size."
    )
    retention: list[float] = reading("retained / size, fractions.")


@strawberry.type(description="A shop whose campaigns are run.")
class Merchant:
    """The row is an `app.store.campaigns.MerchantRow`."""

    id: strawberry.ID = _id(Kind.MERCHANT)
    key: str = reading("The merchant's slug, unique, usable as its id.")
    name: str = reading("Name for people.")
    category: str = reading("What the merchant sells.")
    latitude: float | None = reading("WGS 84 degrees; null where it has no place.")
    longitude: float | None = reading("WGS 84 degrees; null where it has no place.")
    campaigns: Connection["Campaign"] = related("The merchant's campaigns, newest first.")
    metrics: CampaignMetrics = related(
        "All its campaigns together; without a window everything so far.", permission=Permission.READ_ANALYTICS
    )


@strawberry.type(description="An offer sent to users over channels.")
class Campaign:
    """The row is an `app.store.campaigns.CampaignRow`."""

    id: strawberry.ID = _id(Kind.CAMPAIGN)
    key: str = reading("The campaign's slug, unique, usable as its id.")
    name: str = reading("Name for people.")
    merchant: Merchant = related("Whose offer it is.")
    status: CampaignStatus = reading("The campaign's place in its life.")
    channels: list[Channel] = reading(
        "How the offer reaches users.", lambda row: [Channel(one) for one in row.channels]
    )
    offer_amount: Decimal = reading("Cash-back promised for a conversion, money.")
    currency: str = reading("ISO 4217 code of the campaign's money.")
    budget: Decimal | None = reading("What may be spent in all, money; null when unlimited.")
    starts_at: datetime | None = reading("When it starts, UTC; null when not scheduled.")
    ends_at: datetime | None = reading("When it ends, UTC; null when open.")
    created_at: datetime = reading("When it was created, UTC.")
    metrics: CampaignMetrics = related(
        "Counts and calculated metrics; without a window everything so far.", permission=Permission.READ_ANALYTICS
    )
    segments: list[SegmentPerformance] = related(
        "The campaign's events in parts, ranked by conversion rate, best first.",
        permission=Permission.READ_ANALYTICS,
        size=10,
    )
    trend: list[TrendPoint] = related(
        "Metrics by interval, without gaps: empty intervals are zeros; at most 5,000 points.",
        permission=Permission.READ_ANALYTICS,
        size=90,
    )
    roi: Roi = related("Return on what was spent.", permission=Permission.READ_ANALYTICS)
    cohorts: list[Cohort] = related(
        "Users by the interval of their first conversion, earliest first, and who converted again.",
        permission=Permission.READ_ANALYTICS,
        size=12,
    )


@strawberry.type(description="A campaign's place by one metric.")
class RankedCampaign:
    """The row is an `app.campaigns.portfolio.Ranked`."""

    rank: int = reading("Place, 1 is best.")
    value: float = reading("The metric's value: a fraction, a count, or money in the campaign's currency.")
    campaign: Campaign = related("The campaign itself.")


@strawberry.type(description="A merchant's place by revenue.")
class MerchantPerformance:
    """The row is an `app.campaigns.portfolio.MerchantPerformance`."""

    rank: int = reading("Place, 1 is best.")
    merchant: Merchant = related("The merchant itself.")
    metrics: CampaignMetrics = reading("All its campaigns together.")


@strawberry.type(description="All campaigns together.")
class Portfolio:
    """The row is a `graph.campaigns.loaders.PortfolioIn`."""

    campaigns: int = reading("Campaigns there are, a count.", lambda row: row.summary.campaigns)
    active: int = reading("Campaigns whose status is ACTIVE, a count.", lambda row: row.summary.active)
    metrics: CampaignMetrics = reading("All campaigns' events in the window.", lambda row: row.summary.metrics)
    trend: list[TrendPoint] = related("Metrics by interval in the window, without gaps.", size=90)
    by_merchant: list[MerchantPerformance] = related(
        "Merchants with events in the window, highest revenue first.", size=10
    )
    by_channel: list[SegmentPerformance] = related(
        "Channels with events in the window, best conversion rate first.", size=5
    )


@strawberry.type(description="A person who gets offers.")
class User:
    """The row is an `app.store.campaigns.UserRow`."""

    id: strawberry.ID = _id(Kind.USER)
    external_id: str = reading("The caller's own id of this person.")
    segment: str | None = reading("The segment the user belongs to now; null when to none.")
    timezone: str | None = reading("IANA time zone; null when unknown.")
