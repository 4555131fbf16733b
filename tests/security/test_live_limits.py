"""Subscriptions: how many on a connection, how many different ones in all, how long a message; who reads nothing."""

import asyncio
import json
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress

import asyncpg
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

CAMPAIGNS = """mutation { createMerchant(input: {key: "live", name: "n", category: "c"}) { errors { code } } %s }"""
CREATE = 'c%d: createCampaign(input: {key: "live-%d", name: "n", merchantId: "live", channels: [PUSH], offerAmount: 1})'
FOLLOW = "subscription ($id: ID!) { campaignMetrics(campaignId: $id, maxPerSecond: 1) { sent } }"
SUBSCRIPTIONS, FEEDS = 5, 4


@pytest.fixture(scope="module")
def campaigns(target) -> list[str]:
    made = " ".join(CREATE % (n, n) + " { errors { code } }" for n in range(8))
    answer = target.post("/graphql", json={"query": CAMPAIGNS % made}, headers=target.headers)
    assert not any(one["errors"] for one in answer.json()["data"].values())
    return [f"live-{n}" for n in range(8)]


@pytest.fixture
def opened(target):
    """Open a WebSocket that has introduced itself."""

    def open_one(**options):
        url = target.url.replace("http", "ws") + "/graphql"
        options = {"subprotocols": ["graphql-transport-ws"], "additional_headers": target.headers, **options}
        one = stack.enter_context(connect(url, **options))
        one.send('{"type": "connection_init"}')
        assert json.loads(one.recv(10))["type"] == "connection_ack"
        return one

    with ExitStack() as stack:
        yield open_one


def follow(one, number: int, campaign: str) -> dict:
    payload = {"query": FOLLOW, "variables": {"id": campaign}}
    one.send(json.dumps({"id": str(number), "type": "subscribe", "payload": payload}))
    return json.loads(one.recv(10))


def test_one_connection_has_so_many_subscriptions_and_is_told(opened, campaigns) -> None:
    one = opened()
    kinds = [follow(one, number, campaigns[0])["type"] for number in range(SUBSCRIPTIONS)]
    assert kinds == ["next"] * SUBSCRIPTIONS
    refused = follow(one, SUBSCRIPTIONS, campaigns[0])
    assert refused["type"] == "error"
    assert "at most 5 operations at once" in refused["payload"][0]["message"]
    one.send('{"id": "0", "type": "complete"}')
    assert follow(one, 9, campaigns[0])["type"] == "next"


def test_different_subscriptions_are_limited_over_all_connections_and_doors(
    target, opened, campaigns, wait_until
) -> None:
    held = opened()
    wait_until(lambda: follow(held, 0, campaigns[0])["type"] == "next")  # those of the last test may not be gone yet
    for number in range(1, FEEDS):
        assert follow(held, number, campaigns[number])["type"] == "next"
    other = opened()
    refused = follow(other, 0, campaigns[FEEDS])
    assert refused["type"] == "error"
    assert refused["payload"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 10.0}
    assert follow(other, 1, campaigns[0])["type"] == "next", "what others follow may be followed"
    asked = {"query": FOLLOW, "variables": {"id": campaigns[FEEDS]}}
    streamed = target.post("/graphql/stream", json=asked, headers=target.headers, timeout=10).text
    assert "RATE_LIMITED" in streamed
    assert streamed.endswith("event: complete\ndata:\n\n")
    held.close()
    wait_until(lambda: follow(other, 2, campaigns[FEEDS])["type"] == "next")


@pytest.mark.parametrize("parts", [1, 40])
def test_a_message_that_is_too_long_ends_the_connection(opened, parts) -> None:
    one = opened()
    text = '{"type": "ping", "payload": {"a": "' + "x" * 1_000_000 + '"}}'
    size = len(text) // parts + 1
    with suppress(ConnectionClosed):  # the last parts may come after the end
        one.send([text[at : at + size] for at in range(0, len(text), size)] if parts > 1 else text)
    with pytest.raises(ConnectionClosed) as closed:
        one.recv(10)
    assert closed.value.rcvd.code == 1009


def test_frames_are_not_compressed_so_that_none_unpacks_to_more(opened) -> None:
    assert opened(compression="deflate").protocol.extensions == []


# ------------------------------------------------------------------------------------------------ who does not read


