"""Totals are a pure function of the set of events: whatever the order, repetition, delay, batching and writers."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.runtime.clock import ManualClock
from app.store.database import Database
from app.store.events import EventStore
from app.store.rebuilding import TotalsRebuilding
from app.store.totals import cohort_changes

EXAMPLES = int(os.environ.get("WINNOW_TOTALS_EXAMPLES", "40"))
MEASURES = (
    "sum(sent), sum(delivered), sum(opened), sum(clicked), sum(activated), sum(converted), sum(geofence_entries), "
    "sum(revenue_micros), sum(reward_micros), sum(delivery_micros)"
)
READ = {
    "campaign": f"SELECT campaign_id, {MEASURES} FROM campaign_total GROUP BY 1",
    "hour": f"SELECT campaign_id, hour, segment, channel, {MEASURES} FROM campaign_hour GROUP BY 1, 2, 3, 4",
    "day": f"SELECT campaign_id, day, {MEASURES} FROM campaign_day GROUP BY 1, 2",
    "merchant": f"SELECT merchant_id, day, channel, {MEASURES} FROM merchant_day GROUP BY 1, 2, 3",
    "user": "SELECT * FROM campaign_user_day",
    "cohort": "SELECT campaign_id, interval_days, cohort, period, sum(users) FROM campaign_cohort GROUP BY 1, 2, 3, 4",
}
KEYS = {"campaign": 1, "hour": 4, "day": 2, "merchant": 3, "user": 3, "cohort": 4}
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES
        (1, 'bakery', 'Bakery', 'food'), (2, 'books', 'Books', 'media');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES
        (1, 'spring', 'Spring', 1, '{1}', 5.00), (2, 'summer', 'Summer', 1, '{1}', 0.01),
        (3, 'autumn', 'Autumn', 2, '{1}', 2);
    INSERT INTO app_user (id, external_id, segment) VALUES (1, 'ann', 'vip'), (2, 'bob', 'new'), (3, 'cyd', '');
    SELECT setval(pg_get_serial_sequence('app_user', 'id'), 100);
"""
TYPES = ["SENT", "DELIVERED", "OPENED", "CLICKED", "ACTIVATED", "GEOFENCE_ENTERED", *["CONVERTED"] * 6]


@dataclass
class World:
    """A database, emptied between examples, and two processes that write to it."""

    database: Database
    writers: tuple[Ingestion, Ingestion]

    async def record(self, batches: Sequence[Sequence[dict]]) -> None:
        """Record batches, those of even places by one process one after another, the others by the other, at once."""

        async def write(writer: Ingestion, own: Sequence[Sequence[dict]]) -> None:
            for batch in own:
                await writer.record(read_mappings(batch))

        await asyncio.gather(*(write(writer, batches[n::2]) for n, writer in enumerate(self.writers)))

    async def totals(self) -> dict[str, dict]:
        """Return all totals, slots summed, rows of zeros left out."""
        found = {}
        for table, query in READ.items():
            rows = await self.database.fetch(query)
            pairs = [(tuple(row)[: KEYS[table]], tuple(row)[KEYS[table] :]) for row in rows]
            found[table] = {key: values for key, values in pairs if any(values)}
        return found

    async def empty(self) -> None:
        await self.database.execute(
            "DELETE FROM event; DELETE FROM event_key; DELETE FROM campaign_hour; DELETE FROM campaign_day; "
            "DELETE FROM merchant_day; DELETE FROM campaign_total; "
            "DELETE FROM campaign_user_day; DELETE FROM campaign_cohort"
        )

    async def differences(self, *, repair: bool = False) -> int:
        return sum([found.differences async for found in TotalsRebuilding(self.database).run(repair=repair)])


@pytest_asyncio.fixture
async def world(clean_database: Database, clock: ManualClock) -> World:
    await clean_database.execute(CATALOGUE)
    writers = tuple(Ingestion(EventStore(clean_database), clock) for _ in range(2))
    return World(clean_database, writers)


