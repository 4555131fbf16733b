"""Units and totals of tests that are wrong are found and put right; and two writers at once leave none wrong."""

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.store import unit_metrics
from app.store.abtests import TestStore
from app.store.database import Database
from app.store.events import EVENT_COLUMNS, EventStore
from app.store.partitions import MONTHS
from app.store.unit_rebuilding import TABLES, UnitRebuilding

START = datetime(2026, 3, 1, tzinfo=UTC)
EXPOSED, CONVERTED, OPENED = 8, 6, 3
RUNNING = {"key": "t", "name": "t", "seed": "t", "status": "RUNNING", "started_at": START}


async def make_test(database: Database, **given: Any) -> int:
    async with database.transaction() as connection:
        return await TestStore(database).insert(
            connection,
            RUNNING | given,
            variants=[
                {"key": "control", "name": "control", "is_control": True, "weight": 0.5},
                {"key": "treatment", "name": "treatment", "is_control": False, "weight": 0.5},
            ],
            metrics=[
                {"key": "converted", "name": "c", "kind": "CONVERSION", "event": CONVERTED},
                {"key": "revenue", "name": "r", "kind": "REVENUE", "event": CONVERTED},
                {"key": "ratio", "name": "q", "kind": "RATIO", "event": CONVERTED, "denominator": OPENED},
            ],
        )


def event(number: int, user: int, kind: int, at: datetime, **given: Any) -> tuple[Any, ...]:
    """A draft as ingestion makes it."""
    values = {
        "key": uuid.UUID(int=number),
        "occurred_at": at,
        "user_id": user,
        "type": kind,
        "channel": 0,
        "event_id": str(number),
    } | given
    return tuple(values.get(name) for name in EVENT_COLUMNS if name != "segment")


@pytest_asyncio.fixture
async def users(clean_database: Database) -> list[int]:
    rows = await clean_database.fetch(
        "INSERT INTO app_user (external_id, segment) SELECT 'u' || n, 'Sëg' || n % 2 FROM generate_series(1, 6) n "
        "RETURNING id"
    )
    return [row["id"] for row in rows]


def history(users: list[int], variants: list[int], test_id: int, seed: int = 1) -> list[tuple[Any, ...]]:
    rng = random.Random(seed)
    events = []
    for number in range(90):
        kind = rng.choice([EXPOSED, EXPOSED, CONVERTED, CONVERTED, OPENED])
        own = {"test_id": test_id, "variant_id": rng.choice(variants)} if kind == EXPOSED else {}
        value = {"value_micros": rng.randrange(10**9)} if kind == CONVERTED else {}
        at = START + timedelta(hours=rng.uniform(-50, 200))
        events.append(event(seed * 1000 + number, rng.choice(users), kind, at, **own, **value))
    return events


async def variant_ids(database: Database, test_id: int) -> list[int]:
    definition = (await TestStore(database).definitions([test_id]))[test_id]
    return [variant.id for variant in definition.variants]


async def differences(database: Database, *, repair: bool = False) -> dict[str, int]:
    found = dict.fromkeys(TABLES, 0)
    async for checked in UnitRebuilding(database).run(repair=repair):
        found[checked.table] += checked.differences
    return found


NOTHING = dict.fromkeys(TABLES, 0)
SPOILED = {
    "UPDATE unit_metric SET value = value + 1 WHERE user_id = 1": {"unit_metric": 3},
    "UPDATE test_totals SET value_sum = value_sum + 1": {"test_totals": None},
    "DELETE FROM unit_metric": {"unit_metric": 18},
    "DELETE FROM ab_test_assignment WHERE user_id IN (2, 3)": {"ab_test_assignment": 2},
    "UPDATE ab_test_assignment SET multiple_exposures = NOT multiple_exposures": {"ab_test_assignment": 6},
    "DELETE FROM test_totals": {"test_totals": None},
    "INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability, "
    "policy_version) VALUES (1, 77, 1, now(), now(), 1, 1)": {"ab_test_assignment": 1},
}


@pytest_asyncio.fixture
async def counted(clean_database: Database, users: list[int]) -> Database:
    test_id = await make_test(clean_database)
    await EventStore(clean_database).append(history(users, await variant_ids(clean_database, test_id), test_id))
    return clean_database


async def rows(database: Database) -> list[list[tuple]]:
    found = [sorted(map(str, await database.fetch(f"SELECT * FROM {table}"))) for table in TABLES[:2]]
    totals = (await TestStore(database).totals([1], by_segment=True)).get(1, [])
    return [*found, sorted(map(str, totals))]


async def test_right_totals_are_left_alone(counted: Database) -> None:
    written = await counted.fetch("SELECT xmin::text, * FROM test_totals")
    assert await differences(counted, repair=True) == NOTHING
    assert await counted.fetch("SELECT xmin::text, * FROM test_totals") == written


