import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import binomtest, chi2, norm
from statsmodels.stats.meta_analysis import combine_effects

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.pooled_effects import heterogeneity, pool_effects

# Rubin's eight schools: Gelman and others (2013), "Bayesian data analysis", table 5.2
SCHOOLS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def test_heterogeneity_against_statsmodels() -> None:
    effects, variances = np.array([0.10, 0.30, 0.35, 0.65, 0.45]), np.array([0.03, 0.03, 0.05, 0.01, 0.05])
    found, peer = heterogeneity(effects, variances), combine_effects(effects, variances, method_re="dl")
    assert_allclose(found.q, peer.q)
    assert_allclose(found.between**2, peer.tau2)
    assert_allclose(found.share, peer.i2)
    assert_allclose(found.p_value, chi2.sf(peer.q, 4))


def test_the_eight_schools_are_told_apart_by_nothing() -> None:
    found = heterogeneity(SCHOOLS, ERRORS**2)
    assert found.between == 0.0
    assert found.share == 0.0
    assert found.p_value > 0.5


def test_estimates_by_adaptive_integration() -> None:
    """The same posterior, its two integrals (over t and over mu) done by scipy's quad."""
    effects, variances = SCHOOLS[:4], ERRORS[:4] ** 2
    scale = 1.0 / (1.0 / variances).mean()

    def height(kept: float) -> tuple[float, float, float]:
        total = variances + scale * (1.0 - kept) / kept
        mean = (effects / total).sum() / (1.0 / total).sum()
        likelihood = norm.pdf(effects, mean, np.sqrt(total)).prod() * (1.0 / total).sum() ** -0.5
        first = variances[0] / total[0] * mean + (1.0 - variances[0] / total[0]) * effects[0]
        return likelihood, mean, first

    whole = quad(lambda kept: height(kept)[0], 0.0, 1.0)[0]
    mean = quad(lambda kept: height(kept)[0] * height(kept)[1], 0.0, 1.0)[0] / whole
    first = quad(lambda kept: height(kept)[0] * height(kept)[2], 0.0, 1.0)[0] / whole
    pooled = pool_effects(effects, variances)
    assert_allclose(pooled.average().point, mean, rtol=1e-4)
    assert_allclose(pooled.estimates()[0].point, first, rtol=1e-4)


def test_draws_agree_with_closed_forms() -> None:
    pooled = pool_effects(SCHOOLS, ERRORS**2)
    drawn = pooled.draws(200_000, rng=np.random.default_rng(1))
    estimates = pooled.estimates()
    assert_allclose(drawn.mean(axis=0), [each.point for each in estimates], atol=0.15)
    assert_allclose(np.quantile(drawn, 0.025, axis=0), [each.low for each in estimates], atol=0.4)
    assert_allclose(np.quantile(drawn, 0.975, axis=0), [each.high for each in estimates], atol=0.4)


def test_exact_effects_lean_on_nothing() -> None:
    pooled = pool_effects(SCHOOLS, np.full(8, 1e-6))
    assert_allclose([each.point for each in pooled.estimates()], SCHOOLS, atol=1e-3)


@pytest.mark.parametrize("between", [0.0, 0.01, 0.05])
def test_intervals_hold_the_truth(between: float) -> None:
    rng = np.random.default_rng(7)
    held, tried = 0, 0
    for _ in range(300):
        variances = rng.uniform(0.5, 2.0, 6) * 1e-4
        truth = 0.02 + between * rng.standard_normal(6)
        pooled = pool_effects(truth + np.sqrt(variances) * rng.standard_normal(6), variances)
        place = int(rng.integers(6))
        found = pooled.estimates()[place]
        held, tried = held + (found.low <= truth[place] <= found.high), tried + 1
    # never too narrow; where segments are all alike, the prior's share of difference makes them wider than need be
    assert binomtest(held, tried, 0.95, alternative="less").pvalue > 1e-3


def test_the_test_of_heterogeneity_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    calls = sum(heterogeneity(rng.standard_normal(5) * 0.1, np.full(5, 0.01)).p_value < 0.05 for _ in range(2_000))
    assert binomtest(calls, 2_000, 0.05).pvalue > 1e-3


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="two or more"):
        pool_effects([0.1], [0.1])
    with pytest.raises(InvalidInput, match="positive"):
        heterogeneity([0.1, 0.2], [0.1, 0.0])
    with pytest.raises(InvalidInput, match="one length"):
        heterogeneity([0.1, 0.2], [0.1])
