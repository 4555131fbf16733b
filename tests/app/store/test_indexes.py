"""Every index is there because a named query uses it: EXPLAIN of the query as it is sent must name the index."""

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest_asyncio

from app.store.access import AccessStore
from app.store.campaigns import CampaignFilter, CampaignOrder, CampaignStore
from app.store.database import Database
from app.store.events import OTHERS_KEYS, SEGMENTS, EventStore
from app.store.models.codes import CampaignStatus
from app.store.partitions import EventPartitions
from app.store.performance import Breakdown, PerformanceStore
from app.store.totals import CONVERSION_DAYS
from app.store.unit_metrics import AFFECTED_PAIRS, EXPOSED_USERS, UPDATE_ASSIGNMENTS, UPDATE_UNITS
from app.store.windows import Interval, Window

START = datetime(2025, 12, 1, tzinfo=UTC)
MEASURES = "sent, delivered, revenue_micros"
FILLING = [
    "INSERT INTO merchant (key, name, category) SELECT 'm' || n, 'M', '' FROM generate_series(1, 3000) n",
    """
    INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount, starts_at)
    SELECT 'c' || n, md5(n::text), 1 + n % 3000, CASE WHEN n % 500 = 0 THEN 'PAUSED' ELSE 'ACTIVE' END, '{1}', 5,
           timestamptz '2025-12-01' + n * interval '1 minute'
    FROM generate_series(1, 6000) n
    """,
    "INSERT INTO app_user (external_id, segment) SELECT 'u' || n, 's' || n % 500 FROM generate_series(1, 10000) n",
    f"""
    INSERT INTO campaign_hour (campaign_id, hour, segment, channel, slot, {MEASURES})
    SELECT 1 + n % 1000, timestamptz '2025-12-01Z' + n / 200 * interval '1 hour', 's', 1, 0, 9, 8, 7
    FROM generate_series(0, 99999) n
    """,
    f"""
    INSERT INTO campaign_day (campaign_id, day, slot, {MEASURES})
    SELECT c, date '2025-12-01' + d, 0, 9, 8, 7 FROM generate_series(0, 99) d, generate_series(1, 1000) c ORDER BY d
    """,
    f"""
    INSERT INTO merchant_day (merchant_id, day, channel, slot, {MEASURES})
    SELECT m, date '2025-12-01' + d, 1, 0, 9, 8, 7 FROM generate_series(0, 99) d, generate_series(1, 1000) m ORDER BY d
    """,
    f"""
    INSERT INTO campaign_total (campaign_id, slot, {MEASURES}) SELECT c, 0, 9, 8, 7 FROM generate_series(1, 1000) c
    """,
    """
    INSERT INTO campaign_cohort (campaign_id, interval_days, cohort, period, slot, users)
    SELECT c, 7, date '2025-12-01', p, 0, 5 FROM generate_series(1, 2000) c, generate_series(0, 9) p
    """,
    """
    INSERT INTO campaign_user_day (campaign_id, user_id, day, conversions)
    SELECT 1 + n % 1000, 1 + n % 9973, date '2025-12-01' + n % 20, 1 FROM generate_series(1, 30000) n
    """,
    """
    INSERT INTO event (key, occurred_at, user_id, campaign_id, type, channel, event_id)
    SELECT md5(n::text)::uuid, timestamptz '2025-12-01Z' + n * interval '40 seconds', 1 + n % 10000, 1 + n % 1000,
           1 + n % 6, 1, 'e' || n
    FROM generate_series(1, 60000) n
    """,
    "INSERT INTO event_key (key, occurred_at) SELECT key, occurred_at FROM event",
    """
    INSERT INTO api_key (name, prefix, digest, role, revoked_at)
    SELECT 'k', 'wnw', md5(n::text), 'sender', CASE WHEN n > 20 THEN now() END FROM generate_series(1, 2000) n
    """,
    """
    INSERT INTO audit_entry (actor, action, subject_kind, subject_id)
    SELECT 'a', 'x', 'campaign', (n % 900)::text FROM generate_series(1, 20000) n
    """,
    "INSERT INTO ab_test (key, name, seed, started_at) SELECT 't' || n, 'T', 's', now() FROM generate_series(1, 500) n",
    """
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
    SELECT t, 'v' || v, 'V', v, v = 0, 0.5 FROM generate_series(1, 500) t, generate_series(0, 1) v
    """,
    """
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event)
    SELECT t, 'm', 'M', 0, 'CONVERSION', 6 FROM generate_series(1, 500) t
    """,
    """
    INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,
                                    policy_version)
    SELECT t, t * 17 + u, 1, now(), now(), 0.5, 1 FROM generate_series(1, 500) t, generate_series(1, 40) u
    """,
    "VACUUM ANALYZE",
]
PARENTS = """
    SELECT c.relname AS child, p.relname AS parent
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE c.relkind = 'i'
"""


