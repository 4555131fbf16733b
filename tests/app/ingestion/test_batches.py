"""Lines of NDJSON and mappings of GraphQL: what they hold, or why they are refused, each with its line."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.ingestion.batches import MAX_LINE_BYTES, IncomingEvent, read_lines, read_mapping
from app.ingestion.rejections import DropReason, Rejection

GOOD = {"id": "e1", "type": "SENT", "occurredAt": "2026-01-01T00:00:00Z", "userId": "ann"}


def _line(**given) -> bytes:
    return json.dumps(GOOD | given).encode()


def test_every_field_is_read_exactly():
    line = _line(
        campaignId="c", testId="t", variantKey="v", channel="SMS", value="12.345678", offerAmount=0.1, probability=1,
        latitude=-90, longitude=180, properties={"a": {"b": [None]}},
    )  # fmt: skip
    (event,) = read_lines(line).events
    assert isinstance(event, IncomingEvent)
    assert (event.value, event.offer_amount) == (Decimal("12.345678"), Decimal("0.1"))
    assert event.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.properties == {"a": {"b": [None]}}


def test_blank_lines_are_skipped_and_counted():
    batch = read_lines(b"\n" + _line() + b"\r\n\n  \n" + _line(id="e2") + b"\n" + b"oops\n", first_line=10)
    assert list(batch.lines) == [11, 14, 15]
    assert [getattr(event, "id", None) for event in batch.events] == ["e1", "e2", None]


def test_a_last_line_needs_no_end():
    assert len(read_lines(_line() + b"\n" + _line(id="e2")).events) == 2


REFUSED = [
    (b"{", DropReason.NOT_JSON, None, None),
    (_line()[:-9], DropReason.NOT_JSON, None, None),
    (b'"text"', DropReason.NOT_JSON, None, None),
    (b"[1]", DropReason.NOT_JSON, None, None),
    (_line() + b" " + _line(), DropReason.NOT_JSON, None, None),
    (_line().replace(b"ann", b"\xff"), DropReason.NOT_JSON, None, None),
    (_line(properties={"x": "y" * MAX_LINE_BYTES}), DropReason.TOO_LONG, None, None),
    (_line(colour="red"), DropReason.UNKNOWN_FIELD, "colour", "e1"),
    (b'{"id": "e1", "type": "SENT", "userId": "ann"}', DropReason.MISSING_FIELD, "occurredAt", "e1"),
    (_line(id=""), DropReason.OUT_OF_RANGE, "id", ""),
    (_line(id="x" * 201), DropReason.OUT_OF_RANGE, "id", "x" * 200),
    (_line(id=None), DropReason.WRONG_VALUE, "id", None),
    (_line(id=1.5), DropReason.WRONG_VALUE, "id", None),
    (_line(userId=""), DropReason.OUT_OF_RANGE, "userId", "e1"),
    (_line(type="sent"), DropReason.WRONG_VALUE, "type", "e1"),
    (_line(channel="FAX"), DropReason.WRONG_VALUE, "channel", "e1"),
    (_line(occurredAt="yesterday"), DropReason.WRONG_VALUE, "occurredAt", "e1"),
    (_line(occurredAt="2026-01-01T00:00:00"), DropReason.WRONG_VALUE, "occurredAt", "e1"),
    (_line(occurredAt=1767225600), DropReason.WRONG_VALUE, "occurredAt", "e1"),
    (_line(value="much"), DropReason.WRONG_VALUE, "value", "e1"),
    (_line(value=True), DropReason.WRONG_VALUE, "value", "e1"),
    (_line(probability=0), DropReason.OUT_OF_RANGE, "probability", "e1"),
    (_line(probability=1.01), DropReason.OUT_OF_RANGE, "probability", "e1"),
    (_line(latitude=90.1), DropReason.OUT_OF_RANGE, "latitude", "e1"),
    (_line(longitude=-181), DropReason.OUT_OF_RANGE, "longitude", "e1"),
    (_line(properties=[1]), DropReason.WRONG_VALUE, "properties", "e1"),
    (_line(id=7, testId={"a": 10**30}), DropReason.WRONG_VALUE, "testId", "7"),
    (_line(id=10**400), DropReason.OUT_OF_RANGE, "id", str(10**400)[:200]),
    (_line().replace(b'"e1"', b"1" * 6_000), DropReason.WRONG_VALUE, "id", None),
    (_line(id=7, userId=1.5), DropReason.WRONG_VALUE, "userId", "7"),
    (b'{"id": "e1", "latitude": NaN}', DropReason.NOT_JSON, None, None),
    (_line().replace(b'"ann"', b'"\\ud800"'), DropReason.NOT_JSON, None, None),
]


@pytest.mark.parametrize(("line", "reason", "field", "shown"), REFUSED)
def test_a_bad_line_is_refused_with_its_field_and_id_between_good_ones(line, reason, field, shown):
    first, refused, last = read_lines(_line(id="a") + b"\n" + line + b"\n" + _line(id="b")).events
    assert (first.id, last.id) == ("a", "b")
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.field, refused.id) == (reason, field, shown)
    assert refused.message.endswith(".")


def test_a_deeply_nested_line_neither_breaks_nor_is_mistaken():
    line = _line()[:-1] + b', "properties": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}"
    (event,) = read_lines(line).events
    assert isinstance(event, Rejection)


def test_ids_may_be_whole_numbers_as_graphql_allows():
    event = read_lines(_line(id=7, userId=8, campaignId=9, value=1.10)).events[0]
    assert (event.id, event.user_id, event.campaign_id, event.value) == ("7", "8", "9", Decimal("1.1"))
    assert read_mapping(GOOD | {"id": 7, "occurredAt": datetime.now(UTC)}).id == "7"
    assert read_lines(_line(id=7, type="x")).events[0].id == "7"


def test_a_mapping_is_checked_as_a_line_is():
    given = GOOD | {"occurredAt": datetime.now(UTC), "latitude": float("nan")}
    assert read_mapping(given).reason is DropReason.OUT_OF_RANGE
    assert read_mapping(GOOD | {"occurredAt": datetime.now()}).field == "occurredAt"  # noqa: DTZ005  # naive on purpose
