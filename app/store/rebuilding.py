"""Totals recomputed from the events: compared with those kept, and put right.

A month of one table at a time, in a transaction that keeps writers out for as long as it takes; nothing but the counts
of differences leaves the server. Months whose events were dropped by retention have no partition any more: their totals
are all that is left of them and stay as they are.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date

from app.store.database import Connection, Database
from app.store.measures import EVENT_SUMS, MEASURES, sums
from app.store.models.codes import EventType
from app.store.partitions import EventPartitions, next_month, partition_name

LOCK_WRITERS = "LOCK TABLE event_key IN SHARE MODE"
"""Storing events begins with their keys: who cannot write those waits, and holds nothing others wait for."""

CAMPAIGNS_AT_ONCE = 200

# Slots may add up to more than one row can hold: exact, whatever they come to.
_SUMS, _EVENT_SUMS = (listed.replace("::bigint", "") for listed in (sums(), EVENT_SUMS))
_DAY = "(occurred_at AT TIME ZONE 'UTC')::date"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table: `fresh` computes its rows from the source, `kept` reads those there are, slots summed."""

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    fresh: str
    kept: str
    has_slots: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one part: how many totals differed from what the events say."""

    table: str
    part: str
    differences: int


def month_parts(month: date) -> list[Part]:
    """Return the parts of all tables that one month's events determine."""
    source = partition_name(month)
    start, end = f"'{month}'", f"'{next_month(month)}'"
    hours = {"campaign_id": "campaign_id", "hour": "date_trunc('hour', occurred_at, 'UTC')"}
    return [
        _of_measures(
            "campaign_hour",
            hours | {"segment": "segment", "channel": "channel"},
            source,
            f"hour >= {start}::date::timestamp AT TIME ZONE 'UTC' AND hour < {end}::date::timestamp AT TIME ZONE 'UTC'",
        ),
        _of_measures(
            "campaign_day", {"campaign_id": "campaign_id", "day": _DAY}, source, f"day >= {start} AND day < {end}"
        ),
        _of_measures(
            "merchant_day",
            {"merchant_id": "merchant_id", "day": _DAY, "channel": "channel"},
            source,
            f"day >= {start} AND day < {end}",
        ),
        _conversion_days(source, f"day >= {start} AND day < {end}"),
    ]


def _of_measures(table: str, keys: Mapping[str, str], source: str, within: str) -> Part:
    selected = ", ".join(f"{expression} AS {name}" for name, expression in keys.items())
    positions = ", ".join(str(n) for n in range(1, len(keys) + 1))
    names = ", ".join(keys)
    return Part(
        table,
        tuple(keys),
        MEASURES,
        f"SELECT {selected}, {_EVENT_SUMS} FROM {source} WHERE campaign_id IS NOT NULL GROUP BY {positions}",
        f"SELECT {names}, {_SUMS} FROM {table} WHERE {within} GROUP BY {names}",
    )


def _conversion_days(source: str, within: str) -> Part:
    return Part(
        "campaign_user_day",
        ("campaign_id", "user_id", "day"),
        ("conversions",),
        f"SELECT campaign_id, user_id, {_DAY} AS day, count(*)::integer AS conversions FROM {source} "
        f"WHERE campaign_id IS NOT NULL AND type = {EventType.CONVERTED:d} GROUP BY 1, 2, 3",
        f"SELECT campaign_id, user_id, day, conversions FROM campaign_user_day WHERE {within}",
        has_slots=False,
    )


