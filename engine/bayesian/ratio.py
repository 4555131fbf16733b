"""Ratios of two sums, such as revenue an order: a normal posterior by the delta method."""

from collections.abc import Sequence

import numpy as np

from engine.bayesian.checks import as_values, check_exposed, check_question
from engine.bayesian.marginals import StudentMarginals
from engine.bayesian.normal import analyze_student
from engine.bayesian.results import BayesianResult
from engine.errors import NotEnoughData
from engine.moments import ratio_moments
from engine.summaries import RatioSummary

LEAST_UNITS = 30
"""Units a variant needs before the ratio's sampling distribution is taken for normal."""


def analyze_ratios(
    summaries: Sequence[RatioSummary], *, control: int = 0, level: float = 0.95, higher_is_better: bool = True
) -> BayesianResult:
    """Return each variant's posterior ratio, lift, probability of being best and expected loss.

    With a flat prior and a large-sample normal likelihood the posterior is normal about the ratio, with its
    delta-method variance: Gelman and others (2013), section 4.1, and Deng, Knoblich and Lu (2018), eq. 5.

    Parameters
    ----------
    summaries : one a variant, two or more
    control : index of the control
    level : mass inside the intervals, in (0, 1)
    higher_is_better : False where the lowest ratio is best

    Raises
    ------
    InvalidInput
        one variant alone, a control that is none, a level outside (0, 1)
    NotEnoughData
        fewer than 30 units a variant, denominators that sum to 0, or a ratio that does not vary
    """
    check_question(len(summaries), control=control, level=level)
    exposed = np.array([summary.count for summary in summaries], dtype=np.float64)
    check_exposed(exposed, minimum=LEAST_UNITS)
    moments = [ratio_moments(summary) for summary in summaries]
    variances = np.array([each.variance for each in moments])
    if not variances.all():
        raise NotEnoughData("The ratio is the same for every unit of a variant: wait until units differ.")
    posterior = StudentMarginals(
        location=as_values("ratios", [each.mean for each in moments]),
        scale=np.sqrt(variances / exposed),
        freedom=np.full(exposed.shape, np.inf),
    )
    return analyze_student("ratio-normal", posterior, control=control, level=level, higher_is_better=higher_is_better)
