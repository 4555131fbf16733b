"""Ratio metrics, such as revenue per order, where the unit of analysis is not the denominator: the delta method."""

import math
from collections.abc import Sequence

from engine.effects import IntervalEstimate
from engine.errors import NotEnoughData
from engine.frequentist.chi_squared import chi_squared_tail
from engine.frequentist.results import FrequentistTest, OmnibusResult
from engine.levels import two_sided_quantile
from engine.moments import Moments, check_counts, check_variants, ratio_moments
from engine.summaries import RatioSummary


def normal_interval(control: Moments, treatment: Moments, *, alpha: float) -> IntervalEstimate:
    """Return the difference with its large-sample interval at error rate alpha."""
    reach = two_sided_quantile(alpha) * standard_error(control, treatment)
    return IntervalEstimate.around(treatment.mean - control.mean, reach)


def standard_error(control: Moments, treatment: Moments) -> float:
    """Return the standard error of a difference; NotEnoughData where neither side varies."""
    squared = control.variance / control.count + treatment.variance / treatment.count
    if squared <= 0.0:
        raise NotEnoughData("All units of both variants have the same value: wait until the metric varies.")
    return math.sqrt(squared)


def ratio_test(variants: Sequence[RatioSummary]) -> OmnibusResult:
    """Return the test that all ratios are equal: z for two variants, Wald's chi-squared for more.

    Parameters
    ----------
    variants : one a variant, two or more, of at least 2 units each

    Returns
    -------
    statistic z of the second minus the first; or, for more, the sum of (R_i - R)**2 / se_i**2 around the
    precision-weighted mean R, on k - 1 degrees of freedom (for two variants that sum is z**2). Cochran (1954), "The
    combination of estimates from different experiments", section 3.

    Raises
    ------
    InvalidInput
        fewer than two variants
    NotEnoughData
        a variant has fewer than 2 units, denominators sum to 0, or a ratio does not vary
    """
    check_variants(variants, control=0)
    check_counts([variant.count for variant in variants], minimum=2)
    moments = [ratio_moments(variant) for variant in variants]
    return _z_test(moments[0], moments[1]) if len(moments) == 2 else _wald_test(moments)


def _z_test(first: Moments, second: Moments) -> OmnibusResult:
    statistic = (second.mean - first.mean) / standard_error(first, second)
    return OmnibusResult(
        test=FrequentistTest.RATIO_Z,
        method="z test of two ratios by the delta method",
        statistic=statistic,
        degrees_of_freedom=None,
        p_value=chi_squared_tail(statistic**2, 1),
    )


def _wald_test(moments: Sequence[Moments]) -> OmnibusResult:
    if any(variant.variance <= 0.0 for variant in moments):
        raise NotEnoughData("All units of one variant have the same ratio: wait until the metric varies in each.")
    weights = [variant.count / variant.variance for variant in moments]
    mean = sum(w * v.mean for w, v in zip(weights, moments, strict=True)) / sum(weights)
    statistic = sum(w * (v.mean - mean) ** 2 for w, v in zip(weights, moments, strict=True))
    return OmnibusResult(
        test=FrequentistTest.RATIO_Z,
        method="Wald's chi-squared test of several ratios by the delta method",
        statistic=statistic,
        degrees_of_freedom=float(len(moments) - 1),
        p_value=chi_squared_tail(statistic, len(moments) - 1),
    )
