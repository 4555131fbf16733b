"""Totals of campaigns, kept in the transaction that stores the events they count.

Every total is a sum over events, so that the order in which they come never matters. Cohorts depend on a user's first
conversion: there the user's old contribution is taken back and the new one added, under a lock on the user's row.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import cast

from app.store.database import Connection
from app.store.measures import COUNTED, MEASURES
from app.store.models.codes import EventType

SLOTS = 8
"""Rows a total is spread over, so that concurrent writers rarely wait for each other."""

COHORT_INTERVALS = (1, 7)
"""Days in the calendar intervals of cohorts: days, and weeks from Monday."""

type EventRecord = tuple[object, ...]
"""One row of `event`, in the order of EVENT_COLUMNS."""

EVENT_COLUMNS = (
    *("key", "occurred_at", "user_id", "campaign_id", "merchant_id", "test_id", "variant_id"),
    *("value_micros", "cost_micros", "offer_micros", "probability", "latitude", "longitude"),
    *("type", "channel", "event_id", "properties", "policy_version", "probabilities", "segment"),
)

type HourKey = tuple[int, datetime, str, int]
type CampaignKey = tuple[int]
type DayKey = tuple[int, date]
type MerchantKey = tuple[int, date, int]
type ConversionKey = tuple[int, int, date]
type CohortKey = tuple[int, int, date, int]

_REVENUE, _REWARD, _DELIVERY = (MEASURES.index(name) for name in ("revenue_micros", "reward_micros", "delivery_micros"))
_POSITION = [-1] * (max(EventType) + 1)
for _name, _kind in COUNTED.items():
    _POSITION[_kind] = MEASURES.index(_name)
_CONVERTED = int(EventType.CONVERTED)


class Groups:
    """The measures of a set of events, by the keys of each totals table."""

    def __init__(self, records: Iterable[EventRecord]) -> None:
        self.hours: dict[HourKey, list[int]] = {}
        self.merchants: dict[MerchantKey, list[int]] = {}
        self.days: dict[DayKey, list[int]] = {}
        self.campaigns: dict[CampaignKey, list[int]] = {}
        self.conversions: Counter[ConversionKey] = Counter()
        merchant_of = self._add(records)
        for (campaign, hour, _, channel), measures in self.hours.items():
            day = hour.date()
            _merge(self.days, (campaign, day), measures)
            _merge(self.campaigns, (campaign,), measures)
            _merge(self.merchants, (merchant_of[campaign], day, channel), measures)

    @property
    def converting_users(self) -> set[int]:
        """Return the users whose cohorts may change."""
        return {user for _, user, _ in self.conversions}

    def _add(self, records: Iterable[EventRecord]) -> dict[int, int]:
        # The one loop that sees every event: plain tuples and lists, no call that can be spared.
        hours, conversions = self.hours, self.conversions
        merchant_of: dict[int, int] = {}
        for record in records:
            _, at, user, campaign, merchant, _, _, value, cost, offer, _, _, _, kind, channel, _, _, _, _, segment = (
                cast("_Record", record)
            )
            if campaign is None:
                continue
            key = (campaign, at.replace(minute=0, second=0, microsecond=0), segment, channel)
            measures = hours.get(key)
            if measures is None:
                merchant_of[campaign] = merchant
                measures = hours[key] = [0] * len(MEASURES)
            if kind == _CONVERTED:
                measures[_REVENUE] += value or 0
                measures[_REWARD] += cost if cost is not None else offer or 0
                conversions[campaign, user, at.date()] += 1
            elif cost:
                measures[_DELIVERY] += cost
            position = _POSITION[kind]
            if position >= 0:
                measures[position] += 1
        return merchant_of


type _Record = tuple[
    object, datetime, int, int | None, int, object, object, int | None, int | None, int | None,
    object, object, object, int, int, object, object, object, object, str,
]  # fmt: skip


def _merge[K](into: dict[K, list[int]], key: K, measures: list[int]) -> None:
    known = into.get(key)
    into[key] = measures if known is None else [a + b for a, b in zip(known, measures, strict=True)]


class Upsert:
    """Adding to the rows of one table: its statement, with parameters numbered on from others of the same statement."""

    def __init__(
        self, table: str, keys: Mapping[str, str], values: Mapping[str, str], *, has_slot: bool = True
    ) -> None:
        self._table = table
        self._keys = keys
        self._values = values
        self._has_slot = has_slot
        self.width = len(keys) + len(values)

    def sql(self, first: int) -> str:
        """Return the statement, its arrays from parameter `first` on: one row a place."""
        kinds = [*self._keys.values(), *self._values.values()]
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(kinds, start=first))
        slot, its_value = (", slot", f", pg_backend_pid() % {SLOTS}") if self._has_slot else ("", "")
        added = ", ".join(f"{name} = {self._table}.{name} + excluded.{name}" for name in self._values)
        return f"""
            INSERT INTO {self._table} ({", ".join([*self._keys, *self._values])}{slot})
            SELECT *{its_value} FROM unnest({arrays}) AS added
            ON CONFLICT ({", ".join(self._keys)}{slot}) DO UPDATE SET {added}
        """

    def columns[K: tuple[object, ...]](self, rows: Mapping[K, Sequence[int]]) -> list[Sequence[object]]:
        """Return the arrays in key order: all take a table's rows in one order, so that none wait in a circle."""
        if not rows:
            return [()] * self.width
        return list(zip(*((*key, *values) for key, values in sorted(rows.items())), strict=True))


