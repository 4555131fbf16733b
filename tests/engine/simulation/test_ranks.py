import numpy as np
import pytest
from scipy import stats

from engine.bayesian.pooling import PoolingPrior
from engine.errors import InvalidInput
from engine.simulation.ranks import prior_rates, uniformity


def test_uniformity_is_the_chi_squared_test() -> None:
    ranks = np.random.default_rng(1).random(200) ** 1.2
    counts = np.histogram(ranks, bins=8, range=(0, 1))[0]
    assert uniformity(ranks, bins=8) == pytest.approx(stats.chisquare(counts).pvalue)
    assert uniformity(np.full(200, 0.5)) < 1e-6


def test_too_few_ranks_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least five a bin"):
        uniformity(np.zeros(49))


def test_prior_rates_have_the_priors_spread() -> None:
    rng = np.random.default_rng(2)
    prior = PoolingPrior(location=0.0, scale=1.0, variant_spread=0.2)
    rates = np.stack([prior_rates(prior, rng, variants=2, segments=1)[:, 0] for _ in range(4000)])
    logits = np.log(rates / (1 - rates))
    assert logits[:, 0].mean() == pytest.approx(0.0, abs=0.06)
    spread = 0.2 * np.exp(0.5**2)  # root mean square of a log-normal of median 0.2 and log deviation 0.5
    assert (logits[:, 0] - logits[:, 1]).std() == pytest.approx(np.sqrt(2) * spread, rel=0.06)
    assert logits[:, 0].std() == pytest.approx(np.hypot(1.0, spread), rel=0.05)


def test_segments_sum_to_nought_about_each_variant() -> None:
    prior = PoolingPrior(cell_spread=1e-9, segment_spread=1.0)
    rates = prior_rates(prior, np.random.default_rng(3), variants=2, segments=3)
    logits = np.log(rates / (1 - rates))
    apart = logits - logits.mean(axis=1, keepdims=True)
    assert np.abs(apart[0] - apart[1]).max() < 1e-6
    assert np.abs(apart[0]).max() > 0.05
