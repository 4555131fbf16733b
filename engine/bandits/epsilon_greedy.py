"""Epsilon-greedy: the best mean gets all but a fixed share, which is spread evenly."""

from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray
from engine.bandits.policy import ArmTotals
from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonGreedy:
    """Epsilon-greedy: Sutton and Barto (2018), "Reinforcement learning", sec. 2.2.

    Attributes
    ----------
    epsilon : the share of units spread evenly over all arms, in [0, 1]
    """

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0.0 <= self.epsilon <= 1.0:
            raise InvalidInput(f"Epsilon is {self.epsilon}: pass a fraction in [0, 1].")

    def weights(self, totals: ArmTotals) -> FloatArray:
        """Return epsilon / k for each arm, and the rest for the best mean, shared where several have it: (..., k).

        An arm without pulls counts as best, so that each is tried.
        """
        pulled = totals.pulls > 0.0
        means = np.where(pulled, totals.rewards / np.where(pulled, totals.pulls, 1.0), np.inf)
        best = means >= means.max(axis=-1, keepdims=True)
        return self.epsilon / totals.arms + (1.0 - self.epsilon) * best / best.sum(axis=-1, keepdims=True)
