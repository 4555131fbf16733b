"""The graph in this process, on a real database; and a small catalogue to ask about."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.asgi import make_services
from app.auth.principals import Principal, Role
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


@pytest.fixture
def services(clean_database: Database) -> Services:
    return make_services(clean_database, SystemClock())


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
def grow_catalogue(clean_database: Database) -> Callable[[int], Awaitable[None]]:
    """Make `count` merchants, each with `count` campaigns, with a conversion each."""

    async def grow(count: int) -> None:
        await clean_database.execute(
            "INSERT INTO merchant (key, name, category) SELECT 'm' || n, 'M' || n, 'Food' FROM generate_series(1, $1) AS n",
            count,
        )
        await clean_database.execute(
            "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount) "
            "SELECT 'c' || m.id || '-' || n, 'C' || n, m.id, 'ACTIVE', '{1}', 5 FROM merchant m, generate_series(1, $1) n",
            count,
        )
        for table, columns, values in (
            ("campaign_hour", "campaign_id, hour, segment, channel, slot", "id, '2026-03-02 10:00+00', 'vip', 1, 0"),
            ("campaign_day", "campaign_id, day, slot", "id, '2026-03-02', 0"),
            ("merchant_day", "merchant_id, day, channel, slot", "DISTINCT merchant_id, '2026-03-02'::date, 1, 0"),
        ):
            prefix, _, rest = values.partition("DISTINCT ")
            distinct = "DISTINCT " if rest else ""
            await clean_database.execute(
                f"INSERT INTO {table} ({columns}, sent, delivered, converted, revenue_micros, reward_micros) "
                f"SELECT {distinct}{rest or prefix}, 10, 8, 2, 40000000, 10000000 FROM campaign"
            )
        await clean_database.execute(
            "INSERT INTO campaign_cohort (campaign_id, interval_days, cohort, period, slot, users) "
            "SELECT id, 7, '2026-03-02', 0, 0, 2 FROM campaign"
        )

    return grow


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
