"""`POST /v1/events`: what is answered is durable, what is refused is named."""

import gzip
import json

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from app.auth.limiting import RateLimit
from app.auth.principals import Principal, Role
from app.ingestion.endpoint import MAX_LISTED, EventsEndpoint
from app.store.database import Database

GOOD = {"type": "SENT", "occurredAt": "2025-12-31T10:00:00Z", "userId": "ann", "campaignId": "spring"}
KEYS = {"sender": Principal(1, "app", Role.SENDER), "reader": Principal(2, "page", Role.CLIENT)}


def lines(*ids: str) -> bytes:
    return b"".join(json.dumps(GOOD | {"id": name}).encode() + b"\n" for name in ids)


class Known:
    """Stands for the middleware: who calls is in a header."""

    def __init__(self, app) -> None:
        self._app = app

    async def __call__(self, scope, receive, send) -> None:
        scope.setdefault("state", {})["principal"] = KEYS.get(dict(scope["headers"]).get(b"x-who", b"").decode())
        await self._app(scope, receive, send)


@pytest_asyncio.fixture
async def client(ingestion, clock):
    limit = RateLimit(per_second=1_000, burst=20_000, clock=clock)
    endpoint = EventsEndpoint(ingestion, limit=limit, max_bytes=3_000_000)
    app = Known(Starlette(routes=[Route("/v1/events", endpoint.post, methods=["POST"])]))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"x-who": "sender"}) as client:
        yield client


async def stored(database: Database) -> int:
    assert await database.fetchval("SELECT count(*) FROM event_key") == await database.fetchval(
        "SELECT count(*) FROM event"
    )
    return await database.fetchval("SELECT count(*) FROM event")


async def test_good_and_bad_lines_and_duplicates(client, catalogue):
    body = lines("a", "b") + b'{"id": "x", "type": "SENT"}\n\n' + lines("a") + b"no json\n" + lines("c")[:-1]
    answer = await client.post("/v1/events", content=body)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["accepted"], said["duplicates"]) == (3, 1)
    assert [(entry["line"], entry["id"], entry["code"], entry["field"]) for entry in said["rejected"]] == [
        (3, "x", "INVALID_INPUT", "occurredAt"),
        (6, None, "INVALID_INPUT", None),
    ]
    assert await stored(catalogue) == 3


async def test_an_unknown_campaign_is_not_found(client):
    body = json.dumps(GOOD | {"id": "a", "campaignId": "nowhere"})
    (refused,) = (await client.post("/v1/events", content=body)).json()["rejected"]
    assert (refused["line"], refused["code"], refused["field"]) == (1, "NOT_FOUND", "campaignId")


async def test_gzip_in_any_chunks(client, catalogue):
    packed = gzip.compress(lines(*map(str, range(9_000))))

    async def pieces():
        for at in range(0, len(packed), 1_000):
            yield packed[at : at + 1_000]

    answer = await client.post("/v1/events", content=pieces(), headers={"content-encoding": "gzip"})
    assert answer.json() == {"accepted": 9_000, "duplicates": 0, "rejected": []}
    assert await stored(catalogue) == 9_000


async def test_lines_are_numbered_across_chunks(client):
    body = lines(*map(str, range(4_000))) + b"bad\n" + lines("last")
    said = (await client.post("/v1/events", content=body)).json()
    assert [entry["line"] for entry in said["rejected"]] == [4_001]
    assert said["accepted"] == 4_001


async def test_a_body_that_breaks_half_way_says_what_was_stored(client, catalogue):
    packed = gzip.compress(lines(*map(str, range(9_000))))
    answer = await client.post("/v1/events", content=packed[:-2_000], headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
    said = answer.json()
    assert said["code"] == "INVALID_INPUT"
    assert 0 < said["accepted"] < 9_000
    assert await stored(catalogue) == said["accepted"]
    again = await client.post("/v1/events", content=packed, headers={"content-encoding": "gzip"})
    assert again.json() == {"accepted": 9_000 - said["accepted"], "duplicates": said["accepted"], "rejected": []}


async def test_a_body_past_its_limit_says_what_was_stored(client, catalogue):
    async def pieces():
        for n in range(40):
            yield lines(*(f"{n}-{k}".rjust(190, "x") for k in range(400)))

    answer = await client.post("/v1/events", content=pieces())
    assert answer.status_code == 413
    assert answer.json()["code"] == "TOO_LARGE"
    assert await stored(catalogue) == answer.json()["accepted"]
    declared = await client.post("/v1/events", content=b"x" * 3_000_001)
    assert (declared.status_code, declared.json()["accepted"]) == (413, 0)


@pytest.mark.parametrize(
    ("content", "headers", "says"),
    [
        (b"[" + lines("a")[:-1] + b"]", {}, "one event a line"),
        (b"  \n [\n", {}, "one event a line"),
        (lines("a"), {"content-encoding": "br"}, "gzip"),
        (lines("a"), {"content-encoding": "gzip"}, "gzip"),
    ],
)
async def test_a_body_of_another_form_is_refused_whole(client, catalogue, content, headers, says):
    answer = await client.post("/v1/events", content=content, headers=headers)
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    assert (answer.json()["accepted"], await stored(catalogue)) == (0, 0)


async def test_an_empty_body_is_nothing(client):
    answer = await client.post("/v1/events", content=b"")
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "duplicates": 0, "rejected": []})


@pytest.mark.parametrize(("who", "status"), [("nobody", 401), ("reader", 403)])
async def test_who_may_not_send_stores_nothing(client, catalogue, who, status):
    answer = await client.post("/v1/events", content=lines("a"), headers={"x-who": who})
    assert answer.status_code == status
    assert await stored(catalogue) == 0


async def test_too_many_events_of_one_key_come_back_later(client, clock, catalogue):
    first = await client.post("/v1/events", content=lines(*map(str, range(12_000))))
    assert first.json()["accepted"] == 12_000
    second = await client.post("/v1/events", content=lines(*(f"b{n}" for n in range(12_000))))
    assert second.status_code == 429
    assert int(second.headers["retry-after"]) >= 1
    assert await stored(catalogue) == 12_000 + second.json()["accepted"]
    clock.advance(60)
    assert (await client.post("/v1/events", content=lines("z"))).status_code == 200


async def test_a_flood_of_bad_lines_is_answered_in_bounds(client):
    said = (await client.post("/v1/events", content=b"x\n" * (MAX_LISTED + 5))).json()
    assert len(said["rejected"]) == MAX_LISTED
    assert said["unlisted"] == 5
