"""What every Bayesian analysis asks of its arguments."""

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray
from engine.errors import InvalidInput, NotEnoughData
from engine.levels import error_rate


def as_counts(name: str, values: ArrayLike) -> FloatArray:
    """Return finite, non-negative numbers of one test, shape (k,), or many, shape (n, k), with k >= 2 variants.

    Raises
    ------
    InvalidInput
        another shape, NaN, infinite or negative
    """
    array = as_values(name, values)
    if (array < 0.0).any():
        raise InvalidInput(f"A number in {name} is negative: pass 0 or more.")
    return array


def as_values(name: str, values: ArrayLike) -> FloatArray:
    """Return finite numbers of one test, shape (k,), or many, shape (n, k), with k >= 2 variants."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[-1] < 2:
        raise InvalidInput(f"{name} has shape {array.shape}: pass two variants or more, a row a test.")
    if not np.isfinite(array).all():
        raise InvalidInput(f"A number in {name} is NaN or infinite: leave that variant out until it is measured.")
    return array


def check_exposed(exposed: FloatArray, *, minimum: int = 1) -> None:
    """Raise NotEnoughData unless every variant has at least so many units."""
    if (exposed < minimum).any():
        variant = int(np.argwhere(exposed < minimum)[0, -1])
        raise NotEnoughData(
            f"Variant {variant} has {exposed[exposed < minimum][0]:.0f} exposed units and at least {minimum} are "
            "needed: wait for more exposures."
        )


def check_same_shape(**arrays: FloatArray) -> None:
    """Raise InvalidInput unless all arrays have one shape."""
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InvalidInput(f"Shapes differ ({shapes}): pass one number a variant in each.")


def check_question(variants: int, *, control: int, level: float) -> None:
    """Raise InvalidInput unless the level is a fraction and the control is one of the variants."""
    error_rate(level)
    if not 0 <= control < variants:
        raise InvalidInput(f"The control is variant {control} of {variants}: pass an index among the variants.")
