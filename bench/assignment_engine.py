"""How fast units are assigned and bandits updated, beside GrowthBook's Python SDK and MABWiser.

The peers run in environments of their own under .winnow/bench, installed when first needed. Both sides are measured in
turn, several rounds, and the best of each counts, so that a busy machine slows both; the claims rest on the ratios.
"""

import json
import random
import subprocess
import sys
import timeit
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.assignment.allocation import assign, variant_of_unit, variants_of_units
from engine.bandits.linear import LinearTotals, contextual_probabilities, fit
from engine.bandits.policy import ArmTotals, allocate, allocate_many
from engine.bandits.thompson import BetaThompson

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".winnow" / "bench"
UV = Path(sys.prefix) / "bin" / "uv"
SEED = "welcome-offer"
REPEATS = 7
ROUNDS = 3

GROWTHBOOK = """
import importlib.metadata, json, sys, timeit
from growthbook import Experiment, GrowthBook
from growthbook.core import chooseVariation, gbhash
seed, lists = json.load(sys.stdin)
ranges, best = [(0, 0.5), (0.5, 1)], lambda f, n: min(timeit.repeat(f, number=1, repeat=7)) / n
def choose(units):
    return [chooseVariation(gbhash(seed, unit, 2), ranges) for unit in units]
def run(units):
    experiment = Experiment(key=seed, variations=["a", "b"], hashVersion=2, seed=seed)
    return [GrowthBook(attributes={"id": unit}).run(experiment).variationId for unit in units]
print(json.dumps({
    "version": importlib.metadata.version("growthbook"),
    "choose": [best(lambda: choose(units), len(units)) for units in lists],
    "run": [best(lambda: run(units[:300]), 300) for units in lists],
    "variants": [choose(units) for units in lists],
}))
"""

MABWISER = """
import importlib.metadata, json, timeit
from mabwiser.mab import MAB, LearningPolicy
bandit = MAB(list(range(10)), LearningPolicy.ThompsonSampling())
bandit.fit(list(range(10)) * 20, [0, 1] * 100)
best = lambda f: min(timeit.repeat(f, number=50, repeat=7)) / 50
def step():
    bandit.partial_fit([3], [1])
    bandit.predict()
print(json.dumps({
    "version": importlib.metadata.version("mabwiser"),
    "update": best(lambda: bandit.partial_fit([3], [1])),
    "step": best(step),
}))
"""


def best(call: Callable[[], object], *, of: int = 1, number: int = 1) -> float:
    """Return the best time of one of the things a call does, in seconds."""
    return min(timeit.repeat(call, number=number, repeat=REPEATS)) / number / of


