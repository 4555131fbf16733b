import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NotEnoughData
from engine.power.baselines import ConversionBaseline, MeanBaseline
from engine.power.detectable_effect import minimum_detectable_effect
from engine.power.sample_size import Design, sample_size

designs = st.builds(
    Design,
    power=st.floats(0.6, 0.99),
    level=st.sampled_from([0.9, 0.95, 0.99]),
    variants=st.integers(2, 5),
    sequential=st.booleans(),
)


# statsmodels 0.15.0: NormalIndPower().solve_power(nobs1=units, alpha=1 - level, power=power); its solver stops at 1e-5
@pytest.mark.parametrize(
    ("units", "design", "effect_size"),
    [(1000, Design(), 0.1252903452971738), (5000, Design(level=0.99, power=0.9), 0.0771498317199839)],
)
def test_means(units: int, design: Design, effect_size: float):
    found = minimum_detectable_effect(
        MeanBaseline(mean=20.0, standard_deviation=40.0), per_variant=units, design=design
    )
    assert found.absolute == pytest.approx(effect_size * 40.0, rel=5e-5)
    assert found.relative == pytest.approx(effect_size * 2.0, rel=5e-5)


# R's ?power.prop.test: power.prop.test(n = 50, p1 = .5, power = .90): p2 = 0.8026
def test_rates():
    found = minimum_detectable_effect(ConversionBaseline(rate=0.5), per_variant=50, design=Design(power=0.9))
    assert 0.5 + found.absolute == pytest.approx(0.8026, abs=5e-5)


@given(st.floats(0.01, 0.5), st.integers(2_000, 1_000_000), st.booleans(), designs)
def test_sample_size_gives_the_units_back(rate: float, units: int, increase: bool, design: Design):
    baseline = ConversionBaseline(rate=rate)
    try:
        found = minimum_detectable_effect(baseline, per_variant=units, increase=increase, design=design)
    except NotEnoughData:
        assert not increase
        return
    assert (found.absolute > 0) == increase
    size = sample_size(baseline, found.absolute, relative=False, design=design)
    assert abs(size.per_variant - units) <= 1


def test_more_units_detect_less():
    baseline = ConversionBaseline(rate=0.05)
    effects = [minimum_detectable_effect(baseline, per_variant=n).absolute for n in (1000, 10_000, 100_000)]
    assert effects == sorted(effects, reverse=True)


def test_no_relative_effect_on_nothing():
    found = minimum_detectable_effect(MeanBaseline(mean=0.0, standard_deviation=1.0), per_variant=100)
    assert found.relative is None


def test_nothing_to_be_detected():
    with pytest.raises(NotEnoughData, match="plan more units"):
        minimum_detectable_effect(ConversionBaseline(rate=0.5), per_variant=5)
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        minimum_detectable_effect(ConversionBaseline(rate=0.5), per_variant=0)
