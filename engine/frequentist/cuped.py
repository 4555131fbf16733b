"""CUPED: a covariate measured before exposure takes out the variance it explains."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import InvalidInput, NotEnoughData
from engine.moments import UnitMoments, check_counts
from engine.summaries import CovariateSummary, pooled

_WHOLLY_EXPLAINED = 1.0 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class CupedAdjustment:
    """Every variant's moments after adjustment.

    Attributes
    ----------
    variants : adjusted moments, in the order of the summaries; fit for Welch's procedures and confidence sequences
    coefficient : theta, by which the covariate was weighted, in metric units per covariate unit
    variance_reduction : share of the variance that is gone, in [0, 1]; the squared correlation within variants
    """

    variants: tuple[UnitMoments, ...]
    coefficient: float
    variance_reduction: float


def cuped_adjustment(summaries: Sequence[CovariateSummary]) -> CupedAdjustment:
    """Return the moments of Y - theta (X - mean(X)), X the covariate, its mean taken over all variants.

    Parameters
    ----------
    summaries : one a variant, of at least 2 units each

    Returns
    -------
    theta is cov(Y, X) / var(X) pooled within variants, one for all of them, so that the difference stays unbiased.
    Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data", eqs. 4 and 5.

    Raises
    ------
    InvalidInput
        the covariate tells the metric exactly
    NotEnoughData
        a variant has fewer than 2 units, or the covariate is the same for all of them
    """
    check_counts([summary.count for summary in summaries], minimum=2)
    freedom = [summary.count - 1 for summary in summaries]
    spread = sum(f * s.covariate.variance for f, s in zip(freedom, summaries, strict=True))
    if spread <= 0.0:
        raise NotEnoughData("The covariate is the same for all units, so it explains nothing: analyse without it.")
    shared = sum(f * s.covariance for f, s in zip(freedom, summaries, strict=True))
    total = sum(f * s.metric.variance for f, s in zip(freedom, summaries, strict=True))
    explained = shared**2 / (spread * total) if total > 0.0 else 0.0
    if explained > _WHOLLY_EXPLAINED:
        raise InvalidInput("The covariate tells the metric exactly: use one that was measured before exposure.")
    theta, centre = shared / spread, pooled(summary.covariate for summary in summaries).mean
    return CupedAdjustment(
        variants=tuple(_adjusted(summary, theta=theta, centre=centre) for summary in summaries),
        coefficient=theta,
        variance_reduction=explained,
    )


def _adjusted(summary: CovariateSummary, *, theta: float, centre: float) -> UnitMoments:
    variance = summary.metric.variance - 2.0 * theta * summary.covariance + theta**2 * summary.covariate.variance
    mean = summary.metric.mean - theta * (summary.covariate.mean - centre)
    return UnitMoments(count=summary.count, mean=mean, variance=max(0.0, variance))
