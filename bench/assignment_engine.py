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
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import numpy as np
from rich.console import Console

from bench.claims import Claim, Row, table
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
CALLS = {"choose": "choosing a variant", "run": "a whole decision"}
KINDS = ("numbered", "random")
CHOSEN = {
    (call, kind): Claim(name=f"{what}, {kind} ids", unit="µs of CPU", peer="GrowthBook's Python SDK", promised=5.0)
    for call, what in CALLS.items()
    for kind in KINDS
}
MILLION = {
    kind: Claim(name=f"1,000,000 {kind} ids at once", unit="million/s of CPU", limit=3.0, rate=True) for kind in KINDS
}
LEARNT = {
    "update": Claim(name="a Thompson update by one event, 10 arms", unit="µs of CPU", peer="MABWiser", promised=10.0),
    "step": Claim(name="the same, and choosing an arm", unit="µs of CPU", peer="MABWiser", promised=10.0),
}
SHARES = Claim(name="shares of 1,000 bandits of 10 arms", unit="ms of CPU", limit=300.0)
BESIDE_GROWTHBOOK = (*CHOSEN.values(), *MILLION.values())
CLAIMS = (*BESIDE_GROWTHBOOK, *LEARNT.values(), SHARES)

GROWTHBOOK = """
import importlib.metadata, json, sys, timeit
from time import process_time
from growthbook import Experiment, GrowthBook
from growthbook.core import chooseVariation, gbhash
seed, lists = json.load(sys.stdin)
ranges, best = [(0, 0.5), (0.5, 1)], lambda f, n: min(timeit.repeat(f, number=1, repeat=7, timer=process_time)) / n
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
from time import process_time
from mabwiser.mab import MAB, LearningPolicy
bandit = MAB(list(range(10)), LearningPolicy.ThompsonSampling())
bandit.fit(list(range(10)) * 20, [0, 1] * 100)
best = lambda f: min(timeit.repeat(f, number=50, repeat=7, timer=process_time)) / 50
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
    """Return the best time of one of the things a call does, in seconds of CPU."""
    return min(timeit.repeat(call, number=number, repeat=REPEATS, timer=process_time)) / number / of


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
    return {"numbered": numbered, "random": [str(uuid.UUID(int=generator.getrandbits(128))) for _ in range(20_000)]}


def assignment() -> Iterator[Row]:
    """Yield how fast variants are chosen, beside GrowthBook's SDK in turn."""
    ids = unit_ids()
    one = variant_of_unit([0.5, 0.5], seed=SEED)
    rounds = [assignment_round(ids, one) for _ in range(ROUNDS)]
    for index, (kind, units) in enumerate(ids.items()):
        assert [one(unit) for unit in units] == rounds[0][1]["variants"][index], "both assign alike"
        for call in CALLS:
            ours, theirs = (min(side[call][index] for side in sides) for sides in zip(*rounds, strict=True))
            yield CHOSEN[call, kind].measured((ours * 1e6, theirs * 1e6))
    for kind, units in ids.items():
        many = (units * (1_000_000 // len(units) + 1))[:1_000_000]
        spent = best(lambda many=many: variants_of_units(many, [0.5, 0.5], seed=SEED))
        yield MILLION[kind].within(len(many) / spent / 1e6)


def assignment_round(ids: dict[str, list[str]], one: Callable[[str], int | None]) -> tuple[dict, dict]:
    ours = {
        "choose": [best(lambda units=units: [one(unit) for unit in units], of=len(units)) for units in ids.values()],
        "run": [
            best(lambda units=units: [assign(unit, one) for unit in units], of=len(units)) for units in ids.values()
        ],
    }
    return ours, peer("growthbook", GROWTHBOOK, given=[SEED, list(ids.values())])


def bandits() -> Iterator[Row]:
    """Yield how fast bandits learn and share out, beside MABWiser in turn."""
    policy, rng = BetaThompson(), np.random.default_rng(1)
    totals = ArmTotals(pulls=np.full(10, 20.0), rewards=np.full(10, 10.0), squared_rewards=np.full(10, 10.0))
    rounds = [(events(policy, totals, rng), peer("mabwiser", MABWISER)) for _ in range(ROUNDS)]
    for call, claim in LEARNT.items():
        ours, theirs = (min(side[call] for side in sides) for sides in zip(*rounds, strict=True))
        yield claim.measured((ours * 1e6, theirs * 1e6))


def shares() -> Iterator[Row]:
    """Yield how long shares take to work out."""
    policy, rng = BetaThompson(), np.random.default_rng(1)
    pulls = rng.integers(500, 5_000, (1_000, 10)).astype(np.float64)
    rewards = rng.binomial(pulls.astype(int), 0.05).astype(np.float64)
    many = ArmTotals(pulls=pulls, rewards=rewards, squared_rewards=rewards)
    yield SHARES.within(best(lambda: allocate_many(policy, many)) * 1e3)


def alone() -> None:
    """Print what else takes how long: nothing is claimed of it."""
    policy, rng = BetaThompson(), np.random.default_rng(1)
    pulls = rng.integers(500, 5_000, 10).astype(np.float64)
    one = ArmTotals(pulls=pulls, rewards=np.floor(pulls / 20), squared_rewards=np.floor(pulls / 20))
    print(f"shares of one bandit of 10 arms: {best(lambda: allocate(policy, one), number=20) * 1e3:.2f} ms")
    contexts = np.column_stack([np.ones(1_000), rng.normal(size=(1_000, 7))])
    arms = np.arange(1_000) % 5
    posterior = fit(LinearTotals.from_units(contexts, arms, rewards=rng.normal(size=1_000), count=5))
    for count, number in ((1, 20), (1_000, 1)):
        spent = best(lambda count=count: contextual_probabilities(posterior, contexts[:count]), number=number)
        print(f"contextual probabilities of 5 arms, contexts {count:,}: {spent * 1e3:.2f} ms")


def events(policy: BetaThompson, totals: ArmTotals, rng: np.random.Generator) -> dict[str, float]:
    return {
        "update": best(lambda: totals.observe(3, 1.0), number=500),
        "step": best(lambda: policy.draw_best(totals.observe(3, 1.0), rng), number=500),
    }


def speed() -> list[Row]:
    """Measure, and return the table's rows; those of a peer that cannot be installed say so."""
    rows: list[Row] = []
    for claims, measure in ((BESIDE_GROWTHBOOK, assignment), (tuple(LEARNT.values()), bandits)):
        try:
            rows += measure()
        except subprocess.CalledProcessError as failure:
            rows += [claim.unmeasured(f"the peer could not be installed or run: {failure}") for claim in claims]
    return [*rows, *shares()]


def main() -> None:
    """Print one table: what was measured, the peer or limit beside it, the ratio, and what is promised."""
    Console(width=150).print(table(speed(), title="Assignment and bandits"))
    alone()


if __name__ == "__main__":
    main()
