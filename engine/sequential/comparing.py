"""One call a metric kind: every treatment against the control, valid at every look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.effects import Comparison
from engine.errors import NotEnoughData
from engine.frequentist.chi_squared import check_table, smallest_expected
from engine.frequentist.comparing import check_batch, treatments_of
from engine.frequentist.lift import LiftInterval, log_ratio_interval, proportion_lift
from engine.frequentist.multiplicity import holm_batch
from engine.levels import error_rate
from engine.moments import Moments, UnitMoments, check_counts, check_variants, proportion_moments, ratio_moments
from engine.sequential.boundary import always_valid_p_batch, boundary_batch, target_information
from engine.sequential.confidence_sequence import MINIMUM_UNITS, check_target, sequential_difference
from engine.summaries import ProportionSummary, RatioSummary

MINIMUM_EXPECTED = 5.0
"""Expected count of the rarer outcome in the smaller variant of a pair, before a sequence of rates speaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialResult:
    """Every treatment against the control, at one look among any number.

    Attributes
    ----------
    level : confidence level over all looks and comparisons
    target : units a variant at which the intervals are narrowest
    significant : an adjusted p-value is below 1 - level
    comparisons : one a treatment, in the order of the summaries; intervals hold simultaneously at the level
        (Bonferroni), p-values are always valid, adjusted ones are Holm's
    """

    level: float
    target: int
    significant: bool
    comparisons: tuple[Comparison, ...]


def sequential_proportions(
    summaries: Sequence[ProportionSummary], *, target: int, control: int = 0, level: float = 0.95
) -> SequentialResult:
    """Return each treatment's difference in rate and lift, by asymptotic confidence sequences.

    Parameters
    ----------
    summaries : one a variant, two or more
    target : units a variant at which intervals should be narrowest: the planned size
    control : the control's index
    level : confidence level over all looks and comparisons, in (0, 1)

    Returns
    -------
    each look stands alone: intervals are not intersected with earlier ones

    Raises
    ------
    InvalidInput
        fewer than two variants, control not among them, the target below 1, or the level outside (0, 1)
    NotEnoughData
        a pair's smaller variant expects fewer than 5 of the rarer outcome; or a variant has no units, or no unit
        converted, or all did
    """
    check_variants(summaries, control=control)
    check_table(summaries)
    for variant, treatment in enumerate(summaries):
        if variant != control:
            _check_expected(summaries[control], treatment)
    moments = [proportion_moments(summary) for summary in summaries]
    return _compared(moments, target=target, control=control, level=level, lift=proportion_lift)


def sequential_means(
    variants: Sequence[Moments],
    *,
    target: int,
    control: int = 0,
    level: float = 0.95,
    minimum_units: int = MINIMUM_UNITS,
) -> SequentialResult:
    """Return each treatment's difference in means and lift, by asymptotic confidence sequences.

    Parameters
    ----------
    variants : one a variant, two or more: a MeanSummary each, or the moments that ``cuped_adjustment`` returns
    target : units a variant at which intervals should be narrowest: the planned size
    control : the control's index
    level : confidence level over all looks and comparisons, in (0, 1)
    minimum_units : units a variant must have before anything is reported

    Returns
    -------
    each look stands alone: intervals are not intersected with earlier ones

    Raises
    ------
    InvalidInput
        fewer than two variants, control not among them, the target below 1, or the level outside (0, 1)
    NotEnoughData
        a variant has fewer units than the minimum, or a pair does not vary
    """
    check_variants(variants, control=control)
    check_counts([variant.count for variant in variants], minimum=max(2, minimum_units))
    held = [UnitMoments(count=one.count, mean=one.mean, variance=one.variance) for one in variants]
    return _compared(held, target=target, control=control, level=level)


