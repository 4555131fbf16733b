"""The graph in this process, on a real database; and a small catalogue to ask about."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.asgi import assembled
from app.auth.principals import Principal, Role
from app.ingestion.batches import read_mappings
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.database import Database
from graph.context import Context, Services
from graph.operations import Operations, Request
from graph.schema import GraphSchema, build_schema

type Ask = Callable[..., Awaitable[dict[str, Any]]]

ADMIN = Principal(1, "tests", Role.ADMIN)


@pytest.fixture(scope="session")
def schema() -> GraphSchema:
    return build_schema()


@pytest_asyncio.fixture
async def services(clean_database: Database) -> AsyncIterator[Services]:
    async with assembled(clean_database, LocalBroadcast(), SystemClock()) as assembly:
        yield assembly.services


@pytest.fixture
def context(services: Services) -> Context:
    """An admin's."""
    return Context(ADMIN, services)


@pytest.fixture
def ask(schema: GraphSchema, services: Services, settings: Settings) -> Ask:
    """Execute an operation, by an admin unless told; return the response's body."""
    operations = Operations(schema, settings)

    async def ask(query: str, *, by: Principal = ADMIN, name: str | None = None, **variables: Any) -> dict[str, Any]:
        answer = await operations.execute(Request(query, variables, name), Context(by, services))
        return answer.body()

    return ask


@pytest.fixture
def grow_catalogue(clean_database: Database, services: Services) -> Callable[[int], Awaitable[None]]:
    """Make `count` merchants, each with `count` campaigns that sent 10, delivered 8 and converted 2 for 20 each."""

    async def grow(count: int) -> None:
        await clean_database.execute(MERCHANTS, count)
        await clean_database.execute(CAMPAIGNS, count)
        await clean_database.execute(
            "INSERT INTO app_user (external_id, segment) VALUES ('u', 'vip') ON CONFLICT DO NOTHING"
        )
        keys = [row["key"] for row in await clean_database.fetch("SELECT key FROM campaign")]
        events = [event for key in keys for event in history(key)]
        assert (await services.ingestion.record(read_mappings(events))).rejected == ()

    return grow


MERCHANTS = """
    INSERT INTO merchant (key, name, category) SELECT 'm' || n, 'M' || n, 'Food' FROM generate_series(1, $1) AS n
    ON CONFLICT DO NOTHING
"""
CAMPAIGNS = """
    INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)
    SELECT 'c' || m.id || '-' || n, 'C' || n, m.id, 'ACTIVE', '{1}', 5 FROM merchant m, generate_series(1, $1) AS n
    ON CONFLICT DO NOTHING
"""


def history(campaign: str) -> list[dict[str, Any]]:
    kinds = [*("SENT",) * 10, *("DELIVERED",) * 8, *("CONVERTED",) * 2]
    common = {
        "occurredAt": datetime(2026, 3, 2, 10, tzinfo=UTC),
        "userId": "u",
        "campaignId": campaign,
        "channel": "PUSH",
    }
    return [
        {"id": f"{campaign}/{n}", "type": kind, **common, "value": Decimal(20) if kind == "CONVERTED" else None}
        for n, kind in enumerate(kinds)
    ]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(server):
    """A client of the real server, with an admin's key."""
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as client:
        yield client


@pytest.fixture
def post(client: httpx.AsyncClient) -> Ask:
    """Send an operation to the real server; return the response's body."""

    async def post(query: str, **variables: Any) -> dict[str, Any]:
        response = await client.post("/graphql", json={"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        return response.json()

    return post
