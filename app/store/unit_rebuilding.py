"""Assignments, units' values and tests' totals recomputed from the events: compared with those kept, and put right.

One test at a time, in a transaction in which no event is stored. Units whose events were dropped by retention, in part
or whole, stay as they are: their rows are all that is left of them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from app.store.abtests import SUMS
from app.store.database import Connection, Database
from app.store.partitions import EventPartitions
from app.store.rebuilding import Checked
from app.store.unit_metrics import ADD_TO_TOTALS, CONTRIBUTIONS, hold_tests, update

USERS_AT_ONCE = 5_000
FAR = date(9000, 1, 1)
"""Before it lies everything, where there are no events at all any more."""
TABLES = ("ab_test_assignment", "unit_metric", "test_totals")

STARTED = "SELECT id, key FROM ab_test WHERE started_at IS NOT NULL ORDER BY id"

# Whether events were dropped: something is left that came from before the oldest partition.
DROPPED = """
SELECT EXISTS (SELECT FROM ab_test_assignment WHERE first_exposed_at < $1)
    OR EXISTS (SELECT FROM event_key WHERE occurred_at < $1)
    OR EXISTS (SELECT FROM campaign_day WHERE day < ($1 AT TIME ZONE 'UTC')::date)
"""
LONGEST_WINDOW = "SELECT make_interval(hours => max(window_hours)) FROM ab_test_metric WHERE test_id = $1"

# Users to recompute, in pages: who was exposed by an event, and who is kept as exposed; unless what is kept rests on
# events from before $4.
USERS = """
SELECT user_id FROM (
    SELECT user_id FROM event WHERE test_id = $1 AND type = 8
    UNION SELECT user_id FROM ab_test_assignment WHERE test_id = $1
    UNION SELECT user_id FROM unit_metric WHERE test_id = $1
) u
WHERE user_id > $2 AND NOT EXISTS (
    SELECT FROM ab_test_assignment a WHERE a.test_id = $1 AND a.user_id = u.user_id AND a.first_exposed_at < $4
)
ORDER BY user_id LIMIT $3
"""
RECOUNT = f"""
WITH change AS (
    SELECT u.test_id, u.metric_id, u.variant_id, u.segment, u.multiple, u.value, u.denominator, u.covariate, m.kind,
           1 AS sign
    FROM unit_metric u JOIN ab_test_metric m ON m.id = u.metric_id WHERE u.test_id = $1
),
contribution AS ({CONTRIBUTIONS})
{ADD_TO_TOTALS}
"""
TOTALS = f"""
SELECT metric_id, variant_id, segment, {", ".join(f"sum({name}) AS {name}" for name in SUMS)}
FROM test_totals WHERE test_id = $1 GROUP BY 1, 2, 3 HAVING {" OR ".join(f"sum({name}) <> 0" for name in SUMS)}
"""
ROWS = {
    "ab_test_assignment": "SELECT * FROM ab_test_assignment WHERE test_id = $1",
    "unit_metric": "SELECT * FROM unit_metric WHERE test_id = $1",
    "test_totals": TOTALS,
}
KEYS = {
    "ab_test_assignment": ("user_id",),
    "unit_metric": ("metric_id", "user_id"),
    "test_totals": ("metric_id", "variant_id", "segment"),
}


@dataclass(frozen=True, slots=True)
class TestPart:
    """A started test, whose totals are checked together."""

    __test__ = False

    id: int
    key: str


class UnitRebuilding:
    """Compares what is kept of each started test with the events, and puts right what differs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def parts(self) -> list[TestPart]:
        """Return the tests there are to check."""
        return [TestPart(row["id"], row["key"]) for row in await self._database.fetch(STARTED)]

    async def steps(self) -> int:
        """Return how many results `run` yields."""
        return len(await self.parts()) * len(TABLES)

    async def run(self, *, repair: bool = True) -> AsyncIterator[Checked]:
        """Yield what was found in each table of each test, after putting it right if `repair`."""
        oldest = await self._oldest_complete()
        for part in await self.parts():
            for table, differences in (await self.check(part.id, repair=repair, oldest=oldest)).items():
                yield Checked(table, f"test {part.key}", differences)

    async def check(self, test_id: int, *, repair: bool = True, oldest: datetime | None = None) -> dict[str, int]:
        """Return how many rows of each table differ from what the events say; put them right if `repair`.

        `oldest` is the time from which on all events are there; None where none was ever dropped.
        """
        async with self._database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                found = await _rebuilt(connection, test_id, oldest)
            except BaseException:
                await transaction.rollback()
                raise
            # without differences what is there stays there, and no row is written anew
            await (transaction.commit() if repair and any(found.values()) else transaction.rollback())
        return found

    async def _oldest_complete(self) -> datetime | None:
        months = await EventPartitions(self._database).months()
        oldest = datetime.combine(min(months, default=FAR), time(), UTC)
        return oldest if await self._database.fetchval(DROPPED, oldest) else None


async def _rebuilt(connection: Connection, test_id: int, oldest: datetime | None) -> dict[str, int]:
    await connection.execute("SET LOCAL statement_timeout = 0")
    await hold_tests(connection)
    for table, rows in ROWS.items():
        await _keep(connection, table, rows.replace("$1", f"{test_id:d}"))
    await _recompute(connection, test_id, oldest)
    await connection.execute("DELETE FROM test_totals WHERE test_id = $1", test_id)
    await connection.execute(RECOUNT, test_id)
    return {table: await connection.fetchval(_differences(table), test_id) for table in TABLES}


async def _keep(connection: Connection, table: str, rows: str) -> None:
    await connection.execute(f"CREATE TEMP TABLE kept_{table} ON COMMIT DROP AS {rows}")


async def _recompute(connection: Connection, test_id: int, oldest: datetime | None) -> None:
    window = await connection.fetchval(LONGEST_WINDOW, test_id)
    since = None if oldest is None else oldest + window
    last = 0
    while rows := await connection.fetch(USERS, test_id, last, USERS_AT_ONCE, since):
        await update(connection, [(test_id, row["user_id"]) for row in rows])
        last = rows[-1]["user_id"]


def _differences(table: str) -> str:
    """Return the statement that counts the keys whose row is another than it was, or is there only before or after."""
    keys = KEYS[table]
    same = " AND ".join(f"f.{key} = k.{key}" for key in keys)
    return f"SELECT count(*) FROM ({ROWS[table]}) f FULL JOIN kept_{table} k ON {same} WHERE f IS DISTINCT FROM k"
