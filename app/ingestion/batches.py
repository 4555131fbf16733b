"""Events as they are sent: decoded and checked for shape by msgspec, in C, with a reason for each that is refused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.ingestion.rejections import DropReason, Rejection
from app.store.models.codes import Channel, EventType

MAX_TEXT = 200
"""Characters in an id."""

MAX_LINE_BYTES = 65_536
"""Bytes in one line."""

type Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
type TypeName = Literal[
    "SENT", "DELIVERED", "OPENED", "CLICKED", "ACTIVATED", "CONVERTED", "GEOFENCE_ENTERED", "EXPOSED"
]
type ChannelName = Literal["PUSH", "EMAIL", "SMS", "IN_APP"]


class IncomingEvent(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True, gc=False, frozen=True):
    """The contract's EventInput; made by the functions of this module, which check what the annotations say."""

    id: Text
    type: TypeName
    occurred_at: Annotated[datetime, Meta(tz=True)]
    user_id: Text
    campaign_id: Text | None = None
    test_id: Text | None = None
    variant_key: Text | None = None
    channel: ChannelName | None = None
    value: Decimal | None = None
    cost: Decimal | None = None
    offer_amount: Decimal | None = None
    probability: Annotated[float, Meta(gt=0, le=1)] | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    properties: dict[str, Any] | None = None
    policy_version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class DecidedEvent(IncomingEvent, kw_only=True, gc=False, frozen=True):
    """An exposure with what only Winnow can know of it: a contextual test's whole vector for the unit."""

    probabilities: tuple[float, ...] | None = None


def decided(event: IncomingEvent, **known: Any) -> DecidedEvent:
    """Return an exposure with what is known of its choice."""
    return DecidedEvent(**(msgspec.structs.asdict(event) | known))


type Incoming = IncomingEvent | Rejection


@dataclass(frozen=True, slots=True)
class Batch:
    """Some lines of a body: what each holds, and its number from 1."""

    events: Sequence[Incoming]
    lines: Sequence[int]


