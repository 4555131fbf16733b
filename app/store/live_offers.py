"""The offers that can be made now: active campaigns within their dates and their budget."""

from dataclasses import dataclass
from datetime import datetime

from app.store.database import Database


@dataclass(frozen=True, slots=True)
class LiveOffer:
    """A campaign that can be sent now: whom it is for, where its merchant is, and what came of it so far."""

    campaign_id: int
    merchant_id: int
    targeting: object
    latitude: float | None
    longitude: float | None
    delivered: int
    converted: int


class LiveOffers:
    """Reads live offers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def at(self, moment: datetime) -> list[LiveOffer]:
        """Return the offers that can be made at a moment, in one statement; a spent budget ends an offer."""
        return [LiveOffer(*row) for row in await self._database.fetch(LIVE, moment)]


LIVE = """
SELECT c.id, c.merchant_id, c.targeting, m.latitude, m.longitude, t.delivered, t.converted
FROM campaign c
JOIN merchant m ON m.id = c.merchant_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(delivered), 0)::bigint AS delivered, coalesce(sum(converted), 0)::bigint AS converted,
           coalesce(sum(reward_micros), 0) + coalesce(sum(delivery_micros), 0) AS spent_micros
    FROM campaign_total WHERE campaign_id = c.id
) AS t
WHERE c.status = 'ACTIVE' AND (c.starts_at IS NULL OR c.starts_at <= $1) AND (c.ends_at IS NULL OR c.ends_at > $1)
  AND (c.budget IS NULL OR t.spent_micros < c.budget * 1000000)
ORDER BY c.id
"""
