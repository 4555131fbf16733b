"""One call a metric kind: the omnibus test, and every treatment against the control."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.effects import Comparison
from engine.errors import InvalidInput
from engine.frequentist.chi_squared import (
    SMALLEST_EXPECTED,
    check_table,
    chi_squared_batch,
    chi_squared_test,
    smallest_expected,
)
from engine.frequentist.fisher import fisher_exact_test, pair_p
from engine.frequentist.lift import log_ratio_interval
from engine.frequentist.multiplicity import holm, holm_batch
from engine.frequentist.proportions import lift_interval, newcombe_batch, newcombe_interval
from engine.frequentist.ratio import normal_interval, ratio_test, standard_error
from engine.frequentist.results import FrequentistResult, OmnibusResult
from engine.frequentist.welch import mean_difference, welch_test
from engine.levels import error_rate, two_sided_p, two_sided_quantile
from engine.moments import Moments, UnitMoments, check_counts, check_variants, ratio_moments
from engine.summaries import ProportionSummary, RatioSummary


def compare_proportions(
    summaries: Sequence[ProportionSummary],
    *,
    control: int = 0,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> FrequentistResult:
    """Return the test of equal rates with each treatment's difference and lift.

    Pearson's chi-squared; Fisher's exact test where an expected count is below 5, decided anew for each pair.

    Parameters
    ----------
    summaries : one a variant, two or more
    control : the control's index
    level : confidence level, in (0, 1); intervals hold for all comparisons at once
    rng : for Fisher's test with too many tables to enumerate; by default one with a fixed seed

    Returns
    -------
    Newcombe's differences, log-ratio lifts, p-values adjusted by Holm

    Raises
    ------
    InvalidInput
        fewer than two variants, control not among them, or the level outside (0, 1)
    NotEnoughData
        a variant without units, or no unit converted, or all did
    """
    check_variants(summaries, control=control)
    check_table(summaries)
    simultaneous = 1.0 - error_rate(level, comparisons=len(summaries) - 1)

    def compared(variant: int, treatment: ProportionSummary) -> Comparison:
        base = summaries[control]
        return Comparison(
            variant=variant,
            difference=newcombe_interval(base, treatment, level=simultaneous),
            lift=lift_interval(base, treatment, level=simultaneous),
            p_value=_pair_p(base, treatment),
            adjusted_p_value=1.0,
        )

    few = smallest_expected(summaries) < SMALLEST_EXPECTED
    omnibus = fisher_exact_test(summaries, rng=rng) if few else chi_squared_test(summaries)
    return _result(omnibus, treatments_of(summaries, compared, control=control), level=level)


def compare_means(variants: Sequence[Moments], *, control: int = 0, level: float = 0.95) -> FrequentistResult:
    """Return Welch's test of equal means with each treatment's difference and lift.

    Parameters
    ----------
    variants : one a variant, two or more: a MeanSummary each, or the moments that ``cuped_adjustment`` returns
    control : the control's index
    level : confidence level, in (0, 1); intervals hold for all comparisons at once

    Returns
    -------
    Welch's differences, log-ratio lifts, p-values adjusted by Holm

    Raises
    ------
    InvalidInput
        fewer than two variants, control not among them, or the level outside (0, 1)
    NotEnoughData
        a variant has fewer than 2 units, or does not vary
    """
    check_variants(variants, control=control)
    check_counts([variant.count for variant in variants], minimum=2)
    alpha = error_rate(level, comparisons=len(variants) - 1)
    held = [UnitMoments(count=one.count, mean=one.mean, variance=one.variance) for one in variants]

    def compared(variant: int, treatment: UnitMoments) -> Comparison:
        pair = mean_difference(held[control], treatment)
        return Comparison(
            variant=variant,
            difference=pair.interval(alpha),
            lift=log_ratio_interval(held[control], treatment, multiplier=pair.multiplier(alpha)),
            p_value=pair.p_value,
            adjusted_p_value=1.0,
        )

    omnibus = welch_test(_control_first(held, control))
    return _result(omnibus, treatments_of(held, compared, control=control), level=level)


def compare_ratios(summaries: Sequence[RatioSummary], *, control: int = 0, level: float = 0.95) -> FrequentistResult:
    """Return the delta-method test of equal ratios with each treatment's difference and lift.

    Parameters
    ----------
    summaries : one a variant, two or more, of at least 2 units each
    control : the control's index
    level : confidence level, in (0, 1); intervals hold for all comparisons at once

    Returns
    -------
    large-sample differences, log-ratio lifts, p-values adjusted by Holm

    Raises
    ------
    InvalidInput
        fewer than two variants, control not among them, or the level outside (0, 1)
    NotEnoughData
        a variant has fewer than 2 units, its denominators sum to 0, or its ratio does not vary
    """
    check_variants(summaries, control=control)
    check_counts([summary.count for summary in summaries], minimum=2)
    alpha = error_rate(level, comparisons=len(summaries) - 1)
    base = ratio_moments(summaries[control])

    def compared(variant: int, treatment: RatioSummary) -> Comparison:
        moments = ratio_moments(treatment)
        return Comparison(
            variant=variant,
            difference=normal_interval(base, moments, alpha=alpha),
            lift=log_ratio_interval(base, moments, multiplier=two_sided_quantile(alpha)),
            p_value=two_sided_p((moments.mean - base.mean) / standard_error(base, moments)),
            adjusted_p_value=1.0,
        )

    omnibus = ratio_test(_control_first(summaries, control))
    return _result(omnibus, treatments_of(summaries, compared, control=control), level=level)


def treatments_of[S](
    variants: Sequence[S], compared: Callable[[int, S], Comparison], *, control: int
) -> list[Comparison]:
    """Return each treatment's comparison, p-values adjusted by Holm."""
    raw = [compared(index, variant) for index, variant in enumerate(variants) if index != control]
    adjusted = holm([comparison.p_value for comparison in raw])
    return [replace(one, adjusted_p_value=p_value) for one, p_value in zip(raw, adjusted, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionBatch:
    """Many tests of equal rates at once; NaN wherever ``compare_proportions`` would raise NotEnoughData.

    Attributes
    ----------
    statistic, p_value : shape (n_tests,); Pearson's chi-squared
    few : shape (n_tests,); an expected count is below 5, so that ``compare_proportions`` should be asked instead
    difference, low, high : shape (n_tests, n_variants - 1); Newcombe's, simultaneous at the level
    adjusted_p_value : same shape; Pearson's pairwise p-values adjusted by Holm
    """

    statistic: FloatArray
    p_value: FloatArray
    few: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    difference: FloatArray
    low: FloatArray
    high: FloatArray
    adjusted_p_value: FloatArray


def compare_proportions_batch(
    converted: IntArray, exposed: IntArray, *, control: int = 0, level: float = 0.95
) -> ProportionBatch:
    """Return the chi-squared test and all comparisons to the control, for many tests at once.

    Parameters
    ----------
    converted, exposed : shape (n_tests, n_variants), 0 <= converted <= exposed
    control : the control's column
    level : confidence level, in (0, 1)

    Returns
    -------
    arrays by test; nothing is raised for single tests, their rows hold NaN

    Raises
    ------
    InvalidInput
        fewer than two columns, control not among them, counts out of range, or the level outside (0, 1)
    """
    check_batch(converted, exposed, control=control)
    treatments = [column for column in range(converted.shape[1]) if column != control]
    statistic, p_value = chi_squared_batch(converted, exposed)
    simultaneous = 1.0 - error_rate(level, comparisons=len(treatments))
    difference, low, high = newcombe_batch(converted, exposed, control=control, level=simultaneous)
    pairs = [_pair_batch(converted[:, [control, t]], exposed[:, [control, t]]) for t in treatments]
    raw = np.where(np.isnan(p_value)[:, None], np.nan, np.stack(pairs, axis=1))
    return ProportionBatch(
        statistic=statistic,
        p_value=p_value,
        few=_few(converted, exposed),
        difference=difference,
        low=low,
        high=high,
        adjusted_p_value=holm_batch(raw),
    )


def check_batch(converted: IntArray, exposed: IntArray, *, control: int) -> None:
    """Raise InvalidInput unless both are (n_tests, n_variants), counts are possible and the control is among them."""
    if converted.ndim != 2 or converted.shape != exposed.shape:
        raise InvalidInput(f"The shapes are {converted.shape} and {exposed.shape}: pass two of (n_tests, n_variants).")
    if converted.shape[1] < 2 or not 0 <= control < converted.shape[1]:
        raise InvalidInput("Pass two columns or more, and a control that is one of them.")
    if bool((converted < 0).any()) or bool((converted > exposed).any()):
        raise InvalidInput("A test has a negative count, or more converted than exposed: count each exposed unit once.")


def _pair_p(control: ProportionSummary, treatment: ProportionSummary) -> float:
    if smallest_expected((control, treatment)) < SMALLEST_EXPECTED:
        return pair_p(control, treatment)
    return chi_squared_test((control, treatment)).p_value


def _pair_batch(converted: IntArray, exposed: IntArray) -> FloatArray:
    """Return pairwise p-values; 1, as Fisher's, where neither or both of a pair converted wholly."""
    p_value = chi_squared_batch(converted, exposed)[1]
    return np.where(np.isnan(p_value), 1.0, p_value)


def _few(converted: IntArray, exposed: IntArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    total, units = converted.sum(axis=1), exposed.sum(axis=1)
    rarer = np.minimum(total, units - total)
    return exposed.min(axis=1) * rarer < SMALLEST_EXPECTED * units


def _control_first[S](variants: Sequence[S], control: int) -> list[S]:
    return [variants[control], *variants[:control], *variants[control + 1 :]]


def _result(omnibus: OmnibusResult, comparisons: Sequence[Comparison], *, level: float) -> FrequentistResult:
    return FrequentistResult(
        omnibus=omnibus,
        level=level,
        significant=omnibus.p_value < error_rate(level),
        comparisons=tuple(comparisons),
    )
