"""What following costs: 2,000 subscribers of one test, beside graphql-ws on Node pushing as many bytes.

Both servers are one process each, on loopback, one after the other in the same run, and the same client process holds
the connections of both: a WebSocket client of its own on bare asyncio protocols, which notes when each message came.
Winnow's subscribers follow one test whose totals change once a second (one exposure, sent through /v1/events). The peer
has Winnow's schema and gets the same document; once a second it answers with what Winnow answered, a ready object whose
time changes, by graphql-js and graphql-ws on ws, compression off.

Server CPU is user and system time of the server's process over all changes, less what the same process spends on as
many changes with one subscriber; memory is the growth of its resident set. A delivery is late by the time between the
first and each other subscriber's receipt of a state; what lies between an event's acceptance and the first receipt is
shown by itself.

The second part sends events at a steady rate through /v1/events and asks of each request: how long after it was
answered had a subscriber been told of a state that counts it.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.claims import Claim, Row
from bench.serving import winnow_serve

ROOT = Path(__file__).parent.parent
PEER = ROOT / ".winnow/bench/graphql-ws"
KEY = "wnw_" + "b" * 40
TEST = "followed"
REQUEST = 250
"""Events in a request of the second part."""
SETTLING = 4.0
TOLD = Claim(name="a state told to one of 2,000 subscribers", unit="µs of CPU", peer="graphql-ws on Node", promised=3.0)
SPREAD = Claim(name="2,000 subscribers told, 95 of 100", unit="ms", limit=250.0)
FRESH = Claim(name="event to subscriber at 5,000 events/s, 99 of 100", unit="s", limit=1.5)
CLAIMS = (TOLD, SPREAD, FRESH)
QUERY = """
subscription { testResults(testId: "followed", maxPerSecond: 20) { asOf metric { key name kind higherIsBetter }
  totals { variant { id key name isControl weight } exposed converted mean standardDeviation }
  sampleRatio { pValue mismatch caution }
  bayesian { model variants { variant { id key name } probabilityBest probabilityBeatsControl expectedLoss } }
  frequentist { test statistic pValue significant comparisons { ...compared } }
  sequential { significant comparisons { ...compared } }
  verdict { decision agreed reasons } } }
