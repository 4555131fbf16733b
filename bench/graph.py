"""What nested queries cost: Winnow's graph beside PostGraphile 5 and Mercurius with JIT, and what bounds it.

One PostgreSQL of the bench's own holds 10,000 campaigns with 4 tests each, 3 variants a test, latest totals, 30 days;
every server reads it, all run at once, and are asked in turns. Q1 is the first 20 campaigns with tests, variants and
totals; Q2 one campaign with everything nested and its 30 days, each time another; Q3 `{ __typename }`. First all
answers are brought into one shape and must be equal. Then, for each question and number of connections, each server is
driven for a while, `--rounds` times, one server after the other within a round; medians count.

CPU is what the system says the answering process used (all threads, user and system), a request; PostgreSQL's is told
beside it. Servers run on one core, PostgreSQL and the load on the other, where there are two. Statements are counted in
PostgreSQL's log of a further run on one connection. The limits: set-based questions by asyncpg made into a tree and
encoded by orjson on a bare ASGI application in uvicorn; JSON made by PostgreSQL and passed on; for Q3 a constant.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from bench.peers.data import fill
from bench.peers.load import ASKING, ask, request_of, requests_of
from bench.peers.questions import ALL
from bench.peers.servers import KINDS, OTHER_CORE, ROOT, Server, pin, started

COMPARED_CAMPAIGNS = (1, 2, 98, 1999)
COUNTED_REQUESTS = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """One server driven for a while: milliseconds of CPU a request, its own and PostgreSQL's, rate and latencies."""

    cpu: float
    database_cpu: float
    rate: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A question, asked over so many connections, of a server."""

    question: str
    connections: int
    server: str


class Bench:
    """The running servers, their database, and what was measured."""

    def __init__(self, servers: list[Server], database: "Cluster", options: argparse.Namespace) -> None:
        self._servers = servers
        self._database = database
        self._options = options
        self.found: dict[Cell, list[Measured]] = {}
        self.statements: dict[tuple[str, str], float] = {}

    def run(self) -> None:
        """Compare, count, warm up and measure."""
        for question in self._options.questions:
            asyncio.run(self._compare(question))
        for server, question in self._pairs():
            self._drive(server, question, connections=4, seconds=self._options.warming)
        asyncio.run(self._count())
        for number in range(self._options.rounds):
            for connections in self._options.connections:
                for server, question in self._pairs():
                    self._measure(server, question, connections)
            load = os.getloadavg()[0]
            print(f"round {number + 1} of {self._options.rounds}; load of the machine {load:.1f}", flush=True)

    def _pairs(self) -> Iterator[tuple[Server, str]]:
        for question in self._options.questions:
            for server in self._servers:
                if question in server.kind.questions:
                    yield server, question

    async def _compare(self, question: str) -> None:
        """Exit unless all servers give the same answer."""
        asked = [server for server in self._servers if question in server.kind.questions]
        for campaign in COMPARED_CAMPAIGNS if question == "Q2" else (1,):
            shapes = [await self._shape(server, question, campaign) for server in asked]
            for server, shape in zip(asked, shapes, strict=True):
                if shape != shapes[0]:
                    where = difference(shapes[0], shape)
                    raise SystemExit(f"{question}: {asked[0].name} and {server.name} differ at {where}")
            values = size(shapes[0]) if shapes else 0
        print(f"{question}: {len(asked)} servers give equal answers, {values:,} values", flush=True)

    async def _shape(self, server: Server, question: str, campaign: int) -> object:
        asking = ASKING[server.kind.asking]
        return asking.shape(await ask(server.port, request_of(asking.body(question, campaign))))

    async def _count(self) -> None:
        connection = await asyncpg.connect(self._database.url)
        for server, question in self._pairs():
            if question != "Q3":
                requests = requests_of(ASKING[server.kind.asking], question)
                async with self._database.logging(connection, server.application) as counted:
                    for _ in range(COUNTED_REQUESTS):
                        await ask(server.port, next(requests))
                self.statements[server.name, question] = counted.statements / COUNTED_REQUESTS
        await connection.close()

    def _measure(self, server: Server, question: str, connections: int) -> None:
        before = server.cpu_seconds(), self._database.cpu_seconds()
        driven = self._drive(server, question, connections=connections, seconds=self._options.seconds)
        cpu, database_cpu = server.cpu_seconds() - before[0], self._database.cpu_seconds() - before[1]
        answered = driven["answered"]
        measured = Measured(
            cpu=1000 * cpu / answered,
            database_cpu=1000 * database_cpu / answered,
            rate=answered / driven["seconds"],
            p50=driven["p50"],
            p99=driven["p99"],
        )
        self.found.setdefault(Cell(question, connections, server.name), []).append(measured)

    def _drive(self, server: Server, question: str, *, connections: int, seconds: float) -> dict[str, float]:
        command = [sys.executable, "-m", "bench.peers.load", str(server.port), server.kind.asking, question]
        command += ["--seconds", str(seconds), "--connections", str(connections)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            pin(process.pid, OTHER_CORE)
            output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{server.name} could not be driven with {question}")
        return json.loads(output)


# ------------------------------------------------------------------------------------------------ the database


class Counted:
    """How many statements were logged."""

    statements = 0


class Cluster:
    """The bench's own PostgreSQL."""

    def __init__(self, folder: Path) -> None:
        from app.store.embedded.server import EmbeddedPostgres

        self._postgres = EmbeddedPostgres(folder)
        self._log = folder / "postgres.log"

    def start(self) -> None:
        self._postgres.start()
        pin(self._postgres.process_id, OTHER_CORE)

    def stop(self) -> None:
        self._postgres.stop()

    @property
    def url(self) -> str:
        return self._postgres.url

    def cpu_seconds(self) -> float:
        """Return the CPU of all its processes, those that ended too."""
        root, total = psutil.Process(self._postgres.process_id), 0.0
        for process in (*root.children(), root):  # one that ends meanwhile is counted by its parent, which is read last
            with suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        return total

    def logging(self, connection: asyncpg.Connection, application: str) -> "Logging":
        return Logging(connection, self._log, application)


