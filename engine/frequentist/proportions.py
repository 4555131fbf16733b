"""Intervals for rates: Wilson's for one, Newcombe's for a difference, log-ratio for lift."""

import math

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.estimates import difference_of
from engine.frequentist.lift import proportion_lift
from engine.levels import error_rate, two_sided_quantile
from engine.moments import proportion_moments
from engine.summaries import ProportionSummary


def wilson_interval(summary: ProportionSummary, *, level: float = 0.95) -> IntervalEstimate:
    """Return a rate with Wilson's score interval.

    Parameters
    ----------
    summary : at least 1 unit exposed
    level : confidence level, in (0, 1)

    Returns
    -------
    rate and ends in [0, 1]. Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    Raises
    ------
    InvalidInput
        the level is outside (0, 1)
    NotEnoughData
        nobody was exposed
    """
    z = two_sided_quantile(error_rate(level))
    low, high = _wilson(summary.rate, summary.exposed, z)
    return IntervalEstimate(point=summary.rate, low=low, high=high)


def newcombe_interval(
    control: ProportionSummary, treatment: ProportionSummary, *, level: float = 0.95
) -> IntervalEstimate:
    """Return the difference of two rates, treatment minus control, with Newcombe's hybrid score interval.

    Parameters
    ----------
    control, treatment : at least 1 unit exposed each
    level : confidence level, in (0, 1)

    Returns
    -------
    difference d and ends in [-1, 1]: with Wilson's (l, u) of each rate, d - sqrt((p_t - l_t)**2 + (u_c - p_c)**2) and
    d + sqrt((u_t - p_t)**2 + (p_c - l_c)**2). Newcombe (1998), "Interval estimation for the difference between
    independent proportions: comparison of eleven methods", method 10.

    Raises
    ------
    InvalidInput
        the level is outside (0, 1)
    NotEnoughData
        nobody was exposed to one of them
    """
    return difference_of(wilson_interval(treatment, level=level), wilson_interval(control, level=level))


def newcombe_batch(
    converted: IntArray, exposed: IntArray, *, control: int = 0, level: float = 0.95
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return Newcombe's difference to the control for many tests at once.

    Parameters
    ----------
    converted, exposed : shape (n_tests, n_variants)
    control : the control's column
    level : confidence level of each interval, in (0, 1)

    Returns
    -------
    point, low, high, each of shape (n_tests, n_variants - 1), treatments in column order; NaN without units
    """
    rates = np.where(exposed > 0, converted / np.maximum(exposed, 1), np.nan)
    lows, highs = wilson_ends(rates, np.maximum(exposed, 1), two_sided_quantile(error_rate(level)))
    treatments = [column for column in range(rates.shape[1]) if column != control]
    down, up = rates - lows, highs - rates
    point = rates[:, treatments] - rates[:, [control]]
    low = point - np.hypot(down[:, treatments], up[:, [control]])
    high = point + np.hypot(up[:, treatments], down[:, [control]])
    return point, low, high


def lift_interval(
    control: ProportionSummary, treatment: ProportionSummary, *, level: float = 0.95
) -> IntervalEstimate | None:
    """Return the lift of two rates with its log-ratio interval.

    Parameters
    ----------
    control, treatment : at least 1 unit exposed each
    level : confidence level, in (0, 1)

    Returns
    -------
    a fraction, at least -1; None where the control never converted. Katz and others (1978), method C.

    Raises
    ------
    InvalidInput
        the level is outside (0, 1)
    NotEnoughData
        nobody was exposed to one of them
    """
    z = two_sided_quantile(error_rate(level))
    return proportion_lift(proportion_moments(control), proportion_moments(treatment), multiplier=z)


def _wilson(rate: float, units: int, z: float) -> tuple[float, float]:
    square = z * z
    middle = rate + square / (2.0 * units)
    reach = z * math.sqrt(rate * (1.0 - rate) / units + square / (4.0 * units * units))
    shrink = 1.0 + square / units
    return max(0.0, (middle - reach) / shrink), min(1.0, (middle + reach) / shrink)


def wilson_ends(
    rates: FloatArray, units: FloatArray | IntArray, z: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of Wilson's score intervals of many rates.

    Parameters
    ----------
    rates : any shape, in [0, 1]
    units : how many each rests on, positive; effective numbers need not be whole
    z : the normal quantile of the level, positive; one for all, or an array that adds axes in front

    Returns
    -------
    low and high, in [0, 1]. Wilson (1927).
    """
    square = z * z
    middle = rates + square / (2.0 * units)
    reach = z * np.sqrt(rates * (1.0 - rates) / units + (0.5 * z / units) ** 2)
    shrink = 1.0 + square / units
    return np.maximum(0.0, (middle - reach) / shrink), np.minimum(1.0, (middle + reach) / shrink)
