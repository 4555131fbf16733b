"""How often a caller may ask: by its key at every door, and by its address where it shows none, or a wrong one."""

import hashlib
import json
import secrets

import pytest
from graphql import get_introspection_query
from websockets.sync.client import connect

from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.auth.principals import Role
from app.errors import Unauthenticated
from app.runtime.clock import ManualClock
from app.store.access import AccessStore
from app.store.database import Database

TRUSTED = {"documentId": "sha256:" + hashlib.sha256(b"query Name { __typename }").hexdigest()}
FLAGS = "/ofrep/v1/evaluate/flags"


@pytest.fixture
async def key(narrow):
    """A key of its own for each test: each has its own 20 requests."""
    database = await Database.open(narrow.database_url, default=False)
    store = AccessStore(database)
    yield (await KeyRing(store, audit=Audit(store), clock=ManualClock()).create("k", Role.ADMIN)).key
    await database.close()


def statuses(narrow, key: str | None, path: str, *, address: str = "127.0.0.1", count: int = 22, **asked) -> list[int]:
    headers = {"X-Forwarded-For": address} | ({} if key is None else {"X-API-Key": key})
    with narrow.client(headers=headers) as client:
        return [client.request("POST", path, **asked).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/graphql", {"json": TRUSTED}),
        ("/graphql/stream", {"json": TRUSTED}),
        ("/v1/events", {"content": b""}),
        (FLAGS, {"json": {"context": {"targetingKey": "u"}}}),
    ],
)
def test_a_key_has_its_rate_at_every_door(narrow, key, path, asked) -> None:
    assert statuses(narrow, key, path, **asked) == [200] * 20 + [429] * 2


def test_all_doors_together_are_one_rate(narrow, key) -> None:
    assert statuses(narrow, key, "/graphql", count=10, json=TRUSTED) == [200] * 10
    assert statuses(narrow, key, FLAGS, count=12, json={"context": {"targetingKey": "u"}}) == [200] * 10 + [429] * 2
    answer = narrow.post("/graphql", json=TRUSTED, headers={"X-API-Key": key})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 500


def test_operations_over_one_websocket_are_counted_too(narrow, key) -> None:
    url = narrow.url.replace("http", "ws") + "/graphql"
    with connect(url, subprotocols=["graphql-transport-ws"], additional_headers={"X-API-Key": key}) as socket:
        socket.send('{"type": "connection_init"}')
        assert json.loads(socket.recv())["type"] == "connection_ack"
        kinds = []
        for number in range(22):
            socket.send(json.dumps({"id": str(number), "type": "subscribe", "payload": TRUSTED}))
            answer = json.loads(socket.recv())
            kinds.append(answer["type"])
            if answer["type"] == "next":
                assert json.loads(socket.recv())["type"] == "complete"
    assert kinds == ["next"] * 19 + ["error"] * 3  # the handshake was one
    assert answer["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


@pytest.mark.parametrize("path", ["/graphql", "/v1/events", FLAGS])
@pytest.mark.parametrize("shown", [None, "wrong-"], ids=["no key", "wrong keys"])
def test_who_shows_no_key_or_wrong_ones_is_limited_by_address(narrow, path, shown) -> None:
    address = f"198.51.100.{secrets.randbelow(200)}-{secrets.token_hex(3)}"
    answers = []
    for _ in range(22):
        key = None if shown is None else shown + secrets.token_hex(8)
        answers += statuses(narrow, key, path, address=address, count=1, json={})
    assert answers == [401] * 20 + [429] * 2


def test_whoever_tries_keys_locks_nobody_else_out(narrow, key) -> None:
    address = "203.0.113.9"
    assert statuses(narrow, "wrong", "/graphql", address=address, json=TRUSTED)[-1] == 429
    assert statuses(narrow, key, "/graphql", address=address, count=3, json=TRUSTED) == [200] * 3


@pytest.mark.parametrize("query", [get_introspection_query(), "{ __schema { queryType { name } } }", "{ __typename }"])
def test_only_trusted_documents_are_answered_and_nothing_is_said_of_the_schema(narrow, key, query) -> None:
    with narrow.client(headers={"X-API-Key": key}) as client:
        answers = [
            client.post("/graphql", json={"query": query}),
            client.get("/graphql", params={"query": query}),
            client.post("/graphql/stream", json={"query": query}),
            client.post("/graphql", json={"query": "{ campain }"}),
            client.post("/graphql", json={"documentId": "sha256:" + "0" * 64}),
        ]
        assert client.post("/graphql", json=TRUSTED).json() == {"data": {"__typename": "Query"}}
    for answer in answers:
        assert "errors" in answer.text
        for said in ("queryType", "Did you mean", "Query"):
            assert said not in answer.text


class Recorder:
    """A store of keys that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def active_key(self, digest: str) -> None:
        self.asked.append(digest)


async def test_keys_are_looked_for_by_digest_alone_so_that_time_says_nothing_of_them() -> None:
    store = Recorder()
    ring = KeyRing(store, audit=None, clock=ManualClock())
    tried = ["wnw_" + "a" * 40, "wnw_" + "a" * 39 + "b", "x"]
    for key in tried:
        with pytest.raises(Unauthenticated):
            await ring.authenticate(f"Bearer {key}")
    assert store.asked == [hashlib.sha256(key.encode()).hexdigest() for key in tried]
    assert not any(key in str(vars(ring)) for key in tried[:2])
