"""What clients follow of campaigns: their metrics, as they change."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry

from app.auth.principals import Permission
from app.campaigns.metrics import EVERYTHING, Metrics
from app.errors import NotFound
from app.store.notifications import CAMPAIGN_TOTALS
from graph.campaigns import types
from graph.context import Context
from graph.fields import answers, related
from graph.identifiers import Kind, decode
from graph.live.sources import MaxPerSecond, Source, follows, pause_of

CampaignReference = Annotated[strawberry.ID, strawberry.argument(description="The campaign's id or key.")]


@strawberry.type
class Subscription:
    """Campaigns' part of what can be followed."""

    campaign_metrics: types.CampaignMetrics = related(
        "Everything so far first, then each change.", permission=Permission.READ_ANALYTICS
    )


@answers(Subscription, "campaign_metrics")
async def campaign_metrics(
    context: Context, *, campaign_id: CampaignReference, max_per_second: MaxPerSecond = 1.0
) -> Metrics:
    """Return a campaign's metrics as they stand."""
    del max_per_second
    number = await _number(context, campaign_id)
    return (await context.services.metrics.metrics([number], EVERYTHING))[number]


@follows("campaignMetrics")
async def metrics_source(context: Context, arguments: Mapping[str, Any]) -> Source:
    """Follow a campaign's totals."""
    number = await _number(context, arguments["campaignId"])
    return Source((CAMPAIGN_TOTALS,), str(number), pause_of(arguments))


async def _number(context: Context, reference: str) -> int:
    decoded = decode(Kind.CAMPAIGN, reference)
    found = await context.services.campaigns.campaigns([decoded])
    if decoded not in found:
        raise NotFound(f"There is no campaign {reference!r}: check the id or key.", path=("campaignId",))
    return found[decoded].id
