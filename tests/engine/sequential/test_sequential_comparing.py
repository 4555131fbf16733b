import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.multiplicity import holm
from engine.sequential.boundary import boundary, target_information
from engine.sequential.comparing import (
    sequential_means,
    sequential_proportions,
    sequential_proportions_batch,
    sequential_ratios,
)
from engine.summaries import MeanSummary, ProportionSummary, RatioSummary

COOKIE_CATS = [ProportionSummary(converted=8502, exposed=44_700), ProportionSummary(converted=8279, exposed=45_489)]
counts = st.integers(400, 20_000).flatmap(lambda n: st.tuples(st.integers(n // 10, n - n // 10), st.just(n)))


def proportion(converted: int, exposed: int) -> ProportionSummary:
    return ProportionSummary(converted=converted, exposed=exposed)


@pytest.mark.parametrize("level", [0.90, 0.95, 0.99])
def test_proportions_by_the_formula(level: float):
    alpha, (control, treatment) = 1 - level, COOKIE_CATS
    variance = sum(one.rate * (1 - one.rate) / one.exposed for one in COOKIE_CATS)
    r = target_information(alpha) * 90_189 / 100_000
    width = boundary(r, alpha=alpha) * math.sqrt(variance)
    (comparison,) = sequential_proportions(COOKIE_CATS, target=50_000, level=level).comparisons
    assert comparison.difference.point == treatment.rate - control.rate
    assert comparison.difference.high - comparison.difference.point == pytest.approx(width, rel=1e-6)


def test_cookie_cats_convinces_at_every_look_at_95_percent_but_not_at_99():
    result = sequential_proportions(COOKIE_CATS, target=45_000)
    (comparison,) = result.comparisons
    # by hand: z = -3.16426, r = 8.22922: sqrt(9.239) exp(-z**2 r / (2 (r + 1)))
    assert comparison.p_value == pytest.approx(0.03499, abs=5e-5)
    assert result.significant
    assert not sequential_proportions(COOKIE_CATS, target=45_000, level=0.99).significant


@given(counts, counts, st.sampled_from([0.9, 0.95, 0.99]), st.integers(100, 100_000))
def test_interval_and_p_value_say_the_same(first: tuple[int, int], second: tuple[int, int], level: float, target: int):
    (one,) = sequential_proportions([proportion(*first), proportion(*second)], target=target, level=level).comparisons
    outside = one.difference.low > 0 or one.difference.high < 0
    if abs(one.p_value - (1 - level)) > 1e-9:
        assert outside == (one.p_value < 1 - level)


@given(counts, counts)
def test_swapping_variants_flips_the_sign(first: tuple[int, int], second: tuple[int, int]):
    summaries = [proportion(*first), proportion(*second)]
    there = sequential_proportions(summaries, target=1000).comparisons[0]
    back = sequential_proportions(summaries, target=1000, control=1).comparisons[0]
    assert there.difference.low == pytest.approx(-back.difference.high, abs=1e-15)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-12)


def test_several_treatments_share_the_error():
    summaries = [proportion(c, 5000) for c in (500, 560, 610, 505)]
    result = sequential_proportions(summaries, target=5000)
    raw = [one.p_value for one in result.comparisons]
    assert [one.adjusted_p_value for one in result.comparisons] == list(holm(raw))
    pair = sequential_proportions(summaries[:2], target=5000, level=1 - 0.05 / 3).comparisons[0]
    assert result.comparisons[0].difference.low == pytest.approx(pair.difference.low, rel=1e-12)
    assert result.comparisons[0].p_value == pytest.approx(pair.p_value, rel=1e-12)


def test_means_and_proportions_agree():
    rates = [proportion(300, 2000), proportion(340, 2100)]
    ours = sequential_proportions(rates, target=2000).comparisons[0]
    ones = [MeanSummary(count=one.exposed, total=one.converted, total_of_squares=one.converted) for one in rates]
    theirs = sequential_means(ones, target=2000).comparisons[0]
    assert ours.difference.low == pytest.approx(theirs.difference.low, rel=2e-3)
    assert ours.lift is not None
    assert theirs.lift is not None
    assert ours.lift.high == pytest.approx(theirs.lift.high, rel=2e-3)


def test_a_ratio_over_ones_is_a_mean():
    rng = np.random.default_rng(2)
    values = [rng.gamma(2.0, 3.0, 500) for _ in range(2)]
    means = sequential_means([MeanSummary.from_values(v) for v in values], target=500).comparisons[0]
    ratios = sequential_ratios([RatioSummary.from_values(v, np.ones(500)) for v in values], target=500).comparisons[0]
    assert ratios.p_value == pytest.approx(means.p_value, rel=1e-9)
    assert ratios.difference.low == pytest.approx(means.difference.low, rel=1e-9)


def test_a_treatment_that_never_converted_has_a_lift_with_a_width():
    (one,) = sequential_proportions([proportion(60, 500), proportion(0, 500)], target=500).comparisons
    assert one.lift is not None
    assert one.lift.low == -1.0 < one.lift.high < 0.0


def test_batch_agrees_with_one_by_one():
    rng = np.random.default_rng(9)
    exposed = rng.integers(500, 3000, (60, 4))
    converted = rng.binomial(exposed, 0.08)
    targets = rng.integers(500, 5000, 60)
    batch = sequential_proportions_batch(converted, exposed, target=targets, control=2, level=0.9)
    for row in range(60):
        pairs = zip(converted[row], exposed[row], strict=True)
        summaries = [proportion(c, e) for c, e in pairs]
        result = sequential_proportions(summaries, target=int(targets[row]), control=2, level=0.9)
        for place, one in enumerate(result.comparisons):
            got = (batch.difference[row, place], batch.low[row, place], batch.high[row, place])
            expected = (one.difference.point, one.difference.low, one.difference.high)
            assert got == pytest.approx(expected, abs=1e-12)
            assert batch.p_value[row, place] == pytest.approx(one.p_value, rel=1e-9)
            assert batch.adjusted_p_value[row, place] == pytest.approx(one.adjusted_p_value, rel=1e-9)


def test_batch_says_nothing_with_too_little():
    converted, exposed = (
        np.array([[2, 3], [0, 5], [99, 98], [30, 40]]),
        np.array([[100] * 2, [0, 90], [100] * 2, [100] * 2]),
    )
    batch = sequential_proportions_batch(converted, exposed, target=100)
    assert np.isnan(batch.p_value[:, 0]).tolist() == [True, True, True, False]
    assert np.isnan(batch.low[:, 0]).tolist() == [True, True, True, False]


def test_too_little_for_a_sequence():
    with pytest.raises(NotEnoughData, match=r"expects 2\.5 units .* wait for more exposures"):
        sequential_proportions([proportion(2, 100), proportion(3, 100)], target=1000)
    with pytest.raises(NotEnoughData, match="wait for conversions"):
        sequential_proportions([proportion(0, 100), proportion(0, 100)], target=1000)
    few = MeanSummary.from_values([1.0, 2.0, 3.0])
    with pytest.raises(NotEnoughData, match="needs at least 100"):
        sequential_means([few, few], target=1000)
    assert sequential_means([few, few], target=1000, minimum_units=3).comparisons[0].p_value == 1.0
    with pytest.raises(NotEnoughData, match="needs at least 100"):
        sequential_ratios([RatioSummary.from_values([1.0], [1.0])] * 2, target=1000)


def test_impossible_input():
    with pytest.raises(InvalidInput, match="planned units a variant"):
        sequential_proportions(COOKIE_CATS, target=0)
    with pytest.raises(InvalidInput, match="at least one treatment"):
        sequential_proportions(COOKIE_CATS[:1], target=100)
    with pytest.raises(InvalidInput, match="planned units a variant"):
        sequential_proportions_batch(np.array([[9, 9]]), np.array([[50, 50]]), target=np.array([0]))
