"""Storing events: each sender's id once, with the totals that count it, in one durable transaction."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import cast

import asyncpg

from app.store import unit_metrics
from app.store.database import Connection, Database
from app.store.partitions import EventPartitions
from app.store.retrying import retrying
from app.store.totals import EVENT_COLUMNS, EventRecord, Groups, add_to_totals

type EventDraft = tuple[object, ...]
"""One row of `event` without its segment, which is read in the transaction that stores it."""

EARLIEST_EVENT = datetime(2000, 1, 1, tzinfo=UTC)
"""Whatever is said to be older has a wrong clock."""

CAMPAIGNS = """
    SELECT id, key, merchant_id, (offer_amount * 1000000)::bigint AS offer_micros
    FROM campaign WHERE id = ANY($1::bigint[]) OR key = ANY($2::text[])
"""
TESTS = "SELECT id, key FROM ab_test WHERE id = ANY($1::bigint[]) OR key = ANY($2::text[])"
VARIANTS = "SELECT test_id, key, id FROM ab_test_variant WHERE test_id = ANY($1::bigint[])"
USERS = "SELECT external_id, id FROM app_user WHERE external_id = ANY($1::text[])"
USER_IDS = "SELECT id FROM app_user WHERE id = ANY($1::bigint[])"
NEW_USERS = """
    INSERT INTO app_user (external_id) SELECT unnest($1::text[])
    ON CONFLICT (external_id) DO NOTHING RETURNING external_id, id
"""
# Thousands of ids: a look-up each. `= ANY` would be planned anew each time, at a cost for each of them.
SEGMENTS = """
    SELECT u.id, u.segment FROM unnest($1::bigint[]) AS i(id)
    CROSS JOIN LATERAL (SELECT id, segment FROM app_user WHERE id = i.id OFFSET 0) AS u
"""

# In key order, so that of two writers with keys in common one waits for the other and none in a circle. How many were
# new is nearly always all there is to know; only where some were not is it asked which.
ADD_KEYS = """
    WITH fresh AS (
        INSERT INTO event_key (key, occurred_at)
        SELECT key, occurred_at FROM unnest($1::uuid[], $2::timestamptz[]) AS k(key, occurred_at) ORDER BY key
        ON CONFLICT (key) DO NOTHING RETURNING key
    )
    SELECT count(*) FROM fresh
"""
# Rows of other transactions: committed before, as else ADD_KEYS would have waited for them.
OTHERS_KEYS = """
    SELECT k.key FROM unnest($1::uuid[]) AS i(key)
    CROSS JOIN LATERAL (SELECT key FROM event_key WHERE key = i.key AND xmin <> pg_current_xact_id()::xid OFFSET 0) AS k
"""


@dataclass(frozen=True, slots=True)
class CampaignReference:
    """What an event takes from the campaign it names."""

    id: int
    merchant_id: int
    offer_micros: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What came of storing events: the keys that were there already, and whose totals changed.

    Events from before `kept_from` were not stored; None where none was.
    """

    duplicates: set[object]
    tests: set[int]
    campaigns: set[int]
    kept_from: datetime | None = None


class TotalsFull(Exception):
    """A sum of amounts would be larger than a total can hold; nothing was stored."""


NOTHING_APPENDED = Appended(set(), set(), set())
_USER, _CAMPAIGN = EVENT_COLUMNS.index("user_id"), EVENT_COLUMNS.index("campaign_id")
_UNIT_EVENT: Callable[[EventDraft], unit_metrics.UnitEvent] = itemgetter(
    *(EVENT_COLUMNS.index(name) for name in ("user_id", "test_id", "type", "occurred_at"))
)


