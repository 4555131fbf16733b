"""Clients that send or read slowly, or too much: none is waited for for ever, and none holds what others need."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

EVENT = '{"id":"%s","type":"OPENED","userId":"u","occurredAt":"2026-01-01T00:00:00Z"}\n'
DOORS = ["/graphql", "/v1/events", "/ofrep/v1/evaluate/flags", "/graphql/stream"]
DRIBBLE = 0.1


@dataclass
class Slow:
    """A client that sends a piece each DRIBBLE seconds, for as long as it is let."""

    connection: socket.socket
    pieces: Iterator[bytes]
    began: float = field(default_factory=time.monotonic)
    answer: bytes = b""
    ended_after: float | None = None
    sent_all: bool = False

    def step(self) -> None:
        if self.ended_after is not None:
            return
        with suppress(BlockingIOError):
            self.answer += (part := self.connection.recv(65_536))
            if not part:
                self.ended_after = time.monotonic() - self.began
                return
        piece = next(self.pieces, b"")
        self.sent_all = not piece
        with suppress(OSError):
            self.connection.send(piece)


@pytest.fixture(scope="module")
def slow(target, start_slow) -> dict[str, Slow]:
    """What became of each slow client: they all try at the same time, for five seconds."""
    post = {"Content_Type": "application/json"}
    steady = "".join(EVENT % f"steady-{n}" for n in range(25)).encode()
    said: dict[str, list[bytes]] = {
        "nothing": [],
        "head": [bytes([byte]) for byte in target.head("GET", "/healthz")],
        "second head": [target.head("GET", "/healthz") + b"GET /heal", *[b"t"] * 100],
        "steady": [
            target.head("POST", "/v1/events", Content_Length=str(len(steady))),
            *(steady[start : start + 60] for start in range(0, len(steady), 60)),
        ],
    }
    for path in DOORS:
        said[f"declared {path}"] = [target.head("POST", path, Content_Length="5000", **post), *[b" "] * 100]
        chunked = target.head("POST", path, Transfer_Encoding="chunked", **post)
        said[f"chunked {path}"] = [chunked, *[b"1\r\n \r\n"] * 100]
    return start_slow(said)


@pytest.fixture(scope="module")
def start_slow(target):
    def run(said: dict[str, list[bytes]]) -> dict[str, Slow]:
        with ExitStack() as stack:
            clients = {}
            for name, pieces in said.items():
                connection = stack.enter_context(target.connected())
                connection.setblocking(False)
                clients[name] = Slow(connection, iter(pieces))
            for _ in range(50):
                for client in clients.values():
                    client.step()
                time.sleep(DRIBBLE)
        return clients

    return run


SENT_SLOWLY = [f"{framing} {path}" for path in DOORS for framing in ("declared", "chunked")]


@pytest.mark.parametrize("name", ["nothing", "head", "second head", *SENT_SLOWLY])
def test_a_slow_client_is_told_408_and_ended(slow, name) -> None:
    client = slow[name]
    assert client.ended_after is not None, f"it was waited for: {client.answer!r}"
    assert 1 < client.ended_after < 4.5
    assert b"HTTP/1.1 408 Request Timeout\r\n" in client.answer


def test_a_slow_body_is_one_line_in_the_log(target, slow) -> None:
    for path in DOORS:
        if not path.startswith("/ofrep"):  # which writes none
            assert [line["status"] for line in target.requests(path)].count(408) == 2, path


def test_a_body_that_comes_slowly_and_steadily_is_let_in(slow) -> None:
    assert slow["steady"].sent_all  # 600 bytes a second, for longer than the others were let
    assert b" 200 OK" in slow["steady"].answer
    assert b'"accepted":25' in slow["steady"].answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 2_000_000,
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(100_000)),
        b"GET /" + b"a" * 2_000_000,
    ],
    ids=["a value", "their number", "the address"],
)
def test_a_head_without_end_is_ended(target, reading, head) -> None:
    with target.connected() as connection:
        with suppress(OSError):  # it is ended before all is sent
            connection.sendall(head)
        answer = reading(connection)
    assert answer == b"" or b" 431 " in answer or b" 400 " in answer


def test_others_are_served_while_hundreds_wait(target, reading) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(target.connected()) for _ in range(300)]
        for connection in held:
            connection.sendall(target.head("POST", "/v1/events", Content_Length="10") + b"{")
        with target.connected(seconds=1) as other:
            other.sendall(target.head("GET", "/readyz"))
            assert b" 200 OK" in other.recv(65_536)
        assert {reading(connection)[9:12] for connection in held} == {b"408"}
