import math

import pytest

from engine.errors import InvalidInput
from engine.power.baselines import ConversionBaseline, MeanBaseline
from engine.power.sample_size import Design, sample_size


# First: R's ?power.prop.test for 0.50 against 0.75 at power 0.90 says "n = 76.7". All of them by statsmodels 0.15.0's
# samplesize_proportions_2indep_onetail at half of alpha with the alternative "larger"
@pytest.mark.parametrize(
    ("control", "difference", "design", "exact"),
    [
        (0.50, 0.25, Design(power=0.9), 76.70692845177747),
        (0.10, 0.01, Design(), 14_750.790469044945),
        (0.05, 0.005, Design(variants=4), 41_660.47774425297),
        (0.05, 0.01, Design(power=0.9, level=0.99), 15_464.651047663943),
    ],
)
def test_rates(control: float, difference: float, design: Design, exact: float):
    size = sample_size(ConversionBaseline(rate=control), difference, relative=False, design=design)
    assert size.per_variant == math.ceil(exact)
    assert size.total == design.variants * math.ceil(exact)
    assert size.days is None


# statsmodels 0.15.0: NormalIndPower().solve_power(effect_size, alpha=alpha, power=power)
@pytest.mark.parametrize(
    ("effect_size", "design", "exact"),
    [(0.5, Design(), 62.79088416571135), (0.1, Design(power=0.9, variants=4), 2701.906158179518)],
)
def test_means(effect_size: float, design: Design, exact: float):
    baseline = MeanBaseline(mean=20.0, standard_deviation=40.0)
    size = sample_size(baseline, effect_size * 40.0 / 20.0, design=design)
    assert size.per_variant == math.ceil(exact)


def test_days():
    size = sample_size(ConversionBaseline(rate=0.1), 0.1, daily_units=1000)
    assert size.days == size.total / 1000


def test_a_decrease_of_a_mean_costs_as_much_as_an_increase():
    baseline = MeanBaseline(mean=20.0, standard_deviation=40.0)
    assert sample_size(baseline, -0.1) == sample_size(baseline, 0.1)


def test_watching_costs_nearly_twice_as_many_units():
    baseline = MeanBaseline(mean=20.0, standard_deviation=40.0)
    fixed = sample_size(baseline, 0.02).per_variant
    watched = sample_size(baseline, 0.02, design=Design(sequential=True)).per_variant
    # by hand: ((3.0351224130 + 0.8416212336) / (1.9599639845 + 0.8416212336))**2
    assert watched / fixed == pytest.approx(1.914797, abs=1e-4)


def test_impossible_demands():
    baseline = ConversionBaseline(rate=0.5)
    with pytest.raises(InvalidInput, match=r"such as 0\.8"):
        Design(power=1.0)
    with pytest.raises(InvalidInput, match=r"such as 0\.95"):
        Design(level=95)
    with pytest.raises(InvalidInput, match="at least one treatment"):
        Design(variants=1)
    with pytest.raises(InvalidInput, match="keeps it between 0 and 1"):
        sample_size(baseline, 1.0)
    with pytest.raises(InvalidInput, match="exposed daily, above 0"):
        sample_size(baseline, 0.1, daily_units=0)


@pytest.mark.parametrize("effect", [5e-324, 1e-200, 1e-9])
def test_an_effect_too_small_for_any_number_of_units_is_refused(effect: float):
    with pytest.raises(InvalidInput, match="pass a larger one"):
        sample_size(ConversionBaseline(rate=0.1), effect, relative=False)
