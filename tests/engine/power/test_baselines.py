import math

import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.power.baselines import ConversionBaseline, MeanBaseline, absolute_effect
from engine.summaries import MeanSummary, ProportionSummary, RatioSummary


def test_a_conversion_varies_by_its_rate():
    baseline = ConversionBaseline.from_summary(ProportionSummary(converted=20, exposed=100))
    assert baseline.value == 0.2
    assert baseline.variances(0.1) == pytest.approx((0.16, 0.21))
    assert baseline.null_variance(0.1) == pytest.approx(0.25 * 0.75)


def test_a_mean_varies_alike():
    baseline = MeanBaseline.from_summary(MeanSummary.from_values([1.0, 2.0, 6.0]))
    assert (baseline.value, baseline.variances(5.0)) == (3.0, (pytest.approx(7.0), pytest.approx(7.0)))


# statsmodels 0.15.0, as in test_moments.py: standard error 0.4362874734072481 over 10 units
def test_a_ratio_varies_by_its_linearised_values():
    summary = RatioSummary.from_values([12, 0, 30, 7, 18, 0, 9, 22, 5, 14], [3, 1, 5, 2, 4, 1, 2, 6, 1, 3])
    baseline = MeanBaseline.from_ratio(summary)
    assert baseline.standard_deviation == pytest.approx(0.4362874734072481 * math.sqrt(10), rel=1e-12)


def test_effects_become_absolute():
    assert absolute_effect(ConversionBaseline(rate=0.2), 0.1, relative=True) == pytest.approx(0.02)
    assert absolute_effect(MeanBaseline(mean=-5.0, standard_deviation=1.0), 0.1, relative=True) == pytest.approx(0.5)
    assert absolute_effect(MeanBaseline(mean=0.0, standard_deviation=1.0), 0.1, relative=False) == 0.1


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 5.0, float("nan")])
def test_rates_at_which_nothing_varies_are_refused(rate: float):
    with pytest.raises(InvalidInput, match=r"such as 0\.05"):
        ConversionBaseline(rate=rate)


def test_metrics_that_do_not_vary_are_refused():
    with pytest.raises(InvalidInput, match="above 0, from past data"):
        MeanBaseline(mean=1.0, standard_deviation=0.0)
    with pytest.raises(InvalidInput, match="pass a finite number"):
        MeanBaseline(mean=float("nan"), standard_deviation=1.0)
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        MeanBaseline.from_summary(MeanSummary.from_values([1.0]))


def test_impossible_effects_are_refused():
    with pytest.raises(InvalidInput, match="keeps it between 0 and 1"):
        ConversionBaseline(rate=0.9).variances(0.2)
    with pytest.raises(InvalidInput, match="keeps it between 0 and 1"):
        ConversionBaseline(rate=0.1).null_variance(2.0)  # the rate halfway is above 1, too
    for effect in (0.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="finite and not 0"):
            absolute_effect(ConversionBaseline(rate=0.9), effect, relative=True)