fragment compared on Comparison {
  variant { id key name isControl weight } difference { point low high } lift { point low high } pValue adjustedPValue
}
"""
COUNT = """
subscription { testResults(testId: "NAME", maxPerSecond: 1) { totals { exposed } } }
"""
PEER_SERVER = """
const { readFileSync } = require('fs');
const { buildSchema } = require('graphql');
const { useServer } = require('graphql-ws/use/ws');
const { WebSocketServer } = require('ws');
const [schemaFile, answerFile] = process.argv.slice(2);
const schema = buildSchema(readFileSync(schemaFile, 'utf8'));
const state = JSON.parse(readFileSync(answerFile, 'utf8'));
const waiting = new Set();
setInterval(() => {
  state.testResults.asOf = new Date().toISOString();
  const tell = [...waiting];
  waiting.clear();
  for (const resolve of tell) resolve(state);
}, 1000);
async function* follow() {
  yield state;
  while (true) yield await new Promise((resolve) => waiting.add(resolve));
}
schema.getSubscriptionType().getFields().testResults.subscribe = follow;
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/graphql', perMessageDeflate: false });
useServer({ schema }, server);
server.on('listening', () => console.log(server.address().port));
"""


# ------------------------------------------------------------------------------------------------ the client


class Subscriber(asyncio.Protocol):
    """One connection: it introduces itself, subscribes, and notes when each message came and how long it was."""

    def __init__(self, subscribe: dict, *, own_id: bool, keep: bool = False) -> None:
        self.id = str(uuid.uuid4()) if own_id else "1"
        self._subscribe = {"id": self.id, "type": "subscribe", "payload": subscribe}
        self._buffer = bytearray()
        self._open = False
        self.subscribed = asyncio.get_running_loop().create_future()
        self.received: list[tuple[float, bytes]] = []
        self.keep = keep
        self.transport: asyncio.Transport

    def connection_made(self, transport) -> None:
        self.transport = transport
        nonce = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self._open and not self._buffer and len(data) > 130 and data[:2] == b"\x81\x7e":
            (length,) = struct.unpack_from("!H", data, 2)
            if len(data) == length + 4:  # one whole message, as nearly always
                self._handle(now, 1, data[4:])
                return
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._buffer.startswith(b"HTTP/1.1 101"), bytes(self._buffer[:200])
            del self._buffer[: end + 4]
            self._open = True
            self.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {KEY}"}})
        while (frame := self._frame()) is not None:
            self._handle(now, *frame)

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1], 2
        if length == 126:
            if len(buffer) < 4:
                return None
            (length,), start = struct.unpack_from("!H", buffer, 2), 4
        elif length == 127:
            if len(buffer) < 10:
                return None
            (length,), start = struct.unpack_from("!Q", buffer, 2), 10
        if len(buffer) < start + length:
            return None
        frame = buffer[0] & 15, bytes(buffer[start : start + length])
        del buffer[: start + length]
        return frame

    def _handle(self, now: float, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._send_frame(0x8A, payload)
        elif opcode == 1 and payload.startswith(b'{"type":"connection_ack"'):
            self.send(self._subscribe)
        elif opcode == 1 and b'"next"' in payload[:80]:
            self.received.append((now, payload if self.keep else payload[80:150]))
            if not self.subscribed.done():
                self.subscribed.set_result(len(payload))
        elif opcode == 8:
            self.transport.abort()  # it will lack states, which is noticed
        elif opcode == 1 and not payload.startswith(b'{"type":"p'):
            raise SystemExit(f"unexpected: {payload[:300]!r}")

    def send(self, message: dict) -> None:
        self._send_frame(0x81, json.dumps(message).encode())

    def _send_frame(self, head: int, payload: bytes) -> None:
        # masked with zeros, which leaves the payload as it is
        length = len(payload)
        size = bytes((0x80 | length,)) if length < 126 else struct.pack("!BH", 0x80 | 126, length)
        self.transport.write(bytes((head,)) + size + b"\0\0\0\0" + payload)


async def connected(port: int, query: str, count: int, *, own_ids: bool, keep: bool = False) -> list[Subscriber]:
    """Open connections, fifty at a time, each with the present state."""
    loop, subscribers = asyncio.get_running_loop(), []
    for start in range(0, count, 50):
        made = [
            await loop.create_connection(
                lambda: Subscriber({"query": query}, own_id=own_ids, keep=keep), "127.0.0.1", port
            )
            for _ in range(min(50, count - start))
        ]
        subscribers += [subscriber for _, subscriber in made]
        await asyncio.wait_for(asyncio.gather(*(one.subscribed for one in subscribers[start:])), 60)
    return subscribers


# ------------------------------------------------------------------------------------------------ the servers


def cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


@contextmanager
def winnow() -> Iterator[tuple[int, psutil.Process]]:
    """Run `winnow serve` with one web process on a database of its own; yield its port and that process."""
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        Path(folder).chmod(0o711)
        variables = {"WINNOW_BOOTSTRAP_KEY": KEY, "WINNOW_LOG_LEVEL": "warning", "DATABASE_URL": None}
        with winnow_serve("--data-dir", f"{folder}/data", **variables) as serving:
            children = psutil.Process(serving.process.pid).children(recursive=True)
            yield serving.port, next(one for one in children if "app.commands.web" in one.cmdline())


@contextmanager
def node(answer: dict) -> Iterator[tuple[int, psutil.Process]]:
    """Run graphql-ws on Node with our schema, answering this once a second; yield its port and process."""
    PEER.mkdir(parents=True, exist_ok=True)
    (PEER / "server.cjs").write_text(PEER_SERVER)
    (PEER / "answer.json").write_text(json.dumps(answer))
    if not (PEER / "node_modules/graphql-ws").exists():
        (PEER / "package.json").write_text('{"private": true}')
        packages = ["graphql@16", "graphql-ws@6", "ws@8"]
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *packages], cwd=PEER, check=True, timeout=300)
    command = ["node", "server.cjs", str(ROOT / "schema.graphql"), "answer.json"]
    with subprocess.Popen(command, cwd=PEER, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def post(port: int, path: str, body: bytes) -> dict:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, body, headers)
        return json.load(connection.getresponse())


def make_test(port: int, name: str, *, first: int) -> None:
    """Make a test of two variants with some units in it."""
    variants = [
        {"key": "a", "name": "The offer as it was", "weight": 0.5, "isControl": True},
        {"key": "b", "name": "The offer with a deadline", "weight": 0.5},
    ]
    metric = {"key": "bought", "name": "Bought within a week", "kind": "CONVERSION", "event": "CONVERTED"}
    given = {"key": name, "name": name, "variants": variants, "metric": metric, "targetSampleSize": 100}
    create = "mutation ($input: CreateTestInput!) { createTest(input: $input) { errors { message } } }"
    for query in (create, f'mutation {{ startTest(id: "{name}") {{ errors {{ message }} }} }}'):
        answer = post(port, "/graphql", json.dumps({"query": query, "variables": {"input": given}}).encode())
        assert "errors" not in answer, answer
    users = [f"first{number}" for number in range(first)]
    events = [exposure(name, user) for user in users]
    events += [conversion(name, user) for user in users[::7]]  # after what they follow from
    receipt = post(port, "/v1/events", b"\n".join(events))
    assert receipt["accepted"] == len(events), receipt


def exposure(test: str, user: str) -> bytes:
    at, variant = datetime.now(UTC).isoformat(), "ab"[hash(user) % 2]
    ids = {"id": f"{test}/{user}", "userId": user, "testId": test, "variantKey": variant}
    return json.dumps({"type": "EXPOSED", "occurredAt": at, **ids}).encode()


def conversion(test: str, user: str) -> bytes:
    at = datetime.now(UTC).isoformat()
    return json.dumps({"type": "CONVERTED", "occurredAt": at, "id": f"{test}/{user}/bought", "userId": user}).encode()


# ------------------------------------------------------------------------------------------------ the measures


async def ticking(port: int, seconds: int) -> list[float]:
    """Send one exposure a second; return when each was accepted."""
    loop, accepted, start = asyncio.get_running_loop(), [], time.monotonic()
    for number in range(seconds):
        await asyncio.sleep(max(0.0, start + number - time.monotonic()))
        receipt = await loop.run_in_executor(None, post, port, "/v1/events", exposure(TEST, uuid.uuid4().hex))
        assert receipt["accepted"] == 1, receipt
        accepted.append(time.monotonic())
    await asyncio.sleep(2.5)
    return accepted


def spreads(states: list[list[tuple[float, bytes]]]) -> list[float]:
    """Return how long after the first subscriber each one had each state; fail where one lacks any."""
    counts = {len(received) for received in states}
    assert len(counts) == 1, f"not every state reached everybody: {counts}"
    return [at - min(moment)[0] for moment in zip(*states, strict=True) for at, _ in moment]


def numbered_spreads(states: list[list[tuple[float, bytes]]]) -> list[float]:
    """The same of the peer, whose states begin with their time; those under way at either end are left out."""
    times: dict[bytes, list[float]] = {}
    for received in states:
        for at, tail in received:
            times.setdefault(tail, []).append(at)
    return [at - min(all_) for all_ in times.values() if len(all_) == len(states) for at in all_]


async def measured(port: int, process: psutil.Process, query: str, options, *, change: bool, count: int) -> dict:
    """Hold `count` subscribers through `seconds` changes; return costs and delays."""
    before = process.memory_info().rss
    subscribers = await connected(port, query, count, own_ids=options.own_ids)
    await asyncio.sleep(2)
    memory = process.memory_info().rss - before
    skipped = [len(one.received) for one in subscribers]
    used = cpu(process)
    accepted = await ticking(port, options.seconds) if change else await asyncio.sleep(options.seconds, [])
    used = cpu(process) - used
    load = os.getloadavg()[0]
    states = [one.received[skip:] for one, skip in zip(subscribers, skipped, strict=True)]
    deliveries = sum(map(len, states))
    lates = spreads(states) if change else numbered_spreads(states)
    firsts = [at for at, _ in subscribers[0].received[skipped[0] :]]
    told = [min(at for at in firsts if at >= moment - 0.05) - moment for moment in accepted]
    for one in subscribers:
        one.transport.abort()
    await asyncio.sleep(1)
    return {"cpu": used, "deliveries": deliveries, "lates": lates, "memory": memory, "told": told, "load": load}


async def freshness(port: int, options) -> list[float]:
    """Send events at a steady rate; return, for each request, the seconds from its answer to a state that counts it."""
    names = [f"steady{number}" for number in range(8)]
    for name in names:
        await asyncio.to_thread(make_test, port, name, first=1)
    started = time.monotonic()
    delays = await asyncio.gather(*(steady(port, name, options, share=len(names)) for name in names))
    sent = sum(len(one) for one in delays) * REQUEST
    took = time.monotonic() - started - SETTLING
    print(f"  {sent:,} events in {took:.1f} s ({sent / took:,.0f} a second)")
    return [delay for one in delays for delay in one]


async def steady(port: int, name: str, options, *, share: int) -> list[float]:
    """Send one test's part: one request after the other, so that a state that counts as many events counts them."""
    from bench.ingest import _request

    query = {"query": COUNT.replace("NAME", name)}
    _, follower = await asyncio.get_running_loop().create_connection(
        lambda: Subscriber(query, own_id=True, keep=True), "127.0.0.1", port
    )
    await follower.subscribed
    total, rate = counted(follower.received[-1][1]), options.rate / share
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered: list[tuple[float, int]] = []
    start = time.monotonic()
    for number in range(round(rate * options.seconds / REQUEST)):
        await asyncio.sleep(max(0.0, start + number * REQUEST / rate - time.monotonic()))
        writer.write(_request(b"\n".join(exposure(name, uuid.uuid4().hex) for _ in range(REQUEST))))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert json.loads(await reader.readexactly(length))["accepted"] == REQUEST
        total += REQUEST
        answered.append((time.monotonic(), total))
    writer.close()
    await asyncio.sleep(SETTLING)
    states = [(at, counted(payload)) for at, payload in follower.received]
    return [max(0.0, next(at for at, count in states if count >= sum_) - moment) for moment, sum_ in answered]


