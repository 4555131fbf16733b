"""Intervals of arms' values and of their differences, from estimates and their covariances.

Where rewards are conversions, a normal interval misses too often on one side: with few conversions, an estimate that is
too low also claims to be sure. So conversions get Wilson's interval at the effective number of units n = q (1 - q) / V:
Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts estimated
from survey data". A difference is put together from two such intervals and the correlation of the estimates: Zou
(2007), "Toward using confidence intervals to compare correlations"; Zou and Donner (2008), "Construction of confidence
limits about effect measures: a general approach". Without correlation that is Newcombe (1998), method 10, as for fixed
shares.
"""

from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray
from engine.frequentist.proportions import wilson_ends
from engine.levels import two_sided_p

_LEAST = 1e-300
_SUREST = 40.0  # standard normal quantile beyond which a p-value is 0 in double precision
_HALVINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Estimates of the arms' values, which are joint normal where the estimator is.

    Attributes
    ----------
    values : shape (..., k), the metric's unit
    covariances : shape (..., k, k), the metric's unit squared
    """

    values: FloatArray
    covariances: FloatArray

    @property
    def variances(self) -> FloatArray:
        """The variance of each arm's estimate: shape (..., k)."""
        return np.diagonal(self.covariances, axis1=-2, axis2=-1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """Estimates with the ends of their intervals, the metric's unit, all of one shape."""

    point: FloatArray
    low: FloatArray
    high: FloatArray

    def hold(self, truth: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Say which hold the truth."""
        return (self.low <= truth) & (truth <= self.high)


def value_intervals(found: Moments, *, z: FloatArray | float, conversions: bool) -> Intervals:
    """Return each arm's value with its interval: shape (..., k).

    Parameters
    ----------
    found : of one log or of many
    z : the normal quantile of the level, positive; one for all, or an array that adds axes in front
    conversions : whether rewards are 0 or 1; an estimate that is not between them has a normal interval all the same
    """
    values, errors = found.values, np.sqrt(found.variances)
    low, high = values - z * errors, values + z * errors
    if conversions:
        inside = (values > 0.0) & (values < 1.0)
        rate = np.where(inside, values, 0.5)
        ends = wilson_ends(rate, rate * (1.0 - rate) / np.maximum(found.variances, _LEAST), z)
        low, high = np.where(inside, ends[0], low), np.where(inside, ends[1], high)
    return Intervals(point=values, low=low, high=high)


def difference_intervals(found: Moments, *, control: int, z: FloatArray | float, conversions: bool) -> Intervals:
    """Return each arm's difference to the control with its interval: shape (..., k), the control's own being 0.

    Parameters
    ----------
    found, z, conversions : as in value_intervals
    control : index of the control
    """
    values = value_intervals(found, z=z, conversions=conversions)
    down, up = values.point - values.low, values.high - values.point
    errors = np.sqrt(np.maximum(found.variances, _LEAST))
    correlation = found.covariances[..., control, :] / (errors * errors[..., [control]])
    point = values.point - values.point[..., [control]]
    other = np.ones(found.values.shape[-1])
    other[control] = 0.0
    low = point - other * _joined(down, up[..., [control]], correlation)
    high = point + other * _joined(up, down[..., [control]], correlation)
    return Intervals(point=point, low=low, high=high)


def difference_p_values(found: Moments, *, control: int, conversions: bool) -> FloatArray:
    """Return each arm's two-sided p-value of no difference to the control: shape (k,), the control's own being 1.

    1 less the level at which the interval of the difference begins at 0, so that the two never disagree.

    Parameters
    ----------
    found : of one log: values of shape (k,)
    control, conversions : as in difference_intervals
    """
    least, most = np.zeros(found.values.size), np.full(found.values.size, _SUREST)
    for _ in range(_HALVINGS):
        z = 0.5 * (least + most)
        intervals = difference_intervals(found, control=control, z=z[:, None], conversions=conversions)
        apart = ~np.diagonal(intervals.hold(np.zeros(())))  # each arm at its own quantile
        least, most = np.where(apart, z, least), np.where(apart, most, z)
    return np.array([two_sided_p(z) for z in least])


def _joined(one: FloatArray, other: FloatArray, correlation: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(one**2 + other**2 - 2.0 * correlation * one * other, 0.0))
