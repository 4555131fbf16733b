"""The probability that each of a few normals is the highest, fast enough to be asked once an assignment.

As engine.bandits.best_arm, for the case that a contextual bandit meets with every unit: normal posteriors, one context.
Where that one has an error below 1e-6 at 45 microseconds for five arms, this one stays below 1e-4 at half of it. The
error moves a share by less than the hash's own rounding to ten-thousandths, and what is logged is the share itself.
"""

import numpy as np
from scipy.special import ndtr

from engine.arrays import FloatArray

_CUTS = np.array([-4.0, -1.0, 1.0, 4.0])  # standard deviations at which the axis is cut around each arm
_REACH = 5.0
_NODES = 6
_CHUNK = 40_000  # densities held at once, so that they stay in the processor's cache
_POINTS, _WEIGHTS = 0.5 * np.array(np.polynomial.legendre.leggauss(_NODES)) + [[0.5], [0.0]]  # on [0, 1]


def best_of_normals(means: FloatArray, deviations: FloatArray) -> FloatArray:
    """Return P(arm i has the highest value) for independent normals.

    Parameters
    ----------
    means, deviations : shape (n, k), k >= 2; one unit; deviations are positive

    Returns
    -------
    shape (n, k), rows sum to 1: the integral of f_i prod_{j != i} F_j, Russo and others (2018), "A tutorial on Thompson
    sampling", sec. 3, by Gauss-Legendre quadrature over pieces cut around every arm; the same for the same numbers
    """
    count, arms = means.shape
    step = max(1, _CHUNK // (arms * _NODES * (arms * _CUTS.size + 1)))
    if count <= step:
        return _best(means, deviations)
    return np.concatenate([_best(means[at : at + step], deviations[at : at + step]) for at in range(0, count, step)])


def _best(means: FloatArray, deviations: FloatArray) -> FloatArray:
    count = len(means)
    reach = _REACH * deviations
    low, high = (means - reach).max(axis=1, keepdims=True), (means + reach).max(axis=1, keepdims=True)
    edges = (means[:, :, None] + deviations[:, :, None] * _CUTS).reshape(count, -1)
    edges = np.concatenate((low, edges, high), axis=1)
    np.clip(edges, low, high, out=edges)
    edges.sort(axis=1)
    lengths = (edges[:, 1:] - edges[:, :-1])[:, :, None]
    nodes = (edges[:, :-1, None] + lengths * _POINTS).reshape(count, 1, -1)
    distances = (nodes - means[:, :, None]) / deviations[:, :, None]
    below = _below(distances)
    density = np.exp(-0.5 * distances * distances)
    density /= below
    all_below = np.multiply.reduce(below, axis=1) * (lengths * _WEIGHTS).reshape(count, -1)
    best = (density @ all_below[:, :, None])[:, :, 0] / deviations
    return best / best.sum(axis=1, keepdims=True)


def _below(distances: FloatArray) -> FloatArray:
    """Return the normal distribution; at least ndtr(-5), as the axis starts where the highest arm does."""
    return ndtr(distances)
