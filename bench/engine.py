"""How long an analysis takes: one test with everything a live page shows, a thousand at once, and gbstats beside both.

gbstats 0.8 (GrowthBook's statistics) pins pandas 1.5, so it gets an environment of its own under .winnow/bench, with
Python 3.11 or older. It runs as GrowthBook runs it, `process_experiment_results` from rows of totals to results, with
its Bayesian and its sequential engine, as a live page with both schools needs; and its bare Bayesian test on ready
statistics is timed too. Both sides get the same tests and are measured in turn, the best of several rounds.
"""

import json
import os
import subprocess
import sys
import timeit
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import process_time

import numpy as np
from rich.console import Console

from bench.claims import Claim, Row, table
from engine.arrays import IntArray
from engine.bayesian.beta_binomial import analyze_proportions, analyze_proportions_batch
from engine.bayesian.hurdle import HurdleSummary, analyze_revenue
from engine.bayesian.normal import analyze_means
from engine.decision import Evidence, Verdict, decide
from engine.frequentist.comparing import compare_proportions, compare_proportions_batch
from engine.frequentist.sample_ratio import sample_ratio_check
from engine.power.achieved import achieved_power
from engine.power.baselines import ConversionBaseline
from engine.sequential.comparing import sequential_proportions, sequential_proportions_batch
from engine.summaries import MeanSummary, ProportionSummary

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".winnow" / "bench" / "gbstats"
UV = Path(sys.prefix) / "bin" / "uv"
OLDER = ("3.11", "3.10", "3.9")
TARGET = 50_000
ROUNDS = 3
VARIANTS = (2, 5)
PAGE = Claim(name="one test with all of a live page", unit="ms of CPU", limit=1.0)
BAYESIAN = Claim(name="1,000 tests of 5 variants, Bayesian", unit="s of CPU", limit=0.5)
THOUSAND = Claim(name="1,000 tests of 5 variants, both schools", unit="s of CPU", limit=0.5)


def beside(variants: int) -> tuple[Claim, Claim, Claim]:
    """Return what is claimed beside gbstats: in a batch, one by one, and beside its bare Bayesian test alone."""
    gbstats = "gbstats 0.8, both engines"
    return (
        Claim(name=f"a test of {variants} variants in a batch", unit="µs of CPU", peer=gbstats, promised=100.0),
        Claim(name=f"a test of {variants} variants by itself", unit="µs of CPU", peer=gbstats, promised=100.0),
        Claim(
            name=f"a test of {variants} variants in a batch, bare",
            unit="µs of CPU",
            peer="gbstats 0.8, its Bayesian test",
            promised=None,
        ),
    )


BESIDE = {variants: beside(variants) for variants in VARIANTS}
CLAIMS = (PAGE, BAYESIAN, THOUSAND, *(claim for claims in BESIDE.values() for claim in claims))

GBSTATS = """
import importlib.metadata, json, sys, timeit
from time import process_time
from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig
from gbstats.gbstats import process_experiment_results
from gbstats.models.statistics import ProportionStatistic
tests = json.load(sys.stdin)
def request(test):
    names = [str(i) for i in range(len(test))]
    settings = dict(var_names=names, var_ids=names, weights=[1 / len(test)] * len(test), alpha=0.05)
    rows = [
        dict(dimension="", variation=str(i), users=n, count=n, m0_id="m", m0_main_sum=x, m0_main_sum_squares=x)
        for i, (x, n) in enumerate(test)
    ]
    analyses = [
        dict(settings, stats_engine="bayesian"),
        dict(settings, stats_engine="frequentist", sequential_testing_enabled=True, sequential_tuning_parameter=50000),
    ]
    metric = dict(id="m", name="m", statistic_type="mean", main_metric_type="binomial")
    return dict(metrics={"m": metric}, analyses=analyses, query_results=[dict(rows=rows, metrics=["m"])])
def bare(test):
    control, *others = [ProportionStatistic(n=n, sum=x) for x, n in test]
    return [EffectBayesianABTest(control, other, EffectBayesianConfig()).compute_result() for other in others]
requests = [request(test) for test in tests]
best = lambda f: min(timeit.repeat(f, number=1, repeat=5, timer=process_time)) / len(tests)
first = process_experiment_results(requests[0])[0]["analyses"][0]["dimensions"][0]["variations"][1]
print(json.dumps({
    "version": importlib.metadata.version("gbstats"),
    "whole": best(lambda: [process_experiment_results(each) for each in requests]),
    "bare": best(lambda: [bare(test) for test in tests]),
    "beats": first["chanceToWin"],
}))
"""


def tests_of(variants: int, tests: int) -> tuple[IntArray, IntArray]:
    """Return conversions and units of so many tests of so many variants."""
    rng = np.random.default_rng(variants)
    exposed = rng.integers(4_000, 60_000, (tests, variants))
    return rng.binomial(exposed, rng.uniform(0.02, 0.2, (tests, 1))), exposed


