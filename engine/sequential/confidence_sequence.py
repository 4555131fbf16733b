"""Confidence sequences for one mean and for the difference of two."""

import math
from dataclasses import dataclass

from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.levels import error_rate
from engine.moments import Moments, check_counts
from engine.sequential.boundary import always_valid_p, boundary, information

MINIMUM_UNITS = 100
"""Units a variant must have before a sequence speaks, since it leans on the central limit theorem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialDifference:
    """The difference of two means, at one look among any number.

    Attributes
    ----------
    point : treatment minus control, in the metric's unit
    standard_error : the larger of Welch's and the pooled one, same unit
    widening : the standard error over Welch's, at least 1
    information : r, how far the mixture has come
    """

    point: float
    standard_error: float
    widening: float
    information: float

    @property
    def p_value(self) -> float:
        """The always-valid p-value, in (0, 1]."""
        return always_valid_p(self.point / self.standard_error, self.information)

    def interval(self, alpha: float) -> IntervalEstimate:
        """Return the difference with its interval at error rate alpha, over all looks together."""
        return IntervalEstimate.around(self.point, boundary(self.information, alpha=alpha) * self.standard_error)

    def multiplier(self, alpha: float) -> float:
        """Return how many of Welch's standard errors the interval reaches at error rate alpha."""
        return boundary(self.information, alpha=alpha) * self.widening


def confidence_sequence(
    moments: Moments, *, target: int, level: float = 0.95, minimum_units: int = MINIMUM_UNITS
) -> IntervalEstimate:
    """Return one mean with an interval that covers it at all looks together.

    Parameters
    ----------
    moments : of the variant: a MeanSummary, or ``proportion_moments`` of a ProportionSummary
    target : units at which the interval should be narrowest, at least 1
    level : confidence level over all looks, in (0, 1)
    minimum_units : units below which nothing is reported

    Returns
    -------
    mean -+ sigma sqrt((n rho**2 + 1) / (n rho)**2 log((n rho**2 + 1) / alpha**2)), rho tuned to the target.
    Waudby-Smith and others (2021), Theorem 2.2.

    Raises
    ------
    InvalidInput
        the level is outside (0, 1), or the target below 1
    NotEnoughData
        too few units, or they do not vary
    """
    check_target(target)
    check_counts([moments.count], minimum=minimum_units)
    if moments.variance <= 0.0:
        raise NotEnoughData("All units have the same value: wait until the metric varies.")
    alpha = error_rate(level)
    reached = information(moments.count, target=target, alpha=alpha)
    reach = boundary(reached, alpha=alpha) * math.sqrt(moments.variance / moments.count)
    return IntervalEstimate.around(moments.mean, reach)


def sequential_difference(control: Moments, treatment: Moments, *, target: int, alpha: float) -> SequentialDifference:
    """Return the difference of two means with all that its interval and p-value need.

    The difference is an asymptotically linear estimate over n_c + n_t units, so Theorem 2.2 applies to it with its
    influence function's variance. Where allocation is skewed and the metric too, the small variant's variance comes out
    too small together with its mean, and early looks would call falsely: so the pooled variance serves where it is
    larger.

    Parameters
    ----------
    control, treatment : moments of each variant
    target : units a variant at which the interval should be narrowest
    alpha : error rate the mixture is tuned for, in (0, 1)

    Raises
    ------
    NotEnoughData
        neither variant varies
    """
    own = control.variance / control.count + treatment.variance / treatment.count
    if own <= 0.0:
        raise NotEnoughData("All units of both variants have the same value: wait until the metric varies.")
    squared = max(own, _pooled(control, treatment))
    return SequentialDifference(
        point=treatment.mean - control.mean,
        standard_error=math.sqrt(squared),
        widening=math.sqrt(squared / own),
        information=information(control.count + treatment.count, target=2 * target, alpha=alpha),
    )


def check_target(target: int) -> None:
    """Raise InvalidInput unless the target is at least 1."""
    if not 1 <= target < math.inf:
        raise InvalidInput(f"The target is {target}: pass the planned units a variant, at least 1.")


def _pooled(control: Moments, treatment: Moments) -> float:
    spread = (control.count - 1) * control.variance + (treatment.count - 1) * treatment.variance
    return spread / (control.count + treatment.count - 2) * (1.0 / control.count + 1.0 / treatment.count)
