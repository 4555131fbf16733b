"""graphql-transport-ws, message by message, at a real server."""

import asyncio
import json
import secrets

import asyncpg
import pytest
import websockets

from app.auth.keys import digest_of
from app.auth.principals import Role
from graph.live.websocket import Closing

FOLLOW = "subscription ($id: ID!) { testResults(testId: $id, maxPerSecond: 20) { totals { exposed } } }"
NAMES = "{ __typename }"


@pytest.fixture
def new_key(server):
    """Make a key of a role, revoked or not, behind the server's back."""

    async def make(role: Role, *, revoked: bool = False) -> str:
        key = "wnw_" + secrets.token_urlsafe(30)
        connection = await asyncpg.connect(server.database_url)
        await connection.execute(
            "INSERT INTO api_key (name, prefix, digest, role, created_at, revoked_at) "
            "VALUES ('made', $1, $2, $3, now(), CASE WHEN $4 THEN now() END)",
            *(key[:8], digest_of(key), role.value, revoked),
        )
        await connection.close()
        return key

    return make


async def test_a_connection_is_opened_asked_and_completed(connect, test_key: str) -> None:
    async with connect() as socket:
        assert socket.connection.subprotocol == "graphql-transport-ws"
        await socket.subscribe(FOLLOW, 'a "7" é', id=test_key)
        message = await socket.receive()
        assert message == {
            "id": 'a "7" é',
            "type": "next",
            "payload": {"data": {"testResults": {"totals": [{"exposed": 0}, {"exposed": 0}]}}},
        }
        await socket.send(id='a "7" é', type="complete")
        await socket.send(type="ping", payload={"any": "thing"})
        assert await socket.receive() == {"type": "pong"}


async def test_queries_and_mutations_travel_on_it_too(connect) -> None:
    async with connect() as socket:
        await socket.subscribe(NAMES, "q")
        assert await socket.receive() == {"id": "q", "type": "next", "payload": {"data": {"__typename": "Query"}}}
        assert await socket.receive() == {"id": "q", "type": "complete"}
        await socket.subscribe('mutation { startTest(id: "none") { errors { code } } }', "q")
        assert (await socket.data())["startTest"]["errors"] == [{"code": "NOT_FOUND"}]
        assert await socket.receive() == {"id": "q", "type": "complete"}


@pytest.mark.parametrize(
    "query", ["{ nothing }", "{", "subscription { nothing }", "query A { __typename } query B { a }"]
)
async def test_what_cannot_be_executed_is_an_error_message(connect, query: str) -> None:
    async with connect() as socket:
        await socket.subscribe(query)
        message = await socket.receive()
        assert (message["type"], message["id"]) == ("error", "1")
        assert message["payload"][0]["message"]
        await socket.subscribe(NAMES)  # the id is free again
        assert (await socket.receive())["type"] == "next"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('subscription { testResults(testId: "none") { asOf } }', "NOT_FOUND"),
        ('subscription { testResults(testId: "none", maxPerSecond: 0) { asOf } }', "NOT_FOUND"),
        ('subscription { job(id: "job_999") { id } }', "NOT_FOUND"),
        ('subscription { campaignMetrics(campaignId: "none") { sent } }', "NOT_FOUND"),
    ],
)
async def test_following_nothing_is_refused(connect, query: str, code: str) -> None:
    async with connect() as socket:
        await socket.subscribe(query)
        message = await socket.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", code)


@pytest.mark.parametrize("rate", [0, -1, 21, 1e9])
async def test_a_rate_out_of_range_is_refused(connect, test_key: str, rate: float) -> None:
    async with connect() as socket:
        query = "subscription ($id: ID!, $rate: Float) { testResults(testId: $id, maxPerSecond: $rate) { asOf } }"
        await socket.subscribe(query, id=test_key, rate=rate)
        message = await socket.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"] == {"code": "INVALID_INPUT", "path": ["maxPerSecond"]}


