"""Server-sent events by graphql-sse's distinct connections, at a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request as HTTPRequest

from app.auth.principals import Principal, Role
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import ManualClock
from app.runtime.settings import Settings
from app.store.models.codes import JobStatus
from graph.context import Services
from graph.live.feeds import Feeds
from graph.live.sessions import Sessions
from graph.live.stream import StreamDoor
from graph.operations import Operations
from graph.schema import GraphSchema

NO_SESSIONS = Sessions(lambda _key_ids: asyncio.sleep(0, set()))
EVENTS = {"Accept": "text/event-stream"}
FOLLOW = "subscription ($id: ID!) { testResults(testId: $id, maxPerSecond: 20) { totals { exposed } } }"
JOB = "subscription ($id: ID!) { job(id: $id) { status } }"


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            yield name, json.loads(data) if data else None


async def answered(client: httpx.AsyncClient, query: str, **variables: Any) -> list[tuple[str, Any]]:
    response = await client.post("/graphql/stream", json={"query": query, "variables": variables}, headers=EVENTS)
    assert response.status_code == 200
    return [event async for event in events(response)]


async def test_the_present_then_each_change(client: httpx.AsyncClient, test_key: str, expose) -> None:
    body = {"query": FOLLOW, "variables": {"id": test_key}}
    async with client.stream("POST", "/graphql/stream", json=body, headers=EVENTS) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        told = events(response)
        name, state = await asyncio.wait_for(anext(told), 10)
        assert (name, state["data"]["testResults"]["totals"][0]["exposed"]) == ("next", 0)
        await expose("u1", "u2")
        seen = [0]
        while seen[-1] < 2:  # the two may be stored, and told, one after the other
            name, state = await asyncio.wait_for(anext(told), 10)
            seen.append(state["data"]["testResults"]["totals"][0]["exposed"])
            assert (name, seen) == ("next", sorted(seen))


async def test_a_browser_follows_by_get(client: httpx.AsyncClient, test_key: str) -> None:
    url = httpx.URL("/graphql/stream", params={"query": FOLLOW, "variables": json.dumps({"id": test_key})})
    async with client.stream("GET", url, headers=EVENTS) as response:
        assert (await asyncio.wait_for(anext(events(response)), 10))[0] == "next"


async def test_queries_and_mutations_are_one_event_and_the_end(client: httpx.AsyncClient) -> None:
    assert await answered(client, "{ __typename }") == [("next", {"data": {"__typename": "Query"}}), ("complete", None)]
    mutation = 'mutation { startTest(id: "none") { errors { code } } }'
    (_, told), end = await answered(client, mutation)
    assert told["data"]["startTest"]["errors"] == [{"code": "NOT_FOUND"}]
    assert end == ("complete", None)
    response = await client.get("/graphql/stream", params={"query": mutation}, headers=EVENTS)
    refused = [event async for event in events(response)]
    assert refused[0][1]["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert refused[1] == ("complete", None)


@pytest.mark.parametrize("query", ["{ nothing }", "subscription {", JOB])
async def test_what_is_refused_is_said_and_completed(client: httpx.AsyncClient, query: str) -> None:
    told = await answered(client, query, id="job_999")
    assert [name for name, _ in told] == ["next", "complete"]
    assert told[0][1]["errors"]
    assert "data" not in told[0][1]


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Accept": "application/json"}, b'{"query": "{ __typename }"}', 406),
        ({}, b"{", 400),
        ({}, b"{}", 400),
        ({"Content-Type": "text/plain"}, b'{"query": "{ __typename }"}', 400),
        ({"Authorization": "Bearer wrong"}, b'{"query": "{ __typename }"}', 401),
    ],
)
async def test_requests_out_of_form(server, headers: dict, content: bytes, status: int) -> None:
    given = {**server.headers, **EVENTS, "Content-Type": "application/json", **headers}
    async with httpx.AsyncClient(base_url=server.url) as client:
        response = await client.post("/graphql/stream", content=content, headers=given)
        assert response.status_code == status
        assert (await client.post("/graphql/stream", content=content, headers=EVENTS)).status_code == 401


async def test_the_feed_of_one_who_left_ends(local, live) -> None:
    before = asyncio.all_tasks()
    body = {"query": FOLLOW, "variables": {"id": await live.running(local)}}
    async with httpx.AsyncClient(base_url=local.url, headers=local.headers) as client:
        async with client.stream("POST", "/graphql/stream", json=body, headers=EVENTS) as response:
            await asyncio.wait_for(anext(events(response)), 10)
            assert len(local.feeds) == 1
        await live.eventually(lambda: len(local.feeds) == 0)
    await live.eventually(lambda: asyncio.all_tasks() <= before)


# ------------------------------------------------------------------------------------------------ the door alone


@pytest.fixture
def feeds(schema: GraphSchema, services: Services, settings: Settings) -> Feeds:
    assert isinstance(services.jobs._broadcast, LocalBroadcast)
    return Feeds(Operations(schema, settings), services.jobs._broadcast, most=100)


async def opened(door: StreamDoor, job_id: int) -> AsyncIterator[bytes]:
    async def receive() -> dict[str, object]:
        body = {"query": JOB, "variables": {"id": f"job_{job_id}"}}
        return {"type": "http.request", "body": json.dumps(body).encode()}

    headers = [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")]
    state = {"principal": Principal(1, "ann", Role.ANALYST)}
    scope = {"type": "http", "method": "POST", "path": "/graphql/stream", "headers": headers, "state": state}
    response: Any = await door.respond(HTTPRequest(scope, receive))
    return aiter(response.body_iterator)


async def test_comments_keep_it_alive_and_the_job_s_end_completes_it(
    schema: GraphSchema, services: Services, settings: Settings, feeds: Feeds, clock: ManualClock
) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    door = StreamDoor(Operations(schema, settings), services, feeds, sessions=NO_SESSIONS, keep_alive_seconds=0.05)
    told = await opened(door, made.id)
    assert await anext(told) == b'event: next\ndata: {"data":{"job":{"status":"QUEUED"}}}\n\n'
    assert [await anext(told) for _ in range(3)] == [b":\n\n"] * 3
    await services.jobs.update(made.id, JobStatus.SUCCEEDED, at=clock.now())
    rest = [event async for event in told if event != b":\n\n"]
    assert rest == [b'event: next\ndata: {"data":{"job":{"status":"SUCCEEDED"}}}\n\n', b"event: complete\ndata:\n\n"]
    assert len(feeds) == 0


async def test_a_server_that_stops_breaks_it_off_without_completing(
    schema: GraphSchema, services: Services, settings: Settings, feeds: Feeds, clock: ManualClock
) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    door = StreamDoor(Operations(schema, settings), services, feeds, sessions=NO_SESSIONS)
    told = await opened(door, made.id)
    await anext(told)
    door.interrupt()
    assert [event async for event in told] == []
    assert len(feeds) == 0
