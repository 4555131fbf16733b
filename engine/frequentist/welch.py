"""Welch's test of equal means without equal variances, for two variants (t) and for more (F)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betainc, stdtr, stdtrit

from engine.effects import IntervalEstimate
from engine.errors import NotEnoughData
from engine.frequentist.results import FrequentistTest, OmnibusResult
from engine.moments import Moments, check_counts, check_variants


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDifference:
    """Two means against each other.

    Attributes
    ----------
    difference : treatment minus control, in the metric's unit
    standard_error : of the difference, same unit
    degrees_of_freedom : Satterthwaite's
    """

    difference: float
    standard_error: float
    degrees_of_freedom: float

    @property
    def statistic(self) -> float:
        """The difference in standard errors."""
        return self.difference / self.standard_error

    @property
    def p_value(self) -> float:
        """Two-sided, by Student's t."""
        return 2.0 * float(stdtr(self.degrees_of_freedom, -abs(self.statistic)))

    def multiplier(self, alpha: float) -> float:
        """Return how many standard errors a two-sided interval reaches at error rate alpha."""
        return -float(stdtrit(self.degrees_of_freedom, alpha / 2.0))

    def interval(self, alpha: float) -> IntervalEstimate:
        """Return the difference with its interval at error rate alpha."""
        return IntervalEstimate.around(self.difference, self.multiplier(alpha) * self.standard_error)


def mean_difference(control: Moments, treatment: Moments) -> MeanDifference:
    """Return the difference of two means with its standard error and Satterthwaite's degrees of freedom.

    Parameters
    ----------
    control, treatment : at least 2 units each

    Returns
    -------
    with w = variance / n of each variant: standard error sqrt(w_c + w_t) on
    (w_c + w_t)**2 / (w_c**2 / (n_c - 1) + w_t**2 / (n_t - 1)) degrees of freedom.
    Welch (1947), "The generalization of Student's problem", eq. 28; Satterthwaite (1946), eq. 17.

    Raises
    ------
    NotEnoughData
        a variant has fewer than 2 units, or no variant varies
    """
    check_counts((control.count, treatment.count), minimum=2)
    own, other = treatment.variance / treatment.count, control.variance / control.count
    total = own + other
    if total <= 0.0:
        raise NotEnoughData("All units of both variants have the same value: wait until the metric varies.")
    share, rest = own / total, other / total
    return MeanDifference(
        difference=treatment.mean - control.mean,
        standard_error=math.sqrt(total),
        degrees_of_freedom=1.0 / (share**2 / (treatment.count - 1) + rest**2 / (control.count - 1)),
    )


def welch_test(variants: Sequence[Moments]) -> OmnibusResult:
    """Return Welch's test that all means are equal: his t for two variants, his F for more.

    Parameters
    ----------
    variants : one a variant, two or more, of at least 2 units each

    Returns
    -------
    statistic t of the second minus the first, or F; two-sided p-value. Welch (1947), eq. 28; Welch (1951), "On the
    comparison of several mean values: an alternative approach", eq. 29.

    Raises
    ------
    InvalidInput
        fewer than two variants
    NotEnoughData
        a variant has fewer than 2 units, no variant of two varies, or one of several does not vary
    """
    check_variants(variants, control=0)
    check_counts([variant.count for variant in variants], minimum=2)
    return _welch_t(variants[0], variants[1]) if len(variants) == 2 else _welch_f(variants)


def _welch_t(first: Moments, second: Moments) -> OmnibusResult:
    difference = mean_difference(first, second)
    return OmnibusResult(
        test=FrequentistTest.WELCH_T,
        method="Welch's t test",
        statistic=difference.statistic,
        degrees_of_freedom=difference.degrees_of_freedom,
        p_value=difference.p_value,
    )


def _welch_f(variants: Sequence[Moments]) -> OmnibusResult:
    statistic, between, within = _f_statistic(variants)
    return OmnibusResult(
        test=FrequentistTest.WELCH_T,
        method="Welch's F test of several means",
        statistic=statistic,
        degrees_of_freedom=within,
        # the upper tail of F as an incomplete beta, which loses no digit when small
        p_value=float(betainc(within / 2.0, between / 2.0, within / (within + between * statistic))),
    )


def _f_statistic(variants: Sequence[Moments]) -> tuple[float, int, float]:
    """Return Welch's F with its degrees of freedom between and within."""
    weights = [_precision(variant) for variant in variants]
    total, between = sum(weights), len(variants) - 1
    mean = sum(w * v.mean for w, v in zip(weights, variants, strict=True)) / total
    spread = sum(w * (v.mean - mean) ** 2 for w, v in zip(weights, variants, strict=True)) / between
    lack = sum((1.0 - w / total) ** 2 / (v.count - 1) for w, v in zip(weights, variants, strict=True))
    count = len(variants)
    correction = 1.0 + 2.0 * (count - 2) / (count**2 - 1) * lack
    return spread / correction, between, (count**2 - 1) / (3.0 * lack)


def _precision(variant: Moments) -> float:
    if variant.variance <= 0.0:
        raise NotEnoughData("All units of one variant have the same value: wait until the metric varies in each.")
    return variant.count / variant.variance