class EventStore:
    """What ingestion asks of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._partitions = EventPartitions(database)

    async def campaigns(self, ids: Collection[int], keys: Collection[str]) -> dict[int | str, CampaignReference]:
        """Return campaigns by id and by key; each is found under both."""
        rows = await retrying(lambda: self._database.fetch(CAMPAIGNS, list(ids), list(keys)))
        found = [(row[1], CampaignReference(row[0], row[2], row[3])) for row in rows]
        return {name: campaign for key, campaign in found for name in (key, campaign.id)}

    async def tests(self, ids: Collection[int], keys: Collection[str]) -> dict[int | str, int]:
        """Return tests' ids by id and by key."""
        rows = await retrying(lambda: self._database.fetch(TESTS, list(ids), list(keys)))
        return {name: row[0] for row in rows for name in (row[0], row[1])}

    async def variants(self, test_ids: Collection[int]) -> dict[tuple[int, str], int]:
        """Return variants' ids by test and key."""
        rows = await retrying(lambda: self._database.fetch(VARIANTS, list(test_ids)))
        return {(row[0], row[1]): row[2] for row in rows}

    async def users(self, external_ids: Collection[str]) -> dict[str, int]:
        """Return known users' ids by external id."""
        rows = await retrying(lambda: self._database.fetch(USERS, list(external_ids)))
        return {row[0]: row[1] for row in rows}

    async def users_with_ids(self, ids: Collection[int]) -> set[int]:
        """Return which of these ids name users."""
        rows = await retrying(lambda: self._database.fetch(USER_IDS, list(ids)))
        return {row[0] for row in rows}

    async def make_users(self, external_ids: Collection[str]) -> dict[str, int]:
        """Make users of external ids not seen before, and return their ids; safe when two processes do it at once."""
        rows = await retrying(lambda: self._database.fetch(NEW_USERS, sorted(external_ids)))
        made = {row[0]: row[1] for row in rows}
        elsewhere = set(external_ids) - made.keys()
        return made | (await self.users(elsewhere) if elsewhere else {})

    async def append(self, drafts: Sequence[EventDraft]) -> Appended:
        """Store events with different keys; durable when it returns. Raises TotalsFull where amounts have no room."""
        if not drafts:
            return NOTHING_APPENDED
        try:
            return await retrying(lambda: self._append(drafts), before_retry=self._partitions.forget)
        except asyncpg.NumericValueOutOfRangeError as error:
            raise TotalsFull from error

    async def _append(self, drafts: Sequence[EventDraft]) -> Appended:
        kept_from = await self._partitions.ensure([cast("datetime", draft[1]) for draft in drafts])
        if kept_from is not None:
            drafts = [draft for draft in drafts if cast("datetime", draft[1]) >= kept_from]
            return replace(await self._append(drafts) if drafts else NOTHING_APPENDED, kept_from=kept_from)
        keys = [draft[0] for draft in drafts]
        times = [draft[1] for draft in drafts]
        async with self._database.transaction() as connection:
            await unit_metrics.share_tests(connection)
            duplicates = await _add_keys(connection, keys, times)
            new = [draft for draft in drafts if draft[0] not in duplicates] if duplicates else drafts
            tests = await _insert(connection, new) if new else set[int]()
        campaigns = {cast("int", draft[_CAMPAIGN]) for draft in new if draft[_CAMPAIGN] is not None}
        return Appended(duplicates, tests, campaigns)


async def _add_keys(connection: Connection, keys: Sequence[object], times: Sequence[object]) -> set[object]:
    """Store keys that are new and return those that are not."""
    known = len(keys) - await connection.fetchval(ADD_KEYS, keys, times)
    if not known:
        return set()
    duplicates: set[object] = {row[0] for row in await connection.fetch(OTHERS_KEYS, keys)}
    if len(duplicates) != known:  # a row of four billion transactions ago has this one's number
        raise asyncpg.SerializationError("The number of a transaction came round: do this one again.")
    return duplicates


async def _insert(connection: Connection, drafts: Sequence[EventDraft]) -> set[int]:
    users = {draft[_USER] for draft in drafts}
    segments = {row[0]: (row[1],) for row in await connection.fetch(SEGMENTS, list(users))}
    records: list[EventRecord] = [draft + segments[draft[_USER]] for draft in drafts]
    await connection.copy_records_to_table("event", records=records, columns=EVENT_COLUMNS)
    groups = Groups(records)
    concerned = await unit_metrics.lock_units(connection, map(_UNIT_EVENT, drafts), also=groups.converting_users)
    await add_to_totals(connection, groups)
    return await unit_metrics.count_units(connection, concerned)
