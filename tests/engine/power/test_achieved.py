import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.power.achieved import achieved_power, power
from engine.power.baselines import ConversionBaseline, MeanBaseline
from engine.power.sample_size import Design, sample_size


# First: R's ?power.prop.test, power.prop.test(n = 50, p1 = .50, p2 = .75): power = 0.740. Both: statsmodels 0.15.0,
# power_proportions_2indep(difference, control, nobs_treatment, ratio=control / treatment, "larger", alpha=0.025)
@pytest.mark.parametrize(
    ("control", "difference", "treatment_units", "control_units", "expected"),
    [(0.5, 0.25, 50, 50, 0.7401659013313877), (0.10, 0.02, 2000, 2000, 0.5244812787642901)],
)
def test_rates(control: float, difference: float, treatment_units: int, control_units: int, expected: float):
    got = power(
        ConversionBaseline(rate=control),
        difference,
        control_units=control_units,
        treatment_units=treatment_units,
        relative=False,
    )
    assert got == pytest.approx(expected, rel=1e-9)


# statsmodels 0.15.0: NormalIndPower().power(0.1, 1000, 0.05, ratio=0.5), which counts the other tail too
def test_means_with_unequal_units():
    baseline = MeanBaseline(mean=20.0, standard_deviation=40.0)
    got = power(baseline, 4.0, control_units=500, treatment_units=1000, relative=False)
    assert got == pytest.approx(0.4466901014753237, abs=1e-4)


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("variants", [2, 4])
def test_the_sample_size_has_the_power_asked_for(sequential: bool, variants: int):
    design = Design(power=0.85, variants=variants, sequential=sequential)
    baseline = ConversionBaseline(rate=0.07)
    size = sample_size(baseline, 0.1, design=design).per_variant
    got = power(baseline, 0.1, control_units=size, treatment_units=size, design=design, target=size)
    assert got == pytest.approx(0.85, abs=1e-3)


def test_a_running_test():
    baseline = ConversionBaseline(rate=0.1)
    target = sample_size(baseline, 0.01, relative=False, design=Design(variants=3)).per_variant
    status = achieved_power(baseline, 0.01, counts=[8000, 5000, target + 10], relative=False, daily_units=500)
    assert status.target == target
    assert status.remaining_units == 2 * target - 13_000
    assert status.days_remaining == (2 * target - 13_000) / 500
    weakest = power(baseline, 0.01, control_units=8000, treatment_units=5000, relative=False, design=Design(variants=3))
    assert status.at_minimum_detectable_effect == weakest


def test_a_finished_test_needs_nothing():
    status = achieved_power(ConversionBaseline(rate=0.1), 0.2, counts=[10**6, 10**6], daily_units=10)
    assert (status.remaining_units, status.days_remaining) == (0, 0.0)
    assert status.at_minimum_detectable_effect == pytest.approx(1.0)


def test_power_grows_with_units():
    baseline = MeanBaseline(mean=20.0, standard_deviation=40.0)
    for sequential in (False, True):
        design = Design(sequential=sequential)
        grown = [power(baseline, 0.1, control_units=n, treatment_units=n, design=design) for n in (100, 1000, 10_000)]
        assert grown == sorted(grown)


def test_degenerate_input():
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        achieved_power(ConversionBaseline(rate=0.1), 0.2, counts=[100, 0])
    with pytest.raises(InvalidInput, match="at least one treatment"):
        achieved_power(ConversionBaseline(rate=0.1), 0.2, counts=[100])
