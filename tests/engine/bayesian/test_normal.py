import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from engine.bayesian.normal import analyze_means, analyze_means_batch, student_posterior
from engine.bayesian.priors import NormalPrior
from engine.bayesian.ratio import analyze_ratios
from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import MeanSummary, RatioSummary

RNG = np.random.default_rng(11)
FIRST, SECOND = RNG.normal(10.0, 3.0, 40), RNG.normal(11.0, 4.0, 60)


def summaries() -> list[MeanSummary]:
    return [MeanSummary.from_values(FIRST), MeanSummary.from_values(SECOND)]


def test_flat_prior_gives_the_t_interval() -> None:
    """The flat prior's interval is Student's: scipy.stats.ttest_1samp's confidence interval."""
    result = analyze_means(summaries(), level=0.9)
    for variant, values in zip(result.variants, (FIRST, SECOND), strict=True):
        expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
        assert_allclose((variant.mean.low, variant.mean.high), (expected.low, expected.high), rtol=1e-9)


def test_probability_best_agrees_with_draws() -> None:
    rng = np.random.default_rng(4)
    first = FIRST.mean() + FIRST.std(ddof=1) / np.sqrt(40) * rng.standard_t(39, 1_000_000)
    second = SECOND.mean() + SECOND.std(ddof=1) / np.sqrt(60) * rng.standard_t(59, 1_000_000)
    found = analyze_means(summaries()).variants[1]
    assert_allclose(found.probability_best, np.mean(second > first), atol=2e-3)
    assert_allclose(found.expected_loss, np.maximum(first - second, 0).mean(), atol=2e-3)


def test_prior_updates_in_one_go_as_in_two() -> None:
    """Conjugacy: a prior updated with half the units and then with the rest is the prior updated with all."""
    prior = NormalPrior(mean=8.0, units=3.0, shape=2.0, scale=5.0)
    together = student_posterior([FIRST.mean()] * 2, [FIRST.var(ddof=1)] * 2, [40, 40], prior=prior)
    halfway = _updated(prior, FIRST[:15])
    rest = FIRST[15:]
    after = student_posterior([rest.mean()] * 2, [rest.var(ddof=1)] * 2, [25, 25], prior=halfway)
    for name in ("location", "scale", "freedom"):
        assert_allclose(getattr(after, name), getattr(together, name), rtol=1e-12)


def _updated(prior: NormalPrior, values: np.ndarray) -> NormalPrior:
    """Gelman and others (2013), eq. 3.3 ff., written out."""
    n, mean = values.size, values.mean()
    scatter = ((values - mean) ** 2).sum() + prior.units * n / (prior.units + n) * (mean - prior.mean) ** 2
    return NormalPrior(
        mean=(prior.units * prior.mean + n * mean) / (prior.units + n),
        units=prior.units + n,
        shape=prior.shape + n / 2,
        scale=prior.scale + scatter / 2,
    )


def test_batch_agrees_with_single_tests() -> None:
    batch = analyze_means_batch(
        [[FIRST.mean(), SECOND.mean()]], [[FIRST.var(ddof=1), SECOND.var(ddof=1)]], [[40, 60]], higher_is_better=False
    )
    alone = analyze_means(summaries(), higher_is_better=False)
    assert_allclose(batch.probability_best[0], [v.probability_best for v in alone.variants], atol=1e-12)
    assert_allclose(batch.high[0], [v.mean.high for v in alone.variants], rtol=1e-12)


def test_density_is_students() -> None:
    density = analyze_means(summaries()).variants[0].density(50)
    expected = stats.t(39, FIRST.mean(), FIRST.std(ddof=1) / np.sqrt(40)).pdf(density.x)
    assert_allclose(density.density, expected, rtol=1e-9)


def test_lift_is_left_out_where_the_control_may_be_nought() -> None:
    around = MeanSummary.from_values(RNG.normal(0.0, 1.0, 50))
    result = analyze_means([around, MeanSummary.from_values(SECOND)])
    assert result.variants[1].lift is None


@pytest.mark.parametrize(
    ("means", "variances", "exposed", "error", "words"),
    [
        ([1, math.inf], [1, 1], [9, 9], InvalidInput, "NaN or infinite"),
        ([1, 2], [1, -1], [9, 9], InvalidInput, "negative"),
        ([1, 2], [1, 1], [9, 3], NotEnoughData, "Variant 1 has 3 exposed units and at least 4"),
        ([1, 2], [1, 0], [9, 9], NotEnoughData, "wait, or state a prior"),
        ([1], [1], [9], InvalidInput, "two variants or more"),
        ([1, 2], [1, 1, 1], [9, 9], InvalidInput, "Shapes differ"),
    ],
)
def test_degenerate_moments_are_refused(
    means: object, variances: object, exposed: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        student_posterior(means, variances, exposed)


def test_ratio_is_normal_with_the_delta_methods_variance() -> None:
    orders = RNG.poisson(2.0, (2, 500)) + 1
    spent = orders * RNG.normal(20.0, 4.0, (2, 500))
    result = analyze_ratios([RatioSummary.from_values(spent[i], orders[i]) for i in range(2)])
    ratio = spent[0].sum() / orders[0].sum()
    error = np.sqrt(np.var(spent[0] - ratio * orders[0], ddof=1) / 500) / orders[0].mean()
    mean = result.variants[0].mean
    assert_allclose((mean.point, (mean.high - mean.low) / 2), (ratio, stats.norm.ppf(0.975) * error), rtol=1e-9)
    assert result.model == "ratio-normal"
    assert result.variants[1].lift is not None


def test_degenerate_ratios_are_refused() -> None:
    few = RatioSummary.from_values([1.0, 2.0], [1.0, 1.0])
    constant = RatioSummary.from_values(np.full(40, 2.0), np.full(40, 1.0))
    with pytest.raises(NotEnoughData, match="at least 30"):
        analyze_ratios([few, few])
    with pytest.raises(NotEnoughData, match="wait until units differ"):
        analyze_ratios([constant, constant])
