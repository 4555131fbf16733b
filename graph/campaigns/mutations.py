"""How clients change merchants, campaigns and users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import strawberry

from app.auth.principals import Permission
from app.campaigns.editing import Upserted
from app.store.campaigns import CampaignRow, MerchantRow
from graph.campaigns import inputs, types
from graph.context import Context
from graph.errors import UserError, UserProblem, user_problems
from graph.fields import answers, reading, related
from graph.identifiers import Kind, decode
from graph.payloads import Payload, payload, refused

NewMerchant = Annotated[inputs.CreateMerchantInput, strawberry.argument(description="The merchant.")]
NewCampaign = Annotated[inputs.CreateCampaignInput, strawberry.argument(description="The campaign.")]
Changes = Annotated[
    inputs.UpdateCampaignInput, strawberry.argument(description="Which campaign, and what changes of it.")
]
Users = Annotated[
    list[inputs.UserInput],
    strawberry.argument(description="At most 1,000; of two with the same externalId the last wins."),
]


@strawberry.type(description="The merchant, or why there is none.")
class MerchantPayload:
    """The row is a `graph.payloads.Payload`."""

    merchant: types.Merchant | None = payload("The merchant; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@strawberry.type(description="The campaign, or why it was not changed.")
class CampaignPayload:
    """The row is a `graph.payloads.Payload`."""

    campaign: types.Campaign | None = payload("The campaign as it is now; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@dataclass(frozen=True, slots=True)
class UpsertUsers:
    """How many users were made and changed: none where there are errors."""

    upserted: Upserted
    errors: Sequence[UserProblem] = ()


@strawberry.type(description="How many users were created and updated.")
class UpsertUsersPayload:
    """The row is an `UpsertUsers`."""

    created: int = reading("Users that are new, a count.", lambda row: row.upserted.created)
    updated: int = reading("Users that were there before, a count.", lambda row: row.upserted.updated)
    errors: list[UserError] = reading("What was wrong; then nothing was stored.")


def _nobody_upserted(error: Exception) -> UpsertUsers:
    return UpsertUsers(Upserted(created=0, updated=0), user_problems(error))


@strawberry.type
class Mutation:
    """Campaigns' part of what can be changed."""

    create_merchant: MerchantPayload = related(
        "Create a merchant.", permission=Permission.EDIT_CATALOGUE, refused=refused
    )
    create_campaign: CampaignPayload = related(
        "Create a campaign of an existing merchant.", permission=Permission.EDIT_CATALOGUE, refused=refused
    )
    update_campaign: CampaignPayload = related(
        "Change a campaign: what is absent stays, null clears.", permission=Permission.EDIT_CATALOGUE, refused=refused
    )
    upsert_users: UpsertUsersPayload = related(
        "Create users or bring them up to date, all or none.",
        permission=Permission.UPSERT_USERS,
        refused=_nobody_upserted,
    )


@answers(Mutation, "create_merchant")
async def create_merchant(context: Context, *, input: NewMerchant) -> Payload[MerchantRow]:  # noqa: A002  # the contract's name
    """Create a merchant."""
    draft = inputs.merchant_draft(input)
    return Payload(await context.services.editing.create_merchant(draft, by=context.principal))


@answers(Mutation, "create_campaign")
async def create_campaign(context: Context, *, input: NewCampaign) -> Payload[CampaignRow]:  # noqa: A002  # the contract's name
    """Create a campaign."""
    draft = inputs.campaign_draft(input)
    return Payload(await context.services.editing.create_campaign(draft, by=context.principal))


@answers(Mutation, "update_campaign")
async def update_campaign(context: Context, *, input: Changes) -> Payload[CampaignRow]:  # noqa: A002  # the contract's name
    """Change a campaign."""
    reference = decode(Kind.CAMPAIGN, input.id)
    change = inputs.campaign_change(input)
    return Payload(await context.services.editing.update_campaign(reference, change, by=context.principal))


@answers(Mutation, "upsert_users")
async def upsert_users(context: Context, *, users: Users) -> UpsertUsers:
    """Create or update users."""
    drafts = [inputs.user_draft(user) for user in users]
    return UpsertUsers(await context.services.editing.upsert_users(drafts, by=context.principal))
