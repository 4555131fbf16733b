"""Every claim of speed beside its peer or limit, measured in one run with short rounds: `scripts/bench` without a name.

What cannot be measured here (no npm, a peer that cannot be installed) says so in its row, and the table goes on. What
the benches print while they measure is in .winnow/bench/table.log.
"""

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import (
    assign,
    assignment_engine,
    bandits,
    campaigns,
    contextual,
    engine,
    graph_speed,
    ingest,
    live,
    predictions,
    training,
)
from bench.claims import Claim, Row, table

ROOT = Path(__file__).parents[1]
LOG = ROOT / ".winnow" / "bench" / "table.log"
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
WIDTH = 170


@dataclass(frozen=True, slots=True)
class Part:
    """One bench: what it claims, and how that is measured."""

    name: str
    claims: tuple[Claim, ...]
    measure: Callable[[], list[Row]]


PARTS = tuple(
    Part(bench.__name__.rpartition(".")[2], bench.CLAIMS, bench.speed)
    for bench in (
        engine,
        assignment_engine,
        assign,
        contextual,
        ingest,
        live,
        graph_speed,
        campaigns,
        bandits,
        predictions,
        training,
    )
)
CLAIMS = tuple(claim for part in PARTS for claim in part.claims if claim.promised is not None)


def rows_of(part: Part) -> list[Row]:
    """Measure one bench; its claims without a row, all of them where it breaks off, say why."""
    try:
        measured, reason = part.measure(), "this run did not measure it"
    except (Exception, SystemExit) as failure:  # noqa: BLE001  # one bench that cannot run is not to stop the others
        measured, reason = [], f"{type(failure).__name__}: {failure}"
    found = {row.claim.name: row for row in measured}
    return [found.get(claim.name, claim.unmeasured(reason)) for claim in part.claims if claim.promised is not None]


def measured(parts: tuple[Part, ...]) -> Iterator[Row]:
    """Measure one bench after the other, saying on standard error how far it is."""
    console = Console(stderr=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts, start=1):
        started = time.perf_counter()
        with LOG.open("a") as log, redirect_stdout(log):
            rows = rows_of(part)
        took = time.perf_counter() - started
        console.print(f"{number} of {len(parts)}: {part.name}, {took:.0f} s; load {os.getloadavg()[0]:.1f}")
        yield from rows


def write(rows: list[Row], page: Path, *, run: str) -> None:
    """Put what was measured, and in which run, into a page that has these claims; what was not measured stays."""
    text = re.sub(r"^Measured in one run: .*$", f"Measured in one run: {run}.", page.read_text(), flags=re.MULTILINE)
    for row in rows:
        if row.pairs:
            line = f"| {' | '.join(row.cells())} |"
            text = re.sub(
                rf"^\| {re.escape(row.claim.name)} \|.*$", lambda _found, line=line: line, text, flags=re.MULTILINE
            )
    page.write_text(text)


def main() -> None:
    """Measure everything, or the parts that are named, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], help="leave out the others")
    parser.add_argument("--write", action="store_true", help="put the figures into README.md and docs/benchmarks.md")
    options = parser.parse_args()
    chosen = options.only
    LOG.unlink(missing_ok=True)
    started, load = time.perf_counter(), os.getloadavg()[0]
    rows = list(measured(tuple(part for part in PARTS if not chosen or part.name in chosen)))
    minutes = (time.perf_counter() - started) / 60
    machine = f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    run = f"{minutes:.0f} minutes, {machine}"
    Console(width=WIDTH).print(table(rows, title=f"How fast: {run}"))
    met, judged = sum(row.met is True for row in rows), sum(row.met is not None for row in rows)
    for page in PAGES if options.write else ():
        write(rows, page, run=run)
    print(f"{met} of {judged} claims met, {len(rows) - judged} not measured.")


if __name__ == "__main__":
    main()
