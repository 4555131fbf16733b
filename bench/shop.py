"""A simulated shop run through the real server for 60 days: does a bandit earn there what its policy earns in theory?

The shop's true rates are known, conversions come hours to days after exposures, some are heard of only after their
window has closed, some lie outside it, some come twice, and each day's events come in any order. Users are assigned by
OFREP, what they do arrives by `POST /v1/events`, and each midnight the schedule queues a step, which a worker takes:
uvicorn, PostgreSQL and worker are the real ones, on a clock that this script moves.

Every user takes part in all tests at once (their seeds differ, so their assignments do), and conversions name their
test, so that `--tests` replications of each policy run abreast. Compared with `--simulated` runs of the engine's own
simulation of the same policy in the same world: the ratio of mean regrets, with its 95 % interval, whose upper end is
to lie below 1.5. Beside it, test by test and step by step, the shares the server logged against those the engine's
policy gives for what this script knows had happened by then: they are to be equal to nine digits. And how many of the
intervals that the graph shows at the end hold the truth.
"""

import argparse
import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn

from app.runtime.clock import ManualClock
from app.runtime.compute import InlineCompute
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
from bench.ingest import KEY, database_url
from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import ArmTotals, Policy, allocate
from engine.bandits.thompson import BetaThompson, TopTwo
from engine.bandits.ucb import KLUCB
from engine.simulation.bandit_worlds import SHOP, BanditWorld

LIMIT = 1.5
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY, WINDOW_DAYS = timedelta(days=1), 3
FLAGS = "/ofrep/v1/evaluate/flags"
POLICIES: dict[str, Policy] = {
    "THOMPSON": BetaThompson(),
    "TOP_TWO_THOMPSON": TopTwo(thompson=BetaThompson()),
    "UCB": KLUCB(),
    "EPSILON_GREEDY": EpsilonGreedy(),
}
CREATE = """mutation Create($input: CreateTestInput!, $key: ID!) {
  createTest(input: $input) { errors { message } } startTest(id: $key) { errors { message } } }"""
HISTORY = """query History($key: ID!, $after: String) { test(id: $key) {
  allocationHistory(first: 100, after: $after) {
    nodes { policyVersion createdAt floor shares { variant { key } probability } } pageInfo { hasNextPage endCursor } }
  adaptive { units openUnits estimates { estimator unavailable values { variant { key } value { low high } }
    differences { variant { key } difference { low high } } } } } }"""


# ------------------------------------------------------------------------------------------------ the server


@dataclass
class Server:
    """The application behind uvicorn on a free port and a worker beside it, on one settable clock."""

    client: httpx.AsyncClient
    clock: ManualClock
    appointments: Mapping[str, Any]

    async def post(self, path: str, **sent: Any) -> Any:
        """Send a request, as senders do: again where the connection was just being closed."""
        for _ in range(3):
            try:
                answer = await self.client.post(path, **sent)
            except httpx.TransportError:
                continue
            assert answer.status_code == httpx.codes.OK, answer.text
            return answer.json()
        raise ConnectionError(path)

    async def flags(self, user: str) -> list[dict[str, Any]]:
        """Evaluate every test for a user."""
        return (await self.post(FLAGS, json={"context": {"targetingKey": user}}))["flags"]

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = await self.post("/graphql", json={"query": query, "variables": variables})
        assert not answer.get("errors"), answer
        return answer["data"]

    async def step(self) -> None:
        """Do what the schedule does: queue the step, which the worker takes."""
        await self.appointments["reallocate"].do()


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Server]:
    """Serve a migrated database until the context is left."""
    from app.asgi import create_app
    from app.commands.web import server_config

    clock = ManualClock(START)
    settings = Settings.load(
        database_url=url, bootstrap_key=KEY, requests_burst=10**9, events_burst=10**9, log_level="warning"
    )
    await make_key(settings, clock)
    web = uvicorn.Server(server_config(create_app(settings, clock=clock), settings))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        task = asyncio.create_task(web.serve(sockets=[listening]))
        try:
            while not web.started:
                await asyncio.sleep(0.01)
                if task.done():
                    task.result()
            headers = {"Authorization": f"Bearer {KEY}"}
            async with (
                working(settings, clock) as appointments,
                httpx.AsyncClient(base_url=address, headers=headers, timeout=120) as client,
            ):
                yield Server(client, clock, appointments)
        finally:
            web.should_exit = True
            await task


async def make_key(settings: Any, clock: Any) -> None:
    """Migrate, and make the admin key, as `winnow serve` does."""
    from app.auth.auditing import Audit
    from app.auth.keys import KeyRing
    from app.store.access import AccessStore
    from app.store.database import Database

    database = await Database.open(settings.database_url.get_secret_value(), default=False)
    await database.migrate()
    store = AccessStore(database)
    await KeyRing(store, audit=Audit(store), clock=clock).ensure_first(KEY)
    await database.close()