def sequential_ratios(
    summaries: Sequence[RatioSummary],
    *,
    target: int,
    control: int = 0,
    level: float = 0.95,
    minimum_units: int = MINIMUM_UNITS,
) -> SequentialResult:
    """Return each treatment's difference in ratio and lift, by asymptotic confidence sequences on linearised values.

    Parameters
    ----------
    summaries : one a variant, two or more
    target, control, level, minimum_units : as for ``sequential_means``

    Returns
    -------
    each look stands alone: intervals are not intersected with earlier ones

    Raises
    ------
    InvalidInput
        fewer than two variants, control not among them, the target below 1, or the level outside (0, 1)
    NotEnoughData
        a variant has fewer units than the minimum, its denominators sum to 0, or a pair does not vary
    """
    check_variants(summaries, control=control)
    check_counts([summary.count for summary in summaries], minimum=max(2, minimum_units))
    moments = [ratio_moments(summary) for summary in summaries]
    return _compared(moments, target=target, control=control, level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialBatch:
    """Many tests at once; NaN wherever ``sequential_proportions`` would raise NotEnoughData.

    Attributes
    ----------
    difference, low, high : shape (n_tests, n_variants - 1); simultaneous at the level over all looks
    p_value, adjusted_p_value : same shape; always valid, and adjusted by Holm
    """

    difference: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    adjusted_p_value: FloatArray


def sequential_proportions_batch(
    converted: IntArray, exposed: IntArray, *, target: IntArray | int, control: int = 0, level: float = 0.95
) -> SequentialBatch:
    """Return the confidence sequences of rates of many tests at once.

    Parameters
    ----------
    converted, exposed : shape (n_tests, n_variants), 0 <= converted <= exposed
    target : units a variant, at least 1; one for all tests, or shape (n_tests,)
    control : the control's column
    level : confidence level over all looks and comparisons, in (0, 1)

    Returns
    -------
    arrays by test and treatment; nothing is raised for single tests, their rows hold NaN

    Raises
    ------
    InvalidInput
        fewer than two columns, control not among them, counts or targets out of range, or the level outside (0, 1)
    """
    check_batch(converted, exposed, control=control)
    targets = np.broadcast_to(np.asarray(target, dtype=np.float64), converted.shape[:1])
    check_target(int(targets.min(initial=1.0)))
    alpha = error_rate(level, comparisons=converted.shape[1] - 1)
    treatments = [column for column in range(converted.shape[1]) if column != control]
    difference, error = _differences(converted, exposed, control=control, treatments=treatments)
    pairs = exposed[:, treatments] + exposed[:, [control]]
    reached = target_information(alpha) * np.maximum(pairs, 1) / (2.0 * targets[:, None])
    reach = boundary_batch(reached, alpha=alpha) * error
    p_value = always_valid_p_batch(difference / error, reached)
    return SequentialBatch(
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        p_value=p_value,
        adjusted_p_value=holm_batch(p_value),
    )


def _compared(
    moments: Sequence[UnitMoments], *, target: int, control: int, level: float, lift: LiftInterval = log_ratio_interval
) -> SequentialResult:
    check_target(target)
    base, alpha = moments[control], error_rate(level, comparisons=len(moments) - 1)

    def compared(variant: int, treatment: UnitMoments) -> Comparison:
        pair = sequential_difference(base, treatment, target=target, alpha=alpha)
        return Comparison(
            variant=variant,
            difference=pair.interval(alpha),
            lift=lift(base, treatment, multiplier=pair.multiplier(alpha)),
            p_value=pair.p_value,
            adjusted_p_value=1.0,
        )

    comparisons = tuple(treatments_of(moments, compared, control=control))
    significant = min(one.adjusted_p_value for one in comparisons) < error_rate(level)
    return SequentialResult(level=level, target=target, significant=significant, comparisons=comparisons)


def _check_expected(control: ProportionSummary, treatment: ProportionSummary) -> None:
    expected = smallest_expected((control, treatment))
    if expected < MINIMUM_EXPECTED:
        raise NotEnoughData(
            f"The smaller variant expects {expected:.1f} units with the rarer outcome, and an always-valid result "
            f"needs {MINIMUM_EXPECTED:.0f}: wait for more exposures."
        )


def _differences(
    converted: IntArray, exposed: IntArray, *, control: int, treatments: list[int]
) -> tuple[FloatArray, FloatArray]:
    """Return differences and standard errors, shape (n_tests, n_variants - 1); NaN where too little is expected."""
    units = np.maximum(exposed, 1).astype(np.float64)
    rates = converted / units
    squared = rates * (1.0 - rates) / units
    control_units, treatment_units = units[:, [control]], units[:, treatments]
    both = control_units + treatment_units
    own = squared[:, [control]] + squared[:, treatments]
    within = (units - 1.0) * rates * (1.0 - rates)
    shared = within[:, [control]] + within[:, treatments]
    pooled = shared / np.maximum(both - 2.0, 1.0) * (1.0 / control_units + 1.0 / treatment_units)
    total = converted[:, [control]] + converted[:, treatments]
    expected = np.minimum(exposed[:, [control]], exposed[:, treatments]) * np.minimum(total, both - total) / both
    enough = (expected >= MINIMUM_EXPECTED) & (exposed > 0).all(axis=1, keepdims=True)
    error = np.where(enough, np.sqrt(np.maximum(own, pooled)), np.nan)
    return rates[:, treatments] - rates[:, [control]], error
