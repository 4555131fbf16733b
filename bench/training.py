"""How long training takes through the service: 100,000 sends of 90 days read, fitted, checked and stored.

The demo's world, loaded by the ways any sender uses, so large that 100,000 sends have had their days to be answered.
Twice: cold, with compute processes that are started and import what they need, and again. All four kinds at once, as
`trainModels` does, in two processes; the steps of each kind are told as its job tells them. CPU counts all processes
that compute; PostgreSQL's own work is in the wall time alone. Run by `scripts/bench optimizer`, or alone.
"""

import argparse
import asyncio
import os
import resource
import time
from dataclasses import dataclass, field

from bench import claims
from bench.campaigns import database_url
from bench.optimizer_data import Row

ROWS = 100_000
LIMIT_SECONDS, AIM_SECONDS = 15.0, 5.0
TRAINED = claims.Claim(name="all models trained on 100,000 sends", unit="s", limit=LIMIT_SECONDS)
CLAIMS = (TRAINED,)
PROCESSES = 2
SIZE = 0.94
"""Of the demo's world: just over 100,000 sends whose outcome is known."""


@dataclass
class Run:
    """One training: when each step was told, in seconds since it began."""

    name: str
    rows: dict[str, int]
    refused: dict[str, str]
    wall: float
    cpu: float = 0.0
    told: list[tuple[float, str]] = field(default_factory=list)

    def took(self) -> str:
        """Return the steps with the time at which each was done."""
        return "; ".join(f"{at:.1f} s {message}" for at, message in self.told if "step" in message or "read" in message)


def rows(size: float = SIZE) -> list[Row]:
    """Return the table's rows."""
    runs = asyncio.run(measured(size))
    load = os.getloadavg()[0]
    return [
        Row(
            f"training, {run.name}: all four kinds",
            f"at most {LIMIT_SECONDS:g} s (aim {AIM_SECONDS:g})",
            f"{run.wall:.1f} s",
            run.wall <= LIMIT_SECONDS
            and run.rows.get("RESPONSE", 0) >= ROWS * min(size / SIZE, 1.0)
            and not run.refused,
            f"{run.cpu:.1f} s of CPU, load {load:.1f}; rows {_listed(run.rows)}; {run.took()}",
        )
        for run in runs
    ]


def speed() -> list[claims.Row]:
    """Return the table's rows: a training whose compute processes start with it."""
    cold, _again = asyncio.run(measured(SIZE))
    if cold.refused or cold.rows.get("RESPONSE", 0) < ROWS:
        return [TRAINED.unmeasured(f"trained on {cold.rows}, refused {cold.refused}")]
    return [TRAINED.within(cold.wall)]


def _listed(rows: dict[str, int]) -> str:
    return ", ".join(f"{kind.lower()} {count:,}" for kind, count in rows.items())


async def measured(size: float) -> list[Run]:
    """Load the world, and train twice."""
    from app.commands.demo import loading_of
    from app.commands.use_cases import training_of
    from app.runtime.clock import SystemClock
    from app.runtime.compute import ProcessCompute
    from app.runtime.settings import Settings
    from app.store.database import Database

    with database_url() as url:
        database = await Database.open(url)
        await database.migrate()
        await loading_of(database).load(size=size)
        await database.execute("VACUUM ANALYZE")
        compute = ProcessCompute(PROCESSES)
        training = training_of(database, compute=compute, clock=SystemClock(), settings=Settings())
        try:
            first, again = [await _run(name, training, database) for name in ("cold", "again")]
        finally:
            before = _cpu_of_children()
            await compute.close()  # only then does the system say what they took
            children = _cpu_of_children() - before
            await database.close()
    for run in (first, again):
        run.cpu += children / 2
    return [first, again]


async def _run(name: str, training, database) -> Run:
    from app.store.models.codes import ModelKind

    told: list[tuple[float, str]] = []
    started, cpu = time.perf_counter(), time.process_time()

    async def telling(_progress: float, message: str) -> None:
        told.append((time.perf_counter() - started, message))

    result = await training.train(tuple(ModelKind), told=telling)
    wall, own = time.perf_counter() - started, time.process_time() - cpu
    made = [version["id"] for version in result["made"].values()]
    counted = await database.fetch("SELECT kind, training_rows FROM trained_model WHERE id = ANY ($1::bigint[])", made)
    rows = {row["kind"]: row["training_rows"] for row in counted}
    return Run(name=name, rows=rows, refused=result["refused"], wall=wall, cpu=own, told=told)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=SIZE, help="of the demo's world")
    for row in rows(parser.parse_args().size):
        print(*row, sep="\n  ")


if __name__ == "__main__":
    main()
