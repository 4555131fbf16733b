"""The load: connections that each keep one request in the air, in a process of its own.

    python -m bench.peers.load PORT SERVER QUESTION --seconds S --connections N

prints one JSON object: requests answered, seconds, and the latencies' percentiles in milliseconds.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator

import uvloop

from bench.peers.questions import BY_HAND, POSTGRAPHILE, WINNOW, Questions, campaigns_asked

KEY = "wnw_" + "b" * 40
ASKING = {"winnow": WINNOW, "postgraphile": POSTGRAPHILE, "by hand": BY_HAND}
LAST_CHUNK = b"0\r\n\r\n"


def requests_of(questions: Questions, question: str) -> Iterator[bytes]:
    """Yield requests; Q2 asks about one campaign after another."""
    prepared: dict[int, bytes] = {}
    for campaign in campaigns_asked():
        number = campaign if question == "Q2" else 1
        if number not in prepared:
            prepared[number] = request_of(questions.body(question, number))
        yield prepared[number]


def request_of(body: bytes) -> bytes:
    """Return one HTTP request; the servers without keys take no notice of ours."""
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Sender(asyncio.Protocol):
    """One connection with one request in the air until the time is over; `done` raises where one is refused."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests = requests
        self._until = until
        self._left: int | None = None
        self._parts: list[bytes] = []
        self._tail = b""
        self.latencies: list[float] = []
        self.last = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server closed the connection: {error}"))

    def data_received(self, data: bytes) -> None:
        if self._left is None:
            data = self._begin(data)
            if data is None:
                return
        self._parts.append(data)
        if self._left < 0:
            self._tail = (self._tail + data)[-len(LAST_CHUNK) :]
            if self._tail == LAST_CHUNK:  # JSON holds no line ends of its own
                self._finish()
            return
        self._left -= len(data)
        if self._left <= 0:
            self._finish()

    def _begin(self, data: bytes) -> bytes | None:
        """Read the head: the length of what follows it, -1 for chunks."""
        data = b"".join([*self._parts, data])
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._parts = [data]
            return None
        head = data[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            self.done.set_exception(RuntimeError(f"not answered: {data[:400]!r}"))
            self._transport.close()
            return None
        at = head.find(b"content-length: ")
        self._left = -1 if at < 0 else int(head[at + 16 :].partition(b"\r")[0])
        self._parts = []
        self._tail = b""
        return data[end + 4 :]

    def _finish(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self._sent)
        chunked, self._left = self._left < 0, None
        self.last = b"".join(self._parts)
        if chunked:
            self.last = unchunked(self.last)
        self._parts = []
        if b'"errors"' in self.last:
            self.done.set_exception(RuntimeError(f"answered with errors: {self.last[:400]!r}"))
            self._transport.close()
        elif now < self._until:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        self._transport.write(next(self._requests))
        self._sent = time.perf_counter()


def unchunked(body: bytes) -> bytes:
    """Return what chunks carry."""
    parts = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return b"".join(parts)
        parts.append(rest[:length])
        body = rest[length + 2 :]


async def drive(port: int, requests: Iterator[bytes], *, seconds: float, connections: int) -> dict[str, float]:
    """Send for a while; return what came of it."""
    began = time.perf_counter()
    senders = [Sender(requests, began + seconds) for _ in range(connections)]
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(lambda s=s: s, "127.0.0.1", port) for s in senders))
    await asyncio.gather(*(sender.done for sender in senders))
    took = time.perf_counter() - began
    latencies = sorted(latency for sender in senders for latency in sender.latencies)
    return {
        "answered": len(latencies),
        "seconds": took,
        "p50": 1000 * percentile(latencies, 0.5),
        "p99": 1000 * percentile(latencies, 0.99),
        "bytes": len(senders[0].last),
    }


def percentile(ordered: list[float], share: float) -> float:
    """Return the value that a share of these, in order, do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def ask(port: int, request: bytes) -> bytes:
    """Return the answer to one request."""
    sender = Sender(iter([request]), 0.0)
    await asyncio.get_running_loop().create_connection(lambda: sender, "127.0.0.1", port)
    await sender.done
    return sender.last


def main() -> None:
    """Drive, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("asking", choices=ASKING)
    parser.add_argument("question")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=1)
    options = parser.parse_args()
    requests = requests_of(ASKING[options.asking], options.question)
    driving = drive(options.port, requests, seconds=options.seconds, connections=options.connections)
    print(json.dumps(uvloop.run(driving)))


if __name__ == "__main__":
    main()
