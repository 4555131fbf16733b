"""A small catalogue with a history that can be counted by hand."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import SimpleNamespace

import pytest
import pytest_asyncio

from app.runtime.clock import ManualClock
from app.store.campaigns import CampaignStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.models.codes import EventType
from app.store.performance import PerformanceStore

CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES (1, 'bakery', 'Bakery', ''), (2, 'books', 'Books', '');
    INSERT INTO campaign (id, key, name, merchant_id, status, channels, offer_amount) VALUES
        (1, 'spring', 'Spring', 1, 'ACTIVE', '{1,2}', 5), (2, 'autumn', 'Autumn', 1, 'DRAFT', '{1}', 2.5),
        (3, 'winter', 'Winter', 2, 'ACTIVE', '{3}', 1);
    INSERT INTO app_user (id, external_id, segment) VALUES (1, 'ann', 'vip'), (2, 'bob', 'new'), (3, 'cyd', '');
    SELECT setval(pg_get_serial_sequence(t, 'id'), 100) FROM unnest('{merchant,campaign,app_user}'::text[]) AS t
"""
MERCHANT_OF = {1: 1, 2: 1, 3: 2}

type Record = Callable[..., Awaitable[None]]


@pytest_asyncio.fixture
async def catalogue(clean_database: Database) -> Database:
    await clean_database.execute(CATALOGUE)
    return clean_database


@pytest.fixture
def record(catalogue: Database) -> Record:
    """Record `times` events of one kind; money is in millionths."""
    store = EventStore(catalogue)

    async def record(
        kind: str, at: str, *, campaign: int = 1, user: int = 1, channel: int = 1, times: int = 1, **money: int
    ) -> None:
        amounts = SimpleNamespace(**{"value": None, "cost": None, "offer": None} | money)
        instant = datetime.fromisoformat(at + "+00:00")
        drafts = []
        for _ in range(times):
            key = uuid.uuid4()
            drafts.append(
                (
                    *(key, instant, user, campaign, MERCHANT_OF[campaign], None, None),
                    *(amounts.value, amounts.cost, amounts.offer, None, None, None),
                    *(EventType[kind], channel, str(key), None, None, None),
                )
            )
        await store.append(drafts)

    return record


@pytest.fixture
def performance(catalogue: Database) -> PerformanceStore:
    return PerformanceStore(catalogue)


@pytest.fixture
def campaign_store(catalogue: Database) -> CampaignStore:
    return CampaignStore(catalogue)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
