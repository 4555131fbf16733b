"""Means: normal data of unknown variance, with a flat or a normal-inverse-gamma prior."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray
from engine.bayesian.assembling import batch, closed_form
from engine.bayesian.checks import as_counts, as_values, check_exposed, check_question, check_same_shape
from engine.bayesian.intervals import student_interval
from engine.bayesian.lift import student_ratio
from engine.bayesian.marginals import StudentMarginals
from engine.bayesian.priors import NormalPrior
from engine.bayesian.results import BatchPosterior, BayesianResult
from engine.errors import NotEnoughData
from engine.summaries import MeanSummary

LEAST_UNITS = 4
"""Units a variant needs under the flat prior: with fewer the posterior mean's variance is infinite."""


def student_posterior(
    means: ArrayLike, variances: ArrayLike, exposed: ArrayLike, *, prior: NormalPrior | None = None
) -> StudentMarginals:
    """Return the marginal posterior of each mean, Student's t.

    Parameters
    ----------
    means, variances : of the units, shape (k,) for one test, (n, k) for many; k >= 2; variances unbiased, above 0
    exposed : units, the same shape; at least 4, or 2 with a prior
    prior : of each mean and variance; None is flat in the mean and the log variance

    Returns
    -------
    StudentMarginals of the same shape: location the mean, scale sqrt(variance / n), n - 1 degrees of freedom where flat
    (Gelman and others, 2013, section 3.2), else by the updates of Murphy (2007), "Conjugate Bayesian analysis of the
    Gaussian distribution", eqs. 85 to 89 and 95.

    Raises
    ------
    InvalidInput
        NaN, negative variances or units, shapes that differ, one variant alone
    NotEnoughData
        too few units, or all of a variant's values are equal and the prior is flat
    """
    location, spread, units = (
        as_values("means", means),
        as_counts("variances", variances),
        as_counts("exposed", exposed),
    )
    check_same_shape(means=location, variances=spread, exposed=units)
    check_exposed(units, minimum=LEAST_UNITS if prior is None else 2)
    if prior is not None:
        return _updated(location, spread, units, prior)
    if not spread.all():
        raise NotEnoughData("All values of a variant are equal, so nothing tells their spread: wait, or state a prior.")
    return StudentMarginals(location=location, scale=np.sqrt(spread / units), freedom=units - 1.0)


def analyze_means(
    summaries: Sequence[MeanSummary],
    *,
    control: int = 0,
    level: float = 0.95,
    prior: NormalPrior | None = None,
    higher_is_better: bool = True,
) -> BayesianResult:
    """Return each variant's posterior mean, lift, probability of being best and expected loss.

    Parameters
    ----------
    summaries : one a variant, two or more
    control : index of the control
    level : mass inside the intervals, in (0, 1)
    prior : of each mean and variance; None is flat
    higher_is_better : False where the lowest mean is best

    Raises
    ------
    InvalidInput
        one variant alone, a control that is none, a level outside (0, 1)
    NotEnoughData
        fewer than 4 units a variant (2 with a prior), or values all equal under the flat prior
    """
    check_question(len(summaries), control=control, level=level)
    exposed = np.array([summary.count for summary in summaries], dtype=np.float64)
    check_exposed(exposed, minimum=LEAST_UNITS if prior is None else 2)
    posterior = student_posterior(
        np.array([summary.mean for summary in summaries]),
        np.array([summary.variance for summary in summaries]),
        exposed,
        prior=prior,
    )
    return analyze_student("normal", posterior, control=control, level=level, higher_is_better=higher_is_better)


def analyze_student(
    model: str, posterior: StudentMarginals, *, control: int, level: float, higher_is_better: bool
) -> BayesianResult:
    """Return the result for Student's t (or normal) posteriors of shape (k,), under the model's name."""
    return closed_form(
        model,
        posterior,
        interval=student_interval(posterior, level=level),
        ratio=lambda treatment: student_ratio(posterior, treatment=treatment, control=control, level=level),
        control=control,
        level=level,
        higher_is_better=higher_is_better,
    )


def analyze_means_batch(
    means: ArrayLike,
    variances: ArrayLike,
    exposed: ArrayLike,
    *,
    control: int = 0,
    level: float = 0.95,
    prior: NormalPrior | None = None,
    higher_is_better: bool = True,
) -> BatchPosterior:
    """Return the posteriors of many tests at once; lifts are left out.

    Parameters
    ----------
    means, variances, exposed : shape (n_tests, n_variants), as in student_posterior
    control, level, prior, higher_is_better : as for one test
    """
    posterior = student_posterior(means, variances, exposed, prior=prior)
    check_question(posterior.shape[-1], control=control, level=level)
    interval = student_interval(posterior, level=level)
    return batch(posterior, interval=interval, control=control, higher_is_better=higher_is_better)


def _updated(location: FloatArray, spread: FloatArray, units: FloatArray, prior: NormalPrior) -> StudentMarginals:
    worth = prior.units + units
    shape = prior.shape + 0.5 * units
    shift = prior.units * units / worth * (location - prior.mean) ** 2
    scale = prior.scale + 0.5 * ((units - 1.0) * spread + shift)
    return StudentMarginals(
        location=(prior.units * prior.mean + units * location) / worth,
        scale=np.sqrt(scale / (shape * worth)),
        freedom=2.0 * shape,
    )
