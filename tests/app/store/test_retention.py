"""Old months go whole; what was counted of them stays, and nothing of them is ever counted again."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest_asyncio

from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.store.database import Database
from app.store.events import EventStore
from app.store.partitions import EventPartitions
from app.store.rebuilding import TotalsRebuilding
from app.store.retention import EventRetention

OCTOBER, NOVEMBER, DECEMBER = date(2025, 10, 1), date(2025, 11, 1), date(2025, 12, 1)
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES (1, 'bakery', 'Bakery', 'food');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount)
        VALUES (1, 'spring', 'Spring', 1, '{1}', 5)
"""


def _events(*days: date, tag: str = "") -> list[dict]:
    return [
        {
            "id": f"{tag}{day}",
            "type": "CONVERTED",
            "occurredAt": datetime(day.year, day.month, day.day, tzinfo=UTC),
            "userId": "u",
            "campaignId": "spring",
            "value": Decimal(3),
        }
        for day in days
    ]


@pytest_asyncio.fixture
async def database(new_database):
    """A database of its own: months are dropped here."""
    database = await Database.open(await new_database(), default=False)
    await database.execute(CATALOGUE)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def ingestion(database, clock):
    ingestion = Ingestion(EventStore(database), clock)
    receipt = await ingestion.record(read_mappings(_events(OCTOBER, NOVEMBER, DECEMBER)))
    assert receipt.accepted == 3
    return ingestion


async def _drop_before(database: Database, first: date) -> None:
    retention = EventRetention(database)
    await retention.keep_from(first)
    for month in await retention.months_before(first):
        await retention.drop(month)
    while await retention.forget_keys(first):
        pass


async def _converted(database: Database) -> int:
    return await database.fetchval("SELECT sum(converted) FROM campaign_total")


async def test_old_months_go_and_their_totals_stay(database, ingestion):
    assert await EventRetention(database).kept_from() is None
    await _drop_before(database, DECEMBER)
    assert await EventPartitions(database).months() == [DECEMBER]
    assert await database.fetchval("SELECT count(*) FROM event_key") == 1
    assert await _converted(database) == 3
    assert await EventRetention(database).kept_from() == DECEMBER
    assert sum([checked.differences async for checked in TotalsRebuilding(database).run(repair=False)]) == 0


async def test_events_from_before_are_refused_and_the_others_of_the_request_are_stored(database, ingestion):
    await _drop_before(database, NOVEMBER)
    january = date(2026, 1, 1)
    for _ in range(2):  # the process that remembers October's table, then as one that knows better
        receipt = await ingestion.record(read_mappings(_events(OCTOBER, january, NOVEMBER)))
        assert [(one.index, one.code, one.field) for one in receipt.rejected] == [(0, "INVALID_INPUT", "occurredAt")]
        assert "2025-11-01" in receipt.rejected[0].message
    assert receipt.duplicates == 2
    assert await _converted(database) == 4
    nothing = await ingestion.record(read_mappings(_events(OCTOBER, date(2024, 2, 29))))
    assert (nothing.accepted, nothing.duplicates, len(nothing.rejected)) == (0, 0, 2)


async def test_requests_stored_together_each_get_their_own_receipt(database, ingestion):
    await _drop_before(database, DECEMBER)
    old, mixed, new = await asyncio.gather(
        ingestion.record(read_mappings(_events(OCTOBER, tag="a"))),
        ingestion.record(read_mappings(_events(date(2025, 12, 2), NOVEMBER, date(2025, 12, 2), tag="b"))),
        ingestion.record(read_mappings(_events(date(2025, 12, 3), DECEMBER))),
    )
    assert (old.accepted, old.duplicates, len(old.rejected)) == (0, 0, 1)
    assert (mixed.accepted, mixed.duplicates, [one.index for one in mixed.rejected]) == (1, 1, [1])
    assert (new.accepted, new.duplicates, new.rejected) == (1, 1, ())


async def test_retention_never_goes_back(database, ingestion):
    await _drop_before(database, DECEMBER)
    await EventRetention(database).keep_from(OCTOBER)
    assert await EventRetention(database).kept_from() == DECEMBER


async def test_a_run_that_broke_off_is_finished_by_the_next(database, ingestion):
    retention = EventRetention(database)
    await retention.keep_from(DECEMBER)
    await database.execute("ALTER TABLE event DETACH PARTITION event_2025_10")
    assert await retention.months_before(DECEMBER) == [OCTOBER, NOVEMBER]
    await _drop_before(database, DECEMBER)
    assert await retention.months_before(DECEMBER) == []
    assert await database.fetchval("SELECT to_regclass('event_2025_10')") is None


async def test_a_month_goes_while_others_are_read_and_written(database, ingestion):
    async with database.transaction() as connection:
        await connection.fetch("SELECT * FROM event_2025_12")
        receipt = None
        dropping = asyncio.create_task(_drop_before(database, NOVEMBER))
        receipt = await asyncio.wait_for(ingestion.record(read_mappings(_events(date(2025, 12, 5)))), 10)
        assert receipt.accepted == 1
    await asyncio.wait_for(dropping, 20)
    assert await EventPartitions(database).months() == [NOVEMBER, DECEMBER]


TEST = """
    INSERT INTO ab_test (id, key, name, seed, status, started_at) VALUES
        (1, 'welcome', 'Welcome', 'welcome', 'RUNNING', '2025-10-01');
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight) VALUES
        (1, 'control', 'Control', 0, true, 1);
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, window_hours) VALUES
        (1, 'conversion', 'Conversion', 0, 'CONVERSION', 6, 720)
"""


def _event(id_: str, kind: str, day: date, user: str) -> dict:
    exposed = {"testId": "welcome", "variantKey": "control", "probability": 1.0} if kind == "EXPOSED" else {}
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {"id": id_, "type": kind, "occurredAt": at, "userId": user, **exposed}


async def test_units_that_lost_events_stay_as_they_were_and_the_others_go_on(database, clock):
    await database.execute(TEST)
    ingestion = Ingestion(EventStore(database), clock)
    late, soon = date(2025, 11, 28), date(2025, 12, 31)
    events = [
        _event("old", "EXPOSED", late, "old"),
        _event("bought", "CONVERTED", date(2025, 11, 29), "old"),
        _event("new", "EXPOSED", soon, "new"),
    ]
    assert (await ingestion.record(read_mappings(events))).accepted == 3
    await _drop_before(database, DECEMBER)
    again = [
        _event("again", "EXPOSED", date(2025, 12, 2), "old"),
        _event("more", "CONVERTED", date(2025, 12, 3), "old"),
        _event("first", "CONVERTED", soon, "new"),
    ]
    assert (await ingestion.record(read_mappings(again))).accepted == 3
    values = dict(
        await database.fetch("SELECT external_id, value FROM unit_metric u JOIN app_user a ON a.id = u.user_id")
    )
    assert values == {"old": 1, "new": 1}
    exposed = await database.fetchval(
        "SELECT first_exposed_at FROM ab_test_assignment a JOIN app_user u ON u.id = a.user_id "
        "WHERE external_id = 'old'"
    )
    assert exposed.date() == late
    assert tuple(await database.fetchrow("SELECT sum(exposed), sum(converted) FROM test_totals")) == (2, 2)