class Explaining:
    """A database that explains what it is asked instead of answering, and keeps the names of the indexes."""

    def __init__(self, connection: asyncpg.Connection, parents: dict[str, str]) -> None:
        self.used: set[str] = set()
        self._connection = connection
        self._parents = parents

    async def fetch(self, query: str, *args: object) -> list[Any]:
        [[plan]] = await self._connection.fetch(f"EXPLAIN (FORMAT JSON) {query}", *args)
        explained = json.loads(plan)
        self.used |= {self._parents.get(name, name) for name in indexes_in(explained)}
        return (
            [(None, None)] if explained[0]["Plan"].get("Strategy") == "Plain" else []
        )  # an aggregate of no rows is one

    async def fetchrow(self, query: str, *args: object) -> None:
        await self.fetch(query, *args)

    async def fetchval(self, query: str, *args: object) -> None:
        await self.fetch(query, *args)

    @asynccontextmanager
    async def transaction(self):
        yield self


def indexes_in(plan: Any) -> Iterator[str]:
    """Return every index a plan reads or decides a conflict by."""
    if isinstance(plan, list):
        for part in plan:
            yield from indexes_in(part)
    elif isinstance(plan, dict):
        yield from [plan["Index Name"]] if "Index Name" in plan else []
        yield from plan.get("Conflict Arbiter Indexes", [])
        for part in plan.values():
            yield from indexes_in(part)


@pytest_asyncio.fixture(scope="module")
async def connection(new_database):
    url = await new_database()
    database = await Database.open(url, default=False)
    await EventPartitions(database).ensure([START, START + timedelta(days=31)])
    await database.close()
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC", "jit": "off"})
    for statement in FILLING:
        await connection.execute(statement)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def indexes_of(connection) -> Callable[[Callable[[Any], Awaitable[object]]], Awaitable[set[str]]]:
    parents = {row["child"]: row["parent"] for row in await connection.fetch(PARENTS)}

    async def read(question: Callable[[Any], Awaitable[object]]) -> set[str]:
        database = Explaining(connection, parents)
        await question(database)
        return database.used

    return read


WEEK = Window(START + timedelta(days=3), START + timedelta(days=10))
HOURS = Window(START + timedelta(hours=3), START + timedelta(hours=6))
EDGE = Window(START + timedelta(minutes=10), START + timedelta(minutes=50))
USERS = [5, 17]

