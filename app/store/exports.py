"""What a test's files hold, read by a server-side cursor: a few thousand rows at a time, all of one moment."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.store.database import Database

ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Listing:
    """The statement that lists something of a test, and its columns with their kinds."""

    columns: Mapping[str, str]
    sql: str
    count: str


# One row for each exposed unit, with all that a later analysis needs to weigh it.
ASSIGNMENTS = Listing(
    {
        "user_id": "text",
        "variant": "text",
        "segment": "text",
        "assigned_at": "time",
        "first_exposed_at": "time",
        "probability": "number",
        "policy_version": "integer",
        "policy": "text",
        "probabilities": "numbers",
        "floor": "number",
        "policy_seed": "integer",
        "multiple_exposures": "boolean",
        "context": "json",
    },
    """
    SELECT u.external_id AS user_id, v.key AS variant, a.segment, a.assigned_at, a.first_exposed_at, a.probability,
           a.policy_version, l.policy, coalesce(to_jsonb(a.probabilities), l.probabilities) AS probabilities, l.floor,
           l.seed AS policy_seed,
           a.multiple_exposures, a.context
    FROM ab_test_assignment a
    JOIN app_user u ON u.id = a.user_id
    JOIN ab_test_variant v ON v.id = a.variant_id
    LEFT JOIN allocation l ON l.test_id = a.test_id AND l.policy_version = a.policy_version
    WHERE a.test_id = $1 ORDER BY a.user_id
    """,
    "SELECT count(*) FROM ab_test_assignment WHERE test_id = $1",
)
# One row for each EXPOSED event, whether it counts or not.
EXPOSURES = Listing(
    {
        "event_id": "text",
        "user_id": "text",
        "variant": "text",
        "occurred_at": "time",
        "received_at": "time",
        "segment": "text",
        "probability": "number",
        "properties": "json",
    },
    """
    SELECT e.event_id, u.external_id AS user_id, v.key AS variant, e.occurred_at, e.received_at, e.segment,
           e.probability, e.properties
    FROM event e
    JOIN app_user u ON u.id = e.user_id
    LEFT JOIN ab_test_variant v ON v.id = e.variant_id
    WHERE e.test_id = $1 AND e.type = 8 ORDER BY e.occurred_at, e.key
    """,
    "SELECT count(*) FROM event WHERE test_id = $1 AND type = 8",
)


class ExportStore:
    """Reads what is exported of tests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, test_id: int, listing: Listing) -> int:
        """Return how many rows a listing has."""
        return await self._database.fetchval(listing.count, test_id)

    async def pages(self, test_id: int, listing: Listing) -> AsyncGenerator[Sequence[Mapping[str, Any]]]:
        """Yield a listing's rows, some thousands at a time; a connection is held meanwhile."""
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(listing.sql, test_id)
            while rows := await cursor.fetch(ROWS_AT_ONCE):
                yield cast("Sequence[Mapping[str, Any]]", rows)