_MEASURE_TYPES = dict.fromkeys(MEASURES, "bigint")
_HOUR_KEYS = {"campaign_id": "bigint", "hour": "timestamptz", "segment": "text", "channel": "smallint"}
_COHORT_KEYS = {"campaign_id": "bigint", "interval_days": "smallint", "cohort": "date", "period": "integer"}
CONVERSIONS = Upsert(
    "campaign_user_day",
    {"campaign_id": "bigint", "user_id": "bigint", "day": "date"},
    {"conversions": "integer"},
    has_slot=False,
)
COHORTS = Upsert("campaign_cohort", _COHORT_KEYS, {"users": "bigint"})
CAMPAIGNS = Upsert("campaign_total", {"campaign_id": "bigint"}, _MEASURE_TYPES)
DAYS = Upsert("campaign_day", {"campaign_id": "bigint", "day": "date"}, _MEASURE_TYPES)
MERCHANT_DAYS = Upsert("merchant_day", {"merchant_id": "bigint", "day": "date", "channel": "smallint"}, _MEASURE_TYPES)
HOURS = Upsert("campaign_hour", _HOUR_KEYS, _MEASURE_TYPES)


def _together(*upserts: Upsert) -> str:
    """Return one statement for all: each further one would cost a round trip to the server in every transaction."""
    firsts = itertools.accumulate((upsert.width for upsert in upserts), initial=1)
    *others, last = (upsert.sql(first) for upsert, first in zip(upserts, firsts, strict=False))
    return "WITH " + ", ".join(f"part_{n} AS ({sql})" for n, sql in enumerate(others)) + last


ADD_TOTALS = _together(CONVERSIONS, COHORTS, CAMPAIGNS, DAYS, MERCHANT_DAYS, HOURS)
CONVERSION_DAYS = """
    SELECT d.campaign_id, d.user_id, d.day
    FROM unnest($1::bigint[], $2::bigint[]) AS pair(campaign_id, user_id)
    CROSS JOIN LATERAL (
        SELECT campaign_id, user_id, day FROM campaign_user_day k
        WHERE k.campaign_id = pair.campaign_id AND k.user_id = pair.user_id
        OFFSET 0
    ) AS d
"""


async def add_to_totals(connection: Connection, groups: Groups) -> None:
    """Add events that were not counted before.

    The caller's transaction stores them too, and has locked the users who converted: whoever else counts one of them
    waits, and then sees what this transaction counted.
    """
    if not groups.hours:
        return
    cohorts = await _cohort_changes(connection, groups.conversions)
    await connection.execute(
        ADD_TOTALS,
        *CONVERSIONS.columns({key: (times,) for key, times in groups.conversions.items()}),
        *COHORTS.columns({key: (users,) for key, users in cohorts.items()}),
        *CAMPAIGNS.columns(groups.campaigns),
        *DAYS.columns(groups.days),
        *MERCHANT_DAYS.columns(groups.merchants),
        *HOURS.columns(groups.hours),
    )


async def _cohort_changes(connection: Connection, conversions: Counter[ConversionKey]) -> dict[CohortKey, int]:
    if not conversions:
        return {}
    known = await _conversion_days(connection, sorted({(campaign, user) for campaign, user, _ in conversions}))
    return cohort_changes(known, conversions)


async def _conversion_days(
    connection: Connection, pairs: Sequence[tuple[int, int]]
) -> defaultdict[tuple[int, int], set[date]]:
    days: defaultdict[tuple[int, int], set[date]] = defaultdict(set)
    for campaign, user, day in await connection.fetch(CONVERSION_DAYS, *zip(*pairs, strict=True)):
        days[campaign, user].add(day)
    return days


def cohort_changes(
    known: Mapping[tuple[int, int], set[date]], conversions: Iterable[ConversionKey]
) -> dict[CohortKey, int]:
    """Return by how many users each cohort's period changes, given the days known before and new conversions."""
    new: defaultdict[tuple[int, int], set[date]] = defaultdict(set)
    for campaign, user, day in conversions:
        new[campaign, user].add(day)
    changes: Counter[CohortKey] = Counter()
    for pair, days in new.items():
        before = known.get(pair, set())
        if not days <= before:
            changes.update(_contributions(pair[0], before | days))
            changes.subtract(_contributions(pair[0], before))
    return {key: users for key, users in changes.items() if users}


def _contributions(campaign: int, days: set[date]) -> Iterator[CohortKey]:
    for length in COHORT_INTERVALS:
        intervals = {_interval(day, length) for day in days}
        for interval in intervals:
            cohort = min(intervals)
            yield campaign, length, cohort, (interval - cohort).days // length


def _interval(day: date, length: int) -> date:
    return day if length == 1 else day - timedelta(days=day.weekday())
