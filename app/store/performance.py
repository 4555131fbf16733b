"""The totals ladder: all time, whole days, whole hours, and a window's ragged edges from the events themselves.

Each question is one statement, whatever the number of ids: the window's spans, put together by UNION ALL, then summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Literal

import msgspec

from app.store.database import Database, Record
from app.store.measures import CALCULATED, MEASURES, Measures, Ratio, columns, event_columns, sums, sums_json
from app.store.models.codes import Channel
from app.store.windows import EVERYTHING, Interval, Rung, Span, Window, ladder

type Part = str | int | datetime
"""A segment, a channel's number, an hour from 0 to 23, a day from 1 (Monday) to 7, or an interval's start."""


class Breakdown(StrEnum):
    """What measures can be split by."""

    SEGMENT = "SEGMENT"
    CHANNEL = "CHANNEL"
    HOUR_OF_DAY = "HOUR_OF_DAY"
    DAY_OF_WEEK = "DAY_OF_WEEK"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"


# Over `time`, a timestamp in UTC; the others are columns of what is read.
_PARTS = {
    Breakdown.SEGMENT: "segment",
    Breakdown.CHANNEL: "channel",
    Breakdown.HOUR_OF_DAY: "extract(hour FROM {time})::int",
    Breakdown.DAY_OF_WEEK: "extract(isodow FROM {time})::int",
    Breakdown.HOUR: "date_trunc('hour', {time})",
    Breakdown.DAY: "date_trunc('day', {time})",
    Breakdown.WEEK: "date_trunc('week', {time})",
}
_TIME_PARTS = frozenset({Breakdown.HOUR, Breakdown.DAY, Breakdown.WEEK})
_BY_TIME = msgspec.json.Decoder(list[tuple[datetime, Measures]])
_BY_NAME = msgspec.json.Decoder(list[tuple[str | int, Measures]])
_TIMES = {
    Rung.DAY: "day::timestamp",
    Rung.HOUR: "hour AT TIME ZONE 'UTC'",
    Rung.EVENT: "occurred_at AT TIME ZONE 'UTC'",
}
_BOUNDS = {
    Rung.TOTAL: ("", ""),
    Rung.DAY: ("day", "date"),
    Rung.HOUR: ("hour", "timestamptz"),
    Rung.EVENT: ("occurred_at", "timestamptz"),
}
_OWNER = "JOIN (SELECT id AS campaign_id, merchant_id AS owner_id FROM campaign) AS owner USING (campaign_id)"
_TABLES = {Rung.TOTAL: "campaign_total", Rung.HOUR: "campaign_hour", Rung.EVENT: "event"}
_INTERVAL_DAYS = {Interval.DAY: 1, Interval.WEEK: 7}


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whose measures are read: the column of their ids, the totals of a day, and what days are split by."""

    days: str
    owner: str | None = None
    day_id: str = "NULL::bigint"
    id: str = "NULL::bigint"
    day_parts: frozenset[Breakdown] = frozenset()

    def table(self, rung: Rung) -> str:
        if rung is Rung.DAY:
            return self.days
        return _TABLES[rung] if self.owner is None else f"{_TABLES[rung]} {self.owner}"

    def id_of(self, rung: Rung) -> str:
        return self.day_id if rung is Rung.DAY else self.id

    def widest(self, breakdown: Breakdown | None) -> Rung:
        if breakdown is None:
            return Rung.TOTAL
        return Rung.DAY if breakdown in self.day_parts else Rung.HOUR


_BY_DAY = frozenset({Breakdown.DAY_OF_WEEK, Breakdown.DAY, Breakdown.WEEK})
_CAMPAIGN = _Subject("campaign_day", day_id="campaign_id", id="campaign_id", day_parts=_BY_DAY)
_MERCHANT = _Subject("merchant_day", owner=_OWNER, day_id="merchant_id", id="owner_id", day_parts=_BY_DAY)
_PORTFOLIO = _Subject("merchant_day", day_parts=_BY_DAY | {Breakdown.CHANNEL})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainedUsers:
    """How many users of a cohort converted in a later interval."""

    campaign_id: int
    cohort: date
    period: int
    users: int