class Logging:
    """A stretch of time in which PostgreSQL writes each statement into its log; one application's are counted."""

    def __init__(self, connection: asyncpg.Connection, log: Path, application: str) -> None:
        self._connection = connection
        self._log = log
        self._name = f"{application}|".encode()
        self._counted = Counted()

    async def __aenter__(self) -> Counted:
        await self._set("all")
        self._start = self._log.stat().st_size
        return self._counted

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.sleep(0.1)
        with self._log.open("rb") as written:
            written.seek(self._start)
            lines = written.read().splitlines()
        own = [line for line in lines if line.startswith(self._name)]
        self._counted.statements = sum(b"LOG:  execute " in line or b"LOG:  statement: " in line for line in own)
        await self._set("none")

    async def _set(self, what: str) -> None:
        await self._connection.execute(f"ALTER SYSTEM SET log_statement = '{what}'")
        await self._connection.execute("ALTER SYSTEM SET log_line_prefix = '%a|'")
        await self._connection.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.3)  # until every backend has read it


# ------------------------------------------------------------------------------------------------ what is told


def difference(one: Any, other: Any, path: str = "data") -> str:
    """Return in words where two shapes first differ."""
    if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
        return next((difference(one[key], other[key], f"{path}.{key}") for key in one if one[key] != other[key]), "")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next((difference(a, b, f"{path}[{at}]") for at, (a, b) in pairs if a != b), "")
    return f"{path}: {str(one)[:200]} and {str(other)[:200]}"


def size(shape: Any) -> int:
    """Return how many values without parts a shape has."""
    if isinstance(shape, dict):
        return sum(map(size, shape.values()))
    return sum(map(size, shape)) if isinstance(shape, list) else 1


def report(bench: Bench, options: argparse.Namespace) -> None:
    """Print the table, medians of the rounds, and Winnow's ratio to each."""
    print(f"\nMedians of {options.rounds} rounds of {options.seconds:g} s; ratio: Winnow's CPU to this server's")
    head = f"{'':<8}{'server':<22}{'CPU ms':>9}{'spread':>15}{'PG ms':>8}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}"
    print(f"{head}{'SQL':>6}{'ratio':>8}")
    for question in options.questions:
        for connections in options.connections:
            print(f"{question}, {connections} connection{'s' if connections > 1 else ''}")
            _report_cells(bench, question, connections)


def _report_cells(bench: Bench, question: str, connections: int) -> None:
    cells = [cell for cell in bench.found if (cell.question, cell.connections) == (question, connections)]
    ours = bench.found.get(Cell(question, connections, "Winnow"))
    for cell in cells:
        runs = bench.found[cell]
        cpus = [run.cpu for run in runs]
        middle = {name: statistics.median(getattr(run, name) for run in runs) for name in Measured.__slots__}
        spread = f"{min(cpus):.2f}-{max(cpus):.2f}"
        statements = bench.statements.get((cell.server, question))
        ratio = statistics.median(a.cpu / b.cpu for a, b in zip(ours, runs, strict=True)) if ours else None
        print(
            f"{'':<8}{cell.server:<22}{middle['cpu']:>9.2f}{spread:>15}{middle['database_cpu']:>8.2f}"
            f"{middle['rate']:>9,.0f}{middle['p50']:>9.2f}{middle['p99']:>9.2f}"
            f"{'' if statements is None else f'{statements:.1f}':>6}{'' if ratio is None else f'{ratio:.2f}':>8}"
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        Path(folder).chmod(0o711)
        postgres = Cluster(Path(folder))
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what is asked for, by these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="each server is driven in each round")
    parser.add_argument("--warming", type=float, default=5.0, help="seconds before the first round")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--questions", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--servers", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--short", action="store_true", help="two rounds of half a second: whether it runs")
    options = parser.parse_args(arguments)
    if options.short:
        options.rounds, options.seconds, options.warming = 2, 0.5, 1.0
    return options


def measured(options: argparse.Namespace) -> Bench:
    """Fill, start, compare and measure."""
    with cluster() as postgres:
        asyncio.run(fill(postgres.url, options.campaigns))
        with started(postgres.url, options.servers) as servers:
            bench = Bench(servers, postgres, options)
            bench.run()
    return bench


def main() -> None:
    """Measure and print."""
    options = options_of()
    report(measured(options), options)


if __name__ == "__main__":
    main()