@pytest.mark.parametrize("damage", SPOILED)
async def test_wrong_ones_are_found_and_put_right(counted: Database, damage: str) -> None:
    right = await rows(counted)
    await counted.execute(damage)
    spoiled = await rows(counted)
    found = await differences(counted)
    for table, count in SPOILED[damage].items():
        assert found[table] == count if count else found[table] > 0
    assert await rows(counted) == spoiled  # looking changes nothing
    assert await differences(counted, repair=True) == found
    assert await rows(counted) == right
    assert await differences(counted) == NOTHING


async def test_a_draft_has_nothing_to_check(clean_database: Database) -> None:
    await make_test(clean_database, status="DRAFT", started_at=None)
    assert await UnitRebuilding(clean_database).parts() == []


async def test_what_rests_on_dropped_events_stays(counted: Database, users: list[int]) -> None:
    later = START + timedelta(days=40)
    variants = await variant_ids(counted, 1)
    await counted.execute("INSERT INTO app_user (id, external_id) VALUES (100, 'late')")
    new = [
        event(5001, 100, EXPOSED, later, test_id=1, variant_id=variants[0]),
        event(5002, users[0], EXPOSED, later, test_id=1, variant_id=variants[1]),
    ]
    await EventStore(counted).append(new)
    right = await rows(counted)
    months = [row["relname"] for row in await counted.fetch(MONTHS)]  # retention drops the oldest, and all of them
    await counted.execute(f"DROP TABLE {', '.join(month for month in months if month <= 'event_2026_03')}")
    assert await differences(counted, repair=True) == NOTHING
    await counted.execute("DELETE FROM unit_metric WHERE user_id = 100")
    assert (await differences(counted, repair=True))["unit_metric"] == 3
    assert await rows(counted) == right


async def test_the_longest_window_says_what_rests_on_dropped_events(clean_database: Database, users: list[int]) -> None:
    test_id = await make_test(clean_database)
    await clean_database.execute("UPDATE ab_test_metric SET window_hours = 240 WHERE key = 'converted'")
    variant = (await variant_ids(clean_database, test_id))[0]
    exposed_at = datetime(2026, 4, 5, 4, tzinfo=UTC)  # the metrics of 72 hours begin in April, the one of 240 in March
    happened = [
        event(1, users[0], CONVERTED, exposed_at - timedelta(hours=150), value_micros=5_000_000),
        event(2, users[0], EXPOSED, exposed_at, test_id=test_id, variant_id=variant),
        event(3, users[0], CONVERTED, exposed_at + timedelta(hours=1), value_micros=5_000_000),
    ]
    await EventStore(clean_database).append(happened)
    right = await rows(clean_database)
    await clean_database.execute("DROP TABLE event_2026_03")
    assert await differences(clean_database, repair=True) == NOTHING
    assert await rows(clean_database) == right


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_two_writers_at_once_leave_the_totals_of_the_set(
    clean_database: Database, users: list[int], seed: int
) -> None:
    """Each event in a transaction of its own, many at once: a user's exposure and conversions meet in all ways."""
    test_id = await make_test(clean_database)
    store = EventStore(clean_database)
    events = history(users[:3], await variant_ids(clean_database, test_id), test_id, seed=seed + 2)
    await store.append(events[:1])  # partitions
    await asyncio.gather(*(store.append([one]) for one in [*events, *events[::3]]))
    assert await clean_database.fetchval("SELECT count(*) FROM event") == 90
    assert await differences(clean_database) == NOTHING
    assert await clean_database.fetchval("SELECT count(*) FROM unit_metric") == 9


@pytest.mark.slow
async def test_exposure_and_conversion_stored_by_two_open_transactions(
    clean_database: Database, users: list[int]
) -> None:
    """The second waits for the first and sees it, whichever of the two it is."""
    test_id = await make_test(clean_database)
    variants = await variant_ids(clean_database, test_id)
    store = EventStore(clean_database)
    for number, user in enumerate(users):
        exposure = event(number * 2, user, EXPOSED, START, test_id=test_id, variant_id=variants[0])
        conversion = event(number * 2 + 1, user, CONVERTED, START + timedelta(hours=1), value_micros=5_000_000)
        first, second = (exposure, conversion) if number % 2 else (conversion, exposure)
        await store.append([event(1000 + number, user, OPENED, START - timedelta(days=20))])  # partitions
        async with clean_database.transaction() as connection:
            await unit_metrics.share_tests(connection)
            await connection.execute(unit_metrics.LOCK_USERS, [user])
            waiting = asyncio.create_task(store.append([second]))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await connection.copy_records_to_table(
                "event", records=[(*first, "")], columns=[*(n for n in EVENT_COLUMNS if n != "segment"), "segment"]
            )
            kinds = [(user, first[EVENT_COLUMNS.index("test_id")], first[EVENT_COLUMNS.index("type")], first[1])]
            await unit_metrics.count_units(connection, await unit_metrics.lock_units(connection, kinds))
        await waiting
    totals = (await TestStore(clean_database).totals([test_id]))[test_id]
    assert {(row.exposed, row.converted) for row in totals} == {(6, 6), (6, 6)}
    assert await differences(clean_database) == NOTHING
