"""Amounts that no total has room for: the events that bring them are refused, all others are stored."""

from datetime import UTC, date, datetime

import pytest

from app.ingestion.batches import read_mappings
from app.ingestion.fitting import MOST_FOUND
from app.ingestion.rejections import DropReason
from app.store.database import Database
from app.store.folding import TotalsFolding
from app.store.rebuilding import TotalsRebuilding

LARGEST = 2**63 - 1
AT = datetime(2025, 12, 31, 10, tzinfo=UTC)
NEARLY_FULL = f"""
    INSERT INTO campaign_total (campaign_id, slot, revenue_micros)
    SELECT 1, slot, {LARGEST - 15_000_000} FROM generate_series(0, 7) AS slot
"""


@pytest.fixture
def made(event):
    def make(*values: str | None, **given):
        rows = [
            event(id=f"e{n}", type="CONVERTED", campaignId="spring", value=value) | given
            for n, value in enumerate(values)
        ]
        return read_mappings(rows)

    return make


async def test_events_without_room_are_refused_alone(ingestion, catalogue: Database, made, counted) -> None:
    await catalogue.execute(NEARLY_FULL)
    receipt = await ingestion.record(made("10.00", None, "1000000000", "4.00", "1000000000", None))
    assert (receipt.accepted, receipt.duplicates) == (4, 0)
    assert [(refused.index, refused.field) for refused in receipt.rejected] == [(2, "value"), (4, "value")]
    assert {refused.rejection.reason for refused in receipt.rejected} == {DropReason.TOTAL_FULL}
    assert await counted.rows("event") == await counted.rows("event_key") == 4
    assert await catalogue.fetchval("SELECT sum(revenue_micros) FROM campaign_day") == 14_000_000


async def test_what_was_refused_may_come_again_smaller(ingestion, catalogue: Database, made) -> None:
    await catalogue.execute(NEARLY_FULL)
    assert (await ingestion.record(made("1000000000", "1000000000"))).accepted == 0
    receipt = await ingestion.record(made("5.00"))
    assert (receipt.accepted, receipt.duplicates) == (1, 0)


async def test_the_same_event_twice_is_refused_twice(ingestion, catalogue: Database, made) -> None:
    await catalogue.execute(NEARLY_FULL)
    receipt = await ingestion.record([*made("1000000000"), *made("1000000000", "1.00")])
    assert (receipt.accepted, receipt.duplicates) == (1, 0)
    assert [refused.index for refused in receipt.rejected] == [0, 1]


async def test_many_without_room_are_not_tried_one_by_one(ingestion, catalogue: Database, made, statements) -> None:
    await catalogue.execute(NEARLY_FULL)
    with statements.watched(everywhere=True) as seen:
        receipt = await ingestion.record(made(*["1000000000"] * 1_000, None))
    assert receipt.accepted <= 1
    assert receipt.accepted + len(receipt.rejected) == 1_001
    tried = sum("INSERT INTO event_key" in statement for statement in seen)
    assert MOST_FOUND < tried < 100


async def test_what_one_unit_does_is_bounded_too(ingestion, catalogue: Database, made, event) -> None:
    await catalogue.execute(
        "INSERT INTO ab_test_metric (id, test_id, key, name, kind, event, position) "
        "VALUES (1, 1, 'revenue', 'Revenue', 'REVENUE', 6, 0)"
    )
    await catalogue.execute("UPDATE ab_test SET status = 'RUNNING', started_at = '2025-12-01Z'")
    exposed = event(id="x", type="EXPOSED", testId="welcome", variantKey="control")
    assert (await ingestion.record(read_mappings([exposed]))).accepted == 1
    unit = f"UPDATE event SET value_micros = {LARGEST} WHERE event_id = 'e0'"
    assert (await ingestion.record(made("1.00", campaignId=None))).accepted == 1
    await catalogue.execute(unit)
    again = read_mappings([event(id="more", type="CONVERTED", value="1.00")])
    (refused,) = (await ingestion.record(again)).rejected
    assert refused.rejection.reason is DropReason.TOTAL_FULL


async def test_rows_that_have_no_room_together_stay_apart(catalogue: Database) -> None:
    for slot in (1, 2):
        await catalogue.execute(
            "INSERT INTO campaign_day (campaign_id, day, slot, revenue_micros) VALUES (1, '2025-12-01', $1, $2)",
            slot,
            LARGEST,
        )
    folded = [found async for found in TotalsFolding(catalogue).run(date(2026, 1, 1))]
    assert folded[-1].progress == 1
    assert await catalogue.fetchval("SELECT count(*) FROM campaign_day") == 2
    checked = [found async for found in TotalsRebuilding(catalogue).run(repair=False)]
    assert sum(found.differences for found in checked) > 0
