"""Where the optimizer's fields come from: one set-based call for all objects of one place in the tree."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import strawberry

from app.errors import NotEnoughData
from app.optimizer.affinities import Affinity
from app.optimizer.distances import checked_place
from app.optimizer.recommending import RecommendedOffer
from app.optimizer.timing import SendTime
from app.store.abtest_rows import TestDefinition
from app.store.campaigns import CampaignRow, UserRow
from app.store.learned import EffectRow, OfferCurveRow, SegmentRankRow
from app.store.models.codes import ModelKind
from app.store.recommendations import RecommendationRow
from graph.campaigns.inputs import First
from graph.campaigns.loaders import ids
from graph.campaigns.types import Campaign, User
from graph.connections import checked_first
from graph.context import Context
from graph.fields import loads
from graph.optimizer import types

QuietHours = Annotated[
    list[int] | None,
    strawberry.argument(description="Local hours, 0 to 23, at which nothing is sent; absent: the server's setting."),
]
OnDay = Annotated[
    date | None,
    strawberry.argument(
        description="The day of sending on the user's calendar, which decides whether and which random hour is drawn; "
        "absent: today."
    ),
]
Latitude = Annotated[
    float | None, strawberry.argument(description="Where the user is now, WGS 84 degrees; absent: not said.")
]
Longitude = Annotated[
    float | None, strawberry.argument(description="Where the user is now, WGS 84 degrees; absent: not said.")
]


@loads(User, "send_time")
async def send_times(
    context: Context, users: Sequence[UserRow], *, quiet_hours: QuietHours = None, on: OnDay = None
) -> list[SendTime | NotEnoughData]:
    """Load when to send to users."""
    found = await context.services.timing.send_times(users, quiet_hours=quiet_hours, on=on)
    return [found[user.id] for user in users]


@loads(User, "affinities")
async def affinities(
    context: Context,
    users: Sequence[UserRow],
    *,
    first: First = 3,
    latitude: Latitude = None,
    longitude: Longitude = None,
) -> list[list[Affinity]]:
    """Load users' merchants."""
    place = checked_place(latitude, longitude)
    found = await context.services.affinities.affinities(users, first=checked_first(first), place=place)
    return [found[user.id] for user in users]


@loads(User, "recommended_campaigns")
async def recommended_campaigns(
    context: Context,
    users: Sequence[UserRow],
    *,
    first: First = 5,
    latitude: Latitude = None,
    longitude: Longitude = None,
) -> list[list[RecommendedOffer]]:
    """Load users' live offers."""
    place = checked_place(latitude, longitude)
    found = await context.services.recommending.offers(users, first=checked_first(first), place=place)
    return [found[user.id] for user in users]


@loads(Campaign, "offer_recommendation")
async def offer_recommendations(context: Context, campaigns: Sequence[CampaignRow]) -> list[OfferCurveRow | None]:
    """Load campaigns' amounts."""
    found = await context.services.learned.offer_curves(ids(campaigns))
    return [found.get(campaign.id) for campaign in campaigns]


@loads(Campaign, "offer_refusal")
async def offer_refusals(context: Context, campaigns: Sequence[CampaignRow]) -> list[str | None]:
    """Load why campaigns have no amount."""
    found = await context.services.learned.refusals(ModelKind.OFFER, ids(campaigns))
    return [found.get(campaign.id) for campaign in campaigns]


@loads(Campaign, "segment_refusal")
async def segment_refusals(context: Context, campaigns: Sequence[CampaignRow]) -> list[str | None]:
    """Load why campaigns' segments are not ranked."""
    found = await context.services.learned.refusals(ModelKind.RESPONSE, ids(campaigns))
    return [found.get(campaign.id) for campaign in campaigns]


@loads(Campaign, "sending_effect")
async def sending_effects(context: Context, campaigns: Sequence[CampaignRow]) -> list[EffectRow | None]:
    """Load what sending campaigns changes."""
    found = await context.services.learned.effects(ids(campaigns))
    return [found.get(campaign.id) for campaign in campaigns]


@loads(Campaign, "sending_effect_refusal")
async def sending_effect_refusals(context: Context, campaigns: Sequence[CampaignRow]) -> list[str | None]:
    """Load why it is not known what sending campaigns changes."""
    found = await context.services.learned.effect_refusals(ids(campaigns))
    return [found.get(campaign.id) for campaign in campaigns]


@loads(Campaign, "segment_ranking")
async def segment_rankings(context: Context, campaigns: Sequence[CampaignRow]) -> list[list[SegmentRankRow]]:
    """Load campaigns' segments."""
    found = await context.services.learned.segment_ranks(ids(campaigns))
    return [found.get(campaign.id, []) for campaign in campaigns]


@loads(Campaign, "recommendations")
async def campaign_recommendations(context: Context, campaigns: Sequence[CampaignRow]) -> list[list[RecommendationRow]]:
    """Load what is advised for campaigns."""
    found = await context.services.recommendations.of_campaigns(ids(campaigns))
    return [found[campaign.id] for campaign in campaigns]


@loads(types.OfferRecommendation, "campaign")
async def offer_campaigns(context: Context, curves: Sequence[OfferCurveRow]) -> list[CampaignRow]:
    """Load whose amounts these are."""
    found = await context.services.campaigns.campaigns([curve.campaign_id for curve in curves])
    return [found[curve.campaign_id] for curve in curves]


@loads(types.Recommendation, "campaign")
async def advised_campaigns(context: Context, advice: Sequence[RecommendationRow]) -> list[CampaignRow | None]:
    """Load what recommendations are about."""
    wanted = {one.campaign_id for one in advice if one.campaign_id is not None}
    found = await context.services.campaigns.campaigns(list(wanted))
    return [None if one.campaign_id is None else found.get(one.campaign_id) for one in advice]


@loads(types.Recommendation, "test")
async def advised_tests(context: Context, advice: Sequence[RecommendationRow]) -> list[TestDefinition | None]:
    """Load the tests that recommendations are about."""
    wanted = {one.test_id for one in advice if one.test_id is not None}
    found = await context.services.tests.definitions(wanted)
    return [None if one.test_id is None else found.get(one.test_id) for one in advice]
