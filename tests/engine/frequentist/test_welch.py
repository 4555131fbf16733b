import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.results import FrequentistTest
from engine.frequentist.welch import mean_difference, welch_test
from engine.summaries import MeanSummary

# Ruxton's data as in scipy's own test of ttest_ind (Welch (1938) and others, set 1), and a third sample
FIRST = MeanSummary.from_values(
    [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
)
SECOND = MeanSummary.from_values(
    [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 24.4]
)
THIRD = MeanSummary.from_values([17.2, 20.9, 22.6, 18.1, 21.7, 21.4, 23.5, 24.2, 14.7, 21.8])

samples = st.lists(st.floats(-100, 100), min_size=3, max_size=20).filter(lambda values: max(values) - min(values) > 0.1)


# SciPy 1.18.1: scipy.stats.ttest_ind(SECOND, FIRST, equal_var=False)
def test_two_variants():
    result = welch_test([FIRST, SECOND])
    assert result.test is FrequentistTest.WELCH_T
    assert result.statistic == pytest.approx(2.8529548701715215, rel=1e-12)
    assert result.degrees_of_freedom == pytest.approx(27.88730398842012, rel=1e-12)
    assert result.p_value == pytest.approx(0.008071938172194903, rel=1e-10)


# SciPy 1.18.1: its confidence_interval(level)
@pytest.mark.parametrize(
    ("level", "low", "high"),
    [
        (0.90, 1.1436686004402996, 4.522998066226364),
        (0.95, 0.7986439248746979, 4.868022741791966),
        (0.99, 0.08827319148022861, 5.578393475186436),
    ],
)
def test_intervals(level: float, low: float, high: float):
    interval = mean_difference(FIRST, SECOND).interval(1.0 - level)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9)


# SciPy 1.18.1: scipy.stats.ttest_ind_from_stats(12.4, 3.2, 40, 10.9, 5.1, 25, equal_var=False)
def test_from_published_moments():
    control = MeanSummary.from_moments(count=25, mean=10.9, variance=5.1**2)
    treatment = MeanSummary.from_moments(count=40, mean=12.4, variance=3.2**2)
    difference = mean_difference(control, treatment)
    assert difference.statistic == pytest.approx(1.3174124030382859, rel=1e-12)
    assert difference.p_value == pytest.approx(0.19604109520566185, rel=1e-11)


# statsmodels 0.15.0: anova_oneway([SECOND, FIRST, THIRD], use_var="unequal")
def test_three_variants():
    result = welch_test([FIRST, SECOND, THIRD])
    assert "F" in result.method
    assert result.statistic == pytest.approx(5.193766384194233, rel=1e-12)
    assert result.degrees_of_freedom == pytest.approx(21.96530224229684, rel=1e-12)
    assert result.p_value == pytest.approx(0.014222989731489572, rel=1e-10)


@given(samples, samples)
def test_swapping_variants_flips_the_sign(first: list[float], second: list[float]):
    one, two = MeanSummary.from_values(first), MeanSummary.from_values(second)
    there, back = mean_difference(one, two), mean_difference(two, one)
    assert there.statistic == pytest.approx(-back.statistic, rel=1e-12)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-12)
    assert there.degrees_of_freedom == pytest.approx(back.degrees_of_freedom, rel=1e-12)


@given(samples, samples, st.sampled_from([0.9, 0.95, 0.99]))
def test_interval_and_p_value_say_the_same(first: list[float], second: list[float], level: float):
    one, two = MeanSummary.from_values(first), MeanSummary.from_values(second)
    difference = mean_difference(one, two)
    interval, p_value = difference.interval(1.0 - level), difference.p_value
    if abs(p_value - (1 - level)) > 1e-9:
        assert (p_value < 1 - level) == (interval.low > 0 or interval.high < 0)


def test_degenerate_input():
    constant = MeanSummary.from_values([1.0, 1.0, 1.0])
    with pytest.raises(NotEnoughData, match="wait until the metric varies"):
        mean_difference(constant, constant)
    with pytest.raises(NotEnoughData, match="wait until the metric varies in each"):
        welch_test([FIRST, SECOND, constant])
    with pytest.raises(NotEnoughData, match=r"Variant 1 has 1 .* wait for more exposures"):
        welch_test([FIRST, MeanSummary.from_values([1.0])])
    with pytest.raises(InvalidInput, match="at least one treatment"):
        welch_test([FIRST])
    assert mean_difference(constant, FIRST).p_value < 1e-9
