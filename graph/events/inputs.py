"""What clients send of what happened."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET
from strawberry.types.base import get_object_definition

from app.store.models.codes import EventType
from graph.campaigns.types import Channel
from graph.scalars import JSON

strawberry.enum(EventType, description="What happened to a user.")


@strawberry.input(
    description="Something that happened. Its id is the sender's own and makes a retry harmless; it may come late, "
    "twice, or before what explains it."
)
class EventInput:
    """Never made: ingestion takes events as mappings from these names."""

    id: strawberry.ID = strawberry.field(description="The sender's own id of this event, at most 200 characters.")
    type: EventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When it happened, UTC.")
    user_id: strawberry.ID = strawberry.field(
        description="The caller's own id of the user; an unknown one makes a user."
    )
    campaign_id: strawberry.ID | None = strawberry.field(default=UNSET, description="The campaign's id or key.")
    test_id: strawberry.ID | None = strawberry.field(
        default=UNSET,
        description="The test's id or key: for EXPOSED which one, for CONVERTED the only one it counts for.",
    )
    variant_key: str | None = strawberry.field(
        default=UNSET, description="For EXPOSED: the variant, where somebody else decided."
    )
    channel: Channel | None = strawberry.field(default=UNSET, description="The channel it came over.")
    value: Decimal | None = strawberry.field(default=UNSET, description="For CONVERTED: what was bought for, money.")
    cost: Decimal | None = strawberry.field(
        default=UNSET, description="For CONVERTED the cash-back paid, else what delivery cost, money."
    )
    offer_amount: Decimal | None = strawberry.field(
        default=UNSET, description="What this user was offered, where it differs from the campaign's, money."
    )
    probability: float | None = strawberry.field(
        default=UNSET, description="With what probability the variant, or the amount, was chosen, a fraction above 0."
    )
    latitude: float | None = strawberry.field(default=UNSET, description="WGS 84 degrees.")
    longitude: float | None = strawberry.field(default=UNSET, description="WGS 84 degrees.")
    properties: JSON | None = strawberry.field(
        default=UNSET,
        description="Anything else: a JSON object. For EXPOSED of a contextual test: what is known of the unit, by the "
        "test's contextAttributes; what is missing is taken from the stored user.",
    )
    policy_version: int | None = strawberry.field(
        default=UNSET,
        description="For EXPOSED: by which policy version the variant was chosen, as the assignment said.",
    )


def _by_name(_type: type, given: Mapping[str, Any], _context: object) -> dict[str, Any]:
    return {name: value.name if isinstance(value, Enum) else value for name, value in given.items()}


# A thousand events need not become a thousand objects first.
get_object_definition(EventInput, strict=True).from_input = _by_name
