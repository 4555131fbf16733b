"""What clients send about merchants, campaigns and users."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, cast

import msgspec
import strawberry
from strawberry import UNSET

from app.campaigns import editing
from app.campaigns.metrics import EVERYTHING, Window
from app.store.campaigns import CampaignFilter
from app.store.models import codes
from app.store.models.codes import CampaignStatus
from graph.campaigns.types import Channel
from graph.identifiers import Kind, decode
from graph.scalars import JSON

First = Annotated[int, strawberry.argument(description="Entries at most, from 1 to 100.", graphql_type=int | None)]
After = Annotated[
    str | None, strawberry.argument(description="Cursor of the entry after which to go on; absent: from the start.")
]


@strawberry.input(name="Window", description="A stretch of time, half open: from <= t < to. An end left out is open.")
class WindowInput:
    """The contract's Window."""

    from_: datetime | None = strawberry.field(default=UNSET, name="from", description="First moment in it, UTC.")
    to: datetime | None = strawberry.field(default=UNSET, description="First moment after it, UTC.")


InWindow = Annotated[
    WindowInput | None, strawberry.argument(description="What happened when; absent: everything so far.")
]


@strawberry.input(name="CampaignFilter", description="Which campaigns to list; all conditions hold together.")
class CampaignFilterInput:
    """The contract's CampaignFilter."""

    status: list[CampaignStatus] | None = strawberry.field(default=UNSET, description="One of these.")
    merchant_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Of this merchant: its id or key.")
    channel: Channel | None = strawberry.field(
        default=UNSET, description="Sent over this channel, perhaps among others."
    )
    search: str | None = strawberry.field(default=UNSET, description="Part of the name or key, whatever the case.")


@strawberry.input(description="A merchant to be created.")
class CreateMerchantInput:
    """Becomes an `editing.MerchantDraft`."""

    key: str = strawberry.field(description="Slug, unique: lower-case letters, digits, - and _, at most 64.")
    name: str = strawberry.field(description="Name for people.")
    category: str = strawberry.field(description="What the merchant sells.")
    latitude: float | None = strawberry.field(default=UNSET, description="WGS 84 degrees.")
    longitude: float | None = strawberry.field(default=UNSET, description="WGS 84 degrees.")


@strawberry.input(description="A campaign to be created.")
class CreateCampaignInput:
    """Becomes an `editing.CampaignDraft`."""

    key: str = strawberry.field(description="Slug, unique: lower-case letters, digits, - and _, at most 64.")
    name: str = strawberry.field(description="Name for people.")
    merchant_id: strawberry.ID = strawberry.field(description="Whose offer it is: an id or a key.")
    channels: list[Channel] = strawberry.field(description="How the offer reaches users; at least one.")
    offer_amount: Decimal = strawberry.field(description="Cash-back promised for a conversion, money.")
    currency: str | None = strawberry.field(default="USD", description="ISO 4217 code of the campaign's money.")
    budget: Decimal | None = strawberry.field(
        default=UNSET, description="What may be spent in all, money; null: unlimited."
    )
    starts_at: datetime | None = strawberry.field(default=UNSET, description="When it starts, UTC.")
    ends_at: datetime | None = strawberry.field(default=UNSET, description="When it ends, UTC; after startsAt.")
    status: CampaignStatus | None = strawberry.field(default=CampaignStatus.DRAFT, description="Its place in its life.")
    targeting: JSON | None = strawberry.field(default=UNSET, description="Whom it is for: any JSON object.")


@strawberry.input(description="What changes of a campaign. Absent: unchanged; null: cleared.")
class UpdateCampaignInput:
    """Becomes an `editing.CampaignChange`."""

    id: strawberry.ID = strawberry.field(description="Which campaign: its id or key.")
    name: str | None = strawberry.field(default=UNSET, description="Name for people.")
    channels: list[Channel] | None = strawberry.field(default=UNSET, description="How the offer reaches users.")
    offer_amount: Decimal | None = strawberry.field(default=UNSET, description="Cash-back for a conversion, money.")
    budget: Decimal | None = strawberry.field(
        default=UNSET, description="What may be spent in all, money; null: unlimited."
    )
    starts_at: datetime | None = strawberry.field(default=UNSET, description="When it starts, UTC.")
    ends_at: datetime | None = strawberry.field(default=UNSET, description="When it ends, UTC; after startsAt.")
    status: CampaignStatus | None = strawberry.field(default=UNSET, description="Its place in its life.")
    targeting: JSON | None = strawberry.field(default=UNSET, description="Whom it is for: any JSON object.")