def counted(payload: bytes) -> int:
    return sum(one["exposed"] for one in json.loads(payload)["payload"]["data"]["testResults"]["totals"])


def percentile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def report(name: str, result: dict, base: float, count: int) -> float:
    """Print what following cost; return the microseconds of CPU a delivery."""
    each = (result["cpu"] - base) / result["deliveries"] * 1e6
    lates = [late * 1000 for late in result["lates"]]
    print(
        f"  {name:<12} {each:7.1f} µs of CPU a delivery ({result['deliveries']:,} deliveries), "
        f"p50 {percentile(lates, 0.5):.0f} ms, p95 {percentile(lates, 0.95):.0f} ms, max {max(lates):.0f} ms, "
        f"{result['memory'] / count / 1024:.1f} KiB a subscriber; load of the machine {result['load']:.1f}",
        flush=True,
    )
    return each


@dataclass(frozen=True, slots=True)
class Followed:
    """What following cost: microseconds of CPU a delivery (with recomputing: whole), seconds of delay, an answer."""

    each: float
    whole: float
    late: float
    fresh: float
    answer: dict


async def following(options: argparse.Namespace) -> Followed:
    """Measure Winnow."""
    query, count = QUERY, options.subscribers
    with winnow() as (port, process):
        await asyncio.to_thread(make_test, port, TEST, first=1000)
        alone = await measured(port, process, query, options, change=True, count=1)
        ours = await measured(port, process, query, options, change=True, count=count)
        (probe,) = await connected(port, query, 1, own_ids=True, keep=True)
        message = probe.received[-1][1]
        size, answer = len(message), json.loads(message)["payload"]["data"]
        probe.transport.abort()
        print(f"{count:,} subscribers, {options.seconds} changes, messages of {size:,} bytes, one after the other:")
        each = report("Winnow", ours, alone["cpu"], count)
        whole = ours["cpu"] / ours["deliveries"] * 1e6
        told = [value * 1000 for value in ours["told"]]
        print(
            f"               with recomputing included {whole:.1f} µs; event accepted to first told, median "
            f"{statistics.median(told):.0f} ms, max {max(told):.0f} ms",
            flush=True,
        )
        print(f"Freshness at {options.rate:,} events a second, a subscriber at most once a second:")
        fresh = await freshness(port, options)
        print(
            f"  p50 {percentile(fresh, 0.5):.2f} s, p95 {percentile(fresh, 0.95):.2f} s, "
            f"p99 {percentile(fresh, 0.99):.2f} s, max {max(fresh):.2f} s",
            flush=True,
        )
    late = percentile(ours["lates"], 0.95)
    return Followed(each, whole, late=late, fresh=percentile(fresh, 0.99), answer=answer)


