"""What campaigns did lately, as advice asks for it: by channel, by segment, by hour of sending."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.store.campaigns import CAMPAIGN_JSON, CampaignRow, campaign_of
from app.store.database import Database
from app.store.models.codes import EventType
from engine.learning.earnings import Earnings


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """Conversions of a campaign over a channel: sums over them of what each earned and paid, money."""

    campaign_id: int
    channel: int
    sums: Earnings

    @property
    def conversions(self) -> int:
        """How many there are."""
        return self.sums.conversions


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How many users a campaign was sent to, and how many of them converted, counts."""

    campaign_id: int
    users: int
    converted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Sends of a campaign to users whose hours are known: the mean open probability at the hour of sending, and at the
    advised one; the mean variance of the latter, and how many users there are.
    """

    campaign_id: int
    sends: int
    users: int
    sent_rate: float
    advised_rate: float
    advised_variance: float


class ActivityStore:
    """Reads what campaigns did. Each call is one statement, over the events of a window."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def active_campaigns(self, at: datetime) -> list[CampaignRow]:
        """Return campaigns that run at a time, whatever is left of their budget."""
        return [campaign_of(row[0]) for row in await self._database.fetch(ACTIVE_CAMPAIGNS, at)]

    async def tested(self, campaign_ids: Iterable[int]) -> set[int]:
        """Return those campaigns about which a test is drafted, runs or is paused."""
        rows = await self._database.fetch(TESTED, list(campaign_ids))
        return {row["campaign_id"] for row in rows}

    async def earned(self, campaign_ids: Sequence[int], start: datetime, end: datetime) -> list[Earned]:
        """Return the conversions of campaigns, by channel."""
        return [_earned(**row) for row in await self._database.fetch(EARNED, campaign_ids, start, end)]

    async def reached(self, campaign_ids: Sequence[int], start: datetime, end: datetime) -> dict[int, Reached]:
        """Return how many users campaigns reached."""
        rows = await self._database.fetch(REACHED, campaign_ids, start, end)
        return {row["campaign_id"]: Reached(**dict(row)) for row in rows}

    async def timed(self, campaign_ids: Sequence[int], start: datetime, end: datetime) -> dict[int, Timed]:
        """Return when campaigns were sent, beside when the active model of send times would have sent them."""
        rows = await self._database.fetch(TIMED, campaign_ids, start, end)
        return {row["campaign_id"]: Timed(**dict(row)) for row in rows}


def _earned(*, campaign_id: int, channel: int, **sums: Any) -> Earned:
    return Earned(campaign_id=campaign_id, channel=channel, sums=Earnings(**sums))


ACTIVE_CAMPAIGNS = f"""
SELECT {CAMPAIGN_JSON} FROM campaign
WHERE status = 'ACTIVE' AND (starts_at IS NULL OR starts_at <= $1) AND (ends_at IS NULL OR ends_at > $1) ORDER BY id
"""
TESTED = "SELECT DISTINCT campaign_id FROM ab_test WHERE campaign_id = ANY ($1::bigint[]) AND status <> 'ENDED'"
_IN_WINDOW = "campaign_id = ANY ($1::bigint[]) AND occurred_at >= $2 AND occurred_at < $3"
EARNED = f"""
SELECT campaign_id, channel, count(*) AS conversions, coalesce(sum(v), 0) AS value, coalesce(sum(r), 0) AS reward,
       coalesce(sum(v * v), 0) AS value_squares, coalesce(sum(v * r), 0) AS value_reward,
       coalesce(sum(r * r), 0) AS reward_squares
FROM (
    SELECT campaign_id, channel, coalesce(value_micros, 0)::float8 / 1000000 AS v,
           coalesce(cost_micros, offer_micros, 0)::float8 / 1000000 AS r
    FROM event WHERE type = {EventType.CONVERTED:d} AND {_IN_WINDOW}
) AS c
GROUP BY campaign_id, channel ORDER BY campaign_id, channel
"""
REACHED = f"""
SELECT campaign_id, count(*) AS users, count(*) FILTER (WHERE converted) AS converted
FROM (
    SELECT campaign_id, user_id, bool_or(type = {EventType.CONVERTED:d}) AS converted
    FROM event WHERE type IN ({EventType.SENT:d}, {EventType.CONVERTED:d}) AND {_IN_WINDOW}
    GROUP BY campaign_id, user_id HAVING bool_or(type = {EventType.SENT:d})
) AS u
GROUP BY campaign_id
"""
# An unknown time zone would end the statement: it stands for UTC, as where the model learned. 3.92 standard deviations
# are a 95 % interval's width.
TIMED = f"""
WITH zone AS MATERIALIZED (SELECT name FROM pg_timezone_names),
model AS (SELECT id FROM trained_model WHERE kind = 'SEND_TIME' AND active),
sent AS (
    SELECT e.campaign_id, e.user_id,
           extract(hour FROM e.occurred_at AT TIME ZONE coalesce(z.name, 'UTC'))::int AS hour
    FROM event e JOIN app_user u ON u.id = e.user_id LEFT JOIN zone z ON z.name = u.timezone
    WHERE e.type = {EventType.SENT:d} AND e.{_IN_WINDOW.replace(" AND ", " AND e.")}
)
SELECT s.campaign_id, count(*) AS sends, count(DISTINCT s.user_id) AS users,
       avg((p.by_hour ->> s.hour)::float8) AS sent_rate, avg(p.open_probability) AS advised_rate,
       avg(power((p.high - p.low) / 3.92, 2)) AS advised_variance
FROM sent s JOIN model m ON true JOIN send_time_profile p ON p.model_id = m.id AND p.user_id = s.user_id
GROUP BY s.campaign_id
"""
