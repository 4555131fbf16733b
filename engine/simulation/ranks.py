"""Simulation-based calibration: where the truth ranks among posterior draws, if it was drawn from the prior.

Uniformly, if sampler and model are right: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), "Validating Bayesian
inference algorithms with simulation-based calibration", theorem 1.
"""

import numpy as np
from scipy.special import expit, gammaincc

from engine.arrays import FloatArray
from engine.bayesian.pooling import LOG_SPREAD, PooledModel, PoolingPrior
from engine.errors import InvalidInput, NotConverged


def pooled_ranks(
    model: PooledModel,
    rng: np.random.Generator,
    *,
    fits: int = 100,
    units: int = 400,
    draws: int = 500,
    prior: PoolingPrior | None = None,
) -> dict[str, FloatArray]:
    """Return the ranks of true rates among their posterior draws, over fits of data simulated from the prior.

    Parameters
    ----------
    model : of conversion, compiled
    rng : of truths, units and the sampler
    fits : how many; those that do not converge are left out, and there may be few
    units : of each cell
    draws : of each of four chains
    prior : None takes the defaults

    Returns
    -------
    by quantity (the first variant's overall rate, and its lift), ranks scaled to [0, 1]: shape (fits,)

    Raises
    ------
    NotConverged
        more than one fit in twenty did not
    """
    belief = prior or PoolingPrior()
    found: list[tuple[float, float]] = []
    for _ in range(fits):
        truth = prior_rates(belief, rng, variants=model.variants, segments=model.segments)
        exposed = np.full(truth.shape, units)
        try:
            fit = model.fit_proportions(rng.binomial(exposed, truth), exposed, rng=rng, prior=belief, draws=draws)
        except NotConverged:
            continue
        cells = np.asarray(fit.draws["posterior"]["value"].values).reshape(-1, *truth.shape)
        found.append(_ranks(cells.mean(axis=2), truth.mean(axis=1)))
    if len(found) < 0.95 * fits:
        raise NotConverged(f"{fits - len(found)} of {fits} fits did not converge: look at the model before its ranks.")
    rate, lift = np.array(found).T
    return {"rate": rate, "lift": lift}


def prior_rates(prior: PoolingPrior, rng: np.random.Generator, *, variants: int, segments: int) -> FloatArray:
    """Draw the rates of all cells from the pooled model's prior: shape (variants, segments)."""
    spreads = np.exp(
        np.log([prior.variant_spread, prior.segment_spread, prior.cell_spread]) + LOG_SPREAD * rng.standard_normal(3)
    )
    base = float(rng.normal(prior.location, prior.scale))
    variant = base + float(spreads[0]) * rng.standard_normal((variants, 1))
    if segments == 1:
        return expit(variant)
    segment = rng.standard_normal((1, segments))
    cell = float(spreads[2]) * rng.standard_normal((variants, segments))
    logits = variant + float(spreads[1]) * (segment - segment.mean()) + cell
    return expit(logits)


def uniformity(ranks: FloatArray, *, bins: int = 10) -> float:
    """Return the p-value of the chi-squared test that ranks in [0, 1] are uniform.

    Parameters
    ----------
    ranks : shape (n,), n at least five a bin
    bins : at least 2
    """
    if bins < 2 or ranks.size < 5 * bins:
        raise InvalidInput(f"{ranks.size} ranks in {bins} bins: pass at least five a bin, and two bins.")
    counts = np.bincount(np.minimum((ranks * bins).astype(np.int64), bins - 1), minlength=bins)
    expected = ranks.size / bins
    statistic = float(((counts - expected) ** 2).sum() / expected)
    return float(gammaincc(0.5 * (bins - 1), 0.5 * statistic))


def _ranks(draws: FloatArray, truth: FloatArray) -> tuple[float, float]:
    rate = float((draws[:, 0] < truth[0]).mean())
    lift = float((draws[:, 1] / draws[:, 0] < truth[1] / truth[0]).mean())
    return rate, lift
