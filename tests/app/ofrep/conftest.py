"""A real server with tests that run as flags, and keys of every role."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.auth.principals import Role
from app.runtime.clock import SystemClock
from app.store.access import AccessStore
from app.store.database import Database

CREATE = """mutation Create($input: CreateTestInput!, $key: ID!) {
  createTest(input: $input) { errors { path message } } startTest(id: $key) { errors { message } }
}"""
FLAGS = "/ofrep/v1/evaluate/flags"
PAYLOADS = {
    "of-object": {"colour": "grün", "sizes": [1, 2.5], "nested": {"on": True}},
    "of-boolean": False,
    "of-text": "",
    "of-integer": 25,
    "of-number": 0.25,
    "of-whole-number": 25.0,
    "of-none": None,
}


@dataclass(frozen=True)
class Flags:
    """The door for flags of a server."""

    client: httpx.AsyncClient

    async def post(self, key: str | None = None, *, content: bytes | None = None, **given: Any) -> httpx.Response:
        """Evaluate; `user` and `attributes` make the body unless `content` or `json` is given."""
        path = FLAGS if key is None else f"{FLAGS}/{key}"
        attributes = given.pop("attributes", {})
        user = given.pop("user", "ann")
        if content is None:
            given.setdefault("json", {"context": {"targetingKey": user, **attributes}})
        return await self.client.post(path, content=content, **given)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        response = await self.client.post("/graphql", json={"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        body = response.json()
        assert "errors" not in body, body
        return body["data"]

    async def start(self, key: str, *, payload: Any = None, **given: Any) -> None:
        """Create a test whose variants both have the payload, and start it."""
        variants = [
            {"key": name, "weight": 0.5, "isControl": name == "control"}
            | ({} if payload is None else {"payload": payload})
            for name in ("control", "treatment")
        ]
        metric = {"key": "converted", "kind": "CONVERSION", "event": "CONVERTED"}
        wanted = {"key": key, "name": key, "variants": variants, "metric": metric} | given
        data = await self.ask(CREATE, input=wanted, key=key)
        assert data == {"createTest": {"errors": []}, "startTest": {"errors": []}}


@pytest_asyncio.fixture(scope="session")
async def flags(server) -> AsyncIterator[Flags]:
    """The door, with a test for each kind of payload running behind it."""
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as client:
        flags = Flags(client)
        for key, payload in PAYLOADS.items():
            await flags.start(key, payload=payload)
        yield flags


@pytest_asyncio.fixture(scope="session")
async def key_of(server) -> AsyncIterator[Callable[[Role], Awaitable[str]]]:
    """Make a key of a role."""
    database = await Database.open(server.database_url, default=False)
    store = AccessStore(database)
    ring = KeyRing(store, audit=Audit(store), clock=SystemClock())

    async def make(role: Role) -> str:
        return (await ring.create(f"of a test, {role}", role)).key

    yield make
    await database.close()


@pytest.fixture(scope="session")
def payloads() -> dict[str, Any]:
    """The payload of both variants, by flag."""
    return PAYLOADS