@asynccontextmanager
async def working(settings: Any, clock: Any) -> AsyncIterator[Mapping[str, Any]]:
    """Run a worker with connections of its own; yield the schedule's appointments, by name."""
    from app.jobs.worker import working as until
    from app.store.database import Database
    from app.store.notifications import PostgresBroadcast
    from app.worker import assembled

    database = await Database.open(settings.database_url.get_secret_value(), default=False)
    broadcast = await PostgresBroadcast(database).start()
    stopping = asyncio.Event()
    worker = assembled(database, broadcast, clock, settings, compute=InlineCompute())
    task = asyncio.create_task(until(worker, stopping))
    try:
        yield worker.appointments
    finally:
        stopping.set()
        await task
        await broadcast.close()
        await database.close()


# ------------------------------------------------------------------------------------------------ the shop


@dataclass
class Books:
    """What the shop itself knows of one test: each unit's day and variant, and when a conversion was known, if ever."""

    key: str
    policy: str
    days: list[int] = field(default_factory=list)
    variants: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)

    def totals(self, step: int, world: BanditWorld) -> ArmTotals:
        """Return what a step may count: units whose window has closed or that are known to have converted."""
        variants, known = np.array(self.variants), np.array(self.known)
        converted = (known >= 0) & (known <= step)
        counted = converted | (np.array(self.days) + world.delays.closing <= step)
        arms = world.rates.size
        rewards = np.bincount(variants[converted], minlength=arms).astype(float)
        pulls = np.bincount(variants[counted], minlength=arms).astype(float)
        return ArmTotals(pulls=pulls, rewards=rewards, squared_rewards=rewards)

    def regret(self, world: BanditWorld) -> float:
        """Return the conversions that the test was expected to miss against the best variant."""
        return float((world.rates.max() - world.rates)[self.variants].sum())


class Shop:
    """Users who come, are assigned, and convert or not, day by day."""

    def __init__(self, server: Server, world: BanditWorld, *, tests: Mapping[str, int], seed: int) -> None:
        self._server = server
        self._world = world
        self._rng = np.random.default_rng(seed)
        self.books = {
            f"{policy.lower().replace('_', '-')}-{number}": Books("", policy)
            for policy, count in tests.items()
            for number in range(count)
        }
        for key, books in self.books.items():
            books.key = key
        self._arms = [f"offer-{arm}" for arm in range(world.rates.size)]
        self._outbox: dict[int, list[dict[str, Any]]] = {}

    async def open(self) -> None:
        """Create and start every test."""
        weight = 1.0 / len(self._arms)
        for key, books in self.books.items():
            variants = [{"key": arm, "weight": weight, "isControl": arm == self._arms[0]} for arm in self._arms]
            metric = {"key": "bought", "kind": "CONVERSION", "event": "CONVERTED", "windowHours": 24 * WINDOW_DAYS}
            given = {
                "key": key,
                "name": key,
                "variants": variants,
                "metric": metric,
                "allocationPolicy": books.policy,
                "reallocateEveryMinutes": 24 * 60,
            }
            done = await self._server.ask(CREATE, input=given, key=key)
            assert done["createTest"]["errors"] == done["startTest"]["errors"] == [], done

    async def day(self, day: int) -> None:
        """Let a day pass, from midnight to midnight, and make its step."""
        self._server.clock.advance(60.0)
        for start in range(0, self._world.batch_units, 20):
            users = [f"day{day}-user{user}" for user in range(start, min(start + 20, self._world.batch_units))]
            flags = await asyncio.gather(*map(self._server.flags, users))
            for user, evaluated in zip(users, flags, strict=True):  # in order, so that a seed says all
                self._visit(day, user, evaluated)
        self._server.clock.advance((DAY - timedelta(seconds=120)).total_seconds())
        await self._post(day)
        self._server.clock.advance(60.0)
        await self._server.step()
        await self._stepped(version=day + 2)

    async def close(self, days: int) -> None:
        """Let the last windows close, and what is late arrive."""
        for day in range(days, days + WINDOW_DAYS + 2):
            self._server.clock.advance(DAY.total_seconds())
            await self._post(day)

    def _visit(self, day: int, user: str, flags: Sequence[Mapping[str, Any]]) -> None:
        assert len(flags) == len(self.books)
        for flag in flags:
            assert flag["metadata"]["policyVersion"] == day + 1, flag
            self._meet(self.books[flag["key"]], flag, day=day, user=user)

    def _meet(self, books: Books, flag: Mapping[str, Any], *, day: int, user: str) -> None:
        """Expose a user to what was assigned, and decide what comes of it."""
        arm, at = self._arms.index(flag["variant"]), day + self._rng.uniform(0.01, 0.98)
        shown = {"variantKey": flag["variant"], "probability": flag["metadata"]["probability"]}
        self._send(day, "EXPOSED", books.key, user, at, **shown)
        known = self._conversion(books.key, user, day, at) if self._rng.random() < self._world.rates[arm] else -1
        if self._rng.random() < 0.02:  # too late to count, or too early
            outside = at + WINDOW_DAYS + 0.01 if self._rng.random() < 0.5 else at - 0.005
            self._send(max(int(outside), day), "CONVERTED", books.key, user, outside, mark="outside")
        books.days.append(day)
        books.variants.append(arm)
        books.known.append(known)

    def _conversion(self, key: str, user: str, day: int, at: float) -> int:
        """Send a conversion within the window; return the step at which it is known."""
        delays = self._world.delays
        delay = int(self._rng.choice(delays.converting.size, p=delays.converting))
        occurs = min(delay, delays.closing - 1)  # what is known later occurred in the window's last whole day
        begin, end = max(at, float(day + occurs)), float(day + occurs + 0.98)
        self._send(day + delay, "CONVERTED", key, user, self._rng.uniform(begin, max(begin, end)))
        return day + delay

    def _send(self, day: int, kind: str, key: str, user: str, at: float, *, mark: str = "", **given: Any) -> None:
        event = {"id": f"{key}-{user}-{kind}{mark}", "type": kind, "testId": key, "userId": user}
        event["occurredAt"] = (START + at * DAY).isoformat()
        box = self._outbox.setdefault(day, [])
        box += [event | given] * (2 if self._rng.random() < 0.01 else 1)

    async def _post(self, day: int) -> None:
        """Deliver a day's events in any order."""
        events = self._outbox.pop(day, [])
        self._rng.shuffle(events)
        for start in range(0, len(events), 5_000):
            lines = "\n".join(map(json.dumps, events[start : start + 5_000])).encode()
            receipt = await self._server.post("/v1/events", content=lines)
            assert receipt.get("rejected") == [], receipt

    async def _stepped(self, *, version: int) -> None:
        """Wait until every test's new shares have reached the web process."""
        async with asyncio.timeout(120):
            while True:
                flags = await self._server.flags("a passer-by")
                if {flag["metadata"]["policyVersion"] for flag in flags} == {version}:
                    return
                await asyncio.sleep(0.02)


