"""Counts: a rate with a gamma prior and Poisson data, widened where counts vary more than a Poisson's would."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.bayesian.assembling import closed_form
from engine.bayesian.checks import as_counts, check_exposed, check_question, check_same_shape
from engine.bayesian.intervals import gamma_interval
from engine.bayesian.lift import gamma_ratio
from engine.bayesian.marginals import GammaMarginals
from engine.bayesian.priors import FLAT_COUNTS, GammaPrior
from engine.bayesian.results import BayesianResult
from engine.errors import InvalidInput
from engine.summaries import MeanSummary


def gamma_posterior(
    events: ArrayLike, exposed: ArrayLike, *, prior: GammaPrior = FLAT_COUNTS, dispersion: float = 1.0
) -> GammaMarginals:
    """Return Gamma(shape + events / dispersion, rate + exposed / dispersion), independently for each variant.

    Parameters
    ----------
    events, exposed : shape (k,) for one test, (n, k) for many; k >= 2, events at least 0, exposed at least 1
    prior : of every rate, events a unit
    dispersion : variance over mean of a unit's count, at least 1; 1 is Poisson

    Returns
    -------
    GammaMarginals of the same shape. Gelman and others (2013), section 2.6; the dispersion raises the likelihood to the
    power 1 / dispersion, the quasi-likelihood of McCullagh and Nelder (1989), "Generalized linear models", section 6.2.

    Raises
    ------
    InvalidInput
        NaN, negative, a dispersion below 1, shapes that differ, one variant alone
    NotEnoughData
        a variant without exposed units
    """
    counts, units = as_counts("events", events), as_counts("exposed", exposed)
    check_same_shape(events=counts, exposed=units)
    check_exposed(units)
    if not 1.0 <= dispersion < math.inf:
        raise InvalidInput(f"The dispersion is {dispersion}: pass a finite number of at least 1.")
    return GammaMarginals(shape_=prior.shape + counts / dispersion, rate=prior.rate + units / dispersion)


def count_dispersion(summaries: Sequence[MeanSummary]) -> float:
    """Return how much more a unit's count varies than a Poisson's: at least 1.

    Parameters
    ----------
    summaries : of counts, one a variant

    Returns
    -------
    the mean of variance / mean over variants, weighted by degrees of freedom, and 1 where that is less or nothing was
    counted. McCullagh and Nelder (1989), eq. 6.4.
    """
    counted = [summary for summary in summaries if summary.count > 1 and summary.total > 0]
    freedom = sum(summary.count - 1 for summary in counted)
    excess = sum((summary.count - 1) * summary.variance / summary.mean for summary in counted)
    return max(1.0, excess / freedom) if freedom else 1.0


def analyze_counts(
    summaries: Sequence[MeanSummary],
    *,
    control: int = 0,
    level: float = 0.95,
    prior: GammaPrior = FLAT_COUNTS,
    dispersion: float | None = None,
    higher_is_better: bool = True,
) -> BayesianResult:
    """Return each variant's posterior rate of events a unit, lift, probability of being best and expected loss.

    Parameters
    ----------
    summaries : of each unit's count, one a variant, two or more
    control : index of the control
    level : mass inside the intervals, in (0, 1)
    prior : of every rate
    dispersion : as in gamma_posterior; None estimates it, and 1 insists on Poisson
    higher_is_better : False where the lowest rate is best

    Raises
    ------
    InvalidInput
        one variant alone, a control that is none, a level outside (0, 1), negative counts
    NotEnoughData
        a variant without exposed units
    """
    check_question(len(summaries), control=control, level=level)
    posterior = gamma_posterior(
        np.array([summary.total / summary.scale for summary in summaries]),
        np.array([summary.count for summary in summaries], dtype=np.float64),
        prior=prior,
        dispersion=count_dispersion(summaries) if dispersion is None else dispersion,
    )
    return closed_form(
        "gamma-poisson",
        posterior,
        interval=gamma_interval(posterior, level=level),
        ratio=lambda treatment: gamma_ratio(posterior, treatment=treatment, control=control),
        control=control,
        level=level,
        higher_is_better=higher_is_better,
    )
