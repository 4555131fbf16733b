"""The event table's months, made when the first event of a month comes.

A month is made as a table of its own and then attached: that takes no lock that readers or writers of `event` would
wait for, where `CREATE TABLE ... PARTITION OF` would stop all of them.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, time

from app.store.database import Connection, Database

PARTITION_LOCK = 0x57494E4E_0001
"""The advisory lock under which months are made: two processes never make one at once."""

IS_ATTACHED = """
SELECT 1 FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass AND c.oid = to_regclass($1)
"""

KEPT_FROM = "SELECT kept_from FROM event_retention"
"""The first day whose events are kept; nothing where none was ever dropped."""

MONTHS = """
SELECT c.relname FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$'
ORDER BY c.relname
"""


def month_of(at: datetime) -> date:
    """Return the first day of the UTC month of an aware time."""
    return at.astimezone(UTC).date().replace(day=1)


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def partition_name(month: date) -> str:
    """Return the name of a month's table."""
    return f"event_{month:%Y_%m}"


class EventPartitions:
    """Months of `event`; those known to exist are remembered, so that an ordinary batch asks nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[date] = set()

    async def ensure(self, times: Collection[datetime]) -> datetime | None:
        """Make the months of these times that do not exist yet.

        Return from when on events are kept, where some of the times lie before: their months are not made.
        """
        missing = _months_of(times) - self._known
        return await self._make(sorted(missing)) if missing else None

    def forget(self) -> None:
        """Look again at the next batch: a month may have been dropped by another process."""
        self._known.clear()

    async def months(self) -> list[date]:
        """Return the months that exist, in order."""
        rows = await self._database.fetch(MONTHS)
        return [date(int(name[6:10]), int(name[11:13]), 1) for (name,) in rows]

    async def _make(self, months: list[date]) -> datetime | None:
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
            kept_from = await connection.fetchval(KEPT_FROM)
            kept = [month for month in months if kept_from is None or month >= kept_from]
            for month in kept:
                await _make_month(connection, month)
        self._known.update(kept)
        if kept_from is None or len(kept) == len(months):
            return None
        return datetime.combine(kept_from, time(), UTC)


def _months_of(times: Collection[datetime]) -> set[date]:
    first, last = month_of(min(times)), month_of(max(times))
    return {first} if first == last else {month_of(at) for at in times}


async def _make_month(connection: Connection, month: date) -> None:
    name = partition_name(month)
    if await connection.fetchval(IS_ATTACHED, name):
        return
    start, end = (f"{day:%Y-%m-%d} 00:00:00+00" for day in (month, next_month(month)))
    await connection.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE event INCLUDING DEFAULTS)")
    await connection.execute(f"ALTER TABLE event ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")
