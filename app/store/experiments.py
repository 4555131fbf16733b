"""Where chance decided who was treated: tests' arms by segment, and users that tests held out."""

from dataclasses import dataclass
from datetime import datetime

from app.store.campaigns import UserRow
from app.store.database import Database
from app.store.models.codes import EventType


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """Units of a segment in a campaign's test: of its control, and of all its other variants together."""

    campaign_id: int
    test_id: int
    test_key: str
    segment: str
    treated: int
    treated_converted: int
    control: int
    control_converted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutRow:
    """A campaign's test that holds a share of users out; `seed` and `fraction` say whom."""

    campaign_id: int
    merchant_id: int
    test_key: str
    seed: str
    fraction: float
    targeting: object | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """A unit of a test whose time is over: `propensity` is the chance with which it was not given the control."""

    user_id: int
    segment: str
    treated: bool
    converted: bool
    first_exposed_at: datetime
    propensity: float


class ExperimentStore:
    """Reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def arms(self, since: datetime) -> list[ArmRow]:
        """Return the arms of campaigns' tests with fixed shares that ran since a time, judged by conversion."""
        return [ArmRow(**dict(row)) for row in await self._database.fetch(ARMS, since)]

    async def units(self, test_id: int, end: datetime) -> list[UnitRow]:
        """Return a test's units, exposed to one variant alone, whose metric's time was over by the end."""
        return [UnitRow(**dict(row)) for row in await self._database.fetch(UNITS, test_id, end)]

    async def holdouts(self, since: datetime) -> list[HoldoutRow]:
        """Return the campaigns' tests that hold users out and ran since a time, the latest of a campaign first."""
        return [HoldoutRow(**dict(row)) for row in await self._database.fetch(HOLDOUTS, since)]

    async def population(self, before: datetime) -> list[UserRow]:
        """Return the users that were known before a time: those made later may owe it to a message."""
        return [UserRow(**dict(row)) for row in await self._database.fetch(POPULATION, before)]

    async def buyers(self, *, campaign_id: int, merchant_id: int, start: datetime, end: datetime) -> set[int]:
        """Return who bought by a campaign, or at its merchant, from a time on."""
        rows = await self._database.fetch(BUYERS, campaign_id, merchant_id, start, end)
        return {row["user_id"] for row in rows}


ARMS = """
SELECT t.campaign_id, t.id AS test_id, t.key AS test_key, s.segment,
       coalesce(sum(s.exposed) FILTER (WHERE NOT v.is_control), 0)::bigint AS treated,
       coalesce(sum(s.converted) FILTER (WHERE NOT v.is_control), 0)::bigint AS treated_converted,
       coalesce(sum(s.exposed) FILTER (WHERE v.is_control), 0)::bigint AS control,
       coalesce(sum(s.converted) FILTER (WHERE v.is_control), 0)::bigint AS control_converted
FROM ab_test t
JOIN ab_test_metric m ON m.test_id = t.id AND m.position = 0 AND m.kind = 'CONVERSION'
JOIN ab_test_variant v ON v.test_id = t.id
JOIN test_totals s ON s.test_id = t.id AND s.metric_id = m.id AND s.variant_id = v.id
WHERE t.campaign_id IS NOT NULL AND t.allocation_policy = 'FIXED' AND t.started_at IS NOT NULL
  AND coalesce(t.ended_at, 'infinity') > $1
GROUP BY t.id, s.segment
ORDER BY t.id, s.segment
"""
UNITS = """
SELECT u.user_id, u.segment, NOT v.is_control AS treated, u.value > 0 AS converted, a.first_exposed_at,
       1 - coalesce((l.probabilities ->> c.position)::float8, c.weight) AS propensity
FROM ab_test_metric m
JOIN unit_metric u ON u.test_id = m.test_id AND u.metric_id = m.id AND u.multiple = 0
JOIN ab_test_assignment a ON a.test_id = u.test_id AND a.user_id = u.user_id
JOIN ab_test_variant v ON v.id = u.variant_id
JOIN ab_test_variant c ON c.test_id = u.test_id AND c.is_control
LEFT JOIN allocation l ON l.test_id = u.test_id AND l.policy_version = a.policy_version
WHERE m.test_id = $1 AND m.position = 0 AND a.first_exposed_at + make_interval(hours => m.window_hours) <= $2
ORDER BY u.user_id
"""
HOLDOUTS = """
SELECT t.campaign_id, c.merchant_id, t.key AS test_key, t.seed || '-holdout' AS seed, t.holdout AS fraction,
       t.targeting, t.started_at, t.ended_at
FROM ab_test t JOIN campaign c ON c.id = t.campaign_id
WHERE t.holdout > 0 AND t.started_at IS NOT NULL AND coalesce(t.ended_at, 'infinity') > $1
ORDER BY t.campaign_id, t.started_at DESC
"""
POPULATION = """
SELECT id, external_id, segment, timezone, attributes, latitude, longitude, created_at, updated_at
FROM app_user WHERE created_at < $1 ORDER BY id
"""
BUYERS = f"""
SELECT DISTINCT user_id FROM event
WHERE type = {EventType.CONVERTED:d} AND (campaign_id = $1 OR merchant_id = $2)
  AND occurred_at >= $3 AND occurred_at < $4
"""
