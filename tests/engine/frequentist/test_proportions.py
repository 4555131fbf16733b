import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.proportions import lift_interval, newcombe_batch, newcombe_interval, wilson_interval
from engine.summaries import ProportionSummary

counts = st.integers(1, 500).flatmap(lambda exposed: st.tuples(st.integers(0, exposed), st.just(exposed)))


def summary(converted: int, exposed: int) -> ProportionSummary:
    return ProportionSummary(converted=converted, exposed=exposed)


# statsmodels 0.15.0: proportion_confint(48, 80, alpha=1 - level, method="wilson")
@pytest.mark.parametrize(
    ("level", "low", "high"),
    [
        (0.90, 0.5080618399803274, 0.6853955672475276),
        (0.95, 0.4904546500516039, 0.7003817240412906),
        (0.99, 0.45655144878346654, 0.7281316365289641),
    ],
)
def test_wilson(level: float, low: float, high: float):
    interval = wilson_interval(summary(48, 80), level=level)
    assert (interval.point, interval.low, interval.high) == pytest.approx((0.6, low, high), rel=1e-12)


# Newcombe (1998), Statistics in Medicine 17, table II, method 10, printed to four digits
@pytest.mark.parametrize(
    ("treatment", "control", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_by_his_paper(treatment: tuple[int, int], control: tuple[int, int], low: float, high: float):
    interval = newcombe_interval(summary(*control), summary(*treatment))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5.1e-5)


# Cookie Cats, day-7 retention. statsmodels 0.15.0: confint_proportions_2indep(8279, 45489, 8502, 44700,
# method="newcomb", compare="diff") and (method="log", compare="ratio")
@pytest.mark.parametrize(
    ("level", "difference", "ratio"),
    [
        (0.90, (-0.012465048216090296, -0.0039380040957900835), (0.9352050006729385, 0.9790593300063997)),
        (0.95, (-0.013281940871914826, -0.0031213026887613), (0.9311088495683821, 0.9833664257427263)),
        (0.99, (-0.014878589958581961, -0.0015251237495449606), (0.9231548805115287, 0.9918391818176031)),
    ],
)
def test_cookie_cats(level: float, difference: tuple[float, float], ratio: tuple[float, float]):
    control, treatment = summary(8502, 44_700), summary(8279, 45_489)
    interval = newcombe_interval(control, treatment, level=level)
    assert interval.point == pytest.approx(-0.00820, abs=5e-6)
    assert (interval.low, interval.high) == pytest.approx(difference, rel=1e-10)
    lift = lift_interval(control, treatment, level=level)
    assert lift is not None
    assert (1 + lift.low, 1 + lift.high) == pytest.approx(ratio, rel=1e-12)


@given(counts, counts)
def test_swapping_variants_flips_the_sign(first: tuple[int, int], second: tuple[int, int]):
    there = newcombe_interval(summary(*first), summary(*second))
    back = newcombe_interval(summary(*second), summary(*first))
    assert (there.point, there.low, there.high) == pytest.approx((-back.point, -back.high, -back.low), abs=1e-15)


@given(counts, counts)
def test_ends_stay_in_range_and_around_the_point(first: tuple[int, int], second: tuple[int, int]):
    interval = newcombe_interval(summary(*first), summary(*second))
    assert -1 - 1e-12 <= interval.low < interval.high <= 1 + 1e-12
    assert interval.low <= interval.point <= interval.high


def test_batch_agrees_with_one_by_one():
    rng = np.random.default_rng(3)
    exposed = rng.integers(1, 500, (50, 3))
    converted = rng.binomial(exposed, 0.2)
    point, low, high = newcombe_batch(converted, exposed, control=1, level=0.9)
    for row in range(50):
        control = summary(converted[row, 1], exposed[row, 1])
        for place, column in enumerate((0, 2)):
            one = newcombe_interval(control, summary(converted[row, column], exposed[row, column]), level=0.9)
            got = (point[row, place], low[row, place], high[row, place])
            assert got == pytest.approx((one.point, one.low, one.high), abs=1e-12)


def test_batch_without_units():
    point, low, high = newcombe_batch(np.array([[0, 1]]), np.array([[0, 5]]))
    assert np.isnan([point, low, high]).all()


def test_no_lift_over_nothing():
    assert lift_interval(summary(0, 50), summary(3, 50)) is None


def test_lift_of_a_treatment_that_never_converted():
    lift = lift_interval(summary(10, 50), summary(0, 50))
    assert lift is not None
    assert (lift.point, lift.low) == (-1.0, -1.0)
    assert -1.0 < lift.high < 0.0


def test_lift_without_bound_is_infinite_rather_than_an_error():
    lift = lift_interval(summary(1, 10**9), summary(10**9, 10**9), level=1 - 1e-15)
    assert lift is not None
    assert lift.high > 1e9
    assert not math.isnan(lift.high)


def test_degenerate_input():
    with pytest.raises(NotEnoughData, match="wait for the first exposure"):
        wilson_interval(summary(0, 0))
    with pytest.raises(NotEnoughData, match="wait for the first exposure"):
        newcombe_interval(summary(1, 2), summary(0, 0))
    with pytest.raises(InvalidInput, match=r"such as 0\.95"):
        newcombe_interval(summary(1, 2), summary(1, 2), level=95)