def live_page(summaries: list[ProportionSummary]) -> Verdict:
    """Analyse one test as a live page does: both schools, health, power and the verdict."""
    counts = [summary.exposed for summary in summaries]
    bayesian = analyze_proportions(summaries)
    control = summaries[0].rate
    achieved_power(ConversionBaseline(rate=control), 0.05, counts=counts)
    return decide(
        Evidence(
            progress=sum(counts) / (len(counts) * TARGET),
            frequentist=compare_proportions(summaries),
            sequential=sequential_proportions(summaries, target=TARGET),
            probability_best=[variant.probability_best for variant in bayesian.variants],
            expected_loss=[variant.expected_loss for variant in bayesian.variants],
            control_value=control,
            sample_ratio=sample_ratio_check(counts, [1.0] * len(counts)),
        )
    )


def all_at_once(converted: IntArray, exposed: IntArray) -> None:
    """Analyse many tests by both schools."""
    analyze_proportions_batch(converted, exposed)
    compare_proportions_batch(converted, exposed)
    sequential_proportions_batch(converted, exposed, target=TARGET)


def summaries_of(converted: IntArray, exposed: IntArray) -> list[ProportionSummary]:
    return [ProportionSummary(converted=int(x), exposed=int(n)) for x, n in zip(converted, exposed, strict=True)]


def best(call: Callable[[], object], *, number: int, repeat: int = 9) -> float:
    """Return the best mean time of a call, in seconds of CPU: what else the machine does is not in it."""
    return min(timeit.repeat(call, number=number, repeat=repeat, timer=process_time)) / number


def older_pythons() -> Iterable[str]:
    """Return interpreters to try for gbstats: pyenv's, whose shims may not run, then names for uv to find or fetch."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in OLDER:
        yield from (str(found) for found in sorted(versions.glob(f"{version}*/bin/python3"), reverse=True))
    yield from OLDER


def peer_python() -> Path | None:
    """Return the interpreter of an environment that has gbstats 0.8, made when first needed; None where none can be."""
    python = PEER / "bin" / "python"
    for candidate in older_pythons():
        if has_peer(python):
            return python
        if uv("venv", "--clear", "--python", candidate, str(PEER)):
            uv("pip", "install", "--python", str(python), "gbstats==0.8.0")
    return python if has_peer(python) else None


def has_peer(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import gbstats"], capture_output=True, check=False).returncode == 0


def uv(*arguments: str) -> bool:
    return subprocess.run([UV, "--quiet", *arguments], capture_output=True, check=False).returncode == 0


def peer_times(python: Path, converted: IntArray, exposed: IntArray) -> dict:
    """Return gbstats' seconds a test on the same tests."""
    given = np.stack([converted, exposed], axis=2).tolist()
    done = subprocess.run(
        [python, "-W", "ignore", "-c", GBSTATS], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def alone() -> Iterator[Row]:
    """Yield what is promised of the engine by itself, beside its limits."""
    pair = summaries_of(*(side[0] for side in tests_of(2, 1)))
    yield PAGE.within(best(lambda: live_page(pair), number=20, repeat=40) * 1e3)
    five = tests_of(5, 1000)
    yield BAYESIAN.within(best(lambda: analyze_proportions_batch(*five), number=1))
    yield THOUSAND.within(best(lambda: all_at_once(*five), number=1))


def revenue() -> None:
    """Print what of revenue takes how long: nothing is claimed of it."""
    rng = np.random.default_rng(1)
    values = [np.where(rng.random(20_000) < 0.1, rng.lognormal(3.0, 1.0, 20_000), 0.0) for _ in range(2)]
    hurdles, means = [HurdleSummary.from_values(v) for v in values], [MeanSummary.from_values(v) for v in values]
    normal, hurdle = (
        best(lambda: analyze_means(means), number=100) * 1e3,
        best(lambda: analyze_revenue(hurdles), number=100) * 1e3,
    )
    print(f"Revenue of 2 variants, Bayesian: normal {normal:.2f} ms, hurdle {hurdle:.2f} ms")


def beside_gbstats() -> Iterator[Row]:
    """Yield the ratios to gbstats, on the same tests in turn."""
    python = peer_python()
    for variants in VARIANTS:
        if python is None:
            yield from (claim.unmeasured("gbstats 0.8 needs Python 3.9 to 3.11") for claim in BESIDE[variants])
            continue
        sides = tests_of(variants, 40)
        many = tests_of(variants, 1000)
        single = [summaries_of(*row) for row in zip(*sides, strict=True)]
        ours, batch, theirs, bare = [], [], [], []
        for _ in range(ROUNDS):
            ours.append(best(lambda: [live_page(each) for each in single], number=1) / 40)  # noqa: B023  # called at once
            batch.append(best(lambda: all_at_once(*many), number=1) / 1000)  # noqa: B023  # called at once
            measured = peer_times(python, *sides)
            theirs.append(measured["whole"])
            bare.append(measured["bare"])
        in_batch, one_by_one, to_bare = BESIDE[variants]
        yield in_batch.measured((min(batch) * 1e6, min(theirs) * 1e6))
        yield one_by_one.measured((min(ours) * 1e6, min(theirs) * 1e6))
        yield to_bare.measured((min(batch) * 1e6, min(bare) * 1e6))


def speed() -> list[Row]:
    """Measure, and return the table's rows."""
    return [*alone(), *beside_gbstats()]


def main() -> None:
    """Print one table, and that of assignment and bandits."""
    Console(width=150).print(table(speed(), title="Analysis"))
    revenue()
    from bench import assignment_engine

    assignment_engine.main()


if __name__ == "__main__":
    main()
