"""Whether memory, files, connections and tasks stay where they are under mixed load for as long as wanted.

A `winnow serve` of its own with worker and embedded PostgreSQL takes events, nested queries, OpenFeature evaluations,
live followers that stay, others that come and go every second, and jobs (folding, allocation steps, training), all on
loopback at a moderate rate. Memory of each process is sampled every five seconds. Flat is what the second half shows:
the slope of a straight line through the means of its half minutes, by least squares, with its 95 % interval; below
1 MB a minute where the interval ends there. Of PostgreSQL it is the memory that no other process has; of the others the
resident set.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import httpx
import numpy as np
import psutil
import websockets
from scipy import stats

from bench.faulting.asking import FLAGS, QUERY, Askers, Follower, StreamFollower
from bench.faulting.judging import judge
from bench.faulting.running import Variant, Winnow, original, running
from bench.faulting.scene import Scene
from bench.faulting.sending import HEADERS, Diary, Senders
from bench.faulting.watched import PATH
from bench.faulting.working import queue, train

EVERY_SECONDS, MEAN_SECONDS = 5.0, 30.0
LIMIT = 1.0
"""Megabytes a minute."""
REMEMBERED = 700
"""More texts of operations than a web process remembers."""
MEBIBYTE = 1024 * 1024
NESTED = """{ merchants(first: 5) { nodes { name campaigns(first: 10) { nodes { key name
  metrics { sent converted revenue } tests(first: 3) { nodes { key results { totals { exposed converted } } } } } } } }
  portfolio { active } }"""


@dataclass
class Samples:
    """What was measured, by name: the time and the figure."""

    taken: defaultdict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, value: float) -> None:
        self.taken[name].append((time.monotonic(), value))

    def slope(self, name: str) -> tuple[float, float, float]:
        """Return the slope a minute in the second half, and the ends of its 95 % interval."""
        at, values = map(np.asarray, zip(*self.taken[name], strict=True))
        late = at >= (at[0] + at[-1]) / 2
        block = ((at[late] - at[late][0]) // MEAN_SECONDS).astype(int)
        minutes = np.array([at[late][block == one].mean() for one in range(block[-1] + 1)]) / 60
        means = np.array([values[late][block == one].mean() for one in range(block[-1] + 1)])
        if len(means) < 4:
            return float("nan"), float("nan"), float("nan")
        if np.ptp(means) == 0.0:  # nothing to draw a line by
            return 0.0, 0.0, 0.0
        line = stats.linregress(minutes, means)
        reach = stats.t.ppf(0.975, len(means) - 2) * line.stderr
        return line.slope, line.slope - reach, line.slope + reach

    def quarters(self, name: str) -> list[float]:
        """Return the first figure, and the means of the last tenths of each quarter."""
        values = [value for _, value in self.taken[name]]
        ends = [round(len(values) * quarter / 4) for quarter in (1, 2, 3, 4)]
        tenth = max(1, len(values) // 40)
        return [values[0], *(float(np.mean(values[end - tenth : end])) for end in ends)]


async def sample(winnow: Winnow, samples: Samples, until: float) -> None:
    """Measure all processes again and again."""
    async with httpx.AsyncClient(base_url=winnow.address, timeout=20) as client:
        while time.monotonic() < until:
            with suppress(psutil.Error):
                _processes(winnow, samples)
            with suppress(httpx.HTTPError):
                for name, value in (await client.get(PATH)).json().items():
                    samples.add(f"web {name}", value)
            await asyncio.sleep(EVERY_SECONDS)


def _processes(winnow: Winnow, samples: Samples) -> None:
    web, worker, command = winnow.web()[0], winnow.worker(), psutil.Process(winnow.process.pid)
    for name, process in {"web": web, "worker": worker, "serve": command}.items():
        samples.add(f"{name} MB", process.memory_info().rss / MEBIBYTE)
        samples.add(f"{name} files", process.num_fds())
        samples.add(f"{name} threads", process.num_threads())
    computing = worker.children(recursive=True)
    samples.add("worker's processes", len(computing))
    samples.add("compute MB", sum(process.memory_info().rss for process in computing) / MEBIBYTE)
    own = 0
    postgres = winnow.postgres_all()
    for process in postgres:
        with suppress(psutil.Error):
            own += process.memory_full_info().uss
    samples.add("postgres MB", own / MEBIBYTE)
    samples.add("postgres processes", len(postgres))


async def come_and_go(winnow: Winnow, until: float, opened: list[int]) -> None:
    """Follow for a moment, by turns in order and by breaking off, over WebSocket and as a stream."""
    rng = random.Random(3)
    while time.monotonic() < until:
        follower = rng.choice((Follower, StreamFollower))(winnow.address)
        with suppress(OSError, httpx.HTTPError, websockets.WebSocketException, TimeoutError):
            await asyncio.wait_for(follower.follow(), rng.uniform(0.2, 1.5))
        opened[0] += follower.connections


async def ask(winnow: Winnow, until: float, asked: list[int], *, pause: float = 0.1) -> None:
    """Ask nested queries with ever other texts and variables, and for flags of ever other users."""
    async with httpx.AsyncClient(base_url=winnow.address, headers=HEADERS, timeout=20) as client:
        number = 0
        while time.monotonic() < until:
            number += 1
            new = number < REMEMBERED or number % 5 == 0  # until as many texts are remembered as ever will be
            text = f"{NESTED} # {number}" if new else NESTED if number % 2 else QUERY
            for sent in (
                client.post("/graphql", json={"query": text}),
                client.post(FLAGS, json={"context": {"targetingKey": f"visitor-{number}"}}),
                client.get("/metrics"),
            ):
                with suppress(httpx.HTTPError):
                    answer = await sent
                    asked[0] += answer.status_code == httpx.codes.OK
            await asyncio.sleep(pause)


async def work(scene: Scene, until: float, done: list[int]) -> None:
    """Have jobs done: folding and a step of allocation every half minute, training every three."""
    number = 0
    while time.monotonic() < until:
        for kind in ("fold_totals", "reallocate", "advise"):
            await queue(scene, kind, {})
        if number % 6 == 0:
            await train(scene, "SEND_TIME, RESPONSE")
        number += 1
        await asyncio.sleep(min(30.0, max(0.0, until - time.monotonic())))
    done[0] = (await scene.fetch("SELECT count(*) FROM job WHERE status = 'SUCCEEDED'"))[0][0]


async def grown(winnow: Winnow, until: float) -> str:
    """Return which types of objects the web process has more of at the end than half-way, garbage left out."""
    async with httpx.AsyncClient(base_url=winnow.address, timeout=60) as client:
        await asyncio.sleep(max(0.0, (until - time.monotonic()) / 2))
        before = Counter((await client.get(f"{PATH}?types")).json())
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        after = Counter((await client.get(f"{PATH}?types")).json())
    more = (after - before).most_common(15)
    return f"{before.total():,} objects half-way, {after.total():,} at the end; more: {more}"


async def soak(winnow: Winnow, seconds: float) -> tuple[Samples, list[str]]:
    """Keep the load up, and return what was measured, and what was done in words."""
    diary, samples = Diary(), Samples()
    senders = Senders(winnow.address, diary, seed=1, pause_seconds=0.4)
    scene = Scene(winnow, senders, Askers(winnow.address, diary), diary)
    senders.start()
    scene.askers.start()
    until = time.monotonic() + seconds
    opened, asked, done = [0], [0], [0]
    types, *_ = await asyncio.gather(
        grown(winnow, until),
        sample(winnow, samples, until),
        ask(winnow, until, asked),
        work(scene, until, done),
        *(come_and_go(winnow, until, opened) for _ in range(3)),
    )
    connections = await asyncpg.connect(winnow.database_url)
    held = await connections.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'winnow%'")
    await connections.close()
    await senders.finish()
    await scene.askers.stop()
    judged = await judge(
        winnow.database_url,
        senders.books,
        lambda: asyncio.to_thread(winnow.command_line, "rebuild-totals"),
    )
    went = f"{asked[0]:,} questions, {opened[0]:,} followers came and went"
    said = [
        types,
        f"{judged.acknowledged:,} events, {went}, {done[0]:,} jobs; {held} connections at the end",
        f"lost {judged.lost}, twice {judged.twice}, totals {list(judged.differing) or 'equal'}",
        f"errors: {dict(diary.errors()) or 'none'}; unclear: {dict(diary.unclear) or 'none'}",
    ]
    return samples, said


def table(samples: Samples) -> tuple[str, bool]:
    """Return one line for each figure, and whether memory is flat."""
    lines = [f"{'':<20}{'start':>9}{'1/4':>9}{'half':>9}{'3/4':>9}{'end':>9}   a minute, second half"]
    flat = True
    for name in sorted(samples.taken):
        figures = "".join(f"{value:>9,.1f}" for value in samples.quarters(name))
        slope, low, high = samples.slope(name)
        lines.append(f"{name:<20}{figures}   {slope:+.3f} ({low:+.3f} to {high:+.3f})")
        if name.endswith(" MB"):
            flat &= bool(high < LIMIT)
    return "\n".join(lines), flat


def main(arguments: Sequence[str] | None = None) -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args(arguments)
    variant = Variant()
    with original(variant) as made, running(made, variant, module="bench.faulting.watched") as winnow:
        samples, said = asyncio.run(soak(winnow, options.minutes * 60))
        log = winnow.log
    figures, flat = table(samples)
    print(figures, *said, sep="\n")
    print(f"{log.count(chr(10))} lines in the log, {log.count('Traceback')} traces")
    print(f"memory is {'flat' if flat else 'NOT flat'}: below {LIMIT:g} MB a minute in the second half")
    sys.exit(not flat)


if __name__ == "__main__":
    main()
