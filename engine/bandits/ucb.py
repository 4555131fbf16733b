"""KL-UCB: play the arm whose value could, by the Kullback-Leibler divergence, still be the highest."""

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, rel_entr

from engine.arrays import FloatArray
from engine.bandits.policy import ArmTotals
from engine.errors import InvalidInput

_STEPS = 8
_LEAST = 1e-300
_ALMOST_ONE = 1.0 - 2.0**-53


@dataclass(frozen=True, slots=True, kw_only=True)
class KLUCB:
    """KL-UCB for rewards between 0 and a known highest reward.

    Attributes
    ----------
    highest_reward : positive; 1 for conversions
    """

    highest_reward: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a range without rewards."""
        if not 0.0 < self.highest_reward < np.inf:
            raise InvalidInput(f"The highest reward is {self.highest_reward}: pass a positive number; cap the metric.")

    def weights(self, totals: ArmTotals) -> FloatArray:
        """Return 1 for the arm with the highest index, shared where several have it: shape (..., k)."""
        indices = self.indices(totals)
        highest = indices >= indices.max(axis=-1, keepdims=True)
        return highest / highest.sum(axis=-1, keepdims=True)

    def indices(self, totals: ArmTotals) -> FloatArray:
        """Return the highest value each arm could have: shape (..., k), in the metric's unit.

        max {q : n kl(m, q) <= log t}, m the mean of n of all t pulls: Garivier and Cappe (2011), "The KL-UCB
        algorithm for bounded stochastic bandits and beyond", algorithm 1 with c = 0, which they recommend. Infinite
        for an arm without pulls.
        """
        rewards = totals.rewards / self.highest_reward
        if not ((rewards >= 0.0) & (rewards <= totals.pulls * (1.0 + 1e-12))).all():
            raise InvalidInput(
                f"Rewards lie outside 0 to {self.highest_reward}: raise highest_reward or cap the metric."
            )
        pulls = np.maximum(totals.pulls, 1.0)
        budget = np.log(np.maximum(totals.pulls.sum(axis=-1, keepdims=True), 1.0)) / pulls
        bounds = upper_bounds(np.minimum(rewards / pulls, 1.0), budget)
        return np.where(totals.pulls > 0.0, bounds * self.highest_reward, np.inf)


def upper_bounds(means: FloatArray, budget: FloatArray) -> FloatArray:
    """Return the largest q in [m, 1] with kl(m, q) <= budget, for Bernoulli kl.

    Parameters
    ----------
    means : m, in [0, 1]
    budget : nats, at least 0; both broadcast

    Returns
    -------
    by Newton's method from above, where kl is convex in q: from the lesser of m + sqrt(budget / 2) (Pinsker) and
    1 - exp(-(budget + H(m)) / (1 - m)), H the entropy
    """
    entropy = entr(means) + entr(1.0 - means)
    rest = np.maximum(1.0 - means, _LEAST)
    bound = np.minimum(means + np.sqrt(0.5 * budget), -np.expm1(-(budget + entropy) / rest))
    bound = np.clip(bound, means, np.maximum(means, _ALMOST_ONE))
    for _ in range(_STEPS):
        excess = rel_entr(means, bound) + rel_entr(1.0 - means, 1.0 - bound) - budget
        slope = (bound - means) / np.maximum(bound * (1.0 - bound), _LEAST)
        bound = np.maximum(bound - np.maximum(excess, 0.0) / np.maximum(slope, _LEAST), means)
    return bound
