import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats
from scipy.special import betaln, ndtr

from engine.bandits.best_arm import best_arm_probabilities
from engine.bayesian.marginals import BetaMarginals, StudentMarginals
from engine.bayesian.quadrature import standing

RATES = st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 100_000)), min_size=2, max_size=12)


def betas(counts: list[tuple[int, int]]) -> BetaMarginals:
    alpha, beta = np.array(counts, np.float64).T + 1.0
    return BetaMarginals(alpha=alpha, beta=beta)


def normals(location: np.ndarray, scale: np.ndarray) -> StudentMarginals:
    return StudentMarginals(location=location, scale=scale, freedom=np.full(location.shape, np.inf))


def exact_of_two(a: float, b: float, c: int, d: float) -> float:
    """P(second > first) by the finite sum of Evan Miller, "Formulas for Bayesian A/B testing"; c is whole."""
    index = np.arange(c)
    return float(np.exp(betaln(a + index, b + d) - np.log(d + index) - betaln(1 + index, d) - betaln(a, b)).sum())


@given(RATES)
def test_agrees_with_the_fine_quadrature(counts: list[tuple[int, int]]) -> None:
    posteriors = betas(counts)
    best = best_arm_probabilities(posteriors)
    assert_allclose(best, standing(posteriors).probability_best, atol=1e-6)
    assert best.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    "counts", [[(3, 7), (5, 5)], [(0, 3), (5, 9_999_995)], [(120, 880), (130, 870)], [(0, 0), (40, 10)]]
)
def test_two_rates_against_the_exact_sum(counts: list[tuple[int, int]]) -> None:
    (a, b), (c, d) = [(converted + 1, rest + 1) for converted, rest in counts]
    assert best_arm_probabilities(betas(counts))[1] == pytest.approx(exact_of_two(a, b, c, d), abs=1e-6)


@given(st.floats(-4.0, 4.0), st.floats(0.01, 100.0))
def test_two_normals_against_the_closed_form(distance: float, scale: float) -> None:
    best = best_arm_probabilities(normals(np.array([0.0, distance]), np.array([1.0, scale])))
    assert best[1] == pytest.approx(float(ndtr(distance / np.hypot(1.0, scale))), abs=1e-6)


def test_three_rates_against_adaptive_integration() -> None:
    posteriors = [stats.beta(*pair) for pair in ((12, 90), (15, 85), (3, 20))]

    def first_is_best(rate: float) -> float:
        return float(posteriors[0].pdf(rate) * posteriors[1].cdf(rate) * posteriors[2].cdf(rate))

    expected, _ = integrate.quad(first_is_best, 0.0, 1.0, epsabs=1e-12, limit=200)
    best = best_arm_probabilities(BetaMarginals(alpha=np.array([12.0, 15.0, 3.0]), beta=np.array([90.0, 85.0, 20.0])))
    assert best[0] == pytest.approx(expected, abs=1e-7)


def test_many_bandits_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(2)
    alpha, beta = rng.uniform(1.0, 500.0, (2, 30, 7))
    many = best_arm_probabilities(BetaMarginals(alpha=alpha, beta=beta))
    for row in range(30):
        assert_allclose(many[row], best_arm_probabilities(BetaMarginals(alpha=alpha[row], beta=beta[row])), rtol=1e-9)


def test_equal_arms_share_equally() -> None:
    assert_allclose(best_arm_probabilities(betas([(50, 950)] * 10)), np.full(10, 0.1), atol=1e-9)
