"""The probability that each arm is best, for allocation: the integral of engine.bayesian.quadrature, at less cost.

An allocation needs P(best) to a millionth, not to the last digit, and needs nothing else: no losses, no comparison with
a control. So the axis is cut at fewer levels and each piece has six Gauss-Legendre nodes; the error stays below 1e-6
(below 1e-7 in most cases), at a quarter of the time.
"""

from functools import lru_cache

import numpy as np

from engine.arrays import FloatArray
from engine.bayesian.marginals import BetaMarginals, Marginals

_NODES = 6
_NATS = np.array([2.0, 8.0, 18.0])  # 2, 4 and 6 standard deviations of a normal posterior
_CHUNK = (
    15_000  # densities held at once: arrays above 128 KiB are mapped afresh by the allocator each time, at great cost
)
_LEAST = 1e-300
_FURTHEST = 600.0  # exp of much more overflows


def best_arm_probabilities(posteriors: Marginals) -> FloatArray:
    """Return P(arm i has the highest value) for independent posteriors.

    Parameters
    ----------
    posteriors : of k >= 2 arms; one bandit, shape (k,), or many, shape (n, k)

    Returns
    -------
    the same shape, sums to 1 over the last axis: the integral of f_i prod_{j != i} F_j, Russo and others (2018), "A
    tutorial on Thompson sampling", sec. 3, here without sampling
    """
    if len(posteriors.shape) == 1:
        return _best(posteriors)
    bandits, arms = posteriors.shape
    step = max(1, _CHUNK // (arms * arms * (2 * _NATS.size + 1) * _NODES))
    return np.concatenate([_best(posteriors[start : start + step]) for start in range(0, bandits, step)])


def _best(posteriors: Marginals) -> FloatArray:
    points, weights, matrix = _rule()
    shape = posteriors.shape
    edges = np.sort(posteriors.level_set(_NATS).reshape(*shape[:-1], -1), axis=-1)
    half = 0.5 * np.diff(edges, axis=-1)[..., None]
    nodes = (edges[..., :-1, None] + half * (1.0 + points)).reshape(*shape[:-1], -1)
    density = np.exp(-_falls(posteriors, nodes))
    integrals = (density.reshape(-1, _NODES) @ matrix).reshape(*shape, half.shape[-2], _NODES + 1)
    integrals *= half[..., None, :, :]
    mass = np.cumsum(integrals[..., -1], axis=-1)
    below = integrals[..., :_NODES]
    below[..., 1:, :] += mass[..., :-1, None]
    below = np.maximum(below.reshape(density.shape) / mass[..., -1:], _LEAST)
    all_below = np.prod(below, axis=-2) * (half * weights).reshape(nodes.shape)
    density /= below
    best = (density @ all_below[..., None])[..., 0] / mass[..., -1]
    return best / best.sum(axis=-1, keepdims=True)


def _falls(posteriors: Marginals, nodes: FloatArray) -> FloatArray:
    """Return how many nats each arm's density lies below its mode at each node: shape (..., k, nodes)."""
    if isinstance(posteriors, BetaMarginals):
        return _beta_falls(posteriors.alpha, posteriors.beta, nodes)
    return posteriors.fall(nodes[..., None, :])


def _beta_falls(alpha: FloatArray, beta: FloatArray, nodes: FloatArray) -> FloatArray:
    """Return the same for rates, whose log density a x - (a + b) log(1 + e^x) has one logarithm for all arms.

    Distances are from the largest mode, and counted towards the rarer outcome there, which keeps the digits.
    """
    modes = np.log(alpha / beta)
    origin = modes.max(axis=-1, keepdims=True)
    side = np.where(origin <= 0.0, 1.0, -1.0)
    rarer = np.where(origin <= 0.0, alpha, beta)[..., None]
    total = (alpha + beta)[..., None]
    odds = np.exp(-np.abs(origin))

    def shared(logits: FloatArray) -> FloatArray:
        return np.log1p(odds / (1.0 + odds) * np.expm1(np.minimum((logits - origin) * side, _FURTHEST)))

    peak = rarer * ((modes - origin) * side)[..., None] - total * shared(modes)[..., None]
    here = ((nodes - origin) * side)[..., None, :]
    return peak - rarer * here + total * shared(nodes)[..., None, :]


@lru_cache(maxsize=1)
def _rule() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return nodes and weights on [-1, 1], and the matrix from densities to integrals up to each node and in all."""
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    values = np.polynomial.legendre.legvander(points, _NODES)
    order = np.arange(_NODES)
    to_coefficients = (order + 0.5)[:, None] * (values[:, :_NODES] * weights[:, None]).T
    previous = np.concatenate([-np.ones((_NODES, 1)), values[:, : _NODES - 1]], axis=1)
    up_to = (values[:, 1:] - previous) / (2 * order + 1) @ to_coefficients
    return points, weights, np.concatenate([up_to, weights[None]]).T.copy()
