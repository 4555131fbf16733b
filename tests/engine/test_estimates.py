import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import beta, binomtest, norm

from engine.effects import IntervalEstimate
from engine.estimates import about, difference_of, product_of, scaled


def test_an_estimate_with_its_error() -> None:
    found = about(3.0, 0.5, level=0.9)
    assert_allclose([found.low, found.high], norm.interval(0.9, 3.0, 0.5))
    assert scaled(found, 2.0) == about(6.0, 1.0, level=0.9)


def test_the_difference_of_normals_is_normal() -> None:
    found = difference_of(about(3.0, 0.3), about(1.0, 0.4))
    assert_allclose([found.point, found.low, found.high], [2.0, *norm.interval(0.95, 2.0, 0.5)])


def test_each_end_takes_the_errors_towards_it() -> None:
    skewed = IntervalEstimate(point=1.0, low=0.9, high=2.0)
    found = difference_of(skewed, IntervalEstimate(point=0.0, low=-3.0, high=0.1))
    assert_allclose([found.low, found.high], [1.0 - np.hypot(0.1, 0.1), 1.0 + np.hypot(1.0, 3.0)])


def test_the_difference_of_skewed_estimates_holds_the_truth_as_often_as_it_says() -> None:
    """Rates of few hits with Clopper and Pearson's ends in the middle of their steps (mid-P by two beta posteriors)."""
    rng, held, runs = np.random.default_rng(1), 0, 2_000
    for hits, others in rng.binomial([60, 90], [0.08, 0.05], size=(runs, 2)).tolist():
        found = difference_of(rate(hits, 60), rate(others, 90))
        held += found.low <= 0.03 <= found.high
    assert binomtest(held, runs, 0.95).pvalue > 1e-3


def rate(hits: int, units: int) -> IntervalEstimate:
    low, high = beta.interval(0.95, hits + 0.5, units - hits + 0.5)
    return IntervalEstimate(point=hits / units, low=min(low, hits / units), high=high)


@pytest.mark.parametrize(("first", "second"), [((5.0, 0.5), (0.4, 0.1)), ((3.0, 1.0), (-2.0, 0.1))])
def test_a_product_errs_as_drawn_ones_do(first: tuple[float, float], second: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    drawn = rng.normal(*first, 400_000) * rng.normal(*second, 400_000)
    found = product_of(about(*first), about(*second))
    assert found.point == pytest.approx(first[0] * second[0])
    assert (found.high - found.low) / 2.0 / norm.ppf(0.975) == pytest.approx(drawn.std(), rel=0.01)


def test_a_product_holds_the_truth_as_often_as_it_says() -> None:
    rng, runs = np.random.default_rng(3), 2_000
    held = 0
    for one, other in rng.normal([5.0, 0.4], [0.5, 0.05], size=(runs, 2)).tolist():
        found = product_of(about(one, 0.5), about(other, 0.05))
        held += found.low <= 2.0 <= found.high
    assert binomtest(held, runs, 0.95).pvalue > 1e-3