class PerformanceStore:
    """Reads measures of campaigns' events from the totals, and from the events where a window cuts an hour."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def campaigns(self, ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Measures]:
        """Return the measures of each campaign with totals or events in the window."""
        return {row["id"]: _measures(row) for row in await self._read(_CAMPAIGN, window, ids=ids)}

    async def campaign_parts(
        self, ids: Sequence[int], window: Window = EVERYTHING, *, by: Breakdown
    ) -> dict[int, dict[Part, Measures]]:
        """Return the measures of each campaign's parts, in the parts' order."""
        return await self._read_parts(_CAMPAIGN, window, ids=ids, by=by)

    async def merchants(self, ids: Sequence[int] | None = None, window: Window = EVERYTHING) -> dict[int, Measures]:
        """Return the measures of these merchants, or of all, with totals or events in the window."""
        return {row["id"]: _measures(row) for row in await self._read(_MERCHANT, window, ids=ids)}

    async def portfolio(self, window: Window = EVERYTHING) -> Measures:
        """Return the measures of all campaigns together."""
        return sum((_measures(row) for row in await self._read(_PORTFOLIO, window)), Measures())

    async def portfolio_parts(self, window: Window = EVERYTHING, *, by: Breakdown) -> dict[Part, Measures]:
        """Return the measures of all campaigns together, by part, in the parts' order."""
        found = await self._read_parts(_PORTFOLIO, window, by=by)
        return next(iter(found.values()), dict[Part, Measures]())

    async def top_campaigns(
        self, by: str, first: int, *, window: Window = EVERYTHING, minimum_sent: int = 0
    ) -> list[tuple[int, float]]:
        """Return the ids and values of the best campaigns by one of CALCULATED; those without a value are left out."""
        metric = CALCULATED[by]
        rows, arguments = _rows(_CAMPAIGN, window, names=_read_by(metric, sent=minimum_sent > 0))
        having = f"HAVING sum(sent) >= ${len(arguments) + 2}" if minimum_sent > 0 else ""
        statement = f"""
            SELECT id, value
            FROM (
                SELECT id, {metric.sql} AS value FROM ({rows}) AS r GROUP BY id {having}
            ) AS v
            WHERE value IS NOT NULL
            ORDER BY value {"ASC" if metric.lowest_first else "DESC"}, id
            LIMIT ${len(arguments) + 1}
        """
        found = await self._database.fetch(statement, *arguments, first, *([minimum_sent] if minimum_sent > 0 else []))
        return [(row["id"], row["value"]) for row in found]

    async def cohorts(
        self, ids: Sequence[int], interval: Literal[Interval.DAY, Interval.WEEK], *, periods: int
    ) -> list[RetainedUsers]:
        """Return who converted again, by campaign, cohort and interval after it, in this order."""
        rows = await self._database.fetch(
            """
            SELECT campaign_id, cohort, period, sum(users)::bigint AS users
            FROM campaign_cohort
            WHERE campaign_id = ANY($1::bigint[]) AND interval_days = $2 AND period < $3
            GROUP BY campaign_id, cohort, period
            HAVING sum(users) > 0
            ORDER BY campaign_id, cohort, period
            """,
            *(ids, _INTERVAL_DAYS[interval], periods),
        )
        return [RetainedUsers(**dict(row)) for row in rows]

    async def _read(self, subject: _Subject, window: Window, *, ids: Sequence[int] | None = None) -> list[Record]:
        rows, arguments = _rows(subject, window, ids=ids)
        return await self._database.fetch(f"SELECT id, {sums()} FROM ({rows}) AS r GROUP BY id ORDER BY id", *arguments)

    async def _read_parts(
        self, subject: _Subject, window: Window, *, ids: Sequence[int] | None = None, by: Breakdown
    ) -> dict[int, dict[Part, Measures]]:
        """Return measures by id and part, the parts in their order: one row an id, its parts in JSON."""
        rows, arguments = _rows(subject, window, ids=ids, by=by)
        read = (_BY_TIME if by in _TIME_PARTS else _BY_NAME).decode
        found = await self._database.fetch(_parts_json(rows, by), *arguments)
        return {row[0]: dict[Part, Measures](read(row[1])) for row in found}


@lru_cache
def _parts_json(rows: str, by: Breakdown) -> str:
    """Return the statement of measures by part: written once, so that it is found at once when it is prepared."""
    part = "part AT TIME ZONE 'UTC'" if by in _TIME_PARTS else "part"
    return (
        f"SELECT id, json_agg(json_build_array({part}, measures) ORDER BY part)::text "
        f"FROM (SELECT id, part, {sums_json()} AS measures FROM ({rows}) AS r GROUP BY id, part) AS p GROUP BY id"
    )


def _rows(
    subject: _Subject,
    window: Window,
    *,
    ids: Sequence[int] | None = None,
    by: Breakdown | None = None,
    names: Sequence[str] = MEASURES,
) -> tuple[str, list[object]]:
    """Return a statement for every row in the window, and its arguments."""
    if window is EVERYTHING:
        return _rows_of_all_time(subject, by, names, only=ids is not None), [] if ids is None else [ids]
    arguments: list[object] = [] if ids is None else [ids]
    return _selected(subject, window, by, names, arguments=arguments, only=ids is not None), arguments


@cache
def _rows_of_all_time(subject: _Subject, by: Breakdown | None, names: Sequence[str], *, only: bool) -> str:
    return _selected(subject, EVERYTHING, by, names, arguments=[], only=only)


def _selected(
    subject: _Subject,
    window: Window,
    by: Breakdown | None,
    names: Sequence[str],
    *,
    arguments: list[object],
    only: bool,
) -> str:
    """Return the statement, and add to its arguments."""
    selects = [
        f"SELECT {subject.id_of(span.rung)} AS id, {_part_of(span.rung, by)}{_names(span.rung, names)} "
        f"FROM {subject.table(span.rung)} {_where(subject, span, arguments, only=only)}"
        for span in ladder(window, widest=subject.widest(by))
    ]
    return " UNION ALL ".join(selects)


def _read_by(metric: Ratio, *, sent: bool) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*metric.measures, *(["sent"] if sent else [])]))


def _part_of(rung: Rung, by: Breakdown | None) -> str:
    return "" if by is None else f"{_PARTS[by].format(time=_TIMES[rung])} AS part, "


def _names(rung: Rung, names: Sequence[str]) -> str:
    return event_columns(names) if rung is Rung.EVENT else columns(names)


def _where(subject: _Subject, span: Span, arguments: list[object], *, only: bool) -> str:
    conditions = [f"{subject.id_of(span.rung)} = ANY($1::bigint[])"] if only else []
    if span.rung is Rung.EVENT:
        conditions.append("campaign_id IS NOT NULL")
    column, kind = _BOUNDS[span.rung]
    for bound, comparison in ((span.from_, ">="), (span.to, "<")):
        if bound is not None:
            arguments.append(bound.date() if span.rung is Rung.DAY else bound)
            conditions.append(f"{column} {comparison} ${len(arguments)}::{kind}")
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _measures(row: Record) -> Measures:
    return Measures(*row[-len(MEASURES) :])  # they come last, in this order


def channel_name(part: Part) -> str | None:
    """Return the contract's name of a channel's number; None for events that name none."""
    return Channel(part).name if isinstance(part, int) and part else None
