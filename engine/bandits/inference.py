"""What the arms are worth, from a log whose probabilities followed the rewards.

Adaptive allocation stops pulling an arm after bad luck and goes on after good luck, so the naive mean is biased and its
interval covers too little. Inverse propensity weighting (IPW) removes the bias; adaptively weighted augmented IPW
(AW-AIPW) also evens out the variance, so that its estimate is close to normal and its interval covers.

Hadad, Hirshberg, Zhan, Wager and Athey (2021), "Confidence intervals for policy evaluation in adaptive experiments",
PNAS 118 (15), arXiv:1911.02768. A batch is all units of one policy version; within it
nothing adapts, so that counts and sums of its arms suffice.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.bandits.intervals import (
    Intervals,
    Moments,
    difference_intervals,
    difference_p_values,
    value_intervals,
)
from engine.bandits.propensities import InverseSums
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NoSupport, NotEnoughData
from engine.levels import error_rate, two_sided_quantile


class Estimator(StrEnum):
    """How the arms' values are estimated."""

    NAIVE = "naive"
    IPW = "ipw"
    AW_AIPW = "aw_aipw"


class Weighting(StrEnum):
    """How AIPW weighs its scores: by constant rates, by two-point ones that know the floor's path, or not at all.

    Unweighted AIPW is unbiased and holds its level where a floor bounds the probabilities; its intervals are wider.
    """

    CONSTANT = "constant"
    TWO_POINT = "two_point"
    UNWEIGHTED = "unweighted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchLog:
    """The log of one adaptive test, or of many, batch by batch in the order of the policy versions.

    Attributes
    ----------
    probabilities : of each arm in each batch, in [0, 1], summing to 1: shape (..., batches, k)
    pulls : units of each arm: the same shape
    rewards : sums of their rewards, the metric's unit: the same shape
    squared_rewards : sums of the squared rewards: the same shape
    inverse : where each unit has probabilities of its own, the sums that know them; those above are averages then
    """

    probabilities: FloatArray
    pulls: FloatArray
    rewards: FloatArray
    squared_rewards: FloatArray
    inverse: InverseSums | None = None

    def __post_init__(self) -> None:
        """Refuse a log that cannot be."""
        shapes = {self.probabilities.shape, self.pulls.shape, self.rewards.shape, self.squared_rewards.shape}
        if len(shapes) != 1 or self.pulls.ndim < 2 or self.pulls.shape[-1] < 2:
            raise InvalidInput(
                "A log needs the same shape (batches, k), k >= 2, in all its parts: pass one row a batch."
            )
        if self.inverse is not None and self.inverse.shares.shape != self.pulls.shape:
            raise InvalidInput("The sums by inverse propensity have another shape: pass one row a batch there, too.")
        if not (
            (self.pulls >= 0).all() and np.isfinite(self.rewards).all() and np.isfinite(self.squared_rewards).all()
        ):
            raise InvalidInput("Pulls are counts and rewards are finite: correct the log.")
        totals = self.probabilities.sum(axis=-1)
        if not ((self.probabilities >= 0.0).all() and np.allclose(totals, 1.0, rtol=0.0, atol=1e-6)):
            raise InvalidInput("A batch's probabilities do not sum to 1: pass the whole vector of its policy version.")
        if (self.pulls[self.probabilities == 0.0] > 0).any():
            raise InvalidInput("An arm of probability 0 was pulled: correct the logged probabilities.")

    @classmethod
    def from_units(cls, arms: IntArray, rewards: FloatArray, *, probabilities: FloatArray) -> Self:
        """Return the log of units in the order of their exposure, each with its own probabilities, as a batch each.

        Parameters
        ----------
        arms : shape (n,), in [0, k)
        rewards : shape (n,), the metric's unit
        probabilities : shape (n, k), the whole vector by which each unit was assigned
        """
        if not len(arms) == len(rewards) == len(probabilities) or len(arms) == 0:
            raise InvalidInput("A log needs one arm, one reward and one row of probabilities a unit: pass all three.")
        pulls = np.zeros(probabilities.shape)
        pulls[np.arange(len(arms)), arms] = 1.0
        earned = pulls * rewards[:, None]
        return cls(probabilities=probabilities, pulls=pulls, rewards=earned, squared_rewards=earned**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDifference:
    """One arm against the control.

    Attributes
    ----------
    arm : index of the arm
    difference : arm minus control, the metric's unit
    p_value : two-sided, of no difference
    """

    arm: int
    difference: IntervalEstimate
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveEstimates:
    """The arms' values by one estimator.

    Attributes
    ----------
    estimator : which one
    values : of each arm, the metric's unit
    differences : of each arm but the control against it
    """

    estimator: Estimator
    values: tuple[IntervalEstimate, ...]
    differences: tuple[ArmDifference, ...]


def adaptive_estimates(
    log: BatchLog,
    estimator: Estimator,
    *,
    level: float = 0.95,
    control: int = 0,
    conversions: bool = False,
    weighting: Weighting = Weighting.CONSTANT,
    floors: FloatArray | None = None,
) -> AdaptiveEstimates:
    """Estimate each arm's value and its difference to the control, from the log of one test.

    Parameters
    ----------
    log : shape (batches, k)
    estimator : NAIVE to show what the means say; IPW is unbiased; AW_AIPW is the one whose intervals cover
    level : of the intervals, in (0, 1)
    control : index of the control
    conversions : whether rewards are 0 or 1, so that intervals need not be symmetric: see engine.bandits.intervals
    weighting, floors : of AW_AIPW, as in moments

    Raises
    ------
    NotEnoughData
        an arm was never pulled, or its rewards do not vary
    NoSupport
        a batch gave an arm no chance, so that IPW cannot say what it would have earned
    """
    found = moments(log, estimator, weighting=weighting, floors=floors)
    if found.values.ndim != 1:
        raise InvalidInput("This log holds many tests: call it once a test, or use moments for all.")
    if not (found.variances > 0.0).all():
        raise NotEnoughData("The rewards of an arm do not vary yet: wait for more, with the floor above 0.")
    z = two_sided_quantile(error_rate(level))
    differences = difference_intervals(found, control=control, z=z, conversions=conversions)
    p_values = difference_p_values(found, control=control, conversions=conversions)
    return AdaptiveEstimates(
        estimator=estimator,
        values=_estimates(value_intervals(found, z=z, conversions=conversions)),
        differences=tuple(
            ArmDifference(arm=arm, difference=difference, p_value=float(p_values[arm]))
            for arm, difference in enumerate(_estimates(differences))
            if arm != control
        ),
    )


def moments(
    log: BatchLog,
    estimator: Estimator,
    *,
    weighting: Weighting = Weighting.CONSTANT,
    floors: FloatArray | None = None,
) -> Moments:
    """Return the arms' estimated values and their covariances, for one test or for many at once.

    Parameters
    ----------
    log : shape (..., batches, k)
    estimator : as in adaptive_estimates
    weighting : of AW_AIPW's batches
    floors : least probability in each batch, for two-point rates: shape (batches,), positive
    """
    if estimator is Estimator.NAIVE:
        return _naive(log)
    if (log.pulls.sum(axis=-2) == 0).any():
        raise NotEnoughData("An arm was never pulled: wait until every arm has units, with the floor above 0.")
    if estimator is Estimator.IPW:
        _require_support(log)
        return _weighted(log, np.ones_like(log.probabilities), np.zeros_like(log.probabilities))
    if weighting is Weighting.UNWEIGHTED:
        _require_support(log)
        return _weighted(log, np.ones_like(log.probabilities), past_means(log))
    rates = constant_rates(log) if weighting is Weighting.CONSTANT else two_point_rates(log, floors)
    return _weighted(log, stick_breaking_weights(log, rates), past_means(log))


def past_means(log: BatchLog) -> FloatArray:
    """Return each arm's mean reward in the batches before, which is what AIPW may know: shape (..., batches, k).

    Until an arm has been pulled, the mean over all arms before; 0 in the first batch. Where each unit has probabilities
    of its own, the mean is weighed by their inverse.
    """
    everyone = np.maximum(_before(log.pulls).sum(axis=-1, keepdims=True), 1.0)
    overall = _before(log.rewards).sum(axis=-1, keepdims=True) / everyone
    source = log if log.inverse is None else log.inverse
    pulls, rewards = _before(source.pulls), _before(source.rewards)
    return np.where(pulls > 0.0, rewards / np.maximum(pulls, 1e-300), overall)


def constant_rates(log: BatchLog) -> FloatArray:
    """Return each batch's share of the units left, n_t / (n_t + ... + n_T): shape (..., batches, 1).

    The paper's constant allocation rates, for batches.
    """
    units = log.pulls.sum(axis=-1, keepdims=True)
    return _share_of_what_is_left(units)


def two_point_rates(log: BatchLog, floors: FloatArray | None) -> FloatArray:
    """Return the expected share of the probability left, were each arm from now on either the best or at the floor.

    With f_s the floor and g_s = 1 - (k - 1) f_s: e_t n_t g_t / sum_{s >= t} n_s g_s + (1 - e_t) n_t f_t / sum_{s >= t}
    n_s f_s, the paper's two-point allocation rates, for batches. With a floor that never changes they are the constant
    rates. Shape (..., batches, k).
    """
    arms = log.pulls.shape[-1]
    if floors is None or floors.shape != log.pulls.shape[-2:-1] or not ((floors > 0) & (floors <= 1 / arms)).all():
        raise InvalidInput("Two-point rates need each batch's floor, above 0 and at most 1/k: pass floors.")
    units = log.pulls.sum(axis=-1, keepdims=True)
    best = _share_of_what_is_left(units * (1.0 - (arms - 1) * floors[:, None]))
    least = _share_of_what_is_left(units * floors[:, None])
    return log.probabilities * best + (1.0 - log.probabilities) * least


def stick_breaking_weights(log: BatchLog, rates: FloatArray) -> FloatArray:
    """Return h_t of each unit: h_t**2 n_t / e_t = r_t prod_{s < t} (1 - r_s), which add up to 1: (..., batches, k).

    With constant rates they are proportional to the square root of the probability. Where each unit has its own,
    1 / e_t is their mean over the contexts known before, so that no unit's weight depends on its own context: Zhan,
    Hadad, Hirshberg and Athey (2021), "Off-policy evaluation via adaptive weighting with data from contextual bandits",
    non-contextual weights.
    """
    rates = np.broadcast_to(rates, log.probabilities.shape)
    left = np.cumprod(1.0 - rates, axis=-2)
    left = np.concatenate([np.ones_like(left[..., :1, :]), left[..., :-1, :]], axis=-2)
    units = np.maximum(log.pulls.sum(axis=-1, keepdims=True), 1.0)
    return np.sqrt(np.maximum(rates * left, 0.0) * _inverse(log).shares / units)


def _weighted(log: BatchLog, weights: FloatArray, means: FloatArray) -> Moments:
    """Return the weighted mean of the scores, Hadad and others (2021), eq. 5, and its errors' covariances, eq. 11.

    A unit's score is Gamma_i = m_i + 1{arm i} (y - m_i) / e_i; its sums over a batch follow from the batch's totals.
    """
    sums = _inverse(log)
    units = log.pulls.sum(axis=-1, keepdims=True)
    surplus = sums.rewards - sums.pulls * means
    total = (weights * units).sum(axis=-2)
    if (total <= 0.0).any():
        raise NoSupport("An arm never had a chance of being assigned: raise the floor above 0 and collect more units.")
    values = (weights * (units * means + surplus)).sum(axis=-2) / total
    offset = means - values[..., None, :]
    scaled = weights / total[..., None, :]
    cross = np.einsum("...bi,...bj->...ij", scaled * (units * offset), scaled * offset)
    mixed = np.einsum("...bi,...bj->...ij", scaled * offset, scaled * surplus)
    spread = sums.squared_rewards - 2.0 * means * sums.square_rewards + means**2 * sums.square_pulls
    own = (scaled**2 * np.maximum(spread, 0.0)).sum(axis=-2)
    return Moments(values=values, covariances=cross + mixed + np.swapaxes(mixed, -1, -2) + _diagonal(own))


def _inverse(log: BatchLog) -> InverseSums:
    if log.inverse is not None:
        return log.inverse
    return InverseSums.of_batches(
        log.probabilities, pulls=log.pulls, rewards=log.rewards, squared_rewards=log.squared_rewards
    )


def _naive(log: BatchLog) -> Moments:
    pulls = log.pulls.sum(axis=-2)
    if (pulls < 2.0).any():
        raise NotEnoughData("An arm has fewer than 2 units: wait until every arm has some, with the floor above 0.")
    means = log.rewards.sum(axis=-2) / pulls
    variances = np.maximum(log.squared_rewards.sum(axis=-2) / pulls - means**2, 0.0) / (pulls - 1.0)
    return Moments(values=means, covariances=_diagonal(variances))


def _require_support(log: BatchLog) -> None:
    some = log.pulls.sum(axis=-1, keepdims=True) > 0.0
    if ((_inverse(log).shares == 0.0) & some).any():
        raise NoSupport("A batch gave an arm no chance: raise the floor above 0, or leave out the batch or the arm.")


def _diagonal(values: FloatArray) -> FloatArray:
    return values[..., None] * np.eye(values.shape[-1])


def _before(values: FloatArray) -> FloatArray:
    return np.cumsum(values, axis=-2) - values


def _share_of_what_is_left(values: FloatArray) -> FloatArray:
    left = np.cumsum(values[..., ::-1, :], axis=-2)[..., ::-1, :]
    return np.divide(values, left, out=np.zeros_like(values), where=left > 0.0)


def _estimates(intervals: Intervals) -> tuple[IntervalEstimate, ...]:
    ends = zip(intervals.point.tolist(), intervals.low.tolist(), intervals.high.tolist(), strict=True)
    return tuple(IntervalEstimate(point=point, low=low, high=high) for point, low, high in ends)
