import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from engine.arrays import FloatArray
from engine.bayesian.lift import beta_ratio, gamma_ratio, lift_estimate, student_ratio
from engine.bayesian.marginals import BetaMarginals, GammaMarginals, StudentMarginals
from engine.effects import IntervalEstimate


def beta(converted: list[int], exposed: list[int]) -> BetaMarginals:
    x, n = np.array(converted, dtype=float), np.array(exposed, dtype=float)
    return BetaMarginals(alpha=x + 1.0, beta=n - x + 1.0)


def ratio_below(marginals: BetaMarginals, ratio: float) -> float:
    """P(x1 / x0 <= ratio), by 200-point Gauss-Legendre between many quantiles of the control."""
    if ratio <= 0:
        return 0.0
    a, b = marginals.alpha, marginals.beta
    tails = np.array([1e-15, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2])
    cuts = special.betaincinv(a[0], b[0], np.concatenate([[0.0], tails, [0.5], 1 - tails[::-1], [1.0]]))
    cuts = np.unique(np.concatenate([cuts, [min(1.0 / ratio, 1.0)]]))
    points, weights = np.polynomial.legendre.leggauss(200)
    x = (0.5 * (cuts[:-1] + cuts[1:]))[:, None] + 0.5 * np.diff(cuts)[:, None] * points
    inner = stats.beta.pdf(x, a[0], b[0]) * stats.beta.cdf(np.minimum(ratio * x, 1.0), a[1], b[1])
    return float((0.5 * np.diff(cuts)[:, None] * weights * inner).sum())


def lift(marginals: BetaMarginals, level: float = 0.95) -> IntervalEstimate:
    return lift_estimate(beta_ratio(marginals, treatment=1, control=0), level=level)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("converted", "exposed", "accuracy"),
    [
        ([120, 150], [1000, 1010], 1e-6),
        ([8279, 8502], [45489, 44700], 1e-6),
        ([0, 2], [3, 4], 1e-5),
        ([95, 97], [100, 100], 1e-6),
        ([990, 985], [1000, 1000], 1e-6),
        ([5, 8], [10_000_000, 10_000_000], 1e-6),
        ([5, 2], [10_000_000, 3], 1e-6),
        ([0, 5], [3, 10_000_000], 1e-6),
        ([0, 0], [1000, 1000], 1e-6),
        ([3, 3], [3, 3], 1e-3),
    ],
)
def test_interval_holds_the_level_and_the_median_halves(
    converted: list[int], exposed: list[int], accuracy: float, level: float
) -> None:
    marginals = beta(converted, exposed)
    found = lift(marginals, level)
    held = ratio_below(marginals, found.high + 1.0) - ratio_below(marginals, found.low + 1.0)
    assert_allclose(held, level, atol=accuracy)
    assert_allclose(ratio_below(marginals, found.point + 1.0), 0.5, atol=accuracy)


def test_interval_is_shortest() -> None:
    marginals = beta([40, 50], [400, 400])
    table = beta_ratio(marginals, treatment=1, control=0)
    low, high = table.highest_density(0.95)
    for nudge in (0.001, 0.004, 0.01):
        for mass in (nudge, -nudge):
            start = float(np.interp(low, table.values, table.below)) + mass
            width = table.quantile(start + 0.95) - table.quantile(start)
            assert width > high - low


def test_swapping_arms_inverts_the_median() -> None:
    one = lift(beta([120, 150], [1000, 1010])).point
    other = lift(beta([150, 120], [1010, 1000])).point
    assert_allclose((1 + one) * (1 + other), 1.0, rtol=1e-6)


def test_ratio_of_gammas_is_an_f_distribution() -> None:
    marginals = GammaMarginals(shape_=np.array([5.0, 9.0]), rate=np.array([100.0, 100.0]))
    found = lift_estimate(gamma_ratio(marginals, treatment=1, control=0), level=0.9)
    f = stats.f(18, 10)
    assert_allclose(f.cdf((found.high + 1) / 1.8) - f.cdf((found.low + 1) / 1.8), 0.9, atol=1e-7)
    assert_allclose(f.cdf((found.point + 1) / 1.8), 0.5, atol=1e-7)


@pytest.mark.parametrize("freedom", [5.0, 50.0, np.inf])
def test_ratio_of_means_agrees_with_draws(freedom: float) -> None:
    marginals = StudentMarginals(
        location=np.array([10.0, 10.5]), scale=np.array([0.5, 0.7]), freedom=np.array([freedom, freedom])
    )
    table = student_ratio(marginals, treatment=1, control=0, level=0.95)
    assert table is not None
    found = lift_estimate(table, level=0.95)
    draws = _ratio_draws(freedom, np.random.default_rng(3))
    assert_allclose(np.mean((draws > found.low) & (draws < found.high)), 0.95, atol=1e-3)
    assert_allclose(np.median(draws), found.point, atol=1e-3)


def _ratio_draws(freedom: float, rng: np.random.Generator) -> FloatArray:
    size = (2, 1_000_000)
    noise = rng.standard_normal(size) if np.isinf(freedom) else rng.standard_t(freedom, size)
    return (10.5 + 0.7 * noise[0]) / (10.0 + 0.5 * noise[1]) - 1.0


@pytest.mark.parametrize("control", [0.0, -3.0, 1.0])
def test_no_lift_over_what_is_not_told_from_nought(control: float) -> None:
    marginals = StudentMarginals(
        location=np.array([control, 10.5]), scale=np.array([0.5, 0.7]), freedom=np.array([30.0, 30.0])
    )
    assert student_ratio(marginals, treatment=1, control=0, level=0.95) is None
