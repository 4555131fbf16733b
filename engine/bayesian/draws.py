"""From posterior draws to results."""

from functools import partial

import numpy as np

from engine.arrays import FloatArray
from engine.bayesian.density import Density
from engine.bayesian.results import VariantPosterior
from engine.effects import IntervalEstimate


def expected_loss(draws: FloatArray, *, higher_is_better: bool = True) -> FloatArray:
    """Return what choosing each variant is expected to cost.

    Parameters
    ----------
    draws : shape (n_draws, n_variants), posterior draws in the metric's unit
    higher_is_better : False where the lowest value is best

    Returns
    -------
    shape (n_variants,), same unit, never negative. Stucchio (2015), eq. 11.
    """
    signed = draws if higher_is_better else -draws
    return (signed.max(axis=1, keepdims=True) - signed).mean(axis=0)


def probability_best(draws: FloatArray, *, higher_is_better: bool = True) -> FloatArray:
    """Return the share of draws, shape (n_draws, n_variants), in which each variant is best: shape (n_variants,)."""
    best = draws.argmax(axis=1) if higher_is_better else draws.argmin(axis=1)
    return np.bincount(best, minlength=draws.shape[1]) / draws.shape[0]


def drawn_interval(draws: FloatArray, *, level: float) -> tuple[float, float]:
    """Return the shortest interval that holds the level's share of draws of shape (n_draws,): Chen and Shao (1999)."""
    ordered = np.sort(draws)
    inside = min(max(int(np.ceil(level * ordered.size)), 2), ordered.size)
    widths = ordered[inside - 1 :] - ordered[: ordered.size - inside + 1]
    start = int(np.argmin(widths))
    return float(ordered[start]), float(ordered[start + inside - 1])


def drawn_density(draws: FloatArray, points: int) -> Density:
    """Return a Gaussian kernel estimate on an even grid over the central 99.9 % of draws of shape (n_draws,).

    The bandwidth is Silverman's (1986), "Density estimation", eq. 3.31.
    """
    low, quarter, three_quarters, high = np.quantile(draws, [0.0005, 0.25, 0.75, 0.9995]).tolist()
    spread = min(float(draws.std()), (three_quarters - quarter) / 1.34)
    width = 0.9 * spread * draws.size**-0.2
    values = np.linspace(low, high, points, dtype=np.float64)
    heights = np.exp(-0.5 * ((values[:, None] - draws) / width) ** 2).sum(axis=1)
    return Density(x=values, density=heights / (draws.size * width * np.sqrt(2.0 * np.pi)))


def drawn_posteriors(
    draws: FloatArray, *, control: int, level: float, higher_is_better: bool
) -> tuple[VariantPosterior, ...]:
    """Return one posterior a variant.

    Parameters
    ----------
    draws : shape (n_draws, n_variants), the metric's unit, positive at the control
    control, level, higher_is_better : as in the closed forms
    """
    best = probability_best(draws, higher_is_better=higher_is_better).tolist()
    loss = expected_loss(draws, higher_is_better=higher_is_better).tolist()
    return tuple(
        VariantPosterior(
            variant=i,
            mean=_estimate(draws[:, i], float(draws[:, i].mean()), level),
            lift=None if i == control else _lift(draws[:, i] / draws[:, control] - 1.0, level),
            probability_best=best[i],
            probability_beats_control=None if i == control else _beats(draws[:, [i, control]], higher_is_better),
            expected_loss=loss[i],
            curve=partial(drawn_density, draws[:, i].copy()),
        )
        for i in range(draws.shape[1])
    )


def _beats(pair: FloatArray, higher_is_better: bool) -> float:
    ahead = pair[:, 0] > pair[:, 1] if higher_is_better else pair[:, 0] < pair[:, 1]
    return float(ahead.mean())


def _lift(draws: FloatArray, level: float) -> IntervalEstimate:
    return _estimate(draws, float(np.median(draws)), level)


def _estimate(draws: FloatArray, point: float, level: float) -> IntervalEstimate:
    low, high = drawn_interval(draws, level=level)
    return IntervalEstimate(point=point, low=low, high=high)
