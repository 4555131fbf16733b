import asyncio
import json
import time
from itertools import islice, repeat

import pytest

from bench.peers.load import ask, drive, percentile, request_of, requests_of, unchunked
from bench.peers.questions import WINNOW

WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data": 1}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"dat\r\n6\r\na": 1}\r\n0\r\n\r\n'


async def _serve(answer, *, piece):
    """Answer each request in pieces of so many bytes."""

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0]))
            for start in range(0, len(answer), piece):
                writer.write(answer[start : start + piece])
                await writer.drain()
                await asyncio.sleep(0)

    def start(reader, writer):
        task = asyncio.create_task(serve(reader, writer))
        task.add_done_callback(lambda ended: (ended.cancelled() or ended.exception(), writer.close()))

    server = await asyncio.start_server(start, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED], ids=["whole", "chunked"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_an_answer_is_read_however_it_is_cut(answer, piece):
    server, port = await _serve(answer, piece=piece)
    async with server:
        assert await ask(port, request_of(b"{}")) == b'{"data": 1}'


async def test_every_connection_sends_until_the_time_is_over():
    server, port = await _serve(WHOLE, piece=1000)
    async with server:
        began = time.perf_counter()
        found = await drive(port, repeat(request_of(b"{}")), seconds=0.2, connections=3)
    assert found["answered"] > 3
    assert 0.2 <= found["seconds"] <= time.perf_counter() - began
    assert 0 < found["p50"] <= found["p99"] <= 1000 * found["seconds"]
    assert found["bytes"] == 11


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (WHOLE.replace(b"200 OK", b"503 No"), "503 No"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"data":null,"errors":["masked"]}', "with errors.*masked"),
    ],
)
async def test_a_refusal_is_no_answer(refusal, words):
    server, port = await _serve(refusal, piece=1000)
    async with server:
        with pytest.raises(RuntimeError, match=words):
            await drive(port, repeat(request_of(b"{}")), seconds=0.1, connections=2)


def test_chunks_may_hold_what_ends_chunks():
    assert unchunked(b"7\r\n0\r\n\r\nab\r\n1\r\nc\r\n0\r\n\r\n") == b"0\r\n\r\nabc"


def test_percentiles_are_values_that_occurred():
    latencies = [float(n) for n in range(1, 101)]
    assert percentile(latencies, 0.5) == 51
    assert percentile(latencies, 0.99) == 100
    assert percentile([3.0], 0.99) == 3


def test_the_same_requests_again_and_again():
    asked = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in islice(requests_of(WINNOW, "Q2"), 2001)]
    assert [one["variables"]["id"] for one in asked[:2]] == ["cmp_1", "cmp_98"]
    assert asked[2000] == asked[0]
