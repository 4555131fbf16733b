"""What every policy shares: the arms' totals, the floor, and the probabilities that come of both.

A policy turns totals into weights w, its own wish. Traffic follows p_i = f + (1 - k f) w_i, so that no arm's
probability is ever below the floor f and the log stays fit for inference.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from engine.arrays import FloatArray
from engine.errors import InvalidInput

DEFAULT_FLOOR_SHARE = 0.2  # of the traffic, spread evenly: a floor of 0.2 / k


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmTotals:
    """What the arms of one bandit, or of many, have earned.

    Attributes
    ----------
    pulls : units whose reward is known, at least 0; not whole where discounted: shape (..., k), k >= 2
    rewards : sums of their rewards, in the metric's unit: shape (..., k)
    squared_rewards : sums of the squared rewards: shape (..., k)
    """

    pulls: FloatArray
    rewards: FloatArray
    squared_rewards: FloatArray

    def __post_init__(self) -> None:
        """Refuse totals that cannot be."""
        shapes = {self.pulls.shape, self.rewards.shape, self.squared_rewards.shape}
        if len(shapes) != 1 or self.pulls.ndim == 0 or self.pulls.shape[-1] < 2:
            raise InvalidInput("Totals need the same shape (..., k) with k >= 2 arms: pass one number an arm in each.")

    @classmethod
    def none(cls, arms: int, *, bandits: int | None = None) -> Self:
        """Return the totals of arms that nobody has pulled yet; of one bandit, or of many."""
        shape = (arms,) if bandits is None else (bandits, arms)
        return cls(pulls=np.zeros(shape), rewards=np.zeros(shape), squared_rewards=np.zeros(shape))

    @property
    def arms(self) -> int:
        """The number of arms, k."""
        return self.pulls.shape[-1]

    def observe(self, arm: int, reward: float) -> Self:
        """Return the totals of one bandit after one more pull."""
        pulls, rewards, squared = self.pulls.copy(), self.rewards.copy(), self.squared_rewards.copy()
        pulls[arm] += 1.0
        rewards[arm] += reward
        squared[arm] += reward * reward
        return type(self)(pulls=pulls, rewards=rewards, squared_rewards=squared)

    def merge(self, other: Self) -> Self:
        """Return the totals of both sets of pulls."""
        return type(self)(
            pulls=self.pulls + other.pulls,
            rewards=self.rewards + other.rewards,
            squared_rewards=self.squared_rewards + other.squared_rewards,
        )

    __add__ = merge

    def discount(self, factor: float) -> Self:
        """Return the totals with every pull counted as this much of one, for arms whose value drifts.

        Applied once a step, a pull that is s steps old counts factor**s: Raj and Kalyani (2017), "Taming
        non-stationary bandits", algorithm 1.

        Parameters
        ----------
        factor : in (0, 1]
        """
        if not 0.0 < factor <= 1.0:
            raise InvalidInput(f"The discount is {factor}: pass a factor in (0, 1]; 1 forgets nothing.")
        return type(self)(
            pulls=self.pulls * factor, rewards=self.rewards * factor, squared_rewards=self.squared_rewards * factor
        )


class Policy(Protocol):
    """How an allocation follows from what the arms have earned."""

    def weights(self, totals: ArmTotals) -> FloatArray:
        """Return the share of the next units each arm should have, before the floor: shape (..., k), sums to 1."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationResult:
    """The next units' probabilities, to be kept whole with every assignment made by them.

    Attributes
    ----------
    probabilities : of each arm, each at least the floor, their sum 1
    weights : the policy's own wish, before the floor
    floor : the least probability of any arm
    """

    probabilities: tuple[float, ...]
    weights: tuple[float, ...]
    floor: float


def default_floor(arms: int) -> float:
    """Return 0.2 / k: a fifth of the traffic, spread evenly, keeps every arm's value open to inference."""
    return DEFAULT_FLOOR_SHARE / arms


def apply_floor(weights: FloatArray, *, floor: float) -> FloatArray:
    """Return p_i = f + (1 - k f) w_i.

    Parameters
    ----------
    weights : shape (..., k), each at least 0, summing to 1
    floor : f, in [0, 1 / k]

    Raises
    ------
    InvalidInput
        the floor is outside its range, or the weights are no distribution
    """
    arms = weights.shape[-1]
    if not 0.0 <= floor <= 1.0 / arms:
        raise InvalidInput(f"The floor is {floor}: pass a probability in [0, 1/k], that is at most {1.0 / arms:.4g}.")
    if not (weights >= 0.0).all() or not np.allclose(weights.sum(axis=-1), 1.0, rtol=0.0, atol=1e-9):
        raise InvalidInput("The weights are no distribution: pass numbers of at least 0 that sum to 1.")
    return floor + (1.0 - arms * floor) * weights


def allocate(policy: Policy, totals: ArmTotals, *, floor: float | None = None) -> AllocationResult:
    """Return the probabilities of the next units of one bandit.

    Parameters
    ----------
    policy : how weights follow from totals
    totals : shape (k,)
    floor : in [0, 1 / k]; 0.2 / k where not given

    Raises
    ------
    InvalidInput
        the floor is outside its range
    NotEnoughData
        the policy needs more rewards before it can say anything
    """
    floor = default_floor(totals.arms) if floor is None else floor
    weights = policy.weights(totals)
    probabilities = apply_floor(weights, floor=floor)
    return AllocationResult(probabilities=_row(probabilities), weights=_row(weights), floor=floor)


def allocate_many(policy: Policy, totals: ArmTotals, *, floor: float | None = None) -> FloatArray:
    """Return the probabilities of the next units of many bandits with k arms each: shape (n, k).

    Parameters and errors as in allocate, with totals of shape (n, k).
    """
    return apply_floor(policy.weights(totals), floor=default_floor(totals.arms) if floor is None else floor)


def _row(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