QUERIES: dict[str, dict[str, Callable[[Any], Awaitable[object]]]] = {
    "campaigns by key": {
        "campaign_key_key": lambda d: CampaignStore(d).campaigns(["c7"]),
        "campaign_pkey": lambda d: CampaignStore(d).campaigns([7, "c7"]),
    },
    "merchants by key": {
        "merchant_key_key": lambda d: CampaignStore(d).merchants(["m7"]),
        "merchant_pkey": lambda d: CampaignStore(d).merchants([7, "m7"]),
    },
    "users by external id": {
        "app_user_external_id_key": lambda d: CampaignStore(d).users(["u7"]),
        "app_user_pkey": lambda d: CampaignStore(d).users([7, "u7"]),
    },
    "newest campaigns": {"campaign_pkey": lambda d: CampaignStore(d).campaign_page()},
    "campaigns of merchants": {"campaign_by_merchant": lambda d: CampaignStore(d).campaign_pages([1, 2, 3])},
    "number of campaigns of merchants": {
        "campaign_by_merchant": lambda d: CampaignStore(d).count_campaigns_by_merchant([1, 2])
    },
    "campaigns of a status": {
        "campaign_by_status": lambda d: CampaignStore(d).campaign_page(
            where=CampaignFilter(statuses=[CampaignStatus.PAUSED])
        )
    },
    "campaigns by name": {"campaign_by_name": lambda d: CampaignStore(d).campaign_page(order=CampaignOrder.NAME)},
    "campaigns by start": {
        "campaign_by_start": lambda d: CampaignStore(d).campaign_page(order=CampaignOrder.STARTS_AT)
    },
    "metrics of a campaign": {"campaign_total_pkey": lambda d: PerformanceStore(d).campaigns([7])},
    "metrics of a campaign's week": {"campaign_day_pkey": lambda d: PerformanceStore(d).campaigns([7], WEEK)},
    "metrics of merchants": {"campaign_by_merchant": lambda d: PerformanceStore(d).merchants([7, 8])},
    "metrics of a merchant's week": {"merchant_day_pkey": lambda d: PerformanceStore(d).merchants([7, 8], WEEK)},
    "top campaigns of a week": {
        "campaign_day_by_time": lambda d: PerformanceStore(d).top_campaigns("ROI", 10, window=WEEK)
    },
    "the portfolio's week": {"merchant_day_by_time": lambda d: PerformanceStore(d).portfolio(WEEK)},
    "segments of a campaign": {
        "campaign_hour_pkey": lambda d: PerformanceStore(d).campaign_parts([7], by=Breakdown.SEGMENT)
    },
    "edges of a campaign's window": {"event_by_campaign": lambda d: PerformanceStore(d).campaigns([7], EDGE)},
    "hours of a merchant's window": {
        "campaign_by_merchant": lambda d: PerformanceStore(d).merchants([7], HOURS),
        "campaign_hour_pkey": lambda d: PerformanceStore(d).merchants([7], HOURS),
    },
    "hours of the portfolio's window": {"campaign_hour_by_time": lambda d: PerformanceStore(d).portfolio(HOURS)},
    "edges of the portfolio's window": {"event_by_time": lambda d: PerformanceStore(d).portfolio(EDGE)},
    "cohorts of a campaign": {
        "campaign_cohort_pkey": lambda d: PerformanceStore(d).cohorts([7], Interval.WEEK, periods=8)
    },
    "days on which users converted": {
        "campaign_user_day_pkey": lambda d: d.fetch(CONVERSION_DAYS, [7, 8], [5, 17]),
    },
    "events stored before": {"event_key_pkey": lambda d: d.fetch(OTHERS_KEYS, [uuid.uuid4()])},
    "users of a batch": {
        "app_user_external_id_key": lambda d: EventStore(d).users(["u7"]),
        "app_user_pkey": lambda d: d.fetch(SEGMENTS, USERS),
    },
    "who shows a key": {"api_key_active": lambda d: AccessStore(d).active_key("digest")},
    "history of a subject": {
        "audit_entry_by_subject": lambda d: AccessStore(d).audit_entries(kind="campaign", subject_id="7")
    },
    "tests that events may matter to": {
        "ab_test_assignment_by_user": lambda d: d.fetch(AFFECTED_PAIRS, USERS, [None, None], [6, 6], [START, START])
    },
    "users exposed to a test": {"event_by_test": lambda d: d.fetch(EXPOSED_USERS, 1, 0, 10)},
    "first exposures": {
        "event_by_user": lambda d: d.fetch(UPDATE_ASSIGNMENTS, [1, 2], USERS),
        "ab_test_assignment_pkey": lambda d: d.fetch(UPDATE_ASSIGNMENTS, [1, 2], USERS),
        "ab_test_variant_pkey": lambda d: d.fetch(UPDATE_ASSIGNMENTS, [1, 2], USERS),
    },
    "what exposed units did": {"event_by_user": lambda d: d.fetch(UPDATE_UNITS, [1, 2], USERS)},
}


async def test_each_query_uses_its_index(indexes_of) -> None:
    missed = {}
    for name, questions in QUERIES.items():
        for index, question in questions.items():
            used = await indexes_of(question)
            if index not in used:
                missed[f"{name}: {index}"] = used
    assert missed == {}


def test_at_least_fifteen_indexes_are_covered() -> None:
    assert len({index for questions in QUERIES.values() for index in questions}) >= 15


async def test_a_missing_index_would_be_noticed(connection, indexes_of) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("DROP INDEX campaign_by_merchant")
    used = await indexes_of(QUERIES["campaigns of merchants"]["campaign_by_merchant"])
    await transaction.rollback()
    assert "campaign_by_merchant" not in used
