"""What models are trained on, read from the events as columns; one snapshot of the database for all of a training.

Money is in micros, -1 where absent; times are microseconds since 1970 (UTC); ids are the database's. Windows are half
open, so that their events lie in few partitions.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime

from app.store.columns import Columns, fetch_columns
from app.store.database import Connection, Database
from app.store.models.codes import EventType
from app.store.partitions import MONTHS, next_month

ABSENT = -1
"""Stands for an absent amount of money, merchant or campaign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when: start <= t < end, aware."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedUser:
    """What training needs of a user."""

    id: int
    segment: str
    timezone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedCampaign:
    """What training needs of a campaign; the offer in micros of its currency. `live`: it can be sent now."""

    id: int
    key: str
    merchant_id: int
    currency: str
    offer_micros: int
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedMerchant:
    """What training needs of a merchant; the place in WGS 84 degrees."""

    id: int
    latitude: float | None
    longitude: float | None


class TrainingStore:
    """Opens readings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator["TrainingReading"]:
        """Read while the context lasts, always the same state of the database."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield TrainingReading(connection)


class TrainingReading:
    """One snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def last_event_at(self, before: datetime) -> datetime | None:
        """Return when the last event before a time was that somebody caused: sent, opened, came, bought."""
        names = [row["relname"] for row in await self._connection.fetch(MONTHS)]
        for name in reversed(names):
            month = date(int(name[6:10]), int(name[11:13]), 1)
            found = await self._connection.fetchval(LAST, month, next_month(month), before)
            if found is not None:
                return found
        return None

    async def sends(self, span: Span, segments: list[str]) -> Columns:
        """Return what was sent in a window: user_id, campaign_id, merchant_id, at, amount, probability, channel,
        segment (its place in `segments`, -1 for others).
        """
        return await fetch_columns(
            self._connection,
            SENDS,
            span.start,
            span.end,
            segments,
            user_id="bigint",
            campaign_id="bigint",
            merchant_id="bigint",
            at="time",
            amount="bigint",
            probability="float",
            channel="smallint",
            segment="bigint",
        )

    async def responses(self, span: Span, kind: EventType) -> Columns:
        """Return what users did about campaigns: user_id, campaign_id, at, value."""
        return await fetch_columns(
            self._connection,
            RESPONSES,
            span.start,
            span.end,
            int(kind),
            user_id="bigint",
            campaign_id="bigint",
            at="time",
            value="bigint",
        )

    async def visits(self, span: Span) -> Columns:
        """Return purchases and entries into merchants' areas: user_id, merchant_id (-1: not said), at, value, kind.

        A purchase by no campaign is at the merchant whose key its properties name as `merchant`.
        """
        return await fetch_columns(
            self._connection,
            VISITS,
            span.start,
            span.end,
            user_id="bigint",
            merchant_id="bigint",
            at="time",
            value="bigint",
            kind="smallint",
        )

    async def segments(self, span: Span) -> list[str]:
        """Return the segments that sends of a window went to, by name; '' stands for none."""
        rows = await self._connection.fetch(SEGMENTS, span.start, span.end)
        return [row["segment"] for row in rows]

    async def users(self, ids: Iterable[int]) -> dict[int, TrainedUser]:
        """Return these users."""
        rows = await self._connection.fetch(USERS, list(ids))
        return {row["id"]: TrainedUser(**dict(row)) for row in rows}

    async def campaigns(self, at: datetime) -> dict[int, TrainedCampaign]:
        """Return all campaigns, and whether they are live at a time."""
        rows = await self._connection.fetch(CAMPAIGNS, at)
        return {row["id"]: TrainedCampaign(**dict(row)) for row in rows}

    async def merchants(self) -> dict[int, TrainedMerchant]:
        """Return all merchants."""
        rows = await self._connection.fetch("SELECT id, latitude, longitude FROM merchant")
        return {row["id"]: TrainedMerchant(**dict(row)) for row in rows}

    async def drawn_amounts(self, span: Span) -> Columns:
        """Return whom tests of amounts gave which: user_id, campaign_id, at (from when on), until, amount,
        probability. Such a test belongs to a campaign, and its variants' payloads hold an `offerAmount`.
        """
        return await fetch_columns(
            self._connection,
            DRAWN_AMOUNTS,
            span.start,
            span.end,
            AMOUNT,
            user_id="bigint",
            campaign_id="bigint",
            at="time",
            until="time",
            amount="bigint",
            probability="float",
        )


AMOUNT = "^[0-9]{1,9}([.][0-9]{1,6})?$"
LAST = f"""
    SELECT max(occurred_at) FROM event
    WHERE occurred_at >= $1::date::timestamp AT TIME ZONE 'UTC' AND occurred_at < $2::date::timestamp AT TIME ZONE 'UTC'
      AND occurred_at < $3 AND type <> {EventType.EXPOSED:d}
