"""Pearson's chi-squared test that k variants convert alike, without continuity correction."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc

from engine.arrays import FloatArray, IntArray
from engine.errors import NotEnoughData
from engine.frequentist.results import FrequentistTest, OmnibusResult
from engine.moments import check_counts, check_variants
from engine.summaries import ProportionSummary

SMALLEST_EXPECTED = 5.0
"""Below this expected count the approximation is not trusted and Fisher's exact test takes over (Cochran, 1954)."""


def chi_squared_test(summaries: Sequence[ProportionSummary]) -> OmnibusResult:
    """Return Pearson's test of homogeneity.

    Parameters
    ----------
    summaries : one a variant, two or more

    Returns
    -------
    statistic sum over variants of (x - n p)**2 / (n p (1 - p)), p the pooled rate, on k - 1 degrees of freedom.
    Pearson (1900); Agresti (2013), "Categorical data analysis", eq. 3.10.

    Raises
    ------
    InvalidInput
        fewer than two variants
    NotEnoughData
        a variant without units, or no unit converted, or all did
    """
    check_table(summaries)
    statistic = _statistic(summaries)
    freedom = len(summaries) - 1
    return OmnibusResult(
        test=FrequentistTest.CHI_SQUARED,
        method="Pearson's chi-squared test without continuity correction",
        statistic=statistic,
        degrees_of_freedom=float(freedom),
        p_value=chi_squared_tail(statistic, freedom),
    )


def chi_squared_batch(converted: IntArray, exposed: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return Pearson's statistic and p-value of many tests at once.

    Parameters
    ----------
    converted, exposed : shape (n_tests, n_variants), 0 <= converted <= exposed

    Returns
    -------
    two arrays of shape (n_tests,): statistic and p-value; NaN where a variant has no units, or nobody or everybody
    converted, since nothing can be said there
    """
    total, units = converted.sum(axis=1), exposed.sum(axis=1)
    empty = (exposed == 0).any(axis=1) | (total == 0) | (total == units)
    rate = np.where(empty, np.nan, total / np.maximum(units, 1))[:, None]
    deviations = (converted - exposed * rate) ** 2 / (np.maximum(exposed, 1) * rate * (1.0 - rate))
    statistic = deviations.sum(axis=1)
    return statistic, np.asarray(chdtrc(float(converted.shape[1] - 1), statistic), dtype=np.float64)


def smallest_expected(summaries: Sequence[ProportionSummary]) -> float:
    """Return the smallest expected count of the table of converted and not converted units, if all convert alike."""
    units = sum(summary.exposed for summary in summaries)
    total = sum(summary.converted for summary in summaries)
    return min(summary.exposed for summary in summaries) * min(total, units - total) / units


def chi_squared_tail(statistic: float, degrees_of_freedom: int) -> float:
    """Return P(X >= statistic) for X chi-squared, accurate far into the tail."""
    if degrees_of_freedom == 1:
        return math.erfc(math.sqrt(statistic / 2.0))
    return float(chdtrc(float(degrees_of_freedom), statistic))


def check_table(summaries: Sequence[ProportionSummary]) -> None:
    """Refuse a table that no test of homogeneity can be made on."""
    check_variants(summaries, control=0)
    check_counts([summary.exposed for summary in summaries], minimum=1)
    total = sum(summary.converted for summary in summaries)
    if total == 0:
        raise NotEnoughData("No unit has converted in any variant, so they cannot be told apart: wait for conversions.")
    if total == sum(summary.exposed for summary in summaries):
        raise NotEnoughData("Every unit has converted in every variant: choose a metric that not all units fulfil.")


def _statistic(summaries: Sequence[ProportionSummary]) -> float:
    units = sum(summary.exposed for summary in summaries)
    total = sum(summary.converted for summary in summaries)
    # units * converted - exposed * total is a whole number, so that nothing cancels
    deviations = sum((units * s.converted - s.exposed * total) ** 2 / s.exposed for s in summaries)
    return deviations / (total * (units - total))