amounts = st.none() | st.decimals(min_value=0, max_value=1000, places=6, allow_nan=False)
events = st.fixed_dictionaries(
    {
        "type": st.sampled_from(TYPES),
        "occurredAt": st.integers(0, 60 * 24 * 40).map(
            lambda m: datetime(2025, 11, 20, tzinfo=UTC) + timedelta(minutes=m)
        ),
        "userId": st.sampled_from(["ann", "bob", "cyd"]),
        "campaignId": st.sampled_from(["spring", "spring", "summer", "autumn", None]),
        "channel": st.sampled_from(["PUSH", "EMAIL", None]),
        "value": amounts,
        "cost": amounts,
        "offerAmount": amounts,
    }
)
sets_of_events = st.lists(events, min_size=1, max_size=25).map(
    lambda given: [{"id": f"e{n}", **event} for n, event in enumerate(given)]
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[dict], list[list[dict]]]:
    """A set of events, and a way in which they may come: in any order, some again, in batches of any size."""
    sent = draw(sets_of_events)
    again = draw(st.lists(st.sampled_from(sent), max_size=10))
    order = draw(st.permutations([*sent, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=5)))
    return sent, [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(delivery=deliveries())
async def test_totals_depend_on_the_set_of_events_alone(world: World, delivery):
    sent, batches = delivery
    await world.empty()
    await world.record([sent])
    expected = await world.totals()
    assert expected == recomputed(sent)
    await world.empty()
    await world.record(batches)
    assert await world.totals() == expected
    assert await world.differences() == 0


def recomputed(sent: list[dict]) -> dict[str, dict]:
    """Return the totals by their definitions, in plain Python and Decimal."""
    found: dict[str, dict] = {table: {} for table in READ}
    converted: dict[tuple, set[date]] = {}
    places = ("SENT", "DELIVERED", "OPENED", "CLICKED", "ACTIVATED", "CONVERTED", "GEOFENCE_ENTERED")
    for event in sent:
        if event["campaignId"] is None:
            continue
        campaign, merchant, offer = {"spring": (1, 1, 5), "summer": (2, 1, Decimal("0.01")), "autumn": (3, 2, 2)}[
            event["campaignId"]
        ]
        user, segment = {"ann": (1, "vip"), "bob": (2, "new"), "cyd": (3, "")}[event["userId"]]
        channel = {"PUSH": 1, "EMAIL": 2, None: 0}[event["channel"]]
        day = event["occurredAt"].date()
        is_conversion = event["type"] == "CONVERTED"
        offered = event["offerAmount"] if event["offerAmount"] is not None else offer
        reward = (event["cost"] if event["cost"] is not None else offered) if is_conversion else 0
        money = (
            (event["value"] or 0) if is_conversion else 0,
            reward,
            0 if is_conversion else (event["cost"] or 0),
        )
        added = [int(name == event["type"]) for name in places] + [int(Decimal(amount) * 10**6) for amount in money]
        hour = event["occurredAt"].replace(minute=0)
        for table, key in (
            ("campaign", (campaign,)),
            ("hour", (campaign, hour, segment, channel)),
            ("day", (campaign, day)),
            ("merchant", (merchant, day, channel)),
        ):
            before = found[table].get(key, [0] * 10)
            found[table][key] = [a + b for a, b in zip(before, added, strict=True)]
        if is_conversion:
            key = (campaign, user, day)
            found["user"][key] = (found["user"].get(key, (0,))[0] + 1,)
            converted.setdefault((campaign, user), set()).add(day)
    for table in ("campaign", "hour", "day", "merchant"):
        found[table] = {key: tuple(values) for key, values in found[table].items()}
    for (campaign, _), days in converted.items():
        for length in (1, 7):
            starts = {day - timedelta(days=day.weekday()) if length == 7 else day for day in days}
            for start in starts:
                key = (campaign, length, min(starts), (start - min(starts)).days // length)
                found["cohort"][key] = (found["cohort"].get(key, (0,))[0] + 1,)
    return found


async def test_an_earlier_conversion_that_comes_late_moves_the_user_to_its_cohort(world: World):
    days = [date(2025, 12, 3), date(2025, 12, 10), date(2025, 12, 1)]  # Wednesday, Wednesday, the Monday before
    for n, day in enumerate(days):
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        await world.record(
            [[{"id": f"{n}", "type": "CONVERTED", "occurredAt": at, "userId": "ann", "campaignId": "spring"}]]
        )
    cohorts = (await world.totals())["cohort"]
    assert cohorts == {
        (1, 1, days[2], 0): (1,),
        (1, 1, days[2], 2): (1,),
        (1, 1, days[2], 9): (1,),
        (1, 7, days[2], 0): (1,),
        (1, 7, days[2], 1): (1,),
    }


def test_a_second_conversion_on_a_known_day_changes_no_cohort():
    day = date(2025, 12, 3)
    assert cohort_changes({(1, 1): {day}}, [(1, 1, day)]) == {}


async def test_many_writers_at_once_neither_lose_nor_double(world: World, clock: ManualClock):
    at = datetime(2025, 12, 1, tzinfo=UTC)
    batches = [
        [
            {
                "id": f"{n % 6}-{k}",  # every event comes from two writers
                "type": "CONVERTED",
                "occurredAt": at + timedelta(hours=7 * k),
                "userId": ("ann", "bob", "cyd")[k % 3],
                "campaignId": ("spring", "autumn")[k % 2],
                "value": Decimal(1),
            }
            for k in (range(30) if n < 6 else reversed(range(30)))
        ]
        for n in range(12)
    ]
    writers = [Ingestion(EventStore(world.database), clock) for _ in batches]
    receipts = await asyncio.gather(
        *(writer.record(read_mappings(batch)) for writer, batch in zip(writers, batches, strict=True))
    )
    assert sum(receipt.accepted for receipt in receipts) == sum(receipt.duplicates for receipt in receipts) == 180
    assert await world.database.fetchval("SELECT sum(revenue_micros) FROM campaign_day") == 180_000_000
    assert await world.differences() == 0


async def test_one_users_first_conversion_is_agreed_on_by_all_writers(world: World, clock: ManualClock):
    writers = [Ingestion(EventStore(world.database), clock) for _ in range(8)]
    for round_ in range(10):
        at = datetime(2025, 12, 28, tzinfo=UTC) - timedelta(days=round_)
        await asyncio.gather(
            *(
                writer.record(
                    read_mappings(
                        [
                            {
                                "id": f"{round_}-{n}",
                                "type": "CONVERTED",
                                "occurredAt": at - timedelta(days=17 * n),
                                "userId": "ann",
                                "campaignId": "spring",
                            }
                        ]
                    )
                )
                for n, writer in enumerate(writers)
            )
        )
    assert await world.differences() == 0
    assert sum(users for (users,) in (await world.totals())["cohort"].values()) > 0


async def test_the_slot_is_the_writers_own(world: World):
    await world.record(
        [
            [
                {
                    "id": "1",
                    "type": "SENT",
                    "occurredAt": datetime(2025, 12, 1, tzinfo=UTC),
                    "userId": "ann",
                    "campaignId": "spring",
                }
            ]
        ]
    )
    assert await world.database.fetchval("SELECT bool_and(slot BETWEEN 0 AND 7) FROM campaign_hour")
