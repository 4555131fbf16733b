import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from engine.bayesian.gamma_poisson import analyze_counts, count_dispersion, gamma_posterior
from engine.bayesian.priors import GammaPrior
from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import MeanSummary


def test_posterior_is_the_gammas() -> None:
    posterior = gamma_posterior([30, 50], [100, 120], prior=GammaPrior(shape=2.0, rate=4.0))
    expected = stats.gamma([32.0, 52.0], scale=1 / np.array([104.0, 124.0]))
    assert_allclose(posterior.mean, expected.mean())
    assert_allclose(posterior.quantile(np.array(0.3)), expected.ppf(0.3))
    assert_allclose(posterior.density(np.array([0.3, 0.4])), expected.pdf([0.3, 0.4]))


def test_two_variants_agree_with_the_f_distribution() -> None:
    counts = np.repeat([0, 1, 2], [70, 20, 10]), np.repeat([0, 1, 3], [60, 20, 20])
    result = analyze_counts([MeanSummary.from_values(each) for each in counts], dispersion=1.0)
    a, b = 41.0, 81.0
    assert_allclose(result.variants[1].probability_best, stats.f.sf(a / b, 2 * b, 2 * a), atol=1e-10)
    assert result.model == "gamma-poisson"


def test_dispersion_is_that_of_pearson() -> None:
    summaries = [MeanSummary.from_values([0, 0, 6, 2]), MeanSummary.from_values([0, 9, 0])]
    variances, means = [np.var([0, 0, 6, 2], ddof=1), np.var([0, 9, 0], ddof=1)], [2.0, 3.0]
    assert_allclose(count_dispersion(summaries), (3 * variances[0] / means[0] + 2 * variances[1] / means[1]) / 5)


def test_overdispersed_counts_widen_the_posterior() -> None:
    rng = np.random.default_rng(2)
    summaries = [MeanSummary.from_values(rng.negative_binomial(1, 0.2, 2000)) for _ in range(2)]
    assert_allclose(count_dispersion(summaries), 5.0, rtol=0.1)
    widened, poisson = analyze_counts(summaries), analyze_counts(summaries, dispersion=1.0)
    mean, narrow = widened.variants[0].mean, poisson.variants[0].mean
    assert_allclose(
        (mean.high - mean.low) / (narrow.high - narrow.low), np.sqrt(count_dispersion(summaries)), rtol=0.01
    )


def test_no_events_are_no_obstacle() -> None:
    result = analyze_counts([MeanSummary.from_values([0, 0, 0]), MeanSummary.from_values([0, 2, 0])])
    assert result.variants[0].mean.low == 0.0
    assert_allclose(sum(v.probability_best for v in result.variants), 1.0, atol=1e-10)


@pytest.mark.parametrize(
    ("events", "exposed", "dispersion", "error", "words"),
    [
        ([1, math.nan], [5, 5], 1.0, InvalidInput, "NaN or infinite"),
        ([1, -2], [5, 5], 1.0, InvalidInput, "negative"),
        ([1, 2], [5, 0], 1.0, NotEnoughData, "wait for more exposures"),
        ([1], [5], 1.0, InvalidInput, "two variants or more"),
        ([1, 2], [5, 5], 0.5, InvalidInput, "at least 1"),
    ],
)
def test_degenerate_counts_are_refused(
    events: object, exposed: object, dispersion: float, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        gamma_posterior(events, exposed, dispersion=dispersion)
