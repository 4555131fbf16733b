import asyncio
import logging

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from app.auth import middleware as middleware_module
from app.auth.limiting import RateLimit
from app.auth.middleware import AuthenticationMiddleware, BodyLimitMiddleware
from app.auth.principals import Permission, Principal
from app.auth.refusals import principal_of, refuse
from app.errors import DomainError, Unauthenticated
from app.runtime.clock import ManualClock
from app.store.models.codes import Role

KEYS = {"admin-key": Principal(1, "ops", Role.ADMIN), "client-key": Principal(2, "app", Role.CLIENT)}


async def authenticate(credential):
    key = credential.removeprefix("Bearer ")
    if key == "database-gone":
        raise asyncpg.CannotConnectNowError("starting up")
    if key not in KEYS:
        raise Unauthenticated("unknown")
    return KEYS[key]


async def who(request: Request):
    principal = request.scope["state"]["principal"]
    return PlainTextResponse("nobody" if principal is None else principal.name)


async def export(request: Request):
    try:
        principal_of(request.scope, Permission.EXPORT)
    except DomainError as error:
        return refuse(error)
    return PlainTextResponse("exported")


async def read(request: Request):
    return JSONResponse(len(await request.body()))


def client_for(clock, *, burst=100):
    limit = RateLimit(per_second=1, burst=burst, clock=clock)
    app = Starlette(
        routes=[
            Route("/who", who),
            Route("/export", export),
            Route("/read", read, methods=["POST"]),
            Route("/v1/events", read, methods=["POST"]),
        ],
        middleware=[
            Middleware(BodyLimitMiddleware, default=10, limits={"/v1/events": 20}),
            Middleware(AuthenticationMiddleware, authenticate=authenticate, limit=limit),
        ],
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://winnow")


@pytest.fixture
async def client():
    async with client_for(ManualClock()) as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "nobody"),
        ({"Authorization": "Bearer admin-key"}, "ops"),
        ({"X-API-Key": "client-key"}, "app"),
        ({"X-API-Key": "client-key", "Authorization": "Basic cHJveHk6cHJveHk="}, "app"),
    ],
)
async def test_the_principal_is_put_into_the_scope(client, headers, expected):
    assert (await client.get("/who", headers=headers)).text == expected


@pytest.mark.parametrize("value", [b"Bearer nobodys", b"Basic x", b"Bearer", b"\xff\xfe", "ключ".encode()])
async def test_a_key_that_is_not_accepted_is_refused(client, value):
    answer = await client.get("/who", headers=[(b"Authorization", value)])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "UNAUTHENTICATED"
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"X-API-Key": "client-key"}, 403), ({"X-API-Key": "admin-key"}, 200)],
)
async def test_a_door_asks_for_its_permission(client, headers, status):
    assert (await client.get("/export", headers=headers)).status_code == status


async def test_a_database_that_is_gone_is_503_not_401(client):
    answer = await client.get("/who", headers={"X-API-Key": "database-gone"})
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")


async def test_too_much_at_once_says_when_to_come_back():
    clock = ManualClock()
    async with client_for(clock, burst=2) as client:
        ask = {"url": "/who", "headers": {"X-API-Key": "client-key"}}
        assert [(await client.get(**ask)).status_code for _ in range(3)] == [200, 200, 429]
        answer = await client.get(**ask)
        assert answer.headers["retry-after"] == "1"
        assert (await client.get("/who", headers={"X-API-Key": "admin-key"})).status_code == 200
        clock.advance(float(answer.headers["retry-after"]))
        assert (await client.get(**ask)).status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/read", 10), ("/v1/events", 20)])
async def test_a_body_may_be_as_large_as_its_limit(client, path, limit):
    assert (await client.post(path, content=b"x" * limit)).json() == limit
    refused = await client.post(path, content=b"x" * (limit + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "TOO_LARGE")


async def test_a_body_that_declares_nothing_is_counted(client):
    async def chunks():
        for _ in range(6):
            yield b"xx"

    assert (await client.post("/read", content=chunks())).status_code == 413


@pytest.mark.parametrize("declared", ["-1", "x", "1e9"])
async def test_a_nonsensical_length_does_not_open_the_door(client, declared):
    answer = await client.post("/read", content=b"x" * 11, headers={"Content-Length": declared})
    assert answer.status_code == 413


async def answer_to(messages, *, headers=()):
    """Send a body message by message to a door that reads all of it; return what was received, and the answers."""
    sent, received = [], []

    async def receive():
        if not messages:
            await asyncio.sleep(60)
        received.append(messages.pop(0))
        return received[-1]

    async def send(message):
        sent.append(message)

    async def door(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    middleware = BodyLimitMiddleware(door, default=10, limits={})
    await middleware({"type": "http", "path": "/", "headers": list(headers)}, receive, send)
    return received, [message["status"] for message in sent if "status" in message]


def body_of(*parts):
    return [{"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]] + [
        {"type": "http.request", "body": parts[-1], "more_body": False}
    ]


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"24"),)])
async def test_the_rest_of_a_refused_body_is_read_before_the_answer(headers):
    received, statuses = await answer_to(body_of(*[b"xxxxxx"] * 4), headers=headers)
    assert statuses == [413]
    assert len(received) == 4


async def test_a_refused_body_that_never_ends_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(middleware_module, "DISCARDING_SECONDS", 0.05)
    endless = [{"type": "http.request", "body": b"x" * 11, "more_body": True}]
    assert (await answer_to(endless))[1] == [413]


async def test_a_refused_body_is_read_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(middleware_module, "MAX_DISCARDED_BYTES", 20)
    received, statuses = await answer_to(body_of(*[b"x" * 11] * 9))
    assert statuses == [413]
    assert len(received) == 3


async def test_no_key_reaches_the_logs(client, caplog):
    caplog.set_level(logging.DEBUG, logger="winnow")
    await client.get("/who", headers={"Authorization": "Bearer admin-key"})
    await client.get("/who", headers={"Authorization": "Bearer nobodys-key"})
    assert "admin-key" not in caplog.text
    assert "nobodys-key" not in caplog.text


async def refusal_of_websocket(authenticate, **extensions):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    async def unreachable(*_):
        raise AssertionError("the door was reached")

    limit = RateLimit(per_second=1, burst=1, clock=ManualClock())
    middleware = AuthenticationMiddleware(unreachable, authenticate=authenticate, limit=limit)
    scope = {"type": "websocket", "path": "/graphql", "headers": [(b"x-api-key", b"nobodys")], **extensions}
    await middleware(scope, receive, send)
    return sent


async def test_websockets_are_refused_before_they_are_accepted():
    sent = await refusal_of_websocket(authenticate)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_websocket_learns_that_the_database_is_away_and_not_that_its_key_is_wrong():
    async def authenticate(_credential):
        raise ConnectionRefusedError

    start, body = await refusal_of_websocket(authenticate, extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert (b"retry-after", b"1") in start["headers"]
    assert b"try again" in body["body"]
