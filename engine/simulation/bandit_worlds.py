"""Bandits of known truth, many runs abreast: stepped on schedule, by what is known of each unit at each step."""

from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.bandits.inference import BatchLog
from engine.bandits.policy import ArmTotals, Policy, allocate_many
from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delays:
    """When it is known what a unit did, in steps: 0 is the step right after the batch the unit is in.

    Attributes
    ----------
    converting : probability that a conversion is known from this step on: shape (d,), sums to 1
    closing : step at which a unit that has not converted begins to count, at least 0; a conversion that is known
        only later turns it into one that has
    """

    converting: FloatArray
    closing: int

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if not (self.converting >= 0.0).all() or abs(float(self.converting.sum()) - 1.0) > 1e-9:
            raise InvalidInput("Delays are no distribution: pass probabilities by step that sum to 1.")
        if self.closing < 0:
            raise InvalidInput(f"Windows close after {self.closing} steps: pass at least 0.")


AT_ONCE = Delays(converting=np.ones(1), closing=0)
"""Everything is known at the next step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BanditWorld:
    """Arms that convert at their rates, allocated by a policy in batches, by what is known by then, many runs abreast.

    Attributes
    ----------
    rates : shape (k,), in [0, 1]
    batch_units : units a batch, at least 1
    batches : how many, at least 1
    floor : every arm's least probability
    delays : when it is known what a unit did; at once where not given
    """

    rates: FloatArray
    batch_units: int
    batches: int
    floor: float
    delays: Delays = AT_ONCE

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.rates.ndim != 1 or self.rates.size < 2 or not ((self.rates >= 0.0) & (self.rates <= 1.0)).all():
            raise InvalidInput("Rates are fractions of two arms or more: pass numbers from 0 to 1.")
        if self.batch_units < 1 or self.batches < 1:
            raise InvalidInput(f"{self.batches} batches of {self.batch_units} units: pass at least 1 of both.")

    def run(self, policy: Policy, rng: np.random.Generator, *, runs: int) -> BatchLog:
        """Return the logs of so many runs once all is known, of shape (runs, batches, k); the first batch is even.

        Parameters
        ----------
        policy : how weights follow from what is known
        rng : of units and delays
        runs : how many, at least 1
        """
        arms, known = self.rates.size, _Known(self, runs)
        probability = np.full((runs, arms), 1.0 / arms)
        log: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        for batch in range(self.batches):
            pulled = rng.multinomial(self.batch_units, probability / probability.sum(axis=1, keepdims=True))
            delayed = rng.multinomial(rng.binomial(pulled, self.rates), self.delays.converting).astype(np.float64)
            log.append((probability, pulled.astype(np.float64), delayed.sum(axis=-1)))
            known.add(batch, pulled, delayed)
            probability = allocate_many(policy, known.totals(batch), floor=self.floor)
        probabilities, pulls, rewards = (np.stack(part, axis=1) for part in zip(*log, strict=True))
        return BatchLog(probabilities=probabilities, pulls=pulls, rewards=rewards, squared_rewards=rewards)

    def regret(self, log: BatchLog) -> FloatArray:
        """Return the conversions each run was expected to miss against its best arm: shape (runs,)."""
        return (log.pulls * (self.rates.max() - self.rates)).sum(axis=(-2, -1))


class _Known:
    """What begins to count at each step; whatever comes after the last step is left out."""

    def __init__(self, world: BanditWorld, runs: int) -> None:
        self._closing = world.delays.closing
        steps = world.batches + max(world.delays.converting.size, self._closing + 1)
        self._pulls = np.zeros((steps, runs, world.rates.size))
        self._rewards = np.zeros_like(self._pulls)

    def add(self, batch: int, pulled: IntArray, delayed: FloatArray) -> None:
        """Take a batch: units of shape (runs, k), conversions by delay of shape (runs, k, d)."""
        for delay in range(delayed.shape[-1]):
            self._rewards[batch + delay] += delayed[..., delay]
            self._pulls[batch + min(delay, self._closing)] += delayed[..., delay]
        self._pulls[batch + self._closing] += pulled - delayed.sum(axis=-1)

    def totals(self, step: int) -> ArmTotals:
        """Return what counts at a step."""
        rewards = self._rewards[: step + 1].sum(axis=0)
        return ArmTotals(pulls=self._pulls[: step + 1].sum(axis=0), rewards=rewards, squared_rewards=rewards)


SHOP = BanditWorld(
    rates=np.array([0.10, 0.12, 0.14, 0.18]),
    batch_units=100,
    batches=60,
    floor=0.05,
    delays=Delays(converting=np.array([0.55, 0.25, 0.12, 0.05, 0.03]), closing=3),
)
"""A shop that tries four offers for 60 days, 100 units a day, stepping daily, with windows of three days.

The floor is the default, 0.2 over the number of arms. Of 100 conversions 3 are heard of only after their window closed.
"""