def peer(name: str, program: str, *, given: object = None) -> dict:
    """Run a program where only the peer is installed, and return the JSON that it prints."""
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, python.parents[1]], check=True)
    if subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode:
        subprocess.run([UV, "pip", "install", "--quiet", "--python", python, name], check=True)
    done = subprocess.run([python, "-c", program], input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def unit_ids() -> dict[str, list[str]]:
    """Return ids never seen before by either side: numbered ones in random order, and random ones."""
    generator = random.Random(1)
    numbered = [f"user-{number:06d}" for number in generator.sample(range(1_000_000), 40_000)]
    return {"numbered": numbered, "uuid": [str(uuid.UUID(int=generator.getrandbits(128))) for _ in range(20_000)]}


def assignment(table: Table) -> None:
    ids = unit_ids()
    one = variant_of_unit([0.5, 0.5], seed=SEED)
    rounds = [assignment_round(ids, one) for _ in range(ROUNDS)]
    name = f"GrowthBook SDK {rounds[0][1]['version']}"
    for index, (kind, units) in enumerate(ids.items()):
        assert [one(unit) for unit in units] == rounds[0][1]["variants"][index], "both assign alike"
        for call, what, their_name in (("choose", "hash and choose", name), ("run", "whole decision", f"{name} run()")):
            ours, theirs = (min(side[call][index] for side in sides) for sides in zip(*rounds, strict=True))
            compare(table, f"{what}, {kind} ids", ours, their_name, theirs, "5 (aim 10)")
    for kind, units in ids.items():
        many = (units * (1_000_000 // len(units) + 1))[:1_000_000]
        spent = best(lambda many=many: variants_of_units(many, [0.5, 0.5], seed=SEED))
        limit(table, f"1,000,000 {kind} ids at once", f"{len(many) / spent / 1e6:.1f} million/s", "3 million/s")


def assignment_round(ids: dict[str, list[str]], one: Callable[[str], int | None]) -> tuple[dict, dict]:
    ours = {
        "choose": [best(lambda units=units: [one(unit) for unit in units], of=len(units)) for units in ids.values()],
        "run": [
            best(lambda units=units: [assign(unit, one) for unit in units], of=len(units)) for units in ids.values()
        ],
    }
    return ours, peer("growthbook", GROWTHBOOK, given=[SEED, list(ids.values())])


def bandits(table: Table) -> None:
    policy, rng = BetaThompson(), np.random.default_rng(1)
    totals = ArmTotals(pulls=np.full(10, 20.0), rewards=np.full(10, 10.0), squared_rewards=np.full(10, 10.0))
    rounds = [(events(policy, totals, rng), peer("mabwiser", MABWISER)) for _ in range(ROUNDS)]
    name = f"MABWiser {rounds[0][1]['version']}"
    for call, what in (("update", "one-event Thompson update, 10 arms"), ("step", "the same, then choose an arm")):
        ours, theirs = (min(side[call] for side in sides) for sides in zip(*rounds, strict=True))
        compare(table, what, ours, name, theirs, "10")
    pulls = rng.integers(500, 5_000, (1_000, 10)).astype(np.float64)
    rewards = rng.binomial(pulls.astype(int), 0.05).astype(np.float64)
    many = ArmTotals(pulls=pulls, rewards=rewards, squared_rewards=rewards)
    one = ArmTotals(pulls=pulls[0], rewards=rewards[0], squared_rewards=rewards[0])
    limit(table, "allocate 1,000 bandits of 10 arms", milliseconds(best(lambda: allocate_many(policy, many))), "300 ms")
    limit(table, "allocate one bandit of 10 arms", milliseconds(best(lambda: allocate(policy, one), number=20)), "")
    contexts = np.column_stack([np.ones(1_000), rng.normal(size=(1_000, 7))])
    arms = np.arange(1_000) % 5
    posterior = fit(LinearTotals.from_units(contexts, arms, rewards=rng.normal(size=1_000), count=5))
    spent = best(lambda: contextual_probabilities(posterior, contexts[:1]), number=20)
    limit(table, "contextual probabilities, one context, 5 arms", milliseconds(spent), "")
    spent = best(lambda: contextual_probabilities(posterior, contexts))
    limit(table, "contextual probabilities, 1,000 contexts, 5 arms", milliseconds(spent), "")


def events(policy: BetaThompson, totals: ArmTotals, rng: np.random.Generator) -> dict[str, float]:
    return {
        "update": best(lambda: totals.observe(3, 1.0), number=500),
        "step": best(lambda: policy.draw_best(totals.observe(3, 1.0), rng), number=500),
    }


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def compare(table: Table, what: str, ours: float, name: str, theirs: float, promised: str) -> None:
    table.add_row(
        what,
        f"{ours * 1e6:.2f} µs",
        f"{name}: {theirs * 1e6:.2f} µs",
        f"{theirs / ours:.1f} times",
        f"{promised} times",
    )


def limit(table: Table, what: str, ours: str, promised: str) -> None:
    table.add_row(what, ours, "", "", promised)


def main() -> None:
    """Print one table: what was measured, the peer beside it, the ratio, and what is promised."""
    table = Table(title="Assignment and bandits")
    for heading in ("what", "Winnow", "peer", "ratio", "promised"):
        table.add_column(heading)
    assignment(table)
    bandits(table)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
