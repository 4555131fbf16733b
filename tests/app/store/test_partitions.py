"""Months are made once, on demand, by whoever needs them first."""

import asyncio
from datetime import UTC, date, datetime

import pytest_asyncio

from app.store.database import Database
from app.store.partitions import EventPartitions, month_of, next_month

TIMES = [
    datetime(2031, 12, 31, 23, 59, tzinfo=UTC),
    datetime(2032, 1, 1, tzinfo=UTC),
    datetime(2032, 2, 29, tzinfo=UTC),
]
MONTHS = [date(2031, 12, 1), date(2032, 1, 1), date(2032, 2, 1)]


@pytest_asyncio.fixture
async def own_database(new_database):
    """A database of its own: others keep the months that earlier tests made."""
    databases = [await Database.open(url, default=False) for url in [await new_database()] * 2]
    yield databases
    for database in databases:
        await database.close()


async def test_two_processes_make_the_same_months_at_once(own_database):
    partitions = [EventPartitions(database) for database in own_database for _ in range(4)]
    await asyncio.gather(*(each.ensure(TIMES) for each in partitions))
    assert await partitions[0].months() == MONTHS


async def test_a_month_that_is_known_costs_nothing_until_it_is_forgotten(own_database):
    partitions = EventPartitions(own_database[0])
    await partitions.ensure(TIMES)
    await own_database[1].execute("DROP TABLE event_2032_01")
    await partitions.ensure(TIMES)
    assert await partitions.months() == [MONTHS[0], MONTHS[2]]
    partitions.forget()
    await partitions.ensure(TIMES)
    assert await partitions.months() == MONTHS


async def test_a_month_is_made_while_others_read_and_write(own_database):
    partitions = EventPartitions(own_database[0])
    await partitions.ensure(TIMES[:1])
    async with own_database[1].transaction() as connection:
        await connection.execute(
            "INSERT INTO event (key, occurred_at, user_id, type, event_id) "
            "VALUES (gen_random_uuid(), '2031-12-05', 1, 1, 'x')"
        )
        await connection.fetch("SELECT * FROM event")
        await asyncio.wait_for(partitions.ensure(TIMES), 5)


async def test_a_new_month_has_the_indexes_of_all(own_database):
    await EventPartitions(own_database[0]).ensure(TIMES)
    count = "SELECT count(*) FROM pg_index WHERE indrelid = $1::regclass"
    of_all = await own_database[0].fetchval(count, "event")
    assert of_all >= 3
    assert await own_database[0].fetchval(count, "event_2032_01") == of_all


def test_a_month_begins_in_utc():
    from datetime import timedelta, timezone

    assert month_of(datetime(2032, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == date(2031, 12, 1)
    assert next_month(date(2031, 12, 1)) == date(2032, 1, 1)
