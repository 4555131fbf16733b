"""Where clients start reading: campaigns, merchants, users, the portfolio."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import strawberry

from app.auth.principals import Permission
from app.campaigns.portfolio import CampaignMetric, Ranked
from app.errors import InvalidInput, NotFound
from app.store.campaigns import ALL_CAMPAIGNS, CampaignFilter, CampaignOrder, CampaignRow, MerchantRow, UserRow
from graph.campaigns import types
from graph.campaigns.inputs import After, CampaignFilterInput, First, InWindow, filter_of, window_of
from graph.campaigns.loaders import PortfolioIn
from graph.connections import Connection, Listing, checked_first
from graph.context import Context
from graph.fields import Parts, answers, related
from graph.identifiers import Kind, decode

Reference = Annotated[strawberry.ID, strawberry.argument(description="Its id or key.")]
UserReference = Annotated[strawberry.ID, strawberry.argument(description="The caller's own id of the user, or its id.")]
Where = Annotated[
    CampaignFilterInput | None, strawberry.argument(name="filter", description="Which ones; absent: all.")
]
OrderBy = Annotated[CampaignOrder | None, strawberry.argument(name="orderBy", description="Absent: NEWEST.")]
Best = Annotated[CampaignMetric, strawberry.argument(description="What to rank by.")]
MinimumSent = Annotated[
    int,
    strawberry.argument(
        description="Leave out campaigns that sent fewer messages in the window, a count.", graphql_type=int | None
    ),
]


@strawberry.type
class Query:
    """Campaigns' part of what can be asked."""

    campaign: types.Campaign | None = related(
        "A campaign by id or key; null, with an error NOT_FOUND, where there is none.",
        permission=Permission.READ_CATALOGUE,
    )
    campaigns: Connection[types.Campaign] = related("Campaigns, in pages.", permission=Permission.READ_CATALOGUE)
    top_campaigns: list[types.RankedCampaign] = related(
        "The best campaigns by one metric; those whose metric has no value are left out.",
        permission=Permission.READ_ANALYTICS,
    )
    portfolio: types.Portfolio = related("All campaigns together.", permission=Permission.READ_ANALYTICS)
    merchant: types.Merchant | None = related(
        "A merchant by id or key; null, with an error NOT_FOUND, where there is none.",
        permission=Permission.READ_CATALOGUE,
    )
    merchants: Connection[types.Merchant] = related(
        "Merchants, newest first, in pages.", permission=Permission.READ_CATALOGUE
    )
    user: types.User | None = related(
        "The person who gets offers; null, with an error NOT_FOUND, where there is none.",
        permission=Permission.READ_USERS,
    )


@answers(Query, "campaign")
async def campaign(context: Context, *, id: Reference, parts: Parts) -> CampaignRow:  # noqa: A002  # the contract's name
    """Find a campaign."""
    reference = decode(Kind.CAMPAIGN, id)
    found = await context.services.campaigns.campaigns([reference], parts=parts)
    return _found(found, (reference,), f"campaign {id!r}")


@answers(Query, "campaigns")
async def campaigns(
    context: Context,
    *,
    first: First = 20,
    after: After = None,
    where: Where = None,
    order: OrderBy = None,
    parts: Parts,
) -> Listing[CampaignRow]:
    """List campaigns."""
    conditions = ALL_CAMPAIGNS if where is None else await _conditions(context, where)
    page = await context.services.campaigns.campaign_page(
        checked_first(first),
        after,
        where=conditions,
        order=order or CampaignOrder.NEWEST,
        parts=parts,
    )
    return Listing(page=page, count=_count_campaigns, of=conditions)


@answers(Query, "top_campaigns")
async def top_campaigns(
    context: Context,
    *,
    by: Best = CampaignMetric.ROI,
    first: First = 10,
    window: InWindow = None,
    minimum_sent: MinimumSent = 0,
) -> list[Ranked]:
    """Rank campaigns."""
    if minimum_sent < 0:
        raise InvalidInput(
            f"`minimumSent` must not be negative: give a count, not {minimum_sent}.", path=("minimumSent",)
        )
    return await context.services.portfolio.top_campaigns(
        by, checked_first(first), window=window_of(window), minimum_sent=minimum_sent
    )


@answers(Query, "portfolio")
async def portfolio(context: Context, *, window: InWindow = None) -> PortfolioIn:
    """Sum up all campaigns."""
    within = window_of(window)
    return PortfolioIn(await context.services.portfolio.portfolio(within), within)


@answers(Query, "merchant")
async def merchant(context: Context, *, id: Reference) -> MerchantRow:  # noqa: A002  # the contract's name
    """Find a merchant."""
    reference = decode(Kind.MERCHANT, id)
    return _found(await context.services.campaigns.merchants([reference]), (reference,), f"merchant {id!r}")


@answers(Query, "merchants")
async def merchants(context: Context, *, first: First = 20, after: After = None) -> Listing[MerchantRow]:
    """List merchants."""
    page = await context.services.campaigns.merchant_page(checked_first(first), after)
    return Listing(page=page, count=_count_merchants, of=None)


@answers(Query, "user")
async def user(context: Context, *, id: UserReference) -> UserRow:  # noqa: A002  # the contract's name
    """Find a user: by the caller's own id first."""
    references = dict.fromkeys((str(id), decode(Kind.USER, id)))
    return _found(await context.services.campaigns.users(list(references)), tuple(references), f"user {id!r}")


def _found[Row](rows: Mapping[int | str, Row], references: Sequence[int | str], what: str) -> Row:
    row = next((rows[reference] for reference in references if reference in rows), None)
    if row is None:
        raise NotFound(f"There is no {what}: check the id or key.", path=("id",))
    return row


async def _conditions(context: Context, where: CampaignFilterInput) -> CampaignFilter:
    if not where.merchant_id:
        return filter_of(where, None)
    reference = decode(Kind.MERCHANT, where.merchant_id)
    found = await context.services.campaigns.merchants([reference])
    if reference not in found:
        raise NotFound(
            f"There is no merchant {where.merchant_id!r}: check the id or key.", path=("filter", "merchantId")
        )
    return filter_of(where, found[reference].id)


async def _count_campaigns(context: Context, filters: Sequence[CampaignFilter]) -> Mapping[CampaignFilter, int]:
    return {one: await context.services.campaigns.count_campaigns(one) for one in filters}


async def _count_merchants(context: Context, lists: Sequence[None]) -> Mapping[None, int]:
    return dict.fromkeys(lists, await context.services.campaigns.count_merchants())
