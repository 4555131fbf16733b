"""What another policy would have earned on the same units, from the log of the policy that ran.

Every unit's reward counts by its importance weight: how much likelier the policy asked about was to take the logged
action than the policy that ran. All three estimates refuse where too few units carry the answer.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NoSupport
from engine.levels import error_rate, two_sided_quantile

LEAST_EFFECTIVE_UNITS = 30.0


class OffPolicyEstimator(StrEnum):
    """How the value is estimated."""

    IPS = "ips"
    SELF_NORMALISED = "self_normalised"
    DOUBLY_ROBUST = "doubly_robust"


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicyEstimate:
    """A policy's value, had it run in place of the logged one.

    Attributes
    ----------
    estimator : which one
    value : mean reward a unit, the metric's unit
    effective_sample_size : units that carry the answer, (sum w)**2 / sum w**2, between 1 and the units logged
    mean_weight : mean importance weight; near 1 where the log supports the policy
    largest_weight : the largest importance weight
    units : units logged
    """

    estimator: OffPolicyEstimator
    value: IntervalEstimate
    effective_sample_size: float
    mean_weight: float
    largest_weight: float
    units: int


def importance_sampling(
    rewards: FloatArray,
    *,
    propensities: FloatArray,
    target: FloatArray,
    level: float = 0.95,
    least_effective_units: float = LEAST_EFFECTIVE_UNITS,
) -> OffPolicyEstimate:
    """Estimate a policy's value by inverse propensity scores (IPS), unbiased.

    Parameters
    ----------
    rewards : shape (n,), the metric's unit
    propensities : probability with which each logged action was taken, in (0, 1]: shape (n,)
    target : probability with which the policy asked about takes that action, in [0, 1]: shape (n,)
    level : of the interval, in (0, 1)
    least_effective_units : refuse below this effective sample size

    Returns
    -------
    mean of w r, w = target / propensity: Dudik, Langford and Li (2011), "Doubly robust policy evaluation and learning",
    eq. 1; the interval by the central limit theorem

    Raises
    ------
    InvalidInput
        an array has another shape or a value outside its range
    NoSupport
        too few units carry the answer, or the policy asked about does what the log never does
    """
    weights = _weights(rewards, propensities, target)
    _require_support(weights, least_effective_units)
    terms = weights * rewards
    return _estimate(OffPolicyEstimator.IPS, float(terms.mean()), terms - terms.mean(), weights, level)


def self_normalised(
    rewards: FloatArray,
    *,
    propensities: FloatArray,
    target: FloatArray,
    level: float = 0.95,
    least_effective_units: float = LEAST_EFFECTIVE_UNITS,
) -> OffPolicyEstimate:
    """Estimate a policy's value by self-normalised importance sampling: less variance, within the rewards' range.

    sum w r / sum w: Swaminathan and Joachims (2015), "The self-normalized estimator for counterfactual learning",
    eq. 4; the interval by the delta method. Parameters and errors as in importance_sampling.
    """
    weights = _weights(rewards, propensities, target)
    _require_support(weights, least_effective_units)
    value = float((weights * rewards).sum() / weights.sum())
    errors = weights * (rewards - value) / weights.mean()
    return _estimate(OffPolicyEstimator.SELF_NORMALISED, value, errors, weights, level)


def doubly_robust(
    rewards: FloatArray,
    actions: IntArray,
    *,
    propensities: FloatArray,
    target: FloatArray,
    predictions: FloatArray,
    level: float = 0.95,
    least_effective_units: float = LEAST_EFFECTIVE_UNITS,
) -> OffPolicyEstimate:
    """Estimate a policy's value from a model of the reward, corrected by importance-weighted residuals.

    Right where either the propensities or the model are; the model must not have seen the units it predicts.

    Parameters
    ----------
    rewards, propensities : shape (n,), as in importance_sampling
    actions : the logged actions, in [0, k): shape (n,)
    target : probabilities of all actions under the policy asked about, rows sum to 1: shape (n, k)
    predictions : predicted reward of every action, the metric's unit: shape (n, k)
    level, least_effective_units : as in importance_sampling

    Returns
    -------
    mean of sum_a target(a) q(a) + w (r - q(logged)): Dudik, Langford and Li (2011), eq. 2
    """
    _check_actions(rewards, actions, target, predictions)
    rows = np.arange(len(rewards))
    weights = _weights(rewards, propensities, target[rows, actions])
    _require_support(weights, least_effective_units)
    terms = (target * predictions).sum(axis=-1) + weights * (rewards - predictions[rows, actions])
    return _estimate(OffPolicyEstimator.DOUBLY_ROBUST, float(terms.mean()), terms - terms.mean(), weights, level)


def effective_sample_size(weights: FloatArray) -> float:
    """Return (sum w)**2 / sum w**2, 0 where all weights are: Kish (1965), "Survey sampling", sec. 11.7."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0


