import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize_scalar

from engine.bayesian.intervals import beta_interval, gamma_interval, student_interval
from engine.bayesian.marginals import BetaMarginals, GammaMarginals, StudentMarginals


def shortest_width(distribution: stats.rv_continuous, level: float) -> float:
    """The least width over all intervals that hold the level, by SciPy's bounded minimisation of ppf differences."""
    found = minimize_scalar(
        lambda p: distribution.ppf(p + level) - distribution.ppf(p),
        bounds=(0.0, 1.0 - level),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return float(found.fun)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 3.0), (121.0, 881.0), (1.5, 1.2), (8280.0, 37211.0), (500.0, 2.0)])
def test_beta_interval_holds_the_level_and_is_shortest(alpha: float, beta: float, level: float) -> None:
    marginals = BetaMarginals(alpha=np.array([alpha]), beta=np.array([beta]))
    low, high = beta_interval(marginals, level=level)
    distribution = stats.beta(alpha, beta)
    assert_allclose(distribution.cdf(high) - distribution.cdf(low), level, atol=1e-9)
    assert_allclose(high - low, shortest_width(distribution, level), rtol=1e-6)
    assert_allclose(distribution.pdf(low), distribution.pdf(high), rtol=1e-6)


@given(st.integers(1, 10_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.2, 0.999))
def test_beta_interval_of_any_counts(counts: tuple[int, int], level: float) -> None:
    converted, exposed = counts
    marginals = BetaMarginals(alpha=np.array([converted + 1.0]), beta=np.array([exposed - converted + 1.0]))
    low, high = beta_interval(marginals, level=level)
    assert 0.0 <= low[0] < high[0] <= 1.0
    assert_allclose(marginals.cdf(high) - marginals.cdf(low), level, atol=1e-7)
    mode = converted / exposed
    assert low[0] <= mode * (1 + 1e-9)
    assert mode <= high[0] * (1 + 1e-9)


def test_beta_interval_at_the_edges() -> None:
    marginals = BetaMarginals(alpha=np.array([1.0, 4.0, 1.0, 0.5]), beta=np.array([4.0, 1.0, 1.0, 0.5]))
    low, high = beta_interval(marginals, level=0.95)
    assert_allclose(low, [0.0, 0.05**0.25, 0.025, stats.beta.ppf(0.025, 0.5, 0.5)], atol=1e-12)
    assert_allclose(high, [1 - 0.05**0.25, 1.0, 0.975, stats.beta.ppf(0.975, 0.5, 0.5)], atol=1e-12)


def test_mixed_batch_equals_one_by_one() -> None:
    alpha, beta = np.array([[1.0, 5.0], [0.7, 90.0]]), np.array([[9.0, 5.0], [0.2, 1.0]])
    low, high = beta_interval(BetaMarginals(alpha=alpha, beta=beta), level=0.9)
    for place in np.ndindex(2, 2):
        alone = BetaMarginals(alpha=alpha[place][None], beta=beta[place][None])
        assert_allclose((low[place], high[place]), np.concatenate(beta_interval(alone, level=0.9)), atol=1e-12)


@pytest.mark.parametrize("shape", [1.3, 2.0, 40.0, 1e6])
def test_gamma_interval_is_shortest(shape: float) -> None:
    marginals = GammaMarginals(shape_=np.array([shape]), rate=np.array([7.0]))
    low, high = gamma_interval(marginals, level=0.95)
    distribution = stats.gamma(shape, scale=1 / 7.0)
    assert_allclose(distribution.cdf(high) - distribution.cdf(low), 0.95, atol=1e-9)
    assert_allclose(high - low, shortest_width(distribution, 0.95), rtol=1e-6)


def test_gamma_interval_starts_at_nought_without_events() -> None:
    low, high = gamma_interval(GammaMarginals(shape_=np.array([1.0]), rate=np.array([3.0])), level=0.95)
    assert low[0] == 0.0
    assert_allclose(high, -np.log(0.05) / 3.0)


@pytest.mark.parametrize("freedom", [3.0, 30.0, np.inf])
def test_student_interval_is_central(freedom: float) -> None:
    marginals = StudentMarginals(location=np.array([5.0]), scale=np.array([2.0]), freedom=np.array([freedom]))
    low, high = student_interval(marginals, level=0.9)
    assert_allclose((high - 5.0) / 2.0, stats.t.ppf(0.95, freedom), rtol=1e-9)
    assert_allclose(low + high, 10.0)