_EVENTS = msgspec.json.Decoder(IncomingEvent)
_ID_FIELDS = ("id", "userId", "campaignId", "testId", "variantKey")
_AT = re.compile(r" - at `\$\.?(?P<field>\w*)[^`]*`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_FIELDS = ", ".join(field.encode_name for field in msgspec.structs.fields(IncomingEvent))
_ADVICE = {
    "id": f"an id of 1 to {MAX_TEXT} characters of your own, the same on every retry",
    "type": "one of " + ", ".join(kind.name for kind in EventType),
    "occurredAt": "an ISO 8601 time with an offset, such as 2026-01-31T12:00:00Z",
    "userId": f"your own id of the user, 1 to {MAX_TEXT} characters",
    "campaignId": "a campaign's id or key, or leave it out",
    "testId": "a test's id or key, or leave it out",
    "variantKey": "the key of one of the test's variants, or leave it out",
    "channel": "one of " + ", ".join(channel.name for channel in Channel if channel) + ", or leave it out",
    "value": 'an amount such as "12.50"',
    "cost": 'an amount such as "0.02"',
    "offerAmount": 'an amount such as "5.00"',
    "probability": "a fraction above 0 and at most 1",
    "latitude": "degrees from -90 to 90",
    "longitude": "degrees from -180 to 180",
    "properties": "a JSON object",
    "policyVersion": "the policy version that came with the assignment, a whole number from 1 on",
}


def read_lines(data: bytes, *, first_line: int = 1) -> Batch:
    """Decode whole lines of NDJSON; `first_line` is the number of the first. Blank lines are skipped."""
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        del lines[-1]
    numbers: Sequence[int] = range(first_line, first_line + len(lines))
    try:
        events = _EVENTS.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_one_by_one(lines, numbers)
    # Otherwise objects share a line or span several, lines are blank, or one is too long.
    is_plain = len(events) == len(lines) and max(map(len, lines), default=0) <= MAX_LINE_BYTES
    return Batch(events, numbers) if is_plain else _read_one_by_one(lines, numbers)


def read_mappings(mappings: Sequence[Mapping[str, object]]) -> list[Incoming]:
    """Check events given as mappings from the contract's names (what GraphQL or a file holds)."""
    return [read_mapping(mapping) for mapping in mappings]


def read_mapping(mapping: Mapping[str, object]) -> Incoming:
    """Check one event given as a mapping from the contract's names; an id may be a whole number."""
    given = {name: _id_text(value) if name in _ID_FIELDS else value for name, value in mapping.items()}
    try:
        return msgspec.convert(given, IncomingEvent)
    except (msgspec.ValidationError, RecursionError) as error:
        return _explain(error, _shown_id(given))


def _read_one_by_one(lines: Sequence[bytes], numbers: Sequence[int]) -> Batch:
    kept = [(line, number) for line, number in zip(lines, numbers, strict=True) if line.strip()]
    return Batch([read_line(line) for line, _ in kept], [number for _, number in kept])


def read_line(line: bytes) -> Incoming:
    """Decode one line."""
    if len(line) > MAX_LINE_BYTES:
        return too_long()
    try:
        return _EVENTS.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _read_again(line, error)


def too_long() -> Rejection:
    """Return the rejection of a line that is too long to be read."""
    return Rejection(
        DropReason.TOO_LONG,
        f"The line is longer than {MAX_LINE_BYTES:,} bytes: send one event a line, with less in it.",
    )


def _read_again(line: bytes, error: Exception) -> Incoming:
    try:
        shown = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _explain(error, None)
    if any(type(shown.get(name)) is int for name in _ID_FIELDS):
        return _read_numbers(shown, line)
    return _explain(error, _shown_id(shown))


def _read_numbers(shown: dict[str, Any], line: bytes) -> Incoming:
    # Ids that are whole numbers, as GraphQL allows: read the line again with them as text, amounts still exact.
    raw = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    texts = {name: b'"%d"' % shown[name] for name in _ID_FIELDS if type(shown.get(name)) is int}
    try:
        changed = msgspec.json.encode(raw | {name: msgspec.Raw(text) for name, text in texts.items()})
        return _EVENTS.decode(changed)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return _explain(error, _shown_id(shown))


def _id_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _shown_id(shown: Mapping[str, object]) -> str | None:
    value = _id_text(shown.get("id"))
    return value[:MAX_TEXT] if isinstance(value, str) else None


def _explain(error: Exception, shown_id: str | None) -> Rejection:
    text = str(error)
    if missing := _MISSING.match(text):
        field = missing["field"]
        return Rejection(DropReason.MISSING_FIELD, f"`{field}` is missing: give {_ADVICE[field]}.", field, shown_id)
    if unknown := _UNKNOWN.match(text):
        field = unknown["field"][:MAX_TEXT]
        message = (
            f"`{field}` is not a field of an event: leave it out, or put it into `properties`. There are {_FIELDS}."
        )
        return Rejection(DropReason.UNKNOWN_FIELD, message, field, shown_id)
    if (at := _AT.search(text)) and at["field"] in _ADVICE:
        field = at["field"]
        reason = DropReason.OUT_OF_RANGE if "length" in text or "=" in text or ">" in text else DropReason.WRONG_VALUE
        return Rejection(reason, f"{text[: at.start()]}: give {_ADVICE[field]}.", field, shown_id)
    return _explain_json(error)


def _explain_json(error: Exception) -> Rejection:
    if isinstance(error, UnicodeDecodeError):
        return Rejection(DropReason.NOT_JSON, "The line is not valid UTF-8: encode it as UTF-8.")
    if isinstance(error, RecursionError):
        return Rejection(DropReason.BAD_PROPERTIES, "The object is nested too deeply: flatten it.", "properties")
    return Rejection(DropReason.NOT_JSON, f"The line is not one JSON object ({error}): send one event a line.")
