"""Bodies too large by what they declare, by what comes, or by what they unpack to: refused in bounded memory."""

import gzip
import itertools
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from app.ingestion.endpoint import MAX_LISTED

DOORS = ["/graphql", "/graphql/stream", "/v1/events", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/a"]
EVENT = b'{"id":"%d","type":"OPENED","userId":"u","occurredAt":"2026-01-01T00:00:00Z"}\n'


def sent(target, path: str, content, **headers: str) -> httpx.Response:
    return target.post(path, content=content, timeout=60, headers=target.headers | headers)


def test_a_body_that_declares_too_much_is_refused_before_it_is_read(target) -> None:
    with ExitStack() as stack:
        for path, length in itertools.product(DOORS, ("2000001", "9" * 18)):
            waiting = stack.enter_context(target.connected())
            head = target.head("POST", path, Content_Type="application/json", Content_Length=length)
            waiting.sendall(head + b"{")
            stack.callback(lambda path=path, waiting=waiting: refused_as_too_large(waiting, path))


def refused_as_too_large(waiting, path: str) -> None:
    assert b" 413 " in waiting.recv(65_536), path


@pytest.mark.parametrize("length", ["9" * 30, "-1", "1, 2", "0x10", "1e3", " "])
def test_a_length_that_is_none_is_refused(target, length) -> None:
    with target.connected() as connection:
        connection.sendall(target.head("POST", "/v1/events", Content_Length=length))
        assert b" 400 " in connection.recv(65_536)


@pytest.mark.parametrize("path", DOORS)
def test_a_body_without_end_is_refused_where_its_limit_is(target, path, web) -> None:
    def endless():
        for _ in range(1_000):
            yield b" " * 65_536

    before = web.memory_info().rss
    try:
        answer = sent(target, path, endless(), **{"Content-Type": "application/json"})
        assert answer.status_code == 413
    except httpx.WriteError:
        pass  # it went on for so long that it was cut off
    assert web.memory_info().rss - before < 60_000_000


BOMBS = {
    "zeros": lambda: gzip.compress(bytes(100_000_000)),
    "empty lines": lambda: gzip.compress(b"\n" * 30_000_000),
    "objects": lambda: gzip.compress(b"{}\n" * 5_000_000),
    "one line": lambda: gzip.compress(b'{"id":"' + b"a" * 50_000_000 + b'"}'),
    "many files": lambda: gzip.compress(bytes(1_000_000)) * 60,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_early_in_bounded_memory(target, web, name) -> None:
    body, before = BOMBS[name](), web.memory_info().rss
    assert len(body) < 200_000
    began = time.monotonic()
    answer = sent(target, "/v1/events", body, **{"Content-Encoding": "gzip"})
    assert answer.status_code == (400 if name == "objects" else 413)  # refused lines end it before its size does
    assert time.monotonic() - began < 5
    assert web.memory_info().rss - before < 60_000_000


def test_what_is_packed_twice_is_unpacked_once(target) -> None:
    twice = gzip.compress(gzip.compress(bytes(20_000_000)))
    answer = sent(target, "/v1/events", twice, **{"Content-Encoding": "gzip"}).json()
    assert answer["accepted"] == 0
    assert answer["rejected"]
    for encodings in ("gzip, gzip", "gzip,identity", "deflate", "br", "zstd", "compress", "chunked", "GZIP\t,x"):
        refused = sent(target, "/v1/events", twice, **{"Content-Encoding": encodings})
        assert refused.status_code == 400, encodings


@pytest.mark.parametrize(
    "body", [b"", b"\x1f\x8b", gzip.compress(EVENT % 1)[:-1], b"PK\x03\x04", zlib.compress(EVENT % 1)], ids=range(5)
)
def test_broken_gzip_is_refused_in_words(target, body) -> None:
    answer = sent(target, "/v1/events", body, **{"Content-Encoding": "gzip"})
    assert answer.status_code == (400 if body else 200)
    assert answer.json()["accepted"] == 0


@pytest.mark.parametrize("path", [path for path in DOORS if path != "/v1/events"])
def test_no_other_door_unpacks(target, path) -> None:
    body = gzip.compress(b'{"query": "{ __typename }", "context": {"targetingKey": "u"}}')
    answer = sent(target, path, body, **{"Content-Encoding": "gzip", "Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body", [b"{}\n" * 600_000, gzip.compress(b"") * 90_000, b"[" * 1_900_000, b"\n" * 1_900_000], ids=range(4)
)
def test_others_are_answered_while_a_body_that_takes_work_is_read(target, body) -> None:
    encoding = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f\x8b") else {}
    with ThreadPoolExecutor(1) as pool, target.client(timeout=10) as other:
        sending = pool.submit(sent, target, "/v1/events", body, **encoding)
        waits = []
        while not sending.done():
            began = time.monotonic()
            assert other.get("/healthz").status_code == 200
            waits.append(time.monotonic() - began)
        answer = sending.result()
    assert answer.status_code in {200, 400}
    assert len(answer.json().get("rejected", ())) <= MAX_LISTED
    assert max(waits, default=0) < 1.5
