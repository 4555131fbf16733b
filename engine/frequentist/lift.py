"""Lift, the difference relative to the control's value, with an interval on the log-ratio scale."""

import math
from typing import Protocol

from engine.effects import IntervalEstimate
from engine.moments import Moments, UnitMoments


class LiftInterval(Protocol):
    """How a lift's interval comes from the moments of control and treatment, and its reach in standard errors."""

    def __call__(self, control: Moments, treatment: Moments, /, *, multiplier: float) -> IntervalEstimate | None:
        """Return the lift with its interval, or None."""
        ...


def log_ratio_interval(control: Moments, treatment: Moments, *, multiplier: float) -> IntervalEstimate | None:
    """Return treatment / control - 1 with the interval exp(log ratio -+ multiplier * standard error) - 1.

    Parameters
    ----------
    control, treatment : moments of each variant
    multiplier : half-width in standard errors: a quantile for a fixed horizon, more for a confidence sequence

    Returns
    -------
    a fraction, never below -1 for a positive treatment; None where the control's value is not positive, since a lift
    over it means nothing, or where all the treatment's units are 0. The squared standard error is the sum of
    variance / (n mean**2) over both variants: Katz, Baptista, Azen and Pike (1978), "Obtaining confidence intervals
    for the risk ratio in cohort studies", method C. Where the treatment's value is not positive its log does not exist
    and ``linear_interval`` stands in.
    """
    if control.mean <= 0.0 or (treatment.mean == 0.0 and treatment.variance == 0.0):
        return None
    if treatment.mean <= 0.0:
        return linear_interval(control, treatment, multiplier=multiplier)
    ratio = treatment.mean / control.mean
    reach = multiplier * math.sqrt(_relative_variance(control) + _relative_variance(treatment))
    low = math.expm1(math.log(ratio) - reach)
    return IntervalEstimate(point=ratio - 1.0, low=low, high=_grown(math.log(ratio) + reach))


def linear_interval(control: Moments, treatment: Moments, *, multiplier: float) -> IntervalEstimate:
    """Return treatment / control - 1 with a symmetric interval, by the delta method on the ratio itself.

    The squared standard error is (var_t / n_t + ratio**2 var_c / n_c) / mean_c**2.
    """
    ratio = treatment.mean / control.mean
    spread = treatment.variance / treatment.count + ratio**2 * control.variance / control.count
    return IntervalEstimate.around(ratio - 1.0, multiplier * math.sqrt(spread) / control.mean)


def proportion_lift(control: Moments, treatment: Moments, *, multiplier: float) -> IntervalEstimate | None:
    """Return the log-ratio interval of two rates; where the treatment never converted, half a unit is lent to it.

    Half a conversion on half a unit more gives an upper end: Walter (1975), "The distribution of Levin's measure of
    attributable risk". The lower end is then -1, which the data cannot exclude.
    """
    if treatment.mean > 0.0:
        return log_ratio_interval(control, treatment, multiplier=multiplier)
    filled = log_ratio_interval(control, _half_more(treatment), multiplier=multiplier)
    return filled and IntervalEstimate(point=-1.0, low=-1.0, high=filled.high)


def _half_more(moments: Moments) -> UnitMoments:
    rate = (moments.mean * moments.count + 0.5) / (moments.count + 0.5)
    return UnitMoments(count=moments.count, mean=rate, variance=rate * (1.0 - rate))


def _relative_variance(moments: Moments) -> float:
    return moments.variance / (moments.count * moments.mean**2)


def _grown(exponent: float) -> float:
    return math.expm1(exponent) if exponent < 700.0 else math.inf