LARGE = "{ __schema { types { name description fields { name description } enumValues { name description } } } }"


def test_a_websocket_that_is_not_read_is_ended(target, web) -> None:
    with deaf(target) as connection:
        head = target.head(
            "GET",
            "/graphql",
            Connection="Upgrade",
            Upgrade="websocket",
            Sec_WebSocket_Version="13",
            Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
            Sec_WebSocket_Protocol="graphql-transport-ws",
        )
        connection.sendall(head)
        assert b" 101 " in connection.recv(4_096)
        connection.sendall(frame('{"type": "connection_init"}'))
        assert b"connection_ack" in connection.recv(4_096)
        push(connection, paced(400))
        ended(connection, web)


def paced(count: int) -> Iterator[bytes]:
    """Yield frames that ask for LARGE, no more at once than a connection may."""
    for number in range(count):
        if number % SUBSCRIPTIONS == 0:
            time.sleep(0.03)
        yield frame(json.dumps({"id": str(number), "type": "subscribe", "payload": {"query": LARGE}}))


def frame(text: str) -> bytes:
    """Return a client's frame, masked with zeros."""
    data = text.encode()
    assert 125 < len(data) < 65_536 or len(data) <= 125
    length = bytes([0x80 | len(data)]) if len(data) <= 125 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + data


def test_answers_that_are_not_read_are_ended(target, web) -> None:
    body = json.dumps({"query": LARGE}).encode()
    head = target.head("POST", "/graphql", Content_Type="application/json", Content_Length=str(len(body)))
    with deaf(target) as connection:
        push(connection, (head + body for _ in range(400)))
        ended(connection, web)


MANY = """
WITH made AS (
    INSERT INTO app_user (external_id, segment) SELECT repeat('deaf', 40) || n, 'deaf' FROM generate_series(1, 40000) n
    RETURNING id
)
INSERT INTO ab_test_assignment
    (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability, policy_version)
SELECT t.id, made.id, v.id, now(), now(), 0.5, 1
FROM made, ab_test t JOIN ab_test_variant v ON v.test_id = t.id AND v.key = 'a' WHERE t.key = 'exported'
"""
TEST = """mutation { createTest(input: {key: "exported", name: "n"
    variants: [{key: "a", isControl: true, weight: 0.5}, {key: "b", weight: 0.5}]
    metric: {key: "m", kind: CONVERSION, event: CONVERTED}}) { errors { code } } }"""


async def test_exports_that_are_not_read_do_not_keep_others_from_theirs(target, attacker) -> None:
    made = await attacker.post("/graphql", json={"query": TEST})
    assert made.json()["data"]["createTest"]["errors"] == []
    database = await asyncpg.connect(target.database_url)
    await database.execute(MANY)
    await database.close()
    path = "/v1/export/tests/exported/assignments.csv"
    with deaf(target) as first, deaf(target) as second:
        for one in (first, second):
            one.sendall(target.head("GET", path))
        statuses = []
        for _ in range(60):  # both take a place first; then, unread, they lose it
            async with attacker.stream("GET", path) as answer:  # left at once: that makes room, too
                statuses.append(answer.status_code)
            if statuses[-1] == 200 and 429 in statuses:
                break
            await asyncio.sleep(0.2)
    assert 429 in statuses
    assert statuses[-1] == 200


def deaf(target) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(1)
    connection.connect(target.address)
    return connection


def push(connection: socket.socket, messages: Iterable[bytes]) -> None:
    """Send until nothing more is taken."""
    with suppress(OSError):
        for message in messages:
            connection.sendall(message)


def ended(connection: socket.socket, web: psutil.Process) -> None:
    """Wait without reading until the server has given the connection up; little was kept to be read."""
    port = connection.getsockname()[1]
    deadline = time.monotonic() + 20
    missed = 0
    while missed < 5:  # the kernel's list, read while it changes, may leave one out that is there
        missed = 0 if any(one.raddr and one.raddr.port == port for one in web.net_connections()) else missed + 1
        assert time.monotonic() < deadline, "it was kept"
        time.sleep(0.1)
    connection.settimeout(10)
    left = 0
    with suppress(ConnectionResetError):
        while part := connection.recv(1_000_000):
            left += len(part)
    assert left < 20_000_000  # of some 70 million
