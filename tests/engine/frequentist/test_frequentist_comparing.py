import math

import numpy as np
import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.comparing import (
    compare_means,
    compare_proportions,
    compare_proportions_batch,
    compare_ratios,
)
from engine.frequentist.fisher import fisher_exact_test
from engine.frequentist.multiplicity import holm
from engine.frequentist.proportions import newcombe_interval
from engine.frequentist.results import FrequentistTest
from engine.frequentist.welch import mean_difference
from engine.summaries import MeanSummary, ProportionSummary, RatioSummary

# Cookie Cats: gate at level 30 is the control, gate at level 40 the treatment
DAY_7 = [ProportionSummary(converted=8502, exposed=44_700), ProportionSummary(converted=8279, exposed=45_489)]
DAY_1 = [ProportionSummary(converted=20_034, exposed=44_700), ProportionSummary(converted=20_119, exposed=45_489)]


def test_cookie_cats_on_day_7():
    result = compare_proportions(DAY_7)
    assert result.test is FrequentistTest.CHI_SQUARED
    assert result.omnibus.statistic == pytest.approx(10.0132, abs=5e-5)
    assert result.p_value == pytest.approx(0.00155425, abs=5e-9)
    assert result.significant
    (comparison,) = result.comparisons
    assert comparison.variant == 1
    assert comparison.difference.point == pytest.approx(-0.00820, abs=5e-6)
    assert comparison.p_value == comparison.adjusted_p_value == result.p_value


def test_cookie_cats_on_day_1():
    result = compare_proportions(DAY_1)
    assert result.p_value == pytest.approx(0.0744, abs=5e-5)
    assert not result.significant
    assert compare_proportions(DAY_1, level=0.90).significant


def test_swapping_the_control_flips_the_sign():
    there, back = compare_proportions(DAY_7).comparisons[0], compare_proportions(DAY_7, control=1).comparisons[0]
    assert (there.variant, back.variant) == (1, 0)
    assert there.difference.low == pytest.approx(-back.difference.high, rel=1e-12)
    assert there.p_value == back.p_value


def test_few_conversions_take_the_exact_test_pair_by_pair():
    summaries = [
        ProportionSummary(converted=40, exposed=1000),
        ProportionSummary(converted=50, exposed=1000),
        ProportionSummary(converted=3, exposed=20),
    ]
    result = compare_proportions(summaries)
    assert result.test is FrequentistTest.FISHER_EXACT
    large, small = result.comparisons
    # SciPy 1.18.1: chi2_contingency([[40, 50], [960, 950]], correction=False), fisher_exact([[40, 3], [960, 17]])
    assert large.p_value == pytest.approx(0.2807476466196195, rel=1e-9)
    assert small.p_value == pytest.approx(0.048221764932444365, rel=1e-9)
    assert (large.adjusted_p_value, small.adjusted_p_value) == holm([large.p_value, small.p_value])


def test_two_variants_with_few_conversions():
    summaries = [ProportionSummary(converted=2, exposed=12), ProportionSummary(converted=15, exposed=18)]
    result = compare_proportions([summaries[0], ProportionSummary(converted=4, exposed=5)])
    assert result.test is FrequentistTest.FISHER_EXACT
    assert result.comparisons[0].p_value == pytest.approx(result.p_value, rel=1e-12)
    assert fisher_exact_test(summaries).p_value == pytest.approx(0.0005367241191434357, rel=1e-10)


def test_intervals_of_several_treatments_hold_together():
    summaries = [ProportionSummary(converted=c, exposed=1000) for c in (100, 120, 90, 131)]
    result = compare_proportions(summaries, control=1, level=0.95)
    assert [one.variant for one in result.comparisons] == [0, 2, 3]
    for one in result.comparisons:
        expected = newcombe_interval(summaries[1], summaries[one.variant], level=1 - 0.05 / 3)
        assert one.difference.low == pytest.approx(expected.low, rel=1e-9)


def test_a_pair_that_never_converted_is_not_told_apart():
    summaries = [ProportionSummary(converted=c, exposed=100) for c in (0, 0, 50)]
    idle = compare_proportions(summaries).comparisons[0]
    assert (idle.p_value, idle.lift) == (1.0, None)
    assert idle.difference.low < 0.0 < idle.difference.high


def test_means_of_three_variants():
    rng = np.random.default_rng(4)
    summaries = [MeanSummary.from_values(rng.normal(mean, 2.0, 300)) for mean in (10.0, 10.1, 11.0)]
    result = compare_means(summaries, level=0.90)
    assert result.test is FrequentistTest.WELCH_T
    assert result.significant
    for one in result.comparisons:
        pair = mean_difference(summaries[0], summaries[one.variant])
        assert one.p_value == pytest.approx(pair.p_value)
        assert one.difference == pair.interval((1 - 0.90) / 2)
        assert one.lift is not None
        assert one.lift.point == pytest.approx(summaries[one.variant].mean / summaries[0].mean - 1)


