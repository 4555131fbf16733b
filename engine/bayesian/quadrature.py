"""Which variant is best, and what choosing another costs: exact one-dimensional integrals over the posteriors.

For independent posteriors with densities f and distribution functions F::

    P(i is best)      = integral of f_i(x) prod_{j != i} F_j(x) dx
    expected loss(i)  = E[max_{j != i} x_j - x_i]_+ = integral of F_i(x) (1 - prod_{j != i} F_j(x)) dx
    P(i beats c)      = integral of f_i(x) F_c(x) dx

The axis is cut wherever any posterior has fallen by set numbers of nats from its mode, so that the narrowest of them is
resolved beside the widest; each piece has 12 or 16 Gauss-Legendre nodes. The distribution functions come from the same
nodes by spectral integration, so the probabilities of being best sum to 1 up to rounding. Sums of positive terms alone:
a small loss keeps its digits, and none is ever negative.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.arrays import FloatArray
from engine.bayesian.marginals import Marginals

_PAIR_NODES, _MANY_NODES = 16, 12  # a piece; with three variants and more there are pieces enough
_NATS = 36.0 * np.array([1.0, 4.0, 9.0, 16.0]) / 16.0
_CHUNK = 120_000  # densities held at once, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """How the variants stand against each other, one test or many.

    Attributes
    ----------
    probability_best : shape (..., k), sums to 1 over the last axis
    expected_loss : shape (..., k), the metric's unit, never negative: what choosing this variant is expected to cost
        against the best of the others
    probability_beats_control : shape (..., k); NaN at the control
    """

    probability_best: FloatArray
    expected_loss: FloatArray
    probability_beats_control: FloatArray


def standing(marginals: Marginals, *, control: int = 0, higher_is_better: bool = True) -> Standing:
    """Integrate the posteriors against each other.

    Parameters
    ----------
    marginals : posteriors of k >= 2 variants; one test, shape (k,), or many, shape (n, k)
    control : index of the control
    higher_is_better : False where the lowest value is best

    Returns
    -------
    Standing, by the integrals at the head of this module. Loss as in Stucchio (2015), "Bayesian A/B testing at VWO",
    eq. 11, for k variants.
    """
    if len(marginals.shape) == 1:
        return _standing(marginals, control, higher_is_better)
    variants = marginals.shape[-1]
    step = max(1, _CHUNK // (variants * variants * (2 * _NATS.size + 1) * _nodes(variants)))
    parts = [
        _standing(marginals[start : start + step], control, higher_is_better)
        for start in range(0, marginals.shape[0], step)
    ]
    return Standing(
        probability_best=np.concatenate([part.probability_best for part in parts]),
        expected_loss=np.concatenate([part.expected_loss for part in parts]),
        probability_beats_control=np.concatenate([part.probability_beats_control for part in parts]),
    )


def _standing(marginals: Marginals, control: int, higher_is_better: bool) -> Standing:
    edges = _edges(marginals)
    half = 0.5 * np.diff(edges, axis=-1)
    count = _nodes(marginals.shape[-1])
    points, weights, matrix = _rule(count)
    nodes = ((edges[..., :-1] + half)[..., None] + half[..., None] * points).reshape(*half.shape[:-1], -1)
    density = np.exp(-marginals.fall(nodes[..., None, :]))
    density, below, above = _integrated(density, half[..., None, :], matrix)
    if not higher_is_better:
        below, above = above, below
    weight = (half[..., None] * weights).reshape(nodes.shape)[..., None]
    beaten, exceeded = others(below, above)
    stretch = weight * marginals.slope(nodes)[..., None]
    beats = (density * below[..., control : control + 1, :] @ weight)[..., 0]
    beats[..., control] = np.nan
    return Standing(
        probability_best=probability((density * beaten @ weight)[..., 0]),
        expected_loss=np.maximum((below * exceeded @ stretch)[..., 0], 0.0),
        probability_beats_control=probability(beats),
    )


def _edges(marginals: Marginals) -> FloatArray:
    """Return where the axis is cut, rising: shape (..., pieces + 1); no piece is too long for the value's own bends."""
    edges = np.sort(marginals.level_set(_NATS).reshape(*marginals.shape[:-1], -1), axis=-1)
    if np.diff(edges, axis=-1).max() <= marginals.longest_piece:
        return edges
    length = edges[..., -1:] - edges[..., :1]
    count = int(np.ceil(length.max() / marginals.longest_piece))
    even = edges[..., :1] + length * (np.arange(1, count) / count)
    return np.sort(np.concatenate([edges, even], axis=-1), axis=-1)


def probability(value: FloatArray) -> FloatArray:
    """Return values without the rounding beyond 0 and 1."""
    return np.minimum(np.maximum(value, 0.0), 1.0)


def _nodes(variants: int) -> int:
    return _PAIR_NODES if variants == 2 else _MANY_NODES


@lru_cache(maxsize=2)
def _rule(count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return nodes and weights on [-1, 1], and the matrix from densities to integrals up to each node, and over all."""
    points, weights = np.polynomial.legendre.leggauss(count)
    values = np.polynomial.legendre.legvander(points, count)
    order = np.arange(count)
    to_coefficients = (order + 0.5)[:, None] * (values[:, :count] * weights[:, None]).T
    previous = np.concatenate([-np.ones((count, 1)), values[:, : count - 1]], axis=1)
    integrals = (values[:, 1:] - previous) / (2 * order + 1)
    up_to = integrals @ to_coefficients
    return points, weights, np.concatenate([up_to, weights[None]]).T.copy()


def _integrated(density: FloatArray, half: FloatArray, matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return densities with unit mass, and the masses below and above each node: shape (..., k, nodes) each."""
    pieces = (*density.shape[:-1], half.shape[-1], -1)
    integrals = (density.reshape(-1, matrix.shape[0]) @ matrix).reshape(pieces) * half[..., None]
    mass = integrals[..., -1]
    upward = np.cumsum(mass, axis=-1)
    downward = np.cumsum(mass[..., ::-1], axis=-1)[..., ::-1]
    total = 1.0 / upward[..., -1:]
    below = integrals[..., :-1]
    above = mass[..., None] - below
    below[..., 1:, :] += upward[..., :-1, None]
    above[..., :-1, :] += downward[..., 1:, None]
    below, above = below * total[..., None], above * total[..., None]
    return density * total, below.reshape(density.shape), above.reshape(density.shape)


def others(below: FloatArray, above: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return, for each variant, the product of the others' distribution functions, and 1 less that product.

    Parameters
    ----------
    below, above : distribution functions and their complements, shape (..., k, nodes)

    Returns
    -------
    two arrays of that shape; the second is built from the complements, so that it keeps its digits where it is small
    """
    variants = below.shape[-2]
    if variants == 2:
        return below[..., ::-1, :], above[..., ::-1, :]
    product, complement = np.empty_like(below), np.empty_like(above)
    running, missing = np.ones_like(below[..., 0, :]), np.zeros_like(above[..., 0, :])
    for variant in range(variants):
        product[..., variant, :], complement[..., variant, :] = running, missing
        running = running * below[..., variant, :]
        missing = missing + above[..., variant, :] * (1.0 - missing)
    running, missing = np.ones_like(running), np.zeros_like(missing)
    for variant in reversed(range(variants)):
        product[..., variant, :] *= running
        complement[..., variant, :] += missing * (1.0 - complement[..., variant, :])
        running = running * below[..., variant, :]
        missing = missing + above[..., variant, :] * (1.0 - missing)
    return product, complement
