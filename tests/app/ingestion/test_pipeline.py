"""Recording events: what is stored, what is refused, and that a repetition changes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from prometheus_client import REGISTRY

from app.ingestion.batches import read_mappings
from app.ingestion.rejections import DropReason, Step


async def test_an_accepted_event_is_stored_with_what_was_true(ingestion, catalogue, event):
    sent = event(
        type="CONVERTED", campaignId="spring", channel="PUSH", value=Decimal("12.345678"), properties={"a": [1]}
    )
    receipt = await ingestion.record(read_mappings([sent]))
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (1, 0, ())
    row = dict(await catalogue.fetchrow("SELECT * FROM event"))
    assert row["event_id"] == "e1"
    assert row["occurred_at"] == sent["occurredAt"]
    assert (row["user_id"], row["campaign_id"], row["merchant_id"]) == (1, 1, 1)
    assert (row["type"], row["channel"], row["segment"]) == (6, 1, "vip")
    assert (row["value_micros"], row["cost_micros"], row["offer_micros"]) == (12_345_678, None, 5_000_000)
    assert row["properties"] == {"a": [1]}


async def test_a_repetition_is_a_duplicate_whatever_else_it_says(ingestion, counted, event):
    await ingestion.record(read_mappings([event()]))
    later = event(type="OPENED", occurredAt=datetime(2025, 11, 1, tzinfo=UTC), userId="bob")
    receipt = await ingestion.record(read_mappings([later, later, event(id="e2"), event(id="e2")]))
    assert (receipt.accepted, receipt.duplicates) == (1, 3)
    assert await counted.rows("event") == 2


async def test_requests_at_once_share_a_transaction_and_keep_their_own_receipts(ingestion, counted, event):
    requests = [read_mappings([event(id=f"{n}-{k}") for k in range(5)] + [event(id="same")]) for n in range(8)]
    before = REGISTRY.get_sample_value("winnow_event_commits_total")
    receipts = await asyncio.gather(*map(ingestion.record, requests))
    assert sum(receipt.accepted for receipt in receipts) == 41
    assert sum(receipt.duplicates for receipt in receipts) == 7
    assert all(receipt.accepted + receipt.duplicates == 6 for receipt in receipts)
    assert await counted.rows("event") == 41
    assert REGISTRY.get_sample_value("winnow_event_commits_total") - before < 8


async def test_an_unknown_user_is_made_once_even_by_two_processes(ingestion, catalogue, clock, event):
    from app.ingestion.pipeline import Ingestion
    from app.store.events import EventStore

    other = Ingestion(EventStore(catalogue), clock)
    batches = [read_mappings([event(id=f"{n}{k}", userId=f"new-{k}") for k in range(20)]) for n in range(2)]
    await asyncio.gather(ingestion.record(batches[0]), other.record(batches[1]))
    assert await catalogue.fetchval("SELECT count(*) FROM app_user WHERE external_id LIKE 'new-%'") == 20
    assert await catalogue.fetchval("SELECT count(DISTINCT user_id) FROM event") == 20


async def test_the_segment_is_the_one_of_now_though_the_user_is_remembered(ingestion, catalogue, event):
    await ingestion.record(read_mappings([event()]))
    await catalogue.execute("UPDATE app_user SET segment = 'lapsed' WHERE external_id = 'ann'")
    await catalogue.execute("UPDATE campaign SET offer_amount = 7 WHERE id = 1")
    await ingestion.record(read_mappings([event(id="e2", campaignId="cmp_1")]))
    rows = await catalogue.fetch("SELECT segment, offer_micros FROM event ORDER BY event_id")
    assert [tuple(row) for row in rows] == [("vip", None), ("lapsed", 7_000_000)]


async def test_a_user_may_be_named_by_its_opaque_id(ingestion, catalogue, event):
    receipt = await ingestion.record(read_mappings([event(userId="usr_2"), event(id="e2", userId="usr_77")]))
    assert receipt.accepted == 1
    assert receipt.rejected[0].rejection.reason is DropReason.UNKNOWN_USER
    assert [row[0] for row in await catalogue.fetch("SELECT user_id FROM event")] == [2]
    assert await catalogue.fetchval("SELECT count(*) FROM app_user") == 3


async def test_a_test_and_its_variant_are_stored(ingestion, catalogue, event):
    exposure = event(type="EXPOSED", testId="welcome", variantKey="treatment", probability=0.25)
    receipt = await ingestion.record(read_mappings([exposure, event(id="e2", testId="tst_1")]))
    assert receipt.accepted == 2
    rows = await catalogue.fetch("SELECT test_id, variant_id, probability FROM event ORDER BY event_id")
    assert [tuple(row) for row in rows] == [(1, 2, 0.25), (1, None, None)]


async def test_an_exposure_without_a_variant_is_refused_where_no_test_decides(ingestion, catalogue, event):
    receipt = await ingestion.record(read_mappings([event(type="EXPOSED", testId="tst_1"), event(id="e2")]))
    assert receipt.accepted == 1
    assert receipt.rejected[0].rejection.reason is DropReason.NOT_IN_TEST
    assert await catalogue.fetchval("SELECT count(*) FROM event") == 1


REFUSED = [
    ({"campaignId": "nowhere"}, "campaignId", "NOT_FOUND", DropReason.UNKNOWN_CAMPAIGN),
    ({"campaignId": "cmp_99"}, "campaignId", "NOT_FOUND", DropReason.UNKNOWN_CAMPAIGN),
    ({"campaignId": "cmp_99999999999999999999"}, "campaignId", "NOT_FOUND", DropReason.UNKNOWN_CAMPAIGN),
    ({"campaignId": "No Slug\0"}, "campaignId", "NOT_FOUND", DropReason.UNKNOWN_CAMPAIGN),
    ({"testId": "nowhere"}, "testId", "NOT_FOUND", DropReason.UNKNOWN_TEST),
    ({"testId": "welcome", "variantKey": "third"}, "variantKey", "NOT_FOUND", DropReason.UNKNOWN_VARIANT),
    ({"variantKey": "control"}, "testId", "INVALID_INPUT", DropReason.NO_TEST),
    ({"type": "EXPOSED"}, "testId", "INVALID_INPUT", DropReason.NO_TEST),
    ({"userId": "nul\0"}, "userId", "INVALID_INPUT", DropReason.BAD_TEXT),
    ({"userId": "half \ud800"}, "userId", "INVALID_INPUT", DropReason.BAD_TEXT),
    ({"id": "half \udfff"}, "id", "INVALID_INPUT", DropReason.BAD_TEXT),
    ({"occurredAt": datetime(1999, 12, 31, tzinfo=UTC)}, "occurredAt", "INVALID_INPUT", DropReason.BAD_TIME),
    ({"occurredAt": datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC)}, "occurredAt", "INVALID_INPUT", DropReason.BAD_TIME),
    ({"value": Decimal("-0.01")}, "value", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"value": Decimal("NaN")}, "value", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"value": Decimal("sNaN")}, "value", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"cost": Decimal("Infinity")}, "cost", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"offerAmount": Decimal("1e10")}, "offerAmount", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"value": Decimal("0.0000001")}, "value", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"value": Decimal("1e-99999")}, "value", "INVALID_INPUT", DropReason.BAD_AMOUNT),
    ({"properties": {"text": "nul \0"}}, "properties", "INVALID_INPUT", DropReason.BAD_PROPERTIES),
    ({"properties": {"text": "half \ud800"}}, "properties", "INVALID_INPUT", DropReason.BAD_PROPERTIES),
    ({"properties": {"text": "x" * 20_000}}, "properties", "INVALID_INPUT", DropReason.BAD_PROPERTIES),
    ({"properties": {"number": 10**30}}, "properties", "INVALID_INPUT", DropReason.BAD_PROPERTIES),
]


@pytest.mark.parametrize(("given", "field", "code", "reason"), REFUSED)
async def test_a_bad_event_is_refused_while_good_ones_are_stored(
    ingestion, catalogue, counted, event, given, field, code, reason
):
    labels = {"step": next(step for step in Step if _drops(step, reason)), "reason": reason}
    before = REGISTRY.get_sample_value("winnow_events_dropped_total", labels)
    bad = event(userId="somebody-new") | given
    receipt = await ingestion.record(read_mappings([event(id="good-1"), bad, event(id="good-2")]))
    (refused,) = receipt.rejected
    assert (refused.index, refused.field, refused.code, refused.rejection.reason) == (1, field, code, reason)
    assert refused.id == bad["id"]
    assert refused.message.endswith(".")
    assert receipt.accepted == 2
    assert await counted.rows("event") == 2
    assert await counted.rows("app_user") == 3, "a refused event makes no user"
    assert REGISTRY.get_sample_value("winnow_events_dropped_total", labels) == before + 1


def _drops(step: Step, reason: DropReason) -> bool:
    from app.ingestion.rejections import STEPS

    return STEPS[reason] is step


ACCEPTED = [
    {"occurredAt": datetime(2026, 1, 2, tzinfo=UTC)},
    {"occurredAt": datetime(2000, 1, 1, tzinfo=UTC)},
    {"value": Decimal(0)},
    {"value": Decimal("1.50000000000000000000000000000000000000000000")},
    {"value": Decimal(10**9)},
    {"properties": {}},
    {"properties": {"text": "\\u0000 is no NUL: \\"}},
    {"id": "é" * 200, "userId": "ü" * 200},
    {"probability": 1.0, "latitude": -90.0, "longitude": 180.0},
]


@pytest.mark.parametrize("given", ACCEPTED)
async def test_the_last_value_within_bounds_is_accepted(ingestion, counted, event, given):
    receipt = await ingestion.record(read_mappings([event() | given]))
    assert (receipt.accepted, receipt.rejected) == (1, ())
    assert await counted.rows("event") == 1


async def test_a_time_with_an_offset_falls_into_its_utc_month(ingestion, catalogue, event):
    from datetime import timezone

    at = datetime(2025, 4, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    await ingestion.record(read_mappings([event(occurredAt=at, campaignId="spring")]))
    assert await catalogue.fetchval("SELECT tableoid::regclass::text FROM event") == "event_2025_03"
    assert await catalogue.fetchval("SELECT hour FROM campaign_hour") == datetime(2025, 3, 31, 20, tzinfo=UTC)


async def test_nothing_at_all_is_recorded_without_a_statement(ingestion, statements):
    with statements.watched() as seen:
        receipt = await ingestion.record([])
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (0, 0, ())
    assert seen == []


async def test_the_number_of_statements_does_not_grow_with_the_events(ingestion, statements, event):
    async def count(events: int, tag: str) -> int:
        many = [event(id=f"{tag}{n}", type="CONVERTED", campaignId="spring", userId="ann") for n in range(events)]
        with statements.watched() as seen:
            await ingestion.record(read_mappings(many))
        return len(seen)

    await count(1, "warm")
    assert await count(1, "few") == await count(500, "many") <= 17


async def test_one_request_that_cannot_be_stored_fails_alone(ingestion, catalogue, counted, event):
    # A rule that nothing else knows of is nothing that checking can foresee.
    rule = "ALTER TABLE campaign_day ADD CONSTRAINT unforeseen CHECK (day <> '2025-01-01')"
    await catalogue.execute(rule)
    try:
        bad = event(id="bad", campaignId="spring", occurredAt=datetime(2025, 1, 1, tzinfo=UTC))
        results = await asyncio.gather(
            *(ingestion.record(read_mappings([one])) for one in (event(id="a"), event(id="b"), bad, event(id="c"))),
            return_exceptions=True,
        )
    finally:
        await catalogue.execute("ALTER TABLE campaign_day DROP CONSTRAINT unforeseen")
    assert isinstance(results[2], asyncpg.CheckViolationError)
    assert [result.accepted for n, result in enumerate(results) if n != 2] == [1, 1, 1]
    assert await counted.rows("event_key") == await counted.rows("event") == 3
