"""graphql-transport-ws under messages in any order, of any shape: only what the protocol has is ever answered."""

import json
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PROTOCOL = "graphql-transport-ws"
CLOSING = {1007, 1009, 4400, 4401, 4403, 4406, 4409, 4429}
"""Not UTF-8, too long, and the protocol's own: anything else would be an accident."""
ANSWERS = {"connection_ack", "pong", "next", "error", "complete"}
PING = '{"type": "ping"}'

IDS = st.sampled_from(["1", "2", "é", "a\u0000b", "😀"])
QUERIES = st.sampled_from(
    [
        "{ __typename }",
        "{ tests { totalCount } }",
        'subscription { testResults(testId: "nowhere") { asOf } }',
        'subscription { campaignMetrics(campaignId: "nowhere") { revenue } }',
        "mutation { reallocate(testId: 1) { errors { code } } }",
        "query A { __typename } query B { __typename }",
        "{ nothing }",
        "}{",
        "",
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PAYLOADS = st.fixed_dictionaries(
    {"query": QUERIES},
    optional={"variables": ANY_JSON, "operationName": st.none() | st.just("A") | ANY_JSON, "extensions": ANY_JSON},
)
PLAIN = st.one_of(
    st.builds(lambda id_, payload: {"id": id_, "type": "subscribe", "payload": payload}, IDS, PAYLOADS),
    st.builds(lambda id_: {"id": id_, "type": "complete"}, IDS),
    st.sampled_from([{"type": "ping"}, {"type": "pong"}, {"type": "ping", "payload": {"a": 1}}]),
)
ODD = st.one_of(
    st.just({"type": "connection_init"}),
    st.builds(lambda payload: {"type": "connection_init", "payload": payload}, ANY_JSON),
    st.builds(lambda id_, payload: {"id": id_, "type": "subscribe", "payload": payload}, IDS | ANY_JSON, ANY_JSON),
    st.builds(lambda id_: {"id": id_, "type": "complete"}, ANY_JSON),
    st.builds(lambda kind: {"type": kind}, ANY_JSON),
    ANY_JSON,
)
RAW = st.sampled_from(
    [
        b"\x00\x01",
        "",
        "{",
        "\ufeff{}",
        '{"type": "\\ud800"}',
        '{"id": "\\ud800", "type": "complete"}',
        "[" * 5_000,
        "1" * 70_000,
    ]
)
WRITTEN = st.one_of(PLAIN, PLAIN, PLAIN, ODD).map(json.dumps) | RAW
SCRIPTS = st.tuples(st.sampled_from([True, True, True, False]), st.lists(WRITTEN, min_size=1, max_size=12))


@pytest.fixture(scope="module")
def address(server) -> str:
    return server.url.replace("http", "ws", 1) + "/graphql"


def init(key: str) -> str:
    return json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}})


def exchange(socket: ClientConnection, messages: list[str | bytes]) -> tuple[list[dict[str, Any]], int | None]:
    """Send messages and a ping after them; return what came until its pong, or the code of the connection's end."""
    found: list[dict[str, Any]] = []
    pings = 1 + sum(_kind(message) == "ping" for message in messages)
    try:
        for message in [*messages, PING]:
            socket.send(message)
        while sum(message["type"] == "pong" for message in found) < pings:
            found.append(json.loads(socket.recv(timeout=20)))
    except ConnectionClosed as closed:
        return found, closed.rcvd.code if closed.rcvd else 0
    return found, None


def _kind(message: str | bytes) -> object:
    return _read(message).get("type")


def _read(message: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(message)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(script=SCRIPTS)
def test_any_order_of_messages_is_answered_as_the_protocol_has_it(server, address: str, script) -> None:
    begins, written = script
    messages = [init(server.key), *written] if begins else written
    with connect(address, subprotocols=[PROTOCOL], max_size=None) as socket:
        answers, code = exchange(socket, messages)
    assert code is None or code in CLOSING, (code, socket.close_reason)
    assert {answer["type"] for answer in answers} <= ANSWERS
    assert "INTERNAL_ERROR" not in json.dumps(answers)
    asked = Counter(read.get("id") for read in map(_read, messages) if read.get("type") == "subscribe" and _is_id(read))
    ended = Counter(answer["id"] for answer in answers if answer["type"] in {"error", "complete"})
    assert ended <= asked
    assert {answer["id"] for answer in answers if answer["type"] == "next"} <= asked.keys()
    acknowledged = [number for number, answer in enumerate(answers) if answer["type"] == "connection_ack"]
    assert len(acknowledged) <= 1
    assert all(answer["type"] == "pong" for answer in answers[: acknowledged[0] if acknowledged else None])


def _is_id(message: dict[str, Any]) -> bool:
    return isinstance(message.get("id"), str)


def test_the_server_is_as_before(server, address: str) -> None:
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    with connect(address, subprotocols=[PROTOCOL]) as socket:
        message = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": "{ __typename }"}})
        answers, code = exchange(socket, [init(server.key), message])
    assert code is None
    assert answers[0] == {"type": "connection_ack"}
