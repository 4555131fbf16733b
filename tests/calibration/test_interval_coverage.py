"""Fixed-horizon intervals cover the truth as often as their level says."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.effects import IntervalEstimate
from engine.frequentist.comparing import compare_means, compare_ratios
from engine.frequentist.cuped import cuped_adjustment
from engine.frequentist.lift import log_ratio_interval
from engine.frequentist.proportions import lift_interval, newcombe_batch
from engine.frequentist.ratio import normal_interval
from engine.frequentist.welch import mean_difference
from engine.levels import two_sided_quantile
from engine.moments import ratio_moments
from engine.summaries import CovariateSummary, MeanSummary, ProportionSummary, RatioSummary

LEVELS = [0.90, 0.95, 0.99]


def covers(interval: IntervalEstimate | None, truth: float) -> bool:
    assert interval is not None
    return interval.low <= truth <= interval.high


def fits(covered: int, tests: int, level: float, *, slack: float = 0.006) -> bool:
    """Whether the coverage is the level's within the slack of an approximation and the noise of the simulation."""
    return bool(
        binomtest(covered, tests, max(0.0, level - slack), alternative="less").pvalue > 0.001
        and binomtest(covered, tests, min(1.0, level + slack), alternative="greater").pvalue > 0.001
    )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("rates", "exposed"), [((0.10, 0.12), (2000, 2000)), ((0.02, 0.02), (3000, 1000))])
def test_newcombe(level: float, rates: tuple[float, float], exposed: tuple[int, int]):
    rng = np.random.default_rng(41)
    tests = 20_000
    converted = rng.binomial(exposed, rates, (tests, 2))
    _, low, high = newcombe_batch(converted, np.broadcast_to(exposed, (tests, 2)), level=level)
    truth = rates[1] - rates[0]
    covered = int(((low <= truth) & (truth <= high)).sum())
    assert fits(covered, tests, level)


@pytest.mark.parametrize("level", LEVELS)
def test_lift_of_rates(level: float):
    rng = np.random.default_rng(42)
    tests = 6000
    converted = rng.binomial(3000, (0.10, 0.13), (tests, 2)).tolist()
    covered = sum(
        covers(lift_interval(*(ProportionSummary(converted=c, exposed=3000) for c in pair), level=level), 0.3)
        for pair in converted
    )
    assert fits(covered, tests, level)


def _means(rng: np.random.Generator, level: float) -> bool:
    control, treatment = (
        MeanSummary.from_values(rng.normal(mean, spread, n)) for mean, spread, n in ((5, 1, 40), (6, 3, 25))
    )
    return covers(mean_difference(control, treatment).interval(1.0 - level), 1.0)


def _mean_lifts(rng: np.random.Generator, level: float) -> bool:
    control, treatment = (MeanSummary.from_values(rng.gamma(2.0, scale, 400)) for scale in (3.0, 3.6))
    quantile = two_sided_quantile(1 - level)
    return covers(log_ratio_interval(control, treatment, multiplier=quantile), 0.2)


def _ratios(rng: np.random.Generator, level: float) -> bool:
    def variant(price: float) -> RatioSummary:
        orders = rng.poisson(2.0, 400)
        return RatioSummary.from_values(rng.poisson(price * orders), orders)

    control, treatment = ratio_moments(variant(10.0)), ratio_moments(variant(11.0))
    return covers(normal_interval(control, treatment, alpha=1.0 - level), 1.0)


def _cuped(rng: np.random.Generator, level: float) -> bool:
    def variant(effect: float) -> CovariateSummary:
        before = rng.normal(0.0, 1.0, 200)
        return CovariateSummary.from_values(2.0 * before + rng.normal(effect, 1.0, 200), before)

    adjusted = cuped_adjustment([variant(0.0), variant(0.3)]).variants
    return covers(mean_difference(adjusted[0], adjusted[1]).interval(1.0 - level), 0.3)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("once", [_means, _mean_lifts, _ratios, _cuped], ids=["welch", "lift", "ratio", "cuped"])
def test_means_and_ratios(once: Callable[[np.random.Generator, float], bool], level: float):
    rng = np.random.default_rng(43)
    tests = 2000
    assert fits(sum(once(rng, level) for _ in range(tests)), tests, level)


def test_several_treatments_are_covered_together():
    rng = np.random.default_rng(44)
    tests = 1500
    together = 0
    for _ in range(tests):
        variants = [MeanSummary.from_values(rng.normal(mean, 2.0, 60)) for mean in (1.0, 1.0, 1.5, 2.0)]
        effects = (0.0, 0.5, 1.0)
        result = compare_means(variants, level=0.90)
        together += all(covers(one.difference, e) for one, e in zip(result.comparisons, effects, strict=True))
    # Bonferroni guards the level from above
    assert binomtest(together, tests, 0.90, alternative="less").pvalue > 0.001


def test_false_calls_of_the_ratio_test():
    rng = np.random.default_rng(45)
    tests = 1500
    false_calls = 0
    for _ in range(tests):
        orders = [rng.poisson(2.0, 400) for _ in range(3)]
        variants = [RatioSummary.from_values(rng.poisson(10.0 * one), one) for one in orders]
        false_calls += compare_ratios(variants).significant
    assert binomtest(false_calls, tests, 0.05).pvalue > 0.001
