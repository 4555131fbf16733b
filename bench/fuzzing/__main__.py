"""Starts a fresh server with a small world and sends each of its doors thousands of made-up requests.

The flags (OFREP), events and files by docs/openapi.yaml, the graph by schema.graphql; the same requests for the same
seed. A server error, an answer that contradicts the description, a server that is not ready afterwards, and totals that
are not what the events say are told, and end it with 1.
"""

import argparse
import signal
import sys
import time

import requests

from bench.fuzzing.doors import DOORS, Doors
from bench.fuzzing.findings import Finding, Findings
from bench.fuzzing.graph import GRAPH, Graph
from bench.fuzzing.world import World, fresh_world

MOST_JOBS = 100
"""Jobs that may wait at the end: asking again for what waits must not add up."""


def run(world: World, findings: Findings, *, cases: int, seed: int, doors: list[str], fits: bool = True) -> None:
    """Fuzz the doors of a server."""
    for door in doors:
        began, seen = time.monotonic(), len(world.errors())
        if door == GRAPH:
            Graph(world, findings, seed=seed, fits=fits).run(cases=cases)
        else:
            Doors(world, findings, seed=seed).run(door, cases=cases)
        for line in world.errors()[seen:]:
            findings.add(Finding(door, "the server's log", line[-300:][:120], line))
        print(f"{door}: {findings.cases[door]:,} cases in {time.monotonic() - began:.0f} s", file=sys.stderr)
    _afterwards(world, findings)


def _afterwards(world: World, findings: Findings) -> None:
    """Look whether the server is as it should be."""
    ready = requests.get(f"{world.url}/readyz", timeout=10)
    if ready.status_code != 200:
        findings.add(Finding("server", "/readyz", "not ready afterwards", ready.text))
    for found in world.differing():
        findings.add(Finding("server", "totals", "not what the events say", found))
    jobs = world.waiting_jobs()
    print(f"{jobs:,} jobs wait", file=sys.stderr)
    if jobs > MOST_JOBS:
        findings.add(Finding("server", "jobs", "they add up", f"{jobs:,} wait"))


def main() -> int:
    """Fuzz, and print what was found."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=5_000, help="made-up requests to each door (5,000)")
    parser.add_argument("--seed", type=int, default=1, help="the same requests for the same seed (1)")
    parser.add_argument("--doors", nargs="+", choices=[*DOORS, GRAPH], default=[*DOORS, GRAPH])
    parser.add_argument("--without-fits", action="store_true", help="analyses fit no models, which takes seconds each")
    parser.add_argument("--trained", action="store_true", help="train models first: takes a larger size, and a minute")
    parser.add_argument("--size", type=float, default=0.002, help="of the demo's world (0.002)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server ends, too
    findings, given = Findings(), {"cases": options.cases, "seed": options.seed, "doors": options.doors}
    try:
        with fresh_world(size=options.size, trained=options.trained) as world:
            run(world, findings, **given, fits=not options.without_fits)
    finally:
        print(findings.told())
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
