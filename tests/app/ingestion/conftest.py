"""A small catalogue to record events against."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from app.ingestion.pipeline import Ingestion
from app.runtime.clock import ManualClock
from app.store.database import Database
from app.store.events import EventStore

CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES
        (1, 'bakery', 'Bakery', 'food'), (2, 'books', 'Books', 'media');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES
        (1, 'spring', 'Spring', 1, '{1,2}', 5.00), (2, 'autumn', 'Autumn', 2, '{1}', 2.50);
    INSERT INTO app_user (id, external_id, segment) VALUES (1, 'ann', 'vip'), (2, 'bob', 'new'), (3, 'cyd', '');
    SELECT setval(pg_get_serial_sequence('app_user', 'id'), 100);
    INSERT INTO ab_test (id, key, name, seed) VALUES (1, 'welcome', 'Welcome', 'welcome');
    INSERT INTO ab_test_variant (id, test_id, key, name, position, is_control, weight) VALUES
        (1, 1, 'control', 'Control', 0, true, 0.5), (2, 1, 'treatment', 'Treatment', 1, false, 0.5);
"""


@pytest_asyncio.fixture
async def catalogue(clean_database: Database) -> Database:
    """Two merchants with a campaign each, three users in three segments ('' is none), one test with two variants."""
    await clean_database.execute(CATALOGUE)
    return clean_database


@pytest.fixture
def ingestion(catalogue: Database, clock: ManualClock) -> Ingestion:
    return Ingestion(EventStore(catalogue), clock)


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """Make an event's mapping; what is given replaces the defaults."""

    def make(**given: Any) -> dict[str, Any]:
        defaults = {"id": "e1", "type": "SENT", "occurredAt": datetime(2025, 12, 31, 10, tzinfo=UTC), "userId": "ann"}
        return defaults | given

    return make


@dataclass
class Counted:
    """What the database holds."""

    database: Database

    async def rows(self, table: str) -> int:
        return await self.database.fetchval(f"SELECT count(*) FROM {table}")


@pytest.fixture
def counted(catalogue: Database) -> Counted:
    return Counted(catalogue)