"""
SENDS = f"""
    SELECT e.user_id, e.campaign_id, coalesce(e.merchant_id, {ABSENT})::bigint, e.occurred_at,
           coalesce(e.offer_micros, {ABSENT})::bigint, coalesce(e.probability, 'NaN')::float8, e.channel,
           coalesce(s.place, 0)::bigint - 1
    FROM event e LEFT JOIN unnest($3::text[]) WITH ORDINALITY AS s (name, place) ON s.name = e.segment
    WHERE e.type = {EventType.SENT:d} AND e.campaign_id IS NOT NULL AND e.occurred_at >= $1 AND e.occurred_at < $2
"""
RESPONSES = f"""
    SELECT user_id, campaign_id, occurred_at, coalesce(value_micros, {ABSENT})::bigint
    FROM event
    WHERE type = $3::smallint AND campaign_id IS NOT NULL AND occurred_at >= $1 AND occurred_at < $2
"""
VISITS = f"""
    SELECT e.user_id, coalesce(e.merchant_id, m.id, {ABSENT})::bigint, e.occurred_at,
           coalesce(e.value_micros, {ABSENT})::bigint, e.type
    FROM event e LEFT JOIN merchant m ON e.merchant_id IS NULL AND m.key = e.properties ->> 'merchant'
    WHERE e.type IN ({EventType.CONVERTED:d}, {EventType.GEOFENCE_ENTERED:d})
      AND e.occurred_at >= $1 AND e.occurred_at < $2
"""
SEGMENTS = f"""
    SELECT DISTINCT segment FROM event
    WHERE type = {EventType.SENT:d} AND campaign_id IS NOT NULL AND occurred_at >= $1 AND occurred_at < $2
    ORDER BY segment
"""
USERS = """
    SELECT u.id, u.segment, u.timezone
    FROM unnest($1::bigint[]) AS i (id) JOIN app_user u ON u.id = i.id
"""
CAMPAIGNS = """
    SELECT id, key, merchant_id, currency, (offer_amount * 1000000)::bigint AS offer_micros,
           status = 'ACTIVE' AND coalesce(starts_at <= $1, true) AND coalesce(ends_at > $1, true) AS live
    FROM campaign
"""
DRAWN_AMOUNTS = """
    SELECT a.user_id, t.campaign_id, a.first_exposed_at, coalesce(t.ended_at, $2::timestamptz),
           (CASE WHEN v.payload ->> 'offerAmount' ~ $3 THEN v.payload ->> 'offerAmount' END::numeric * 1000000)::bigint,
           a.probability
    FROM ab_test t
    JOIN ab_test_variant v ON v.test_id = t.id
    JOIN ab_test_assignment a ON a.test_id = t.id AND a.variant_id = v.id
    WHERE t.campaign_id IS NOT NULL AND jsonb_typeof(v.payload) = 'object'
      AND v.payload ->> 'offerAmount' ~ $3
      AND NOT a.multiple_exposures AND a.first_exposed_at < $2
      AND coalesce(t.ended_at, $2::timestamptz) > $1
"""
