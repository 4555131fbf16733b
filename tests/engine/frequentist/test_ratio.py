import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.ratio import normal_interval, ratio_test
from engine.frequentist.results import FrequentistTest
from engine.moments import ratio_moments
from engine.summaries import RatioSummary

CONTROL = RatioSummary.from_values([12, 0, 30, 7, 18, 0, 9, 22, 5, 14], [3, 1, 5, 2, 4, 1, 2, 6, 1, 3])
TREATMENT = RatioSummary.from_values([15, 4, 28, 0, 21, 11, 9, 30, 6, 17, 13, 2], [3, 1, 4, 1, 4, 2, 2, 5, 2, 3, 2, 1])


# statsmodels 0.15.0: WLS(y / d, 1, weights=d).fit(cov_type="HC1") of each variant, joined by a z test
def test_two_variants():
    result = ratio_test([CONTROL, TREATMENT])
    assert result.test is FrequentistTest.RATIO_Z
    assert result.statistic == pytest.approx(1.7098931290099535, rel=1e-12)
    assert result.p_value == pytest.approx(0.08728563725216919, rel=1e-11)


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [
        (0.90, 0.03885225605443832, 2.004004886802706),
        (0.95, -0.14938332249333497, 2.1922404653504795),
        (0.99, -0.5172790829446574, 2.560136225801802),
    ],
)
def test_intervals(level: float, low: float, high: float):
    interval = normal_interval(ratio_moments(CONTROL), ratio_moments(TREATMENT), alpha=1.0 - level)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-10)
    assert interval.point == pytest.approx(1.0214285714285722, rel=1e-13)


def test_several_variants_reduce_to_two():
    # three ratios, of which two are the same: by hand, weights w = 1 / se**2 and Q = sum w (R - mean)**2
    errors = [0.4362874734072481, 0.408040402040006, 0.408040402040006]
    ratios = [4.178571428571427, 5.199999999999999, 5.199999999999999]
    weights = [1 / error**2 for error in errors]
    mean = sum(w * r for w, r in zip(weights, ratios, strict=True)) / sum(weights)
    expected = sum(w * (r - mean) ** 2 for w, r in zip(weights, ratios, strict=True))
    result = ratio_test([CONTROL, TREATMENT, TREATMENT])
    assert result.statistic == pytest.approx(expected, rel=1e-10)
    assert result.degrees_of_freedom == 2


def test_a_denominator_of_one_is_a_mean():
    ones = RatioSummary.from_values([1.0, 4.0, 2.0, 9.0], [1.0] * 4)
    twos = RatioSummary.from_values([3.0, 4.0, 5.0, 9.0, 1.0], [1.0] * 5)
    # numpy 2.5: difference of means over the square root of var / n summed, numpy's var(ddof=1)
    assert ratio_test([ones, twos]).statistic == pytest.approx(0.18021187350025988, rel=1e-12)


def test_degenerate_input():
    constant = RatioSummary.from_values([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    with pytest.raises(NotEnoughData, match="wait until the metric varies"):
        ratio_test([constant, constant])
    with pytest.raises(NotEnoughData, match="wait until the metric varies in each"):
        ratio_test([CONTROL, TREATMENT, constant])
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        ratio_test([CONTROL, RatioSummary.from_values([1.0], [1.0])])
    with pytest.raises(NotEnoughData, match="wait until units have some"):
        ratio_test([CONTROL, RatioSummary.from_values([1.0, 2.0], [0.0, 0.0])])
    with pytest.raises(InvalidInput, match="at least one treatment"):
        ratio_test([CONTROL])
