"""How fast a contextual bandit assigns beside a plain one: as a use case, and as a flag over HTTP.

Three running tests of `--variants` variants on one database: a contextual Thompson that has learnt from `--learnt`
units with `--attributes` attributes, a plain Thompson at its second policy version too, and a FIXED one at its first.
Each request is for a user of its own and gives all attributes, a context that was never seen before; none is exposed.
Bandits at a later version look up whether a unit was exposed before, a FIXED one need not: so the plain Thompson is
the peer, and the FIXED test is shown beside. The limit is for what is served; the use case alone is shown as well.
Rounds alternate between the tests; the median of their ratios counts.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bench.assign import ROOT, Sender, ask, cpu_seconds, winnow
from bench.claims import Claim, Row
from bench.ingest import KEY, database_url

TESTS = ("contextual", "plain", "fixed")
POLICIES = {"contextual": "CONTEXTUAL_THOMPSON", "plain": "THOMPSON", "fixed": "FIXED"}
LIMIT = 0.6
FLAG = Claim(
    name="a contextual bandit's flag over HTTP",
    unit="requests/s of CPU",
    peer="a plain bandit's",
    promised=LIMIT,
    rate=True,
)
CLAIMS = (FLAG,)
PLANS = ("free", "team", "pro", "enterprise")
CREATE = "mutation ($input: CreateTestInput!) { createTest(input: $input) { errors { message } } }"
START = "mutation ($id: ID!, $at: DateTime) { startTest(id: $id, at: $at) { errors { message } } }"
STEP = "mutation ($id: ID!) { reallocate(testId: $id) { allocation { policyVersion } errors { message } } }"


def names(count: int) -> list[str]:
    """Return attributes' names: numbers, texts and booleans in turn."""
    return [f"{('number', 'text', 'boolean')[at % 3]}{at}" for at in range(count)]


def known(rng: random.Random, attributes: list[str]) -> dict[str, object]:
    """Return what is known of one user."""
    values = {"n": lambda: rng.gauss(40, 12), "t": lambda: rng.choice(PLANS), "b": lambda: rng.random() < 0.4}
    return {name: values[name[0]]() for name in attributes}


# ------------------------------------------------------------------------------------------------ what is measured


async def prepare(services, options: argparse.Namespace) -> None:
    """Create and start the tests, and let the two bandits learn."""
    from app.ingestion.batches import read_mappings

    rng, attributes = random.Random(1), names(options.attributes)
    at = datetime.now(UTC) - timedelta(days=10)
    for key in TESTS:
        await services.create(key, POLICIES[key], attributes if key == "contextual" else [], at=at)
    events = []
    for number in range(options.learnt):
        shared = {"userId": f"learnt-{number}", "occurredAt": at + timedelta(minutes=1)}
        variant = f"v{number % options.variants}"
        exposure = {"type": "EXPOSED", "variantKey": variant, "properties": known(rng, attributes)}
        events += [shared | exposure | {"id": f"{key}-{number}", "testId": key} for key in ("contextual", "plain")]
        if rng.random() < 0.1 + 0.02 * (number % options.variants):
            events.append(shared | {"id": f"c-{number}", "type": "CONVERTED"})
    for start in range(0, len(events), 2_000):
        await services.record(read_mappings(events[start : start + 2_000]))
    for key in ("contextual", "plain"):
        await services.step(key)


class InProcess:
    """The use cases of a web process."""

    def __init__(self, services, options: argparse.Namespace) -> None:
        self._services = services
        self._options = options

    async def create(self, key: str, policy: str, attributes: list[str], *, at: datetime) -> None:
        from app.abtests.drafting import MetricDraft, TestDraft, VariantDraft
        from app.auth.principals import Principal, Role
        from app.store.models.codes import AllocationPolicy, EventType, MetricKind

        self._principal = Principal(1, "bench", Role.ADMIN)
        count = self._options.variants
        draft = TestDraft(
            key=key,
            name=key,
            variants=[VariantDraft(key=f"v{n}", weight=1 / count, is_control=n == 0) for n in range(count)],
            metric=MetricDraft(key="converted", kind=MetricKind.CONVERSION, event=EventType.CONVERTED),
            allocation_policy=AllocationPolicy(policy),
            context_attributes=attributes,
        )
        made = await self._services.lifecycle.create(draft, principal=self._principal)
        await self._services.lifecycle.start(made.test.id, at=at, principal=self._principal)

    async def record(self, events) -> None:
        receipt = await self._services.ingestion.record(events)
        assert not receipt.rejected, receipt.rejected[0]

    async def step(self, key: str) -> None:
        number = (await self._services.tests.ids_of([key]))[key]
        made = await self._services.reallocating.reallocate(number, principal=self._principal)
        assert made.allocation.policy_version == 2


