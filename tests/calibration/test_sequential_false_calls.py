"""A/A tests watched daily: an always-valid test may call falsely in at most 5 % of them, over all looks together."""

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.errors import NotEnoughData
from engine.frequentist.comparing import compare_proportions_batch
from engine.sequential.comparing import sequential_means, sequential_proportions, sequential_proportions_batch
from engine.summaries import MeanSummary, ProportionSummary

LOOKS = 28
TESTS = 4000


def watched(rate: float, daily: list[int], *, tests: int = TESTS, seed: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Return converted and exposed by look, shape (looks, tests, variants) each."""
    rng = np.random.default_rng(seed)
    arrivals = np.array(daily)
    converted = rng.binomial(arrivals, rate, (LOOKS, tests, len(daily))).cumsum(axis=0)
    exposed = np.broadcast_to(arrivals * np.arange(1, LOOKS + 1)[:, None, None], converted.shape)
    return converted, exposed


def at_most_5_percent(false_calls: int, tests: int) -> bool:
    """Whether so few false calls would be seen in under 1 of 100 runs if 5 % were false."""
    return bool(binomtest(false_calls, tests, 0.05, alternative="less").pvalue < 0.01)


@pytest.mark.parametrize(
    ("rate", "daily"),
    [
        (0.02, [20, 20]),  # 11 conversions a variant by the end
        (0.02, [500, 500]),
        (0.10, [500, 500]),
        (0.50, [10, 10]),
        (0.95, [100, 100]),
        (0.02, [900, 100]),
        (0.02, [100, 900]),
        (0.005, [10_000, 100]),
        (0.05, [300, 300, 300, 300]),
    ],
)
def test_rates(rate: float, daily: list[int]):
    converted, exposed = watched(rate, daily)
    target = LOOKS * sum(daily) // len(daily)
    called = np.zeros(TESTS, dtype=bool)
    peeked = np.zeros(TESTS, dtype=bool)
    for look in range(LOOKS):
        sequential = sequential_proportions_batch(converted[look], exposed[look], target=target)
        called |= (sequential.adjusted_p_value < 0.05).any(axis=1)
        fixed = compare_proportions_batch(converted[look], exposed[look])
        peeked |= (fixed.adjusted_p_value < 0.05).any(axis=1)
    print(f"rate {rate}, daily {daily}: always valid {called.mean():.4f}, fixed horizon peeked {peeked.mean():.4f}")
    assert at_most_5_percent(int(called.sum()), TESTS)


def test_peeking_at_a_fixed_horizon_calls_falsely_so_the_harness_sees_the_problem():
    converted, exposed = watched(0.10, [500, 500])
    peeked = np.zeros(TESTS, dtype=bool)
    for look in range(LOOKS):
        peeked |= compare_proportions_batch(converted[look], exposed[look]).p_value < 0.05
    assert peeked.mean() > 0.20
    last = compare_proportions_batch(converted[-1], exposed[-1]).p_value < 0.05
    assert binomtest(int(last.sum()), TESTS, 0.05).pvalue > 0.001


@pytest.mark.parametrize("target", [1000, 140_000])
def test_a_target_missed_by_far_costs_width_but_not_validity(target: int):
    converted, exposed = watched(0.10, [500, 500], seed=29)
    called = np.zeros(TESTS, dtype=bool)
    for look in range(LOOKS):
        called |= (sequential_proportions_batch(converted[look], exposed[look], target=target).p_value < 0.05)[:, 0]
    assert at_most_5_percent(int(called.sum()), TESTS)


def test_one_by_one_agrees_with_the_batches():
    converted, exposed = watched(0.02, [100, 100], tests=50)
    for look in range(LOOKS):
        batch = sequential_proportions_batch(converted[look], exposed[look], target=2800)
        for row in range(50):
            pairs = zip(converted[look, row].tolist(), exposed[look, row].tolist(), strict=True)
            summaries = [ProportionSummary(converted=c, exposed=e) for c, e in pairs]
            try:
                p_value = sequential_proportions(summaries, target=2800).comparisons[0].p_value
            except NotEnoughData:
                assert np.isnan(batch.p_value[row, 0])
            else:
                assert batch.p_value[row, 0] == pytest.approx(p_value, rel=1e-9)


@pytest.mark.parametrize("daily", [[60, 60], [180, 20]])
def test_revenue_that_few_units_have(daily: list[int]):
    rng = np.random.default_rng(30)
    tests = 2000
    called = 0
    for _ in range(tests):
        called += _called_ever(rng, daily, target=LOOKS * sum(daily) // 2)
    print(f"revenue, daily {daily}: always valid {called / tests:.4f}")
    assert at_most_5_percent(called, tests)


def _called_ever(rng: np.random.Generator, daily: list[int], *, target: int) -> bool:
    variants = [MeanSummary.from_values([]) for _ in daily]
    for _ in range(LOOKS):
        variants = [one + _revenue(rng, units) for one, units in zip(variants, daily, strict=True)]
        try:
            if sequential_means(variants, target=target).significant:
                return True
        except NotEnoughData:
            continue
    return False


def _revenue(rng: np.random.Generator, units: int) -> MeanSummary:
    """Return a day of revenue in cents, exactly: 5 % of the units buy, for 20 on the median with a heavy tail."""
    cents = [round(100 * value) for value in rng.lognormal(3.0, 1.0, rng.binomial(units, 0.05))]
    return MeanSummary(count=units, total=sum(cents), total_of_squares=sum(c * c for c in cents), scale=100)
