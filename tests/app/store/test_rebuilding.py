"""Totals that are wrong are found and put right; those that are right are left alone."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.store.events import EventStore
from app.store.rebuilding import TotalsRebuilding

TABLES = ["campaign_total", "campaign_hour", "campaign_day", "merchant_day", "campaign_user_day", "campaign_cohort"]
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES (1, 'bakery', 'Bakery', 'food');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES
        (1, 'spring', 'Spring', 1, '{1}', 5.00), (450, 'autumn', 'Autumn', 1, '{1}', 2);
    INSERT INTO ab_test (id, key, name, seed) VALUES (1, 'welcome', 'Welcome', 'welcome');
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
        VALUES (1, 'control', 'Control', 0, true, 1);
"""


def _events(tag: str = "") -> list[dict]:
    start = datetime(2025, 10, 30, tzinfo=UTC)
    return [
        {
            "id": f"{tag}{n}",
            "type": ("SENT", "CONVERTED", "EXPOSED")[n % 3],
            "occurredAt": start + timedelta(hours=5 * n),
            "userId": f"u{n % 4}",
            "campaignId": ("spring", "autumn")[n % 2],
            "testId": "welcome" if n % 3 == 2 else None,
            "variantKey": "control" if n % 3 == 2 else None,
            "value": Decimal(n),
        }
        for n in range(60)
    ]


@pytest_asyncio.fixture
async def filled(clean_database, clock):
    await clean_database.execute(CATALOGUE)
    receipt = await Ingestion(EventStore(clean_database), clock).record(read_mappings(_events()))
    assert receipt.accepted == 60
    return clean_database


async def _differences(database, *, repair: bool = True) -> dict[str, int]:
    found = dict.fromkeys(TABLES, 0)
    async for checked in TotalsRebuilding(database).run(repair=repair):
        found[checked.table] += checked.differences
    return found


async def _all(database) -> list[list[tuple]]:
    return [sorted(map(tuple, await database.fetch(f"SELECT * FROM {table}"))) for table in TABLES]


async def test_nothing_differs_and_nothing_is_written_after_ordinary_writing(filled):
    before = await _all(filled)
    assert await _differences(filled) == dict.fromkeys(TABLES, 0)
    assert await _all(filled) == before


FOLLOWS = {"campaign_day": "campaign_total"}
SPOILED = [
    ("UPDATE campaign_total SET sent = sent + 1", "campaign_total"),
    ("UPDATE campaign_hour SET revenue_micros = revenue_micros + 1 WHERE converted = 1", "campaign_hour"),
    ("DELETE FROM campaign_day WHERE campaign_id = 450", "campaign_day"),
    ("INSERT INTO merchant_day VALUES (1, '2025-11-30', 4, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)", "merchant_day"),
    ("UPDATE campaign_user_day SET conversions = conversions + 1", "campaign_user_day"),
    ("INSERT INTO campaign_cohort VALUES (450, 7, '2025-11-03', 3, 5, 12)", "campaign_cohort"),
    ("UPDATE campaign_cohort SET users = -users WHERE campaign_id = 450", "campaign_cohort"),
]


@pytest.mark.parametrize(("spoil", "table"), SPOILED)
async def test_what_is_wrong_is_reported_and_put_right(filled, spoil, table):
    right = await _all_summed(filled)
    await filled.execute(spoil)
    reported = await _differences(filled, repair=False)
    assert reported[table] > 0
    assert {name for name, differences in reported.items() if differences} <= {table, FOLLOWS.get(table)}
    assert await _all_summed(filled) != right, "looking changes nothing"
    repaired = await _differences(filled)
    assert {name: found for name, found in repaired.items() if found} == {table: reported[table]}
    assert await _all_summed(filled) == right
    assert await _differences(filled) == dict.fromkeys(TABLES, 0)


async def _all_summed(database) -> list[list[tuple]]:
    queries = (
        ("campaign_total", "campaign_id", "sum(sent), sum(converted), sum(revenue_micros)"),
        ("campaign_hour", "campaign_id, hour, segment, channel", "sum(sent), sum(converted), sum(revenue_micros)"),
        ("campaign_day", "campaign_id, day", "sum(sent), sum(converted), sum(revenue_micros)"),
        ("merchant_day", "merchant_id, day, channel", "sum(sent), sum(converted), sum(revenue_micros)"),
        ("campaign_user_day", "campaign_id, user_id, day", "sum(conversions)"),
        ("campaign_cohort", "campaign_id, interval_days, cohort, period", "sum(users)"),
    )
    found = []
    for table, keys, sums in queries:
        rows = map(tuple, await database.fetch(f"SELECT {keys}, {sums} FROM {table} GROUP BY {keys}"))
        found.append(sorted(row for row in rows if any(row[keys.count(",") + 1 :])))
    return found


async def test_writing_goes_on_beside_it(filled, clock):
    ingestion = Ingestion(EventStore(filled), clock)
    writing = [ingestion.record(read_mappings(_events(f"w{n}-"))) for n in range(10)]
    receipts, first = await asyncio.gather(asyncio.gather(*writing), _differences(filled))
    assert sum(receipt.accepted for receipt in receipts) == 600
    assert first == dict.fromkeys(TABLES, 0)
    assert await _differences(filled) == dict.fromkeys(TABLES, 0)


async def test_totals_of_months_whose_events_were_dropped_stay(filled):
    await filled.execute("INSERT INTO campaign_day (campaign_id, day, slot, sent) VALUES (1, '2019-05-05', 0, 9)")
    await filled.execute("UPDATE campaign_total SET sent = sent + 9 WHERE campaign_id = 1")
    assert await _differences(filled) == dict.fromkeys(TABLES, 0)
    assert await filled.fetchval("SELECT sent FROM campaign_day WHERE day = $1", date(2019, 5, 5)) == 9


SPREAD = {
    "campaign_total": ("campaign_id", "sent"),
    "campaign_hour": ("campaign_id, hour, segment, channel", "sent"),
    "campaign_day": ("campaign_id, day", "sent"),
    "merchant_day": ("merchant_id, day, channel", "sent"),
    "campaign_cohort": ("campaign_id, interval_days, cohort, period", "users"),
}


@pytest.mark.parametrize("table", SPREAD)
async def test_a_total_spread_over_slots_is_the_sum_of_its_rows(filled, table: str):
    keys, counted = SPREAD[table]
    await filled.execute(f"UPDATE {table} SET slot = 1, {counted} = {counted} + 3")
    await filled.execute(f"INSERT INTO {table} ({keys}, slot, {counted}) SELECT {keys}, 2, -3 FROM {table}")
    before = await _all(filled)
    assert await _differences(filled) == dict.fromkeys(TABLES, 0)
    assert await _all(filled) == before


@pytest.mark.parametrize("campaign", [1, 450])
async def test_the_first_and_the_last_campaign_are_checked(filled, campaign: int):
    await filled.execute(f"UPDATE campaign_total SET sent = sent + 1 WHERE campaign_id = {campaign}")
    assert (await _differences(filled))["campaign_total"] == 1
    assert (await _differences(filled))["campaign_total"] == 0


async def test_a_single_campaign_is_checked(clean_database):
    await clean_database.execute(CATALOGUE)
    await clean_database.execute("DELETE FROM campaign WHERE id = 450")
    await clean_database.execute("INSERT INTO campaign_total (campaign_id, slot, sent) VALUES (1, 0, 5)")
    assert (await _differences(clean_database))["campaign_total"] == 1
    assert await clean_database.fetchval("SELECT coalesce(sum(sent), 0) FROM campaign_total") == 0