def _cohorts(within: str) -> Part:
    fresh = f"""
        SELECT campaign_id, interval_days, cohort, (starts - cohort) / interval_days AS period, count(*) AS users
        FROM (
            SELECT *, min(starts) OVER (PARTITION BY campaign_id, user_id, interval_days) AS cohort
            FROM (
                SELECT DISTINCT campaign_id, user_id, days::smallint AS interval_days,
                    CASE days WHEN 1 THEN day ELSE day - (extract(isodow FROM day)::integer - 1) END AS starts
                FROM campaign_user_day CROSS JOIN (VALUES (1), (7)) AS i(days) WHERE {within}
            ) AS interval
        ) AS member
        GROUP BY 1, 2, 3, 4
    """
    keys = ("campaign_id", "interval_days", "cohort", "period")
    kept = f"SELECT {', '.join(keys)}, sum(users) AS users FROM campaign_cohort WHERE {within} GROUP BY 1, 2, 3, 4"
    return Part("campaign_cohort", keys, ("users",), fresh, kept)


def campaign_parts(first: int, last: int) -> list[Part]:
    """Return what follows from other totals, for the campaigns with ids from `first` to `last`."""
    within = f"campaign_id BETWEEN {first:d} AND {last:d}"
    fresh, kept = (
        f"SELECT campaign_id, {_SUMS} FROM {table} WHERE {within} GROUP BY campaign_id"
        for table in ("campaign_day", "campaign_total")
    )
    return [Part("campaign_total", ("campaign_id",), MEASURES, fresh, kept), _cohorts(within)]


class TotalsRebuilding:
    """Compares all totals with the events and puts right what differs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def parts(self) -> list[tuple[str, Part]]:
        """Return what there is to check, with a name for each; last what follows from other totals."""
        months = await EventPartitions(self._database).months()
        found = [(f"{month:%Y-%m}", part) for month in months for part in month_parts(month)]
        last = await self._database.fetchval("SELECT coalesce(max(id), 0) FROM campaign")
        return found + [
            (f"campaigns {first} to {first + CAMPAIGNS_AT_ONCE - 1}", part)
            for first in range(1, last + 1, CAMPAIGNS_AT_ONCE)
            for part in campaign_parts(first, first + CAMPAIGNS_AT_ONCE - 1)
        ]

    async def run(self, *, repair: bool = True) -> AsyncIterator[Checked]:
        """Yield what was found in each part, after putting it right if `repair`."""
        for name, part in await self.parts():
            yield Checked(part.table, name, await self.check(part, repair=repair))

    async def check(self, part: Part, *, repair: bool = True) -> int:
        """Return how many totals of a part differ from what the events say; put them right if `repair`."""
        async with self._database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute(LOCK_WRITERS)
            await connection.execute(_difference(part))
            found = int(await connection.fetchval("SELECT count(*) FROM totals_difference"))
            if found and repair:
                await _repair(connection, part)
            await connection.execute("DROP TABLE totals_difference")
        return found


async def _repair(connection: Connection, part: Part) -> None:
    same = " AND ".join(f"t.{key} = d.{key}" for key in part.keys)
    await connection.execute(f"DELETE FROM {part.table} t USING totals_difference d WHERE {same}")
    columns = ", ".join([*part.keys, *part.values])
    slot, zero = (", slot", ", 0") if part.has_slots else ("", "")
    await connection.execute(
        f"INSERT INTO {part.table} ({columns}{slot}) "
        f"SELECT {columns}{zero} FROM totals_difference WHERE {_any(part.values)}"
    )


def _difference(part: Part) -> str:
    """Return the statement that collects each key whose total differs, with what it should be (0 where none is)."""
    keys = ", ".join(part.keys)
    values = ", ".join(f"coalesce(f.{name}, 0) AS {name}" for name in part.values)
    differs = " OR ".join(f"coalesce(f.{name}, 0) <> coalesce(k.{name}, 0)" for name in part.values)
    return f"""
        CREATE TEMP TABLE totals_difference ON COMMIT DROP AS
        SELECT {keys}, {values} FROM ({part.fresh}) AS f FULL JOIN ({part.kept}) AS k USING ({keys}) WHERE {differs}
    """


def _any(values: tuple[str, ...]) -> str:
    return " OR ".join(f"{name} <> 0" for name in values)