# ------------------------------------------------------------------------------------------------ the judgement


@dataclass(frozen=True)
class Judged:
    """One test, afterwards: its regret, how far its shares are from those recomputed, and how many intervals held.

    `careless` is how far they are from those of a policy that takes open windows for failures: far, or the comparison
    tells nothing.
    """

    regret: float
    converted: int
    versions: int
    distance: float
    careless: float
    held: Mapping[str, tuple[int, int]]
    differences_held: Mapping[str, tuple[int, int]]


async def judge(server: Server, books: Books, world: BanditWorld) -> Judged:
    """Read a test's log and results through the graph, and compare them with the shop's books."""
    nodes, after = [], None
    while True:
        test = (await server.ask(HISTORY, key=books.key, after=after))["test"]
        page = test["allocationHistory"]
        nodes += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    logged = {node["policyVersion"]: [share["probability"] for share in node["shares"]] for node in nodes}
    steps = world.batches + 1  # a minute of the schedule may bring one more while the last windows close
    assert sorted(logged)[:steps] == list(range(1, steps + 1)), sorted(logged)
    assert test["adaptive"]["openUnits"] == 0
    assert test["adaptive"]["units"] == len(books.days) == world.batch_units * world.batches
    at_once = replace(world, delays=replace(world.delays, closing=0))
    return Judged(
        regret=books.regret(world),
        converted=sum(step >= 0 for step in books.known),
        versions=steps,
        distance=_distance(logged, books, world),
        careless=_distance(logged, books, at_once),
        held=_held(test["adaptive"], world, "values", "value", 0.0),
        differences_held=_held(test["adaptive"], world, "differences", "difference", world.rates[0]),
    )


def _distance(logged: Mapping[int, Sequence[float]], books: Books, world: BanditWorld) -> float:
    """Return the largest distance between shares logged and those that follow from the books."""
    policy, even = POLICIES[books.policy], (1.0 / world.rates.size,) * world.rates.size
    expected = [even] + [
        allocate(policy, books.totals(step, world), floor=world.floor).probabilities for step in range(world.batches)
    ]
    return max(float(np.abs(np.subtract(logged[place + 1], one)).max()) for place, one in enumerate(expected))


def _held(
    adaptive: Mapping[str, Any], world: BanditWorld, many: str, one: str, against: float
) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for estimate in adaptive["estimates"]:
        inside = [
            entry[one]["low"] <= world.rates[int(entry["variant"]["key"][6:])] - against <= entry[one]["high"]
            for entry in estimate[many]
        ]
        found[estimate["estimator"]] = (sum(map(bool, inside)), len(inside))
    return found


