"""How fast units are assigned: OFREP beside a bare Starlette route with a JSON of the same size, and assignUser.

One process of `winnow serve` with its defaults (a key checked, rates limited, requests counted), one of uvicorn with a
Starlette application of one route; the same load generator, in a process of its own, drives one after the other in
turns, and the median of the rounds counts. Server CPU is what the operating system says the answering process used
meanwhile, so that a rate a core can be told on a machine where the load generator, PostgreSQL, Winnow's worker and
others share the cores with it.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.claims import Claim, Row
from bench.ingest import KEY, database_url

ROOT = Path(__file__).parent.parent
TEST = "checkout-button"
BARE, OFREP, ASSIGN = "bare Starlette route", "OFREP, one flag", "assignUser"
FLAG = Claim(name="one OpenFeature flag over HTTP", unit="requests/s of CPU", peer=BARE, promised=0.7, rate=True)
ASSIGNED = Claim(name="assignUser over GraphQL", unit="requests/s of CPU", limit=1_000.0, rate=True)
CLAIMS = (FLAG, ASSIGNED)
MUTATION = """mutation Assign($user: ID!, $expose: Boolean!) {
  assignUser(testId: "checkout-button", userId: $user, expose: $expose) {
    assignment { variant { key payload } probability policyVersion assignedAt } reason errors { code message }
  }
}"""
CREATE = """mutation {
  createTest(input: {key: "checkout-button", name: "Checkout", metric: {key: "converted", kind: CONVERSION,
    event: CONVERTED}, variants: [{key: "control", weight: 0.5, isControl: true, payload: {colour: "blue", size: 12}},
    {key: "treatment", weight: 0.5, payload: {colour: "green", size: 14}}]}) { errors { message } }
  startTest(id: "checkout-button") { errors { message } }
}"""


# ------------------------------------------------------------------------------------------------ the bare route


def bare_app():
    """Return the peer, as a uvicorn factory: one route that returns a JSON of the size given in the environment."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    answer = json.loads(os.environ["BENCH_ANSWER"])

    async def evaluate(_request: Request) -> JSONResponse:
        return JSONResponse(answer)

    return Starlette(routes=[Route("/ofrep/v1/evaluate/flags/{key}", evaluate, methods=["POST"])])


# ------------------------------------------------------------------------------------------------ servers


@contextmanager
def process(command: list[str], **variables: str) -> Iterator[tuple[int, subprocess.Popen]]:
    """Run a server on a free port; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*command, "--port", str(port)]
    environment = {**os.environ, **variables}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            _wait(port)
            yield port, running
        finally:
            running.terminate()
            running.wait(30)


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("a server did not start")


def winnow(url: str):
    """Run `winnow serve`."""
    limits = {"WINNOW_REQUESTS_PER_SECOND": "100000", "WINNOW_REQUESTS_BURST": "1000000"}
    return process([sys.executable, "-m", "app.cli", "serve"], DATABASE_URL=url, WINNOW_BOOTSTRAP_KEY=KEY, **limits)


def bare(answer: str):
    """Run the bare route as `winnow serve` runs its own."""
    command = [sys.executable, "-m", "uvicorn", "bench.assign:bare_app", "--factory", "--log-level", "warning"]
    command += ["--no-access-log", "--loop", "uvloop", "--http", "httptools", "--no-server-header"]
    return process(command, BENCH_ANSWER=answer)


def cpu_seconds(root: int) -> float:
    """Return what the answering process has used: of `winnow serve` its web process, else the one started."""
    parent = psutil.Process(root)
    web = [one for one in parent.children(recursive=True) if "app.commands.web" in one.cmdline()]
    times = [one.cpu_times() for one in web or [parent]]
    return sum(one.user + one.system for one in times)


# ------------------------------------------------------------------------------------------------ the load


class Sender(asyncio.Protocol):
    """One connection with one request in the air, until the time is over."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests = requests
        self._until = until
        self.answered = 0
        self.failed = 0
        self.done = asyncio.get_running_loop().create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.lower().find(b"content-length: ", 0, head)
        length = int(self._buffer[at + 16 : self._buffer.find(b"\r", at)])
        if len(self._buffer) < head + 4 + length:
            return
        self.answered += 1
        self.failed += not self._buffer.startswith(b"HTTP/1.1 200") or b'"errors":[{' in self._buffer
        self._buffer = b""
        if time.perf_counter() < self._until:
            self._transport.write(next(self._requests))
        else:
            self._transport.close()
            self.done.set_result(None)


def requests_of(kind: str, start: int) -> Iterator[bytes]:
    """Yield requests, each for a user of its own."""
    number = start
    while True:
        number += 1
        user = f"user-{number}"
        if kind == "ofrep":
            path, body = f"/ofrep/v1/evaluate/flags/{TEST}", {"context": {"targetingKey": user, "plan": "pro"}}
        else:
            variables = {"user": user, "expose": kind == "assign-exposed"}
            path, body = "/graphql", {"query": MUTATION, "variables": variables}
        sent = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(sent)}\r\n\r\n"
        )
        yield head.encode() + sent