async def use_case(services, key: str, seconds: float, *, attributes: list[str], together: int, start: int) -> float:
    """Assign users, so many at a time, for a while; return assignments a second of this process's CPU."""
    rng, until, done, number = random.Random(start), time.perf_counter() + seconds, 0, start
    contexts = [known(rng, attributes) for _ in range(20_000)]  # made beforehand, each once
    began = time.process_time()
    while time.perf_counter() < until and done + together <= len(contexts):
        users = range(number, number + together)
        decisions = await asyncio.gather(
            *(
                services.exposing.assign(key, f"u{user}", attributes=contexts[done + at], expose=False)
                for at, user in enumerate(users)
            )
        )
        assert all(decision.variant is not None for decision in decisions)
        number, done = number + together, done + together
    return done / (time.process_time() - began)


async def in_process(url: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Measure the use case in turns; the tests stay for what comes after."""
    from app.asgi import assembled
    from app.runtime.clock import SystemClock
    from app.store.database import Database
    from app.store.notifications import PostgresBroadcast

    database = await Database.open(url)
    await database.migrate()
    broadcast = PostgresBroadcast(database)
    await broadcast.start()
    found: dict[str, list[float]] = {key: [] for key in TESTS}
    async with assembled(database, broadcast, SystemClock()) as assembly:
        services = assembly.services
        await prepare(InProcess(services, options), options)
        attributes = names(options.attributes)
        await engine(assembly, attributes)
        for number in range(-1, options.rounds):
            for key in TESTS:
                rate = await use_case(
                    services,
                    key,
                    options.seconds,
                    attributes=attributes,
                    together=options.connections,
                    start=(number + 2) * 1_000_000,
                )
                if number >= 0:  # the first round only warms up
                    found[key].append(rate)
    await broadcast.close()
    await database.close()
    return found


async def engine(assembly, attributes: list[str]) -> None:
    """Print what one unit's shares cost by themselves."""
    rng = random.Random(2)
    test = await assembly.assigning.test("contextual")
    contexts = [known(rng, attributes) for _ in range(5_000)]
    began = time.perf_counter()
    for context in contexts:
        test.model.parts(context)
    each = (time.perf_counter() - began) / len(contexts) * 1e6
    arms, features = test.model.posterior.coefficients.shape
    print(f"one unit's shares, {arms} arms, {len(attributes)} attributes in {features} features: {each:.1f} µs")


# ------------------------------------------------------------------------------------------------ over HTTP


def requests_of(key: str, start: int, attributes: list[str]) -> Iterator[bytes]:
    """Yield evaluations of a flag, each for a user of its own."""
    rng = random.Random(start)
    for number in range(start, start + 10_000_000):
        body = json.dumps({"context": {"targetingKey": f"user-{number}", **known(rng, attributes)}}).encode()
        head = (
            f"POST /ofrep/v1/evaluate/flags/{key} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def drive(port: int, key: str, start: int, options: argparse.Namespace) -> dict[str, float]:
    """Send for a while; return what was answered."""
    began = time.perf_counter()
    requests = requests_of(key, start, names(options.attributes))
    senders = [Sender(requests, began + options.seconds) for _ in range(options.connections)]
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(lambda s=s: s, "127.0.0.1", port) for s in senders))
    await asyncio.gather(*(sender.done for sender in senders))
    answered = sum(sender.answered for sender in senders)
    return {
        "rate": answered / (time.perf_counter() - began),
        "answered": answered,
        "failed": sum(sender.failed for sender in senders),
    }


