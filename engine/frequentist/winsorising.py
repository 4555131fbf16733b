"""Winsorising: values beyond a limit are set to it, so that a few extreme units do not drown the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray
from engine.errors import InvalidInput, NotEnoughData


@dataclass(frozen=True, slots=True, kw_only=True)
class WinsorisingLimits:
    """Where values are cut, in the metric's unit; infinite where nothing is cut."""

    low: float
    high: float


def winsorising_limits(
    variants: Sequence[ArrayLike], *, lower: float = 0.0, upper: float = 0.99, ignore_zeros: bool = False
) -> WinsorisingLimits:
    """Return limits at quantiles of all variants' values together, so that every variant is cut alike.

    Parameters
    ----------
    variants : one array of shape (n_i,) a variant, in the metric's unit
    lower, upper : quantiles, 0 <= lower < upper <= 1; 0 and 1 cut nothing
    ignore_zeros : take quantiles among non-zero values, for revenue that most units do not have

    Returns
    -------
    quantiles by linear interpolation (Hyndman and Fan (1996), definition 7). Tukey (1962), "The future of data
    analysis", section 14, on winsorising.

    Raises
    ------
    InvalidInput
        quantiles out of order, or a value is NaN or infinite
    NotEnoughData
        there are no values
    """
    if not 0.0 <= lower < upper <= 1.0:
        raise InvalidInput(f"The quantiles are {lower} and {upper}: pass 0 <= lower < upper <= 1.")
    values = _together(variants, ignore_zeros=ignore_zeros)
    low, high = np.quantile(values, (lower, upper))
    return WinsorisingLimits(
        low=float(low) if lower > 0.0 else -np.inf,
        high=float(high) if upper < 1.0 else np.inf,
    )


def winsorised(values: ArrayLike, limits: WinsorisingLimits) -> FloatArray:
    """Return the values, shape (n,), with those beyond a limit set to it."""
    return np.clip(np.asarray(values, dtype=np.float64), limits.low, limits.high)


def _together(variants: Sequence[ArrayLike], *, ignore_zeros: bool) -> FloatArray:
    arrays = [np.asarray(values, dtype=np.float64).ravel() for values in variants]
    values = np.concatenate(arrays) if arrays else np.empty(0)
    if not np.isfinite(values).all():
        raise InvalidInput("A value is NaN or infinite: leave out, or replace, what was not measured.")
    chosen = values[values != 0.0] if ignore_zeros else values
    if chosen.size == 0:
        raise NotEnoughData("There are no values to take quantiles of: wait for the first observations.")
    return chosen