def test_means_with_another_control_flip_the_statistic():
    summaries = [MeanSummary.from_values([1.0, 2.0, 4.0]), MeanSummary.from_values([3.0, 5.0, 9.0])]
    there, back = compare_means(summaries), compare_means(summaries, control=1)
    assert there.omnibus.statistic == -back.omnibus.statistic
    assert there.p_value == back.p_value


def test_ratios():
    control = RatioSummary.from_values([12, 0, 30, 7, 18, 0, 9, 22, 5, 14], [3, 1, 5, 2, 4, 1, 2, 6, 1, 3])
    treatment = RatioSummary.from_values(
        [15, 4, 28, 0, 21, 11, 9, 30, 6, 17, 13, 2], [3, 1, 4, 1, 4, 2, 2, 5, 2, 3, 2, 1]
    )
    result = compare_ratios([control, treatment])
    (comparison,) = result.comparisons
    assert result.test is FrequentistTest.RATIO_Z
    # statsmodels 0.15.0, as in test_ratio.py
    assert comparison.p_value == pytest.approx(0.08728563725216919, rel=1e-10)
    assert comparison.difference.high == pytest.approx(2.1922404653504795, rel=1e-10)
    assert comparison.lift is not None
    assert comparison.lift.point == pytest.approx(5.2 / 4.178571428571427 - 1)


def test_batch_agrees_with_one_by_one():
    rng = np.random.default_rng(9)
    exposed = rng.integers(200, 3000, (60, 4))
    converted = rng.binomial(exposed, 0.08)
    batch = compare_proportions_batch(converted, exposed, control=2)
    assert not batch.few.any()
    for row in range(60):
        pairs = zip(converted[row], exposed[row], strict=True)
        one = compare_proportions([ProportionSummary(converted=c, exposed=e) for c, e in pairs], control=2)
        assert batch.p_value[row] == pytest.approx(one.p_value, rel=1e-9)
        for place, comparison in enumerate(one.comparisons):
            difference = comparison.difference
            got = (batch.difference[row, place], batch.low[row, place], batch.high[row, place])
            assert got == pytest.approx((difference.point, difference.low, difference.high), abs=1e-12)
            assert batch.adjusted_p_value[row, place] == pytest.approx(comparison.adjusted_p_value, rel=1e-9)


def test_batch_marks_what_it_cannot_say():
    batch = compare_proportions_batch(np.array([[0, 0], [1, 3], [30, 40]]), np.array([[50, 50], [50, 50], [100, 100]]))
    assert batch.few.tolist() == [True, True, False]
    assert [math.isnan(p) for p in batch.adjusted_p_value[:, 0]] == [True, False, False]


def test_batch_keeps_a_pair_that_never_converted():
    batch = compare_proportions_batch(np.array([[0, 0, 50]]), np.array([[100, 100, 100]]))
    assert batch.adjusted_p_value[0, 0] == 1.0


@pytest.mark.parametrize(
    ("converted", "exposed", "control", "says"),
    [
        ([[1, 2]], [[3, 4, 5]], 0, "n_tests, n_variants"),
        ([1, 2], [3, 4], 0, "n_tests, n_variants"),
        ([[1]], [[2]], 0, "two columns or more"),
        ([[1, 2]], [[3, 4]], 2, "a control that is one of them"),
        ([[5, 2]], [[3, 4]], 0, "count each exposed unit once"),
        ([[-1, 2]], [[3, 4]], 0, "count each exposed unit once"),
    ],
)
def test_impossible_batches(converted: list, exposed: list, control: int, says: str):
    with pytest.raises(InvalidInput, match=says):
        compare_proportions_batch(np.array(converted), np.array(exposed), control=control)


def test_degenerate_input():
    one = ProportionSummary(converted=1, exposed=2)
    with pytest.raises(InvalidInput, match="at least one treatment"):
        compare_proportions([one])
    with pytest.raises(InvalidInput, match="an index among"):
        compare_proportions([one, one], control=2)
    with pytest.raises(InvalidInput, match=r"such as 0\.95"):
        compare_proportions([one, one], level=1.0)
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        compare_proportions([one, ProportionSummary(converted=0, exposed=0)])
    with pytest.raises(NotEnoughData, match="not all units fulfil"):
        compare_proportions([ProportionSummary(converted=5, exposed=5)] * 2)
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        compare_means([MeanSummary.from_values([]), MeanSummary.from_values([1.0, 2.0])])
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        compare_ratios([RatioSummary.from_values([], [])] * 2)
