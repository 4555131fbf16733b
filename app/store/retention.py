"""Months of events that are old enough to go: dropped whole, and never taken in again.

What was counted of them stays: totals, cohorts, units and assignments are all that is left. The first day that is kept
is written down before anything is dropped, so that an event from before it is refused rather than counted anew after
its key is gone. A process killed in between leaves what the next run finishes.
"""

from datetime import date

from app.store.database import Database
from app.store.partitions import IS_ATTACHED, KEPT_FROM, PARTITION_LOCK, partition_name

KEYS_AT_ONCE = 50_000

KEEP_FROM = """
INSERT INTO event_retention (kept_from) VALUES ($1)
ON CONFLICT (single) DO UPDATE SET kept_from = greatest(event_retention.kept_from, excluded.kept_from)
"""
PENDING = """
SELECT i.inhdetachpending FROM pg_inherits i WHERE i.inhparent = 'event'::regclass AND i.inhrelid = to_regclass($1)
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^event_[0-9]{4}_[0-9]{2}$' ORDER BY 1"
FORGET_KEYS = """
DELETE FROM event_key WHERE key IN (
    SELECT key FROM event_key WHERE occurred_at < $1::date::timestamp AT TIME ZONE 'UTC' LIMIT $2
)
"""


class EventRetention:
    """Drops months of events, and the keys by which they were known."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def kept_from(self) -> date | None:
        """Return the first day whose events are kept; None where none was ever dropped."""
        return await self._database.fetchval(KEPT_FROM)

    async def months_before(self, first: date) -> list[date]:
        """Return the months that end before a day, whether attached or left over from a run that broke off."""
        names = [row["relname"] for row in await self._database.fetch(TABLES)]
        months = [date(int(name[6:10]), int(name[11:13]), 1) for name in names]
        return [month for month in months if month < first.replace(day=1)]

    async def keep_from(self, first: date) -> None:
        """Refuse events from before a month from now on."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
            await connection.execute(KEEP_FROM, first.replace(day=1))

    async def drop(self, month: date) -> None:
        """Drop a month's events; readers and writers of other months do not wait."""
        name = partition_name(month)
        async with self._database.connection() as connection:
            await connection.execute("SET statement_timeout = 0")
            try:
                if await connection.fetchval(IS_ATTACHED, name):
                    how = "FINALIZE" if await connection.fetchval(PENDING, name) else "CONCURRENTLY"
                    await connection.execute(f"ALTER TABLE event DETACH PARTITION {name} {how}")
                await connection.execute(f"DROP TABLE IF EXISTS {name}")
            finally:
                await connection.execute("RESET statement_timeout")

    async def forget_keys(self, first: date) -> int:
        """Forget a part of the keys of events from before a day; return how many, 0 where none is left."""
        return int((await self._database.execute(FORGET_KEYS, first, KEYS_AT_ONCE)).split()[-1])
