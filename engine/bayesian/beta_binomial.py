"""Conversion: a rate with a beta prior and binomial data."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.bayesian.assembling import batch, closed_form
from engine.bayesian.checks import as_counts, check_exposed, check_question, check_same_shape
from engine.bayesian.intervals import beta_interval
from engine.bayesian.lift import beta_ratio
from engine.bayesian.marginals import BetaMarginals
from engine.bayesian.priors import FLAT, BetaPrior
from engine.bayesian.results import BatchPosterior, BayesianResult
from engine.errors import InvalidInput
from engine.summaries import ProportionSummary


def beta_posterior(converted: ArrayLike, exposed: ArrayLike, *, prior: BetaPrior = FLAT) -> BetaMarginals:
    """Return Beta(alpha + converted, beta + exposed - converted), independently for each variant.

    Parameters
    ----------
    converted, exposed : shape (k,) for one test, (n, k) for many; k >= 2, 0 <= converted <= exposed, 1 <= exposed
    prior : of every rate

    Returns
    -------
    BetaMarginals of the same shape. Gelman and others (2013), "Bayesian data analysis", 3rd edition, section 2.4.

    Raises
    ------
    InvalidInput
        NaN, negative, more converted than exposed, shapes that differ, one variant alone
    NotEnoughData
        a variant without exposed units
    """
    successes, units = as_counts("converted", converted), as_counts("exposed", exposed)
    check_same_shape(converted=successes, exposed=units)
    if (successes > units).any():
        raise InvalidInput("More units converted than were exposed: count each unit once, among those exposed.")
    check_exposed(units)
    return BetaMarginals(alpha=prior.alpha + successes, beta=prior.beta + (units - successes))


def analyze_proportions(
    summaries: Sequence[ProportionSummary],
    *,
    control: int = 0,
    level: float = 0.95,
    prior: BetaPrior = FLAT,
    higher_is_better: bool = True,
) -> BayesianResult:
    """Return each variant's posterior rate, lift, probability of being best and expected loss.

    Parameters
    ----------
    summaries : one a variant, two or more
    control : index of the control
    level : mass inside the intervals, in (0, 1)
    prior : of every rate
    higher_is_better : False where the lowest rate is best

    Raises
    ------
    InvalidInput
        one variant alone, a control that is none, a level outside (0, 1)
    NotEnoughData
        a variant without exposed units
    """
    check_question(len(summaries), control=control, level=level)
    converted = np.array([summary.converted for summary in summaries], dtype=np.float64)
    exposed = np.array([summary.exposed for summary in summaries], dtype=np.float64)
    posterior = beta_posterior(converted, exposed, prior=prior)
    return closed_form(
        "beta-binomial",
        posterior,
        interval=beta_interval(posterior, level=level),
        ratio=lambda treatment: beta_ratio(posterior, treatment=treatment, control=control),
        control=control,
        level=level,
        higher_is_better=higher_is_better,
    )


def analyze_proportions_batch(
    converted: ArrayLike,
    exposed: ArrayLike,
    *,
    control: int = 0,
    level: float = 0.95,
    prior: BetaPrior = FLAT,
    higher_is_better: bool = True,
) -> BatchPosterior:
    """Return the posteriors of many tests at once; lifts are left out.

    Parameters
    ----------
    converted, exposed : shape (n_tests, n_variants)
    control, level, prior, higher_is_better : as for one test

    Raises
    ------
    InvalidInput, NotEnoughData
        as for one test, for any of them
    """
    posterior = beta_posterior(converted, exposed, prior=prior)
    check_question(posterior.shape[-1], control=control, level=level)
    interval = beta_interval(posterior, level=level)
    return batch(posterior, interval=interval, control=control, higher_is_better=higher_is_better)
