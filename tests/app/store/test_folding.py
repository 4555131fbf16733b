"""Folding moves what slots hold of closed days, and changes no sum."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.store.database import Database
from app.store.events import EventStore
from app.store.folding import FOLDINGS, TotalsFolding
from app.store.rebuilding import TotalsRebuilding

BEFORE = date(2025, 11, 3)
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES (1, 'bakery', 'Bäckerei', 'food');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES
        (1, 'spring', 'Spring', 1, '{1}', 5.00), (450, 'autumn', 'Autumn', 1, '{1}', 2);
"""


def _events(tag: str, *, count: int = 60) -> list[dict]:
    start = datetime(2025, 10, 30, tzinfo=UTC)
    return [
        {
            "id": f"{tag}{n}",
            "type": ("SENT", "CONVERTED", "OPENED")[n % 3],
            "occurredAt": start + timedelta(hours=3 * n),
            "userId": f"u{n % 4}",
            "campaignId": ("spring", "autumn")[n % 2],
            "value": Decimal(n),
        }
        for n in range(count)
    ]


async def _sums(database: Database) -> dict[str, list[tuple]]:
    found = {}
    for folding in FOLDINGS:
        keys = ", ".join(folding.keys)
        values = ", ".join(f"sum({name})" for name in folding.values)
        nonzero = " OR ".join(f"sum({name}) <> 0" for name in folding.values)
        rows = await database.fetch(
            f"SELECT {keys}, {values} FROM {folding.table} GROUP BY {keys} HAVING {nonzero} ORDER BY {keys}"
        )
        found[folding.table] = [tuple(row) for row in rows]
    return found


async def _scatter(database: Database) -> None:
    """Put the rows into slots as several writers leave them: a part in its own slot, the rest in another."""
    for folding in FOLDINGS:
        keys, names = ", ".join(folding.keys), ", ".join(folding.values)
        await database.execute(f"UPDATE {folding.table} SET slot = 3")
        await database.execute(
            f"INSERT INTO {folding.table} ({keys}, slot, {names}) SELECT {keys}, 0, {names} FROM {folding.table}"
        )
        await database.execute(
            f"INSERT INTO {folding.table} ({keys}, slot, {names}) "
            f"SELECT {keys}, 5, {', '.join(f'-{name}' for name in folding.values)} FROM {folding.table} WHERE slot = 0"
        )


@pytest_asyncio.fixture
async def filled(clean_database, clock):
    await clean_database.execute(CATALOGUE)
    receipt = await Ingestion(EventStore(clean_database), clock).record(read_mappings(_events("a")))
    assert receipt.accepted == 60
    return clean_database


async def _fold(database: Database) -> int:
    return sum([folded.rows async for folded in TotalsFolding(database).run(BEFORE)])


async def test_closed_days_end_in_one_row_and_every_sum_stays(filled):
    await _scatter(filled)
    before = await _sums(filled)
    assert await _fold(filled) > 0
    assert await _sums(filled) == before
    for folding in FOLDINGS:
        left = f"SELECT count(*) FROM {folding.table} WHERE slot <> 0 AND"
        assert await filled.fetchval(f"{left} {folding.closed}", BEFORE) == 0
        assert await filled.fetchval(f"{left} NOT ({folding.closed})", BEFORE) > 0
    assert sum([checked.differences async for checked in TotalsRebuilding(filled).run(repair=False)]) == 0


async def test_folding_again_moves_nothing(filled):
    await _fold(filled)
    assert await _fold(filled) == 0


async def test_a_late_event_is_counted_and_folded_the_next_time(filled, clock):
    await _fold(filled)
    await Ingestion(EventStore(filled), clock).record(read_mappings(_events("late", count=6)))
    before = await _sums(filled)
    await _fold(filled)
    assert await _sums(filled) == before
    differences = [checked.differences async for checked in TotalsRebuilding(filled).run(repair=False)]
    assert sum(differences) == 0


async def test_rows_that_a_writer_holds_are_left_for_the_next_time(filled):
    await _scatter(filled)
    async with filled.transaction() as connection:
        await connection.execute("UPDATE campaign_day SET sent = sent + 1 WHERE slot = 3 AND campaign_id = 1")
        await asyncio.wait_for(_fold(filled), 10)
        held = await connection.fetchval("SELECT count(*) FROM campaign_day WHERE slot = 3 AND campaign_id = 1")
        assert held > 0
    assert await _fold(filled) > 0


@pytest.mark.parametrize("rounds", [3])
async def test_folding_while_events_come_loses_none(filled, clock, rounds):
    ingestion = Ingestion(EventStore(filled), clock)

    async def write(tag: str) -> None:
        for number in range(rounds):
            await ingestion.record(read_mappings(_events(f"{tag}{number}-")))

    async def fold() -> None:
        for _ in range(rounds):
            await _fold(filled)

    await asyncio.gather(write("x"), write("y"), fold(), fold())
    differences = [checked.differences async for checked in TotalsRebuilding(filled).run(repair=False)]
    assert sum(differences) == 0
    assert await filled.fetchval("SELECT sum(sent) FROM campaign_day") == 20 * (1 + 2 * rounds)
