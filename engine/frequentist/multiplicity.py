"""Several p-values at once: Holm for the comparisons of one test, Benjamini-Hochberg for many metrics."""

from collections.abc import Sequence

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.errors import InvalidInput


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted so that any false call among them keeps the level.

    Parameters
    ----------
    p_values : one a comparison, each in [0, 1]

    Returns
    -------
    in the same order: the running maximum of (m - i + 1) p_(i) over the sorted values, at most 1.
    Holm (1979), "A simple sequentially rejective multiple test procedure", section 3.

    Raises
    ------
    InvalidInput
        a p-value is NaN or outside [0, 1]
    """
    _check(p_values)
    adjusted, reached = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = reached
    return tuple(adjusted)


def holm_batch(p_values: FloatArray) -> FloatArray:
    """Return Holm's adjustment along the last axis.

    Parameters
    ----------
    p_values : shape (..., n_comparisons), each in [0, 1]; a row with NaN, where nothing was computed, comes back as NaN

    Returns
    -------
    the same shape
    """
    order = np.argsort(p_values, axis=-1)
    count = int(p_values.shape[-1])
    ordered: FloatArray = np.take_along_axis(p_values, order, axis=-1)
    remaining: IntArray = np.arange(count, 0, -1)
    scaled: FloatArray = ordered * remaining
    reached = np.minimum(1.0, np.maximum.accumulate(scaled, axis=-1))
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, reached, axis=-1)
    return np.where(np.isnan(p_values).any(axis=-1, keepdims=True), np.nan, adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted so that the expected share of false calls among all calls keeps the level.

    Parameters
    ----------
    p_values : one a metric, each in [0, 1]; independent or positively dependent

    Returns
    -------
    in the same order: the running minimum, from the largest down, of m p_(i) / i, at most 1.
    Benjamini and Hochberg (1995), "Controlling the false discovery rate", eq. 1.

    Raises
    ------
    InvalidInput
        a p-value is NaN or outside [0, 1]
    """
    _check(p_values)
    adjusted, reached, count = [0.0] * len(p_values), 1.0, len(p_values)
    for place, index in enumerate(sorted(range(count), key=p_values.__getitem__, reverse=True)):
        reached = min(reached, count / (count - place) * p_values[index])
        adjusted[index] = reached
    return tuple(adjusted)


def _check(p_values: Sequence[float]) -> None:
    for value in p_values:
        if not 0.0 <= value <= 1.0:
            raise InvalidInput(
                f"A p-value is {value}: pass numbers between 0 and 1, and leave out what was not tested."
            )
