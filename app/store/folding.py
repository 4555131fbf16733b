"""Totals of days long past, folded into one row each.

Writers spread a total over slots so that they rarely wait for each other. Days that are over are only read any more,
and a reader finds one row where there were several. What is folded is moved, never recomputed: a late event adds to
some slot again, and the next folding moves that, too.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import asyncpg

from app.store.database import Database
from app.store.measures import MEASURES
from app.store.retrying import retrying

OWNERS_AT_ONCE = 200
"""Campaigns, or merchants, folded in one transaction: a writer waits for no longer than that takes."""


@dataclass(frozen=True, slots=True)
class Folding:
    """How a table is folded: `closed` tells of a row whether its day is before $1; the first key owns the row."""

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    closed: str

    @property
    def statement(self) -> str:
        """Return the statement that folds the owners from $2 to $3 and returns how many rows were moved.

        Rows that a writer holds are passed by: nobody waits for the other in a circle.
        """
        keys = ", ".join(self.keys)
        values = ", ".join(self.values)
        same = " AND ".join(f"t.{name} = chosen.{name}" for name in (*self.keys, "slot"))
        sums = ", ".join(f"sum({name})" for name in self.values)
        added = ", ".join(f"{name} = {self.table}.{name} + excluded.{name}" for name in self.values)
        return f"""
            WITH chosen AS (
                SELECT {keys}, slot FROM {self.table}
                WHERE slot <> 0 AND {self.closed} AND {self.keys[0]} BETWEEN $2 AND $3
                FOR UPDATE SKIP LOCKED
            ),
            moved AS (
                DELETE FROM {self.table} t USING chosen WHERE {same} RETURNING t.*
            ),
            folded AS (
                INSERT INTO {self.table} ({keys}, slot, {values})
                SELECT {keys}, 0, {sums} FROM moved GROUP BY {keys} ORDER BY {keys}
                ON CONFLICT ({keys}, slot) DO UPDATE SET {added}
            )
            SELECT count(*) FROM moved
        """


FOLDINGS = (
    Folding(
        "campaign_hour",
        ("campaign_id", "hour", "segment", "channel"),
        MEASURES,
        "hour < $1::date::timestamp AT TIME ZONE 'UTC'",
    ),
    Folding("campaign_day", ("campaign_id", "day"), MEASURES, "day < $1::date"),
    Folding("merchant_day", ("merchant_id", "day", "channel"), MEASURES, "day < $1::date"),
    Folding(
        "campaign_cohort",
        ("campaign_id", "interval_days", "cohort", "period"),
        ("users",),
        "cohort + (period + 1) * interval_days <= $1::date",
    ),
)


@dataclass(frozen=True, slots=True)
class Folded:
    """How many rows of a table were moved, and how far all of it is, a fraction."""

    table: str
    rows: int
    progress: float


class TotalsFolding:
    """Folds the totals of days before a date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, before: date) -> AsyncIterator[Folded]:
        """Yield what was moved, one transaction after another; breaking off in between loses nothing."""
        for number, folding in enumerate(FOLDINGS):
            owner = folding.keys[0].removesuffix("_id")
            last = await self._database.fetchval(f"SELECT coalesce(max(id), 0) FROM {owner}")
            for first in range(1, last + 1, OWNERS_AT_ONCE):
                rows = await self._fold(folding, before, first)
                done = min((first + OWNERS_AT_ONCE) / (last + 1), 1.0)
                yield Folded(folding.table, rows, (number + done) / len(FOLDINGS))

    async def _fold(self, folding: Folding, before: date, first: int) -> int:
        last = first + OWNERS_AT_ONCE - 1
        try:
            return await retrying(lambda: self._database.fetchval(folding.statement, before, first, last))
        except asyncpg.NumericValueOutOfRangeError:
            return 0  # together they are more than one row can hold: they stay in their slots
