"""PyMC's models, compiled once for the whole session."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.bayesian.beta_binomial import analyze_proportions_batch, beta_posterior
from engine.bayesian.hurdle import HurdleSummary, analyze_revenue
from engine.bayesian.pooling import PooledModel, PoolingPrior, compile_proportions, compile_revenue
from engine.errors import InvalidInput, NotConverged, NotEnoughData
from engine.simulation.ranks import pooled_ranks, uniformity
from engine.simulation.worlds import RevenueWorld

pytestmark = pytest.mark.slow

APART = PoolingPrior(location=-2.0, scale=5.0, variant_spread=5.0, segment_spread=5.0, cell_spread=5.0)


@pytest.fixture(scope="session")
def conversions() -> PooledModel:
    return compile_proportions(variants=2, segments=2)


@pytest.fixture(scope="session")
def revenue() -> PooledModel:
    return compile_revenue(variants=2)


def test_without_pooling_it_agrees_with_the_closed_form(conversions: PooledModel) -> None:
    converted = np.array([[1000, 520], [1100, 500]])
    exposed = np.array([[10_000, 5000], [10_000, 5000]])
    fit = conversions.fit_proportions(converted, exposed, rng=np.random.default_rng(1), prior=APART)
    for segment in range(2):
        closed = analyze_proportions_batch([converted[:, segment]], [exposed[:, segment]])
        for variant, found in enumerate(fit.segments[segment]):
            width = closed.high[0, variant] - closed.low[0, variant]
            assert_allclose(found.mean.point, closed.mean[0, variant], atol=0.03 * width)
            assert_allclose(found.mean.high - found.mean.low, width, rtol=0.07)
            assert_allclose(found.probability_best, closed.probability_best[0, variant], atol=0.02)
            assert_allclose(found.expected_loss, closed.expected_loss[0, variant], atol=0.02 * width)


def test_pooling_draws_a_small_segment_to_the_others(conversions: PooledModel) -> None:
    """5 of 25 alone say 0.22; the large segment's 0.10 in the same variant, and the other variant's, say less."""
    fit = conversions.fit_proportions(
        [[1000, 5], [1000, 2]], [[10_000, 25], [10_000, 25]], rng=np.random.default_rng(2)
    )
    alone = float(beta_posterior([5, 2], [25, 25]).mean[0])
    small, large = fit.segments[1][0].mean.point, fit.segments[0][0].mean.point
    assert large < small < alone - 0.02
    assert_allclose(large, 0.1, atol=0.002)


def test_what_it_reports(conversions: PooledModel) -> None:
    fit = conversions.fit_proportions(
        [[100, 50], [130, 60]], [[1000, 500], [1000, 500]], rng=np.random.default_rng(3), level=0.9, control=1
    )
    overall = fit.overall
    assert overall.model == "hierarchical"
    assert overall.r_hat is not None
    assert overall.r_hat <= 1.01
    assert overall.effective_sample_size is not None
    assert overall.effective_sample_size >= 400
    assert fit.diagnostics.divergences == 0
    assert overall.variants[1].lift is None
    assert sum(variant.probability_best for variant in overall.variants) == pytest.approx(1.0)
    assert dict(fit.draws["posterior"]["value"].sizes) == {"chain": 4, "draw": 1000, "variant": 2, "segment": 2}


def test_same_seed_same_draws(conversions: PooledModel) -> None:
    data = [[10, 5], [13, 6]], [[100, 50], [100, 50]]
    fits = [conversions.fit_proportions(*data, rng=np.random.default_rng(4)) for _ in range(2)]
    assert fits[0].overall == fits[1].overall


def test_too_few_draws_are_refused(conversions: PooledModel) -> None:
    with pytest.raises(NotConverged, match=r"did not converge.*wait for more"):
        conversions.fit_proportions([[1, 0], [0, 1]], [[9, 9], [9, 9]], rng=np.random.default_rng(5), draws=20)


def test_degenerate_cells_are_refused(conversions: PooledModel) -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(InvalidInput, match="2 variants by 2 segments"):
        conversions.fit_proportions([1, 2], [9, 9], rng=rng)
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        conversions.fit_proportions([[1, np.nan], [1, 1]], [[9, 9], [9, 9]], rng=rng)
    with pytest.raises(InvalidInput, match="count each unit once"):
        conversions.fit_proportions([[1, 10], [1, 1]], [[9, 9], [9, 9]], rng=rng)
    with pytest.raises(NotEnoughData, match="wait for the first exposure"):
        conversions.fit_proportions([[0, 0], [1, 1]], [[0, 0], [9, 9]], rng=rng)
    with pytest.raises(InvalidInput, match="compile the one that fits"):
        conversions.fit_revenue([[1, 1]] * 2, [[1, 1]] * 2, [[1, 1]] * 2, [[9, 9]] * 2, rng=rng)


def test_ranks_of_the_truth_are_uniform(conversions: PooledModel) -> None:
    """Simulation-based calibration, 40 fits: a p-value this small comes once in a thousand."""
    ranks = pooled_ranks(conversions, np.random.default_rng(7), fits=40)
    assert min(uniformity(each, bins=5) for each in ranks.values()) > 0.001


def test_revenue_without_pooling_agrees_with_the_hurdle(revenue: PooledModel) -> None:
    rng = np.random.default_rng(8)
    world = RevenueWorld(share=0.2, log_mean=3.0, log_deviation=0.9)
    pair = [HurdleSummary.from_values(world.values(rng, units=20_000)) for _ in range(2)]
    fit = revenue.fit_revenue(
        [summary.log_amounts.mean for summary in pair],
        [summary.log_amounts.variance for summary in pair],
        [summary.converted for summary in pair],
        [summary.exposed for summary in pair],
        rng=rng,
        prior=APART,
        amount_prior=PoolingPrior(location=3.0, scale=5.0, variant_spread=5.0),
    )
    for found, closed in zip(fit.overall.variants, analyze_revenue(pair).variants, strict=True):
        width = closed.mean.high - closed.mean.low
        assert_allclose(found.mean.point, closed.mean.point, atol=0.03 * width)
        assert_allclose(found.mean.high - found.mean.low, width, rtol=0.08)
        assert_allclose(found.probability_best, closed.probability_best, atol=0.03)
    assert fit.overall.model == "hierarchical-hurdle"


def test_a_cell_without_buyers_is_no_obstacle_to_revenue() -> None:
    fit = compile_revenue(variants=2, segments=2).fit_revenue(
        [[3.0, 3.1], [3.0, 0.0]], [[1.0, 1.1], [1.0, 0.0]], [[50, 30], [60, 0]], [[500, 300], [500, 40]],
        rng=np.random.default_rng(9),
    )  # fmt: skip
    for one in (*fit.overall.variants, *fit.segments[1]):
        assert one.mean.low < one.mean.point < one.mean.high < 100.0


def test_a_revenue_model_takes_no_conversions(revenue: PooledModel) -> None:
    with pytest.raises(InvalidInput, match="compile the one that fits"):
        revenue.fit_proportions([1, 2], [9, 9], rng=np.random.default_rng(9))


@pytest.mark.parametrize(("buyers", "said"), [([0, 0], "0 has 0"), ([10, 9], "1 has 9")])
def test_revenue_of_few_buyers_is_refused(revenue: PooledModel, buyers: list[int], said: str) -> None:
    with pytest.raises(NotEnoughData, match=f"Variant {said} buyers and at least 10 are needed"):
        revenue.fit_revenue([3.0, 3.0], [1.0, 1.0], buyers, [40, 40], rng=np.random.default_rng(10))


def test_a_mean_that_rests_on_the_tail_of_the_prior_is_refused(revenue: PooledModel) -> None:
    with pytest.raises(NotEnoughData, match="the mean would rest on the prior"):
        revenue.fit_revenue([3.0, 3.0], [9.0, 9.0], [10, 11], [40, 40], rng=np.random.default_rng(11))


def test_small_cells_of_wide_amounts_do_not_decide_the_mean() -> None:
    """Left freer, the widest draws of the last cells' deviations made it 9.7 by one seed and 6.8 by the other."""
    model = compile_revenue(variants=2, segments=4)
    buyers = np.array([[200, 50, 5, 0], [200, 50, 5, 1]])
    means, variances = np.full((2, 4), 3.0), np.full((2, 4), 2.25)
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        fit = model.fit_revenue(means, variances, buyers, buyers * 10 + 20, rng=rng)
        for one in fit.overall.variants:
            assert one.mean.low < one.mean.point < one.mean.high
            assert_allclose(one.mean.point, 6.1, rtol=0.05)