@strawberry.input(description="A user to be created or brought up to date. Absent: unchanged; null: cleared.")
class UserInput:
    """Becomes an `editing.UserDraft`."""

    external_id: strawberry.ID = strawberry.field(description="The caller's own id of this person.")
    segment: str | None = strawberry.field(default=UNSET, description="The segment the user belongs to.")
    timezone: str | None = strawberry.field(default=UNSET, description="IANA time zone, such as Europe/Berlin.")
    attributes: JSON | None = strawberry.field(
        default=UNSET, description="Anything else known of the user: a JSON object."
    )
    latitude: float | None = strawberry.field(default=UNSET, description="WGS 84 degrees.")
    longitude: float | None = strawberry.field(default=UNSET, description="WGS 84 degrees.")


def window_of(given: WindowInput | None) -> Window:
    """Return the window asked for; raises InvalidInput where it is empty or reversed."""
    return EVERYTHING if given is None else Window(given.from_ or None, given.to or None)


def filter_of(given: CampaignFilterInput, merchant_id: int | None) -> CampaignFilter:
    """Return the conditions; the merchant's row was found meanwhile."""
    return CampaignFilter(
        statuses=None if given.status is UNSET or given.status is None else tuple(given.status),
        merchant_id=merchant_id,
        channel=given.channel.value if given.channel else None,
        search=given.search or None,
    )


def merchant_draft(given: CreateMerchantInput) -> editing.MerchantDraft:
    """Return the merchant as the use case takes it."""
    return editing.MerchantDraft(
        key=given.key,
        name=given.name,
        category=given.category,
        latitude=_or_none(given.latitude),
        longitude=_or_none(given.longitude),
    )


def campaign_draft(given: CreateCampaignInput) -> editing.CampaignDraft:
    """Return the campaign as the use case takes it; null stands for the default."""
    return editing.CampaignDraft(
        key=given.key,
        name=given.name,
        merchant=decode(Kind.MERCHANT, given.merchant_id),
        channels=_channels(given.channels),
        offer_amount=given.offer_amount,
        currency=given.currency or "USD",
        budget=_or_none(given.budget),
        starts_at=_or_none(given.starts_at),
        ends_at=_or_none(given.ends_at),
        status=given.status or CampaignStatus.DRAFT,
        targeting=_or_none(given.targeting),
    )


def campaign_change(given: UpdateCampaignInput) -> editing.CampaignChange:
    """Return what changes as the use case takes it."""
    return editing.CampaignChange(
        name=_or_unset(given.name),
        channels=_changed_channels(given.channels),
        offer_amount=_or_unset(given.offer_amount),
        budget=_or_unset(given.budget),
        starts_at=_or_unset(given.starts_at),
        ends_at=_or_unset(given.ends_at),
        status=_or_unset(given.status),
        targeting=_or_unset(given.targeting),
    )


def user_draft(given: UserInput) -> editing.UserDraft:
    """Return the user as the use case takes it."""
    return editing.UserDraft(
        external_id=given.external_id,
        segment=_or_unset(given.segment),
        timezone=_or_unset(given.timezone),
        attributes=_or_unset(given.attributes),
        latitude=_or_unset(given.latitude),
        longitude=_or_unset(given.longitude),
    )


def _channels(given: Sequence[Channel]) -> list[codes.Channel]:
    return [channel.value for channel in given]


def _changed_channels(given: Sequence[Channel] | None) -> list[codes.Channel] | msgspec.UnsetType | None:
    if given is None:
        return None
    return msgspec.UNSET if cast("object", given) is UNSET else _channels(given)


def _or_none[T](value: T | None) -> T | None:
    return None if value is UNSET else value


def _or_unset[T](value: T) -> T | msgspec.UnsetType:
    return msgspec.UNSET if cast("object", value) is UNSET else value