def over_http(url: str, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Measure flags in turns: requests a second, and seconds of server CPU each."""
    found: dict[str, list[tuple[float, float]]] = {key: [] for key in TESTS}
    with winnow(url) as (port, server):
        context = {"targetingKey": "user-1", **known(random.Random(3), names(options.attributes))}
        print("the answer: " + ask(port, "/ofrep/v1/evaluate/flags/contextual", {"context": context}))
        for number in range(-1, options.rounds):
            for key in TESTS:
                command = [sys.executable, "-m", "bench.contextual", "--drive", str(port), key]
                command += [str((number + 2) * 10_000_000), "--seconds", str(options.seconds)]
                command += ["--connections", str(options.connections), "--attributes", str(options.attributes)]
                before = cpu_seconds(server.pid)
                output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
                used, answered = cpu_seconds(server.pid) - before, json.loads(output)
                assert not answered["failed"], answered
                if number >= 0:
                    found[key].append((answered["rate"], used / answered["answered"]))
    return found


# ------------------------------------------------------------------------------------------------ the report


def ratios(numerators: list[float], denominators: list[float]) -> list[float]:
    return [one / other for one, other in zip(numerators, denominators, strict=True)]


def report(what: str, rates: dict[str, list[float]], *, limit: bool = True) -> bool:
    """Print medians, and the ratio to the plain bandit; return whether the limit, if it is for this, is kept."""
    print(f"{what}:")
    for key, found in rates.items():
        print(f"  {key:<11} {statistics.median(found):>9,.0f} a second")
    to_plain, to_fixed = (ratios(rates["contextual"], rates[key]) for key in ("plain", "fixed"))
    ratio = statistics.median(to_plain)
    kept = ratio >= LIMIT or not limit
    verdict = f"; limit {LIMIT}: {'kept' if kept else 'BROKEN'}" if limit else ""
    print(
        f"  contextual to plain: {ratio:.2f} (rounds: {', '.join(f'{one:.2f}' for one in to_plain)}){verdict}; "
        f"to FIXED, which looks nothing up: {statistics.median(to_fixed):.2f}"
    )
    return kept


def run(url: str, options: argparse.Namespace) -> bool:
    """Measure both ways and print."""
    what = f"{options.rounds} rounds of {options.seconds:g} s, {options.connections} at a time"
    kept = report(f"use case alone, by CPU, {what}", asyncio.run(in_process(url, options)), limit=False)
    served = over_http(url, options)
    kept &= report(f"OFREP over HTTP, {what}", {key: [rate for rate, _ in found] for key, found in served.items()})
    cpu = {key: [1 / each for _, each in found] for key, found in served.items()}
    kept &= report("OFREP over HTTP, by server CPU", cpu)
    return kept


def speed() -> list[Row]:
    """Measure flags with short rounds, and return the table's rows."""
    options = argparse.Namespace(variants=5, attributes=10, learnt=3_000, connections=32, rounds=0, seconds=0.2)
    with database_url() as url:
        asyncio.run(in_process(url, options))  # which makes the tests, and lets the bandits learn
        options.rounds, options.seconds = 3, 1.5
        found = over_http(url, options)
    pairs = [(1 / ours, 1 / plain) for (_, ours), (_, plain) in zip(found["contextual"], found["plain"], strict=True)]
    return [FLAG.rounds(pairs)]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen."""
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round")
    parser.add_argument("--connections", type=int, default=32, help="assignments at a time")
    parser.add_argument("--attributes", type=int, default=10)
    parser.add_argument("--learnt", type=int, default=3_000, help="units that the bandits have learnt from")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--drive", nargs=3, metavar=("PORT", "KEY", "START"), help=argparse.SUPPRESS)
    add_options(parser)
    options = parser.parse_args()
    if options.drive:
        import uvloop

        port, key, start = options.drive
        print(json.dumps(uvloop.run(drive(int(port), key, int(start), options))))
        return
    with database_url() as url:
        run(url, options)


if __name__ == "__main__":
    main()
