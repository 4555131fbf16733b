"""What an event must hold beside its shape: times, amounts and texts that can be stored exactly."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from app.ingestion.batches import IncomingEvent
from app.ingestion.rejections import DropReason, Rejection
from app.store.events import EARLIEST_EVENT

LATEST_AHEAD = timedelta(hours=24)
"""How far a sender's clock may be ahead."""

SIX_DECIMALS = Decimal("0.000001")
MAX_AMOUNT = Decimal(1_000_000_000)
MAX_PROPERTIES_BYTES = 16_384


class Refusal(Exception):  # never leaves this package
    """One event cannot be stored."""

    def __init__(self, reason: DropReason, message: str, *, field: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field

    def of(self, event: IncomingEvent) -> Rejection:
        """Return the rejection of `event` for this."""
        return Rejection(self.reason, self.message, self.field, event.id)


def check(event: IncomingEvent, *, latest: datetime) -> Rejection | None:
    """Return why an event cannot be stored, if so; `latest` is the greatest time it may have."""
    # In the order of how often: nearly every event ends after these two lines.
    if EARLIEST_EVENT <= event.occurred_at <= latest and event.type != "EXPOSED" and _is_plain(event):
        return None
    try:
        _check_time(event.occurred_at, latest)
        _check_amounts(event)
        _check_texts(event)
        to_properties(event.properties)
        _check_test(event)
    except Refusal as refusal:
        return refusal.of(event)
    return None


def to_micros(amount: Decimal | None) -> int | None:
    """Return an amount that was checked in millionths."""
    return None if amount is None else int(amount.scaleb(6))


def to_properties(properties: Mapping[str, Any] | None) -> orjson.Fragment | None:
    """Return properties as JSON that PostgreSQL stores; raise Refusal where it would not, or they are too large."""
    if properties is None:
        return None
    try:
        encoded = orjson.dumps(properties)
    except TypeError as error:
        raise _bad_properties(f"The properties hold what JSON cannot ({error})") from error
    if len(encoded) > MAX_PROPERTIES_BYTES:
        raise _bad_properties(f"The properties come to {len(encoded):,} bytes of at most {MAX_PROPERTIES_BYTES:,}")
    if b"\\u0000" in encoded.replace(b"\\\\", b""):
        raise _bad_properties("The properties hold a NUL character")
    return orjson.Fragment(encoded)


def _is_plain(event: IncomingEvent) -> bool:
    return (
        event.variant_key is None
        and event.value is None
        and event.cost is None
        and event.offer_amount is None
        and event.properties is None
        and "\0" not in event.id
        and event.id.isascii()
        and event.user_id.isascii()
        and "\0" not in event.user_id
    )


def _check_time(at: datetime, latest: datetime) -> None:
    if at < EARLIEST_EVENT:
        raise Refusal(DropReason.BAD_TIME, "The time is before the year 2000: correct the clock.", field="occurredAt")
    if at > latest:
        message = "The time is more than 24 hours ahead: correct the sender's clock, or its offset from UTC."
        raise Refusal(DropReason.BAD_TIME, message, field="occurredAt")


def _check_amounts(event: IncomingEvent) -> None:
    for field, amount in (("value", event.value), ("cost", event.cost), ("offerAmount", event.offer_amount)):
        if amount is not None:
            _check_amount(field, amount)


def _check_amount(field: str, amount: Decimal) -> None:
    if not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT:
        message = f"The amount is not between 0 and {MAX_AMOUNT:,}: give what was paid, refunds are not events."
        raise Refusal(DropReason.BAD_AMOUNT, message, field=field)
    if amount != amount.quantize(SIX_DECIMALS):
        raise Refusal(DropReason.BAD_AMOUNT, "The amount has more than six decimals: round it.", field=field)


def _check_texts(event: IncomingEvent) -> None:
    # Campaigns, tests and variants are looked up among those that exist; these two are stored as they are.
    for field, text in (("id", event.id), ("userId", event.user_id)):
        if not is_storable(text):
            message = "The text holds a NUL character or half a surrogate pair: leave it out, it cannot be stored."
            raise Refusal(DropReason.BAD_TEXT, message, field=field)


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can store a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _check_test(event: IncomingEvent) -> None:
    if event.test_id is None and (event.type == "EXPOSED" or event.variant_key is not None):
        message = "An exposure, or a variant, belongs to a test: give the test's id or key."
        raise Refusal(DropReason.NO_TEST, message, field="testId")


def _bad_properties(problem: str) -> Refusal:
    return Refusal(DropReason.BAD_PROPERTIES, f"{problem}: send less, or put it elsewhere.", field="properties")