@dataclass(frozen=True)
class Ratio:
    """Mean regret on the server over that of the engine's simulation, with its 95 % interval by the delta method."""

    served: np.ndarray
    simulated: np.ndarray

    @property
    def value(self) -> float:
        return float(self.served.mean() / self.simulated.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """On the logarithm's scale."""
        relative = [one.var(ddof=1) / one.size / one.mean() ** 2 for one in (self.served, self.simulated)]
        reach = 1.96 * float(np.sqrt(sum(relative)))
        return self.value * np.exp(-reach), self.value * np.exp(reach)


async def run(
    url: str, world: BanditWorld, *, tests: Mapping[str, int], seed: int, progress: Any = None
) -> dict[str, list[Judged]]:
    """Run the shop; return what came of each policy's tests."""
    async with serving(url) as server:
        shop = Shop(server, world, tests=tests, seed=seed)
        await shop.open()
        for day in range(world.batches):
            await shop.day(day)
            if progress:
                progress(day + 1)
        await shop.close(world.batches)
        found: dict[str, list[Judged]] = {policy: [] for policy in tests}
        for books in shop.books.values():
            found[books.policy].append(await judge(server, books, world))
        return found


def simulated_regret(policy: str, world: BanditWorld, *, runs: int, seed: int) -> np.ndarray:
    """Return the regret of the engine's own runs of the same policy in the same world."""
    return world.regret(world.run(POLICIES[policy], np.random.default_rng(seed), runs=runs))


def report(found: Mapping[str, Sequence[Judged]], world: BanditWorld, options: argparse.Namespace) -> bool:
    """Print the comparison, and write its figures where asked; return whether all of it holds."""
    even = world.batch_units * world.batches * float((world.rates.max() - world.rates).mean())
    print(f"regret in conversions of {world.batch_units * world.batches:,} units; an even split's is {even:.0f}")
    kept, figures = True, {}
    for policy, judged in found.items():
        served = np.array([one.regret for one in judged])
        ratio = Ratio(served, simulated_regret(policy, world, runs=options.simulated, seed=options.seed + 1))
        (low, high), distance = ratio.interval, max(one.distance for one in judged)
        kept &= high <= LIMIT and distance <= 1e-9
        print(
            f"{policy:<17} server {served.mean():6.1f} (sd {served.std(ddof=1):4.1f}, {served.size} tests)   engine "
            f"{ratio.simulated.mean():6.1f} (sd {ratio.simulated.std(ddof=1):4.1f}, {ratio.simulated.size:,} runs)   "
            f"ratio {ratio.value:.3f} ({low:.3f} to {high:.3f}), limit {LIMIT}: {'kept' if high <= LIMIT else 'BROKEN'}"
        )
        versions, careless = sum(one.versions for one in judged), min(one.careless for one in judged)
        print(
            f"{'':17} shares of {versions:,} versions: off by {distance:.1e} at most; were open windows taken for "
            f"failures, by {careless:.2f} at least"
        )
        for name in ("NAIVE", "IPW", "AW_AIPW"):
            values = np.sum([one.held[name] for one in judged], axis=0)
            others = np.sum([one.differences_held[name] for one in judged], axis=0)
            print(
                f"{'':17} {name:<8} held {values[0]} of {values[1]} rates ({values[0] / values[1]:.1%}), "
                f"{others[0]} of {others[1]} differences ({others[0] / others[1]:.1%})"
            )
        figures[policy] = {"ratio": [low, ratio.value, high], "tests": [asdict(one) for one in judged], "even": even}
    if options.json:
        options.json.write_text(json.dumps(figures))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=20, help="tests of each policy, abreast")
    parser.add_argument("--days", type=int, default=SHOP.batches)
    parser.add_argument("--users", type=int, default=SHOP.batch_units, help="new users a day")
    parser.add_argument("--simulated", type=int, default=4_000, help="runs of the engine's own simulation")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES))
    parser.add_argument("--seed", type=int, default=20_261_124)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    configure_logging(Settings.load(log_level="warning"))
    world = replace(SHOP, batches=options.days, batch_units=options.users)
    began = time.perf_counter()

    def progress(day: int) -> None:
        print(f"\rday {day} of {world.batches}, {time.perf_counter() - began:.0f} s", end="", flush=True)

    with database_url() as url, suppress(KeyboardInterrupt):
        tests = dict.fromkeys(options.policies, options.tests)
        found = asyncio.run(run(url, world, tests=tests, seed=options.seed, progress=progress))
        units = world.batch_units * world.batches * sum(tests.values())
        print(f"\n{units:,} units in {time.perf_counter() - began:.0f} s, seed {options.seed}")
        if not report(found, world, options):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