async def test_who_says_nothing_is_sent_away(dial) -> None:
    async with dial() as socket:
        started = asyncio.get_running_loop().time()
        for _ in range(3):  # pings are no introduction
            await asyncio.sleep(1)
            await socket.send(type="ping")
        assert await socket.closed() == 4408
        assert 9 < asyncio.get_running_loop().time() - started < 13


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"id": "1", "type": "subscribe", "payload": {"query": NAMES}}], 4401),
        ([{"type": "connection_init"}], 4403),
        ([{"type": "connection_init", "payload": {"Authorization": "Bearer wrong"}}], 4403),
        ([{"type": "connection_init", "payload": {"Authorization": ["x"]}}], 4403),
        ([{"type": "connection_init", "payload": "a key"}], 4400),
        ([{"type": "connection_ack"}], 4400),
        ([{"type": "ünknown" * 40}], 4400),
        ([{"type": None}], 4400),
        (["text"], 4400),
        ([[1]], 4400),
    ],
)
async def test_strangers_and_nonsense_are_sent_away(dial, messages: list, code: int) -> None:
    async with dial() as socket:
        for message in messages:
            await socket.connection.send(json.dumps(message))
        assert await socket.closed() == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "connection_init"}, 4429),
        ({"type": "subscribe", "payload": {"query": NAMES}}, 4400),
        ({"type": "subscribe", "id": "", "payload": {"query": NAMES}}, 4400),
        ({"type": "subscribe", "id": 7, "payload": {"query": NAMES}}, 4400),
        ({"type": "subscribe", "id": "1"}, 4400),
        ({"type": "subscribe", "id": "1", "payload": {"query": 5}}, 4400),
        ({"type": "subscribe", "id": "1", "payload": {"query": NAMES, "variables": [1]}}, 4400),
        ({"type": "complete"}, 4400),
        ({"type": "next", "id": "1", "payload": {}}, 4400),
    ],
)
async def test_messages_out_of_form_close_the_connection(connect, message: dict, code: int) -> None:
    async with connect() as socket:
        await socket.send(**message)
        assert await socket.closed() == code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 4400),
        ("", 4400),
        (b'{"type":"ping"}', 4400),
        ('"\\ud800"', 4400),
        ("[" * 100_000, 4400),
        ("x" * 1_000_001, 1009),
    ],
    ids=["half", "empty", "binary", "surrogate", "deep", "huge"],
)
async def test_frames_that_are_no_messages_close_the_connection(connect, frame: str | bytes, code: int) -> None:
    async with connect() as socket:
        await socket.connection.send(frame)
        assert await socket.closed() == code


async def test_an_id_in_use_closes_the_connection(connect, test_key: str) -> None:
    async with connect() as socket:
        for _ in range(2):
            await socket.subscribe(FOLLOW, id=test_key)
        assert await socket.closed() == 4409


async def test_an_id_is_free_once_completed(connect, test_key: str) -> None:
    async with connect() as socket:
        for _ in range(3):
            await socket.subscribe(FOLLOW, id=test_key)
            assert (await socket.receive())["type"] == "next"
            await socket.send(id="1", type="complete")
        await socket.send(id="unknown", type="complete")
        await socket.nothing(0.3)


async def test_only_so_many_at_once(connect, test_key: str) -> None:
    async with connect() as socket:
        for number in range(101):
            await socket.subscribe(FOLLOW, str(number), id=test_key)
        messages = [await socket.receive() for _ in range(101)]
        refused = [message for message in messages if message["type"] == "error"]
        assert [message["id"] for message in refused] == ["100"]
        assert "at most 100" in refused[0]["payload"][0]["message"]
        await socket.send(id="5", type="complete")
        await socket.subscribe(FOLLOW, "again", id=test_key)
        assert (await socket.receive())["id"] == "again"


async def test_a_foreign_page_is_refused_and_the_own_is_not(dial, server) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with dial(origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with dial(origin=server.url, key=server.key) as socket:
        await socket.subscribe(NAMES)
        assert (await socket.receive())["type"] == "next"


async def test_another_protocol_is_not_spoken(dial) -> None:
    for protocols in ([], ["graphql-ws"]):
        async with dial(subprotocols=protocols or None) as socket:
            assert await socket.closed() == 4406


async def test_a_key_in_the_handshake_is_enough_and_a_wrong_one_is_refused(dial, server) -> None:
    async with dial(additional_headers=server.headers) as socket:
        await socket.send(type="connection_init")
        assert await socket.receive() == {"type": "connection_ack"}
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with dial(additional_headers={"Authorization": "Bearer wrong"}):
            pass
    assert refused.value.response.status_code == 401


async def test_a_revoked_key_opens_nothing(dial, new_key) -> None:
    key = await new_key(Role.ANALYST, revoked=True)
    async with dial() as socket:
        await socket.send(type="connection_init", payload={"X-API-Key": key})
        assert await socket.closed() == 4403


@pytest.mark.parametrize("field", ["testResults(testId: $id) { asOf }", "allocation(testId: $id) { createdAt }"])
async def test_a_role_that_may_not_look_may_not_follow(dial, new_key, test_key: str, field: str) -> None:
    async with dial(key=await new_key(Role.SENDER)) as socket:
        await socket.subscribe(f"subscription ($id: ID!) {{ {field} }}", id=test_key)
        message = await socket.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "NOT_ALLOWED"


async def test_a_flood_of_pings_from_one_who_never_reads_is_held_up(connect, server) -> None:
    async with connect(max_queue=1) as socket:
        sending = asyncio.create_task(flood(socket))
        await asyncio.sleep(2)
        # held up, or sent away
        assert not sending.done() or isinstance(sending.exception(), websockets.ConnectionClosed)
        sending.cancel()
        async with connect() as other:
            await other.subscribe(NAMES)
            assert (await other.receive())["type"] == "next"
        socket.connection.transport.abort()


async def flood(socket) -> None:
    message = json.dumps({"type": "ping"})
    for _ in range(2_000_000):
        await socket.connection.send(message)


def test_a_reason_fits_its_frame() -> None:
    assert len(Closing(4400, "é" * 100).reason.encode()) <= 123
