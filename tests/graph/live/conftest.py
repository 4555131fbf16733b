"""Subscribers as they come: over a real socket, to a real server; and tests that change while they look."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from prometheus_client import CollectorRegistry

from app.asgi import WebApplication, create_app
from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.auth.principals import Role
from app.commands.web import server_config
from app.operations.observing import RequestMeasures
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.access import AccessStore
from app.store.database import Database
from graph.live.feeds import Feeds

PROTOCOL = "graphql-transport-ws"
CREATE = "mutation ($input: CreateTestInput!) { createTest(input: $input) { errors { message path } } }"
START = "mutation ($id: ID!) { startTest(id: $id) { errors { message } } }"
RESULTS = """
subscription ($id: ID!, $rate: Float) { testResults(testId: $id, maxPerSecond: $rate) { totals { exposed } } }
"""


@dataclass
class Socket:
    """A client that speaks graphql-transport-ws, message by message."""

    connection: Any

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self, seconds: float = 10) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.connection.recv(), seconds))

    async def subscribe(self, query: str, number: str = "1", /, **variables: Any) -> None:
        await self.send(id=number, type="subscribe", payload={"query": query, "variables": variables})

    async def data(self, seconds: float = 10) -> dict[str, Any]:
        message = await self.receive(seconds)
        assert message["type"] == "next", message
        return message["payload"]["data"]

    async def closed(self) -> int:
        """Return the code with which the server closes, whatever comes before."""
        async with asyncio.timeout(15):
            with suppress(websockets.ConnectionClosedError):
                async for _ in self.connection:
                    pass
            await self.connection.wait_closed()
        return self.connection.close_code

    async def nothing(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.connection.recv(), seconds)


@asynccontextmanager
async def dialled(url: str, *, key: str | None = None, **options: Any) -> AsyncIterator[Socket]:
    """Connect; with a key, be acknowledged too."""
    options = {"subprotocols": [PROTOCOL], **options}
    async with websockets.connect(url.replace("http", "ws") + "/graphql", **options) as connection:
        socket = Socket(connection)
        if key is not None:
            await socket.send(type="connection_init", payload={"Authorization": f"Bearer {key}"})
            assert await socket.receive() == {"type": "connection_ack"}
        yield socket


@pytest.fixture
def dial(server) -> Callable[..., Any]:
    return lambda **options: dialled(server.url, **options)


@pytest.fixture
def connect(server) -> Callable[..., Any]:
    """As an admin, acknowledged."""
    return lambda **options: dialled(server.url, **{"key": server.key, **options})


async def post_to(server, query: str, **variables: Any) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as client:
        answer = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def running_test(server) -> str:
    """Make a test of two variants and start it; return its key."""
    key = f"live-{secrets.token_hex(4)}"
    variants = [{"key": "a", "weight": 0.5, "isControl": True}, {"key": "b", "weight": 0.5}]
    metric = {"key": "bought", "kind": "CONVERSION", "event": "CONVERTED"}
    made = await post_to(server, CREATE, input={"key": key, "name": key, "variants": variants, "metric": metric})
    assert made["createTest"]["errors"] == []
    assert (await post_to(server, START, id=key))["startTest"]["errors"] == []
    return key


async def exposed(server, test: str, *users: str) -> None:
    """Expose users to variant a."""
    common = {"type": "EXPOSED", "occurredAt": datetime.now(UTC).isoformat(), "testId": test, "variantKey": "a"}
    lines = [json.dumps({"id": f"{test}/{user}", "userId": user, **common}) for user in users]
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as client:
        receipt = (await client.post("/v1/events", content="\n".join(lines))).json()
    assert receipt["rejected"] == [], receipt


def count(data: dict[str, Any]) -> int:
    """Return how many units a state of a test's results has."""
    return sum(total["exposed"] for total in data["testResults"]["totals"])


async def eventually(true: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
def live() -> SimpleNamespace:
    """What tests of several servers do with each."""
    return SimpleNamespace(
        dialled=dialled, post=post_to, running=running_test, exposed=exposed, count=count, eventually=eventually
    )


@pytest.fixture
async def test_key(server) -> str:
    return await running_test(server)


@pytest.fixture
def expose(server, test_key: str) -> Callable[..., Awaitable[None]]:
    async def expose(*users: str) -> None:
        await exposed(server, test_key, *users)

    return expose


@dataclass(frozen=True)
class LocalServer:
    """The application behind uvicorn in this process, so that its inside can be looked at."""

    url: str
    key: str
    app: WebApplication

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def feeds(self) -> Feeds:
        assert self.app._streams is not None
        return self.app._streams._feeds


class Lent:
    """A database that is not closed by who borrows it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def close(self) -> None:
        """The owner does."""


@pytest.fixture
async def local(clean_database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    async def lend(_settings: Settings, _clock: object) -> Lent:
        return Lent(clean_database)

    settings = Settings(log_format="json", shutdown_seconds=5)
    monkeypatch.setattr("app.asgi.open_database", lend)
    monkeypatch.setattr("app.asgi.RequestMeasures", lambda: RequestMeasures(CollectorRegistry()))
    app = create_app(settings)
    store = AccessStore(clean_database)
    made = await KeyRing(store, audit=Audit(store), clock=SystemClock()).create("local", Role.ADMIN)
    server = uvicorn.Server(server_config(app, settings))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server._serve([listening]))
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
        yield LocalServer(f"http://127.0.0.1:{listening.getsockname()[1]}", made.key, app)
        server.should_exit = True
        app.finish()
        await asyncio.wait_for(serving, 20)