async def peer(options: argparse.Namespace, answer: dict) -> float:
    """Measure graphql-ws on Node; return the microseconds of CPU a delivery."""
    with node(answer) as (port, process):
        idle = await measured(port, process, QUERY, options, change=False, count=1)
        theirs = await measured(port, process, QUERY, options, change=False, count=options.subscribers)
        return report("graphql-ws", theirs, idle["cpu"], options.subscribers)


def has_node() -> bool:
    """Return whether the peer can be run."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


async def run(options: argparse.Namespace) -> None:
    followed = await following(options)
    if not has_node():
        print("  graphql-ws   skipped: there is no node or npm on this machine")
        return
    theirs = await peer(options, followed.answer)
    print(f"ratio of CPU a delivery: {followed.each / theirs:.3f} (with recomputing {followed.whole / theirs:.3f})")


def speed() -> list[Row]:
    """Measure with few changes, and return the table's rows."""
    options = argparse.Namespace(subscribers=2_000, seconds=8, rate=5_000, own_ids=True)
    followed = asyncio.run(following(options))
    rows = [SPREAD.within(followed.late * 1000), FRESH.within(followed.fresh)]
    if not has_node():
        return [TOLD.unmeasured("there is no node or npm on this machine"), *rows]
    try:
        return [TOLD.measured((followed.whole, asyncio.run(peer(options, followed.answer)))), *rows]
    except (subprocess.SubprocessError, OSError, ValueError) as failure:
        return [TOLD.unmeasured(f"graphql-ws could not be run: {failure}"), *rows]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=20, help="changes followed, one a second")
    parser.add_argument("--rate", type=int, default=5000, help="events a second in the second part")
    parser.add_argument("--own-ids", action=argparse.BooleanOptionalAction, default=True, help="a UUID a subscription")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(options))


if __name__ == "__main__":
    main()
