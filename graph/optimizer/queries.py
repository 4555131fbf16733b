"""Asking for models and advice."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import strawberry

from app.auth.principals import Permission
from app.errors import NotFound
from app.store.campaigns import CampaignRow
from app.store.learned import ModelRow
from app.store.recommendations import RecommendationFilter, RecommendationRow
from graph.campaigns.inputs import After, First
from graph.connections import Connection, Listing, checked_first
from graph.context import Context
from graph.fields import answers, related
from graph.identifiers import Kind, decode
from graph.optimizer import types
from graph.optimizer.enums import ModelKind, RecommendationKind

OfKind = Annotated[ModelKind | None, strawberry.argument(description="Only of this kind; absent: all.")]
AboutKind = Annotated[RecommendationKind | None, strawberry.argument(description="Only of this kind; absent: all.")]
AboutCampaign = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only for this campaign: its id or key; absent: all.")
]


@strawberry.type
class Query:
    """The optimizer's part of what can be asked."""

    recommendations: Connection[types.Recommendation] = related(
        "What is advised now, newest first, in pages.", permission=Permission.READ_MODELS
    )
    models: list[types.TrainedModel] = related(
        "Every version of the models, by kind, newest first.", permission=Permission.READ_MODELS, size=20
    )


@answers(Query, "recommendations")
async def recommendations(
    context: Context,
    *,
    first: First = 20,
    after: After = None,
    kind: AboutKind = None,
    campaign_id: AboutCampaign = None,
) -> Listing[RecommendationRow]:
    """List advice."""
    number = None if campaign_id is None else (await found_campaign(context, campaign_id)).id
    where = RecommendationFilter(kind=kind, campaign_id=number)
    page = await context.services.recommendations.page(checked_first(first), after, where=where)
    return Listing(page=page, count=_count, of=where)


@answers(Query, "models")
async def models(context: Context, *, kind: OfKind = None) -> list[ModelRow]:
    """List versions."""
    return await context.services.learned.models(kind)


async def found_campaign(context: Context, reference: str, *, path: tuple[str, ...] = ("campaignId",)) -> CampaignRow:
    """Return a campaign named by id or key."""
    decoded = decode(Kind.CAMPAIGN, reference)
    found = await context.services.campaigns.campaigns([decoded])
    if decoded not in found:
        raise NotFound(f"There is no campaign {reference!r}: check the id or key.", path=path)
    return found[decoded]


async def _count(context: Context, filters: Sequence[RecommendationFilter]) -> Mapping[RecommendationFilter, int]:
    return {one: await context.services.recommendations.count(one) for one in filters}
