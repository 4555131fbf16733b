"""How clients record what happened."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import strawberry

from app.auth.principals import Permission
from app.errors import InvalidInput
from app.ingestion.batches import read_mappings
from app.ingestion.rejections import Receipt
from graph.context import Context
from graph.errors import UserErrorCode
from graph.events.inputs import EventInput
from graph.fields import answers, reading, related

MAX_EVENTS = 1_000

Events = Annotated[
    list[EventInput], strawberry.argument(description=f"At most {MAX_EVENTS:,}; more go to POST /v1/events.")
]


@strawberry.type(description="An event that was refused; the others were stored.")
class RejectedEvent:
    """The row is an `app.ingestion.rejections.Rejected`."""

    index: int = reading("Its place in what was sent, from 0.")
    id: strawberry.ID | None = reading("The sender's id; null where it could not be read.")
    code: UserErrorCode = reading("The kind of problem.", lambda row: UserErrorCode(row.code.value))
    message: str = reading("What is wrong and what to do, in words.")


@strawberry.type(description="What became of the events; what was accepted is durable.")
class RecordEventsPayload:
    """The row is an `app.ingestion.rejections.Receipt`."""

    accepted: int = reading("Events stored, a count.")
    duplicates: int = reading("Events whose id had been stored before, a count; nothing was changed by them.")
    rejected: list[RejectedEvent] = reading("Events refused, by place.")


@strawberry.type
class Mutation:
    """Events' part of what can be changed."""

    record_events: RecordEventsPayload = related(
        "Record what happened, at most 1,000 events; more go to POST /v1/events.", permission=Permission.RECORD_EVENTS
    )


@answers(Mutation, "record_events")
async def record_events(context: Context, *, events: Events) -> Receipt:
    """Record events."""
    if len(events) > MAX_EVENTS:
        raise InvalidInput(
            f"{len(events):,} events are more than the {MAX_EVENTS:,} of one request: send fewer, or POST /v1/events.",
            path=("events",),
        )
    context.services.ingestion.admit()
    return await context.services.ingestion.record(read_mappings(cast("Sequence[Mapping[str, Any]]", events)))