def _weights(rewards: FloatArray, propensities: FloatArray, target: FloatArray) -> FloatArray:
    if not rewards.shape == propensities.shape == target.shape or rewards.ndim != 1 or rewards.size < 2:
        raise InvalidInput("Rewards, propensities and target need one shape (n,), n >= 2: pass one value a unit.")
    if not np.isfinite(rewards).all():
        raise InvalidInput("A reward is not finite: leave out the unit or correct it.")
    if not ((propensities > 0.0) & (propensities <= 1.0)).all():
        raise InvalidInput("A propensity is outside (0, 1]: log the probability with which each action was taken.")
    if not ((target >= 0.0) & (target <= 1.0)).all():
        raise InvalidInput("A target probability is outside [0, 1]: correct the policy asked about.")
    return target / propensities


def _check_actions(rewards: FloatArray, actions: IntArray, target: FloatArray, predictions: FloatArray) -> None:
    if target.ndim != 2 or target.shape != predictions.shape or not len(rewards) == len(actions) == len(target):
        raise InvalidInput("Target and predictions need one shape (n, k), actions shape (n,): pass one row a unit.")
    if not (np.isfinite(predictions).all() and np.allclose(target.sum(axis=-1), 1.0, rtol=0.0, atol=1e-6)):
        raise InvalidInput("A prediction is not finite, or a row of target does not sum to 1: correct it.")
    if actions.size and not (int(actions.min()) >= 0 and int(actions.max()) < target.shape[1]):
        raise InvalidInput(f"An action lies outside 0 to {target.shape[1] - 1}: pass indices of the actions.")


def _require_support(weights: FloatArray, least_effective_units: float) -> None:
    effective = effective_sample_size(weights)
    if effective < least_effective_units:
        raise NoSupport(
            f"Only {effective:.1f} effective units of {weights.size} carry the answer, {least_effective_units:g} are"
            " needed: ask about a policy closer to the logged one, or log more units with a higher floor."
        )
    mean, error = float(weights.mean()), float(weights.std() / np.sqrt(weights.size))
    if mean < 1.0 - 4.0 * error - 1e-9:
        raise NoSupport(
            f"The importance weights average {mean:.3f} instead of 1: the policy asked about does what the log never"
            " does. Ask about one that stays within the logged actions, or log with a floor above 0."
        )


def _estimate(
    estimator: OffPolicyEstimator, value: float, errors: FloatArray, weights: FloatArray, level: float
) -> OffPolicyEstimate:
    count = errors.size
    reach = two_sided_quantile(error_rate(level)) * float(np.sqrt(np.square(errors).sum() / (count - 1) / count))
    return OffPolicyEstimate(
        estimator=estimator,
        value=IntervalEstimate.around(value, reach),
        effective_sample_size=effective_sample_size(weights),
        mean_weight=float(weights.mean()),
        largest_weight=float(weights.max()),
        units=count,
    )
