import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize

from engine.bayesian.priors import BetaPrior, GammaPrior, NormalPrior, empirical_bayes
from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import ProportionSummary


def past(rng: np.random.Generator, tests: int, units: int) -> list[ProportionSummary]:
    rates = rng.beta(20.0, 180.0, tests)
    return [ProportionSummary(converted=int(rng.binomial(units, rate)), exposed=units) for rate in rates]


def test_empirical_bayes_agrees_with_scipy() -> None:
    """The maximum of scipy.stats.betabinom's likelihood, found by scipy.optimize.minimize."""
    tests = past(np.random.default_rng(8), 60, 3000)
    x, n = np.array([t.converted for t in tests]), np.array([t.exposed for t in tests])
    best = minimize(
        lambda p: -stats.betabinom.logpmf(x, n, *np.exp(p)).sum(), np.log([5.0, 50.0]), method="Nelder-Mead", tol=1e-10
    )
    found = empirical_bayes(tests)
    assert_allclose((found.alpha, found.beta), np.exp(best.x), rtol=1e-4)


def test_empirical_bayes_finds_the_truth() -> None:
    found = empirical_bayes(past(np.random.default_rng(9), 2000, 5000))
    assert_allclose((found.alpha, found.beta), (20.0, 180.0), rtol=0.1)


def test_past_rates_that_differ_by_chance_alone_stop_at_most_units() -> None:
    alike = [ProportionSummary(converted=100, exposed=1000)] * 10
    found = empirical_bayes(alike, most_units=500.0)
    assert_allclose(found.alpha + found.beta, 500.0, rtol=1e-6)
    grid = np.linspace(0.05, 0.15, 10_001)
    likelihood = stats.betabinom.logpmf(100, 1000, 500 * grid, 500 * (1 - grid))
    assert_allclose(found.mean, grid[likelihood.argmax()], atol=1e-5)


def test_too_little_of_a_past_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="use a flat or a stated prior"):
        empirical_bayes([ProportionSummary(converted=1, exposed=10)] * 4)
    with pytest.raises(NotEnoughData, match="nobody or everybody"):
        empirical_bayes([ProportionSummary(converted=0, exposed=10)] * 9)
    with pytest.raises(InvalidInput, match="above 0"):
        empirical_bayes([ProportionSummary(converted=1, exposed=10)] * 9, most_units=0.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_distribution_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="pass a finite number above 0"):
        BetaPrior(alpha=value, beta=1.0)
    with pytest.raises(InvalidInput, match="pass a finite number above 0"):
        GammaPrior(shape=value, rate=1.0)
    with pytest.raises(InvalidInput, match="pass a finite number above 0"):
        NormalPrior(mean=0.0, units=1.0, shape=value, scale=1.0)
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        BetaPrior.stated(rate=value, units=10.0)


def test_stated_nonsense_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 0"):
        GammaPrior(shape=1.0, rate=-1.0)
    with pytest.raises(InvalidInput, match="pass a finite number"):
        NormalPrior(mean=math.nan, units=1.0, shape=1.0, scale=1.0)
    with pytest.raises(InvalidInput, match="units"):
        BetaPrior.stated(rate=0.5, units=0.0)
