"""Sums over units of which each had its own probabilities, as a contextual bandit gives them: for estimates."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InverseSums:
    """Sums over the units of each batch and arm, e being the probability with which a unit was given its arm.

    Attributes
    ----------
    shares : 1 / E[1 / e] of each arm in each batch over the contexts known before it, in [0, 1]; 0 where some context
        leaves the arm no chance. Where all units of a batch have the same probabilities, those
    pulls, rewards : sums of 1 / e and of y / e
    square_pulls, square_rewards, squared_rewards : sums of 1 / e**2, of y / e**2 and of y**2 / e**2

    All of shape (..., batches, k), rewards in the metric's unit.
    """

    shares: FloatArray
    pulls: FloatArray
    rewards: FloatArray
    square_pulls: FloatArray
    square_rewards: FloatArray
    squared_rewards: FloatArray

    @classmethod
    def of_batches(
        cls, probabilities: FloatArray, *, pulls: FloatArray, rewards: FloatArray, squared_rewards: FloatArray
    ) -> Self:
        """Return the sums where all units of a batch have its probabilities."""
        inverse = np.divide(1.0, probabilities, out=np.zeros_like(probabilities), where=probabilities > 0.0)
        return cls(
            shares=probabilities,
            pulls=pulls * inverse,
            rewards=rewards * inverse,
            square_pulls=pulls * inverse**2,
            square_rewards=rewards * inverse**2,
            squared_rewards=squared_rewards * inverse**2,
        )

    @classmethod
    def of_units(
        cls,
        batches: IntArray,
        arms: IntArray,
        *,
        rewards: FloatArray,
        propensities: FloatArray,
        shares: FloatArray,
    ) -> Self:
        """Return the sums of units.

        Parameters
        ----------
        batches, arms : of each unit, as indices into shares: shape (n,)
        rewards : shape (n,), the metric's unit
        propensities : with what probability each unit was given its arm, in (0, 1]: shape (n,)
        shares : as the attribute: shape (batches, k)
        """
        if not len(batches) == len(arms) == len(rewards) == len(propensities):
            raise InvalidInput("Batches, arms, rewards and propensities need one shape (n,): pass one value a unit.")
        if not ((propensities > 0.0) & (propensities <= 1.0)).all():
            raise InvalidInput("A propensity is outside (0, 1]: log the probability with which each arm was given.")
        inverse = 1.0 / propensities
        parts = {
            "pulls": inverse,
            "rewards": rewards * inverse,
            "square_pulls": inverse**2,
            "square_rewards": rewards * inverse**2,
            "squared_rewards": (rewards * inverse) ** 2,
        }
        cells = batches * shares.shape[1] + arms
        sums = {
            name: np.bincount(cells, weights=part, minlength=shares.size).reshape(shares.shape)
            for name, part in parts.items()
        }
        return cls(shares=shares, **sums)
