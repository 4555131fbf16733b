import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from engine.bayesian.even_grid import EvenGrid, convolved, even_standing
from engine.bayesian.marginals import StudentMarginals
from engine.bayesian.quadrature import standing
from engine.bayesian.tabulated import Tabulated


def test_grid_covers_and_never_grows_too_long() -> None:
    grid = EvenGrid.over(-1.0, 2.0, step=0.7)
    assert grid.points[0] == -1.0
    assert grid.points[-1] >= 2.0
    assert EvenGrid.over(0.0, 1.0, step=1e-9).size <= 131_073


@pytest.mark.parametrize("ratio", [1.0, 5.0, 40.0])
def test_convolution_of_normals_is_normal(ratio: float) -> None:
    first, second = stats.norm(1.0, 1.0), stats.norm(-3.0, ratio)
    grid = EvenGrid.over(-3.0 - 9 * ratio - 9, 9 * ratio + 9, step=0.25)
    heights = convolved(first.pdf, (-8.0, 10.0), second.pdf, (-3 - 9 * ratio, -3 + 9 * ratio), grid)
    found = heights / (heights.sum() * grid.step)
    assert_allclose(found, stats.norm(-2.0, np.hypot(1.0, ratio)).pdf(grid.points), atol=1e-10)


@pytest.mark.parametrize("higher", [True, False])
def test_standing_on_a_grid_agrees_with_quadrature(higher: bool) -> None:
    """Log-normal values: their order, and so P(best), is that of their normal logarithms."""
    location, scale = np.array([0.0, 0.1, -0.2, 0.05, 0.0]), np.array([0.1, 0.2, 0.15, 0.1, 0.3])
    grid = EvenGrid.over(-4.0, 4.0, step=0.025)
    densities = stats.norm(location[:, None], scale[:, None]).pdf(grid.points)
    marginals = StudentMarginals(location=location, scale=scale, freedom=np.full(5, np.inf))
    found = even_standing(densities, grid, control=0, higher_is_better=higher)
    expected = standing(marginals, higher_is_better=higher)
    assert_allclose(found.probability_best, expected.probability_best, atol=1e-11)
    assert_allclose(found.probability_beats_control[1:], expected.probability_beats_control[1:], atol=1e-11)


def test_tabulated_normal_has_the_normals_quantiles_and_interval() -> None:
    points = np.arange(-8.0, 8.01, 0.25)
    table = Tabulated.from_heights(np.exp(-0.5 * points**2), start=-8.0, step=0.25, logarithmic=False)
    for probability in (0.001, 0.2, 0.5, 0.975):
        assert_allclose(table.quantile(probability), stats.norm.ppf(probability), atol=1e-5)
    assert_allclose(table.highest_density(0.95), stats.norm.interval(0.95), atol=1e-6)
    assert_allclose(table.at(np.array([0.0, 100.0])), [stats.norm.pdf(0.0), 0.0], atol=1e-9)


def test_tabulated_log_normal_interval_is_the_shortest() -> None:
    sigma = 0.4
    points = np.arange(-8.0, 8.01, 0.25) * sigma
    table = Tabulated.from_heights(
        np.exp(-0.5 * (points / sigma) ** 2), start=points[0], step=0.25 * sigma, logarithmic=True
    )
    low, high = table.highest_density(0.9)
    distribution = stats.lognorm(sigma)
    assert_allclose(distribution.cdf(high) - distribution.cdf(low), 0.9, atol=1e-6)
    assert_allclose(distribution.pdf(low), distribution.pdf(high), rtol=1e-5)


def test_bisection_finds_what_newton_finds() -> None:
    points = np.arange(-8.0, 8.01, 0.25)
    heights = stats.skewnorm(4.0).pdf(points)
    table = Tabulated.from_heights(heights, start=-8.0, step=0.25, logarithmic=False)
    start = table._densest_start(0.8)
    newton = table._newton(float(start), 0.8)
    assert newton is not None
    assert_allclose(table._bisected(start, 0.8), newton, atol=1e-4)
