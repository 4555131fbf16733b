"""Estimates with intervals: from a standard error, times a number, and two that err independently put together."""

import math

from engine.effects import IntervalEstimate
from engine.levels import error_rate, two_sided_quantile


def about(point: float, error: float, *, level: float = 0.95) -> IntervalEstimate:
    """Return a normal estimate's symmetric interval.

    Parameters
    ----------
    point, error : the estimate and its standard error, at least 0, in one unit
    level : of the interval, in (0, 1)
    """
    return IntervalEstimate.around(point, two_sided_quantile(error_rate(level)) * error)


def scaled(estimate: IntervalEstimate, by: float) -> IntervalEstimate:
    """Return an estimate times a known number, which is not negative."""
    return IntervalEstimate(point=estimate.point * by, low=estimate.low * by, high=estimate.high * by)


def difference_of(first: IntervalEstimate, second: IntervalEstimate) -> IntervalEstimate:
    """Return first minus second, at the level of their intervals, which need not be symmetric.

    Zou and Donner (2008), "Construction of confidence intervals about effect measures: a general approach", Statistics
    in Medicine 27, section 2: each end takes the variance that either estimate has at its own end towards it. With the
    intervals (l, u) of points a and b::

        a - b - sqrt((a - l_a)**2 + (u_b - b)**2)    and    a - b + sqrt((u_a - a)**2 + (b - l_b)**2)

    Parameters
    ----------
    first, second : in one unit, both intervals at one level; too wide where the estimates err alike
    """
    point = first.point - second.point
    return IntervalEstimate(
        point=point,
        low=point - math.hypot(first.point - first.low, second.high - second.point),
        high=point + math.hypot(first.high - first.point, second.point - second.low),
    )


def product_of(first: IntervalEstimate, second: IntervalEstimate, *, level: float = 0.95) -> IntervalEstimate:
    """Return first times second, with a symmetric interval at the level of theirs.

    Goodman (1960), "On the exact variance of products", Journal of the American Statistical Association 55, section 2::

        Var(a b) = a**2 Var(b) + b**2 Var(a) + Var(a) Var(b)

    Parameters
    ----------
    first, second : both intervals at one level, about symmetric: their half widths tell the variances
    level : of those intervals, in (0, 1)
    """
    quantile = two_sided_quantile(error_rate(level))
    one, other = ((each.high - each.low) / 2.0 / quantile for each in (first, second))
    margin = quantile * math.hypot(first.point * other, second.point * one, one * other)
    return IntervalEstimate.around(first.point * second.point, margin)