async def drive(port: int, kind: str, *, seconds: float, connections: int, start: int) -> dict[str, float]:
    """Send for a while; return requests a second."""
    began = time.perf_counter()
    requests = requests_of(kind, start)
    senders = [Sender(requests, began + seconds) for _ in range(connections)]
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(lambda s=s: s, "127.0.0.1", port) for s in senders))
    await asyncio.gather(*(sender.done for sender in senders))
    answered = sum(sender.answered for sender in senders)
    return {
        "rate": answered / (time.perf_counter() - began),
        "answered": answered,
        "failed": sum(sender.failed for sender in senders),
    }


@dataclass(frozen=True)
class Measured:
    """One run against one server."""

    rate: float
    cpu_seconds_each: float


def measure(port: int, root: int, kind: str, options: argparse.Namespace, start: int) -> Measured:
    """Drive a server from another process."""
    command = [sys.executable, "-m", "bench.assign", "--drive", str(port), kind, str(start)]
    command += ["--seconds", str(options.seconds), "--connections", str(options.connections)]
    before = cpu_seconds(root)
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(root) - before
    found = json.loads(output)
    if found["failed"]:
        raise SystemExit(f"{found['failed']} of {found['answered']} requests failed ({kind})")
    return Measured(found["rate"], used / found["answered"])


# ------------------------------------------------------------------------------------------------ the comparison


def ask(port: int, path: str, body: dict) -> str:
    """Send one request and return the answer."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:  # noqa: S310  # the address is this machine's, made above
        return response.read().decode()


def run(url: str, options: argparse.Namespace) -> dict[str, list[Measured]]:
    """Measure in turns."""
    found: dict[str, list[Measured]] = {}
    with winnow(url) as (port, server):
        print(ask(port, "/graphql", {"query": CREATE}))
        answer = ask(port, f"/ofrep/v1/evaluate/flags/{TEST}", {"context": {"targetingKey": "user-1"}})
        print(f"the answer: {answer}")
        with bare(answer) as (bare_port, bare_server):
            runs = {
                BARE: (bare_port, bare_server.pid, "ofrep"),
                OFREP: (port, server.pid, "ofrep"),
                ASSIGN: (port, server.pid, "assign"),
                "assignUser, exposing": (port, server.pid, "assign-exposed"),
            }
            for number in range(-1, options.rounds):
                for name, (at, pid, kind) in runs.items():
                    measured = measure(at, pid, kind, options, start=(number + 2) * 10_000_000)
                    if number >= 0:  # the first round only warms up
                        found.setdefault(name, []).append(measured)
                        each = measured.cpu_seconds_each * 1e6
                        print(f"  {name:<22} {measured.rate:>9,.0f} requests/s {each:>8,.0f} µs CPU", flush=True)
    return found


def report(found: dict[str, list[Measured]], options: argparse.Namespace) -> None:
    """Print medians and ratios."""
    print(f"\nMedians of {options.rounds} rounds of {options.seconds:g} s, {options.connections} connections:")
    for name, runs in found.items():
        rate = statistics.median(one.rate for one in runs)
        each = statistics.median(one.cpu_seconds_each for one in runs)
        print(f"  {name:<22} {rate:>9,.0f} requests/s   {1 / each:>9,.0f} a second of server CPU")
    pairs = list(zip(found[OFREP], found[BARE], strict=True))
    rates = [ofrep.rate / peer.rate for ofrep, peer in pairs]
    costs = [peer.cpu_seconds_each / ofrep.cpu_seconds_each for ofrep, peer in pairs]
    print(f"  OFREP to bare route: {statistics.median(rates):.2f} of the requests a second", end=" ")
    print(f"(rounds: {', '.join(f'{one:.2f}' for one in rates)}); by server CPU {statistics.median(costs):.2f}")


def speed() -> list[Row]:
    """Measure with short rounds, and return the table's rows."""
    with database_url() as url:
        found = run(url, argparse.Namespace(rounds=3, seconds=1.5, connections=32))
    costs = {name: [1 / one.cpu_seconds_each for one in runs] for name, runs in found.items()}
    pairs = list(zip(costs[OFREP], costs[BARE], strict=True))
    return [FLAG.rounds(pairs), ASSIGNED.within(statistics.median(costs[ASSIGN]))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--drive", nargs=3, metavar=("PORT", "KIND", "START"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        import uvloop

        port, kind, start = options.drive
        driving = drive(int(port), kind, seconds=options.seconds, connections=options.connections, start=int(start))
        print(json.dumps(uvloop.run(driving)))
        return
    with database_url() as url:
        report(run(url, options), options)


if __name__ == "__main__":
    main()
