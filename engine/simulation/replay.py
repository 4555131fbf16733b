"""Run a policy over a logged test, as if it had been there: what it would have learned, and what it would have earned.

Units come in the order of the log, in batches. A unit teaches the policy only where a coin, weighted by how much
likelier the policy was to take the logged action, says so: then what the policy sees is distributed as if it had
acted itself (Li, Chu, Langford and Wang (2011), "Unbiased offline evaluation of contextual-bandit-based news article
recommendation algorithms", algorithm 2, here for any logged probabilities). What the policy would have earned is
estimated twice: from the units it kept, and from all units by importance weights.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.arrays import FloatArray, IntArray
from engine.bandits.off_policy import OffPolicyEstimate, doubly_robust, importance_sampling, self_normalised
from engine.bandits.policy import ArmTotals, Policy, apply_floor, default_floor
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NoSupport, NotEnoughData
from engine.levels import error_rate, two_sided_quantile

type BoolArray = NDArray[np.bool_]

LEAST_KEPT = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitLog:
    """A logged test, one row a unit, in the order of exposure.

    Attributes
    ----------
    actions : the logged arm, in [0, k): shape (n,)
    rewards : the metric's unit: shape (n,)
    probabilities : of every arm when the unit was assigned, rows sum to 1: shape (n, k)
    """

    actions: IntArray
    rewards: FloatArray
    probabilities: FloatArray

    def __post_init__(self) -> None:
        """Refuse a log that cannot be."""
        units = len(self.actions)
        if self.probabilities.ndim != 2 or not units == len(self.rewards) == len(self.probabilities) or units == 0:
            raise InvalidInput(
                "A log needs one action, one reward and one row of probabilities a unit: pass all three."
            )
        if not np.isfinite(self.rewards).all():
            raise InvalidInput("A reward is not finite: leave out the unit or correct it.")
        if not (int(self.actions.min()) >= 0 and int(self.actions.max()) < self.probabilities.shape[1]):
            raise InvalidInput(
                f"An action lies outside 0 to {self.probabilities.shape[1] - 1}: pass indices of the arms."
            )
        if not (self.propensities > 0.0).all():
            raise InvalidInput("A logged action had probability 0: correct the logged probabilities.")

    @property
    def propensities(self) -> FloatArray:
        """The probability of each logged action: shape (n,)."""
        return self.probabilities[np.arange(len(self.actions)), self.actions]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayStep:
    """One batch of the replay.

    Attributes
    ----------
    units : units gone through so far, this batch included
    before, after : what the units kept had earned before this batch, and after it
    probabilities : the policy's in this batch: shape (k,)
    """

    units: int
    before: ArmTotals
    after: ArmTotals
    probabilities: FloatArray

    @property
    def kept(self) -> int:
        """Units that taught the policy so far."""
        return int(self.after.pulls.sum())

    @property
    def mean_reward(self) -> float | None:
        """Mean reward of the units kept so far, the metric's unit; None while there are none."""
        return float(self.after.rewards.sum()) / self.kept if self.kept else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What the policy would have earned a unit.

    Attributes
    ----------
    units, kept : units logged, and those that taught the policy
    replayed : mean reward of the units kept, the metric's unit
    ips, self_normalised, doubly_robust : the same from all units by importance weights, with effective sample sizes
    logged : mean reward of the policy that ran
    """

    units: int
    kept: int
    replayed: IntervalEstimate
    ips: OffPolicyEstimate
    self_normalised: OffPolicyEstimate
    doubly_robust: OffPolicyEstimate
    logged: IntervalEstimate


def replay_steps(
    policy: Policy, log: UnitLog, *, batch: int, rng: np.random.Generator, floor: float | None = None
) -> Iterator[ReplayStep]:
    """Go through the log batch by batch, so that a caller can show progress and draw the course.

    Parameters
    ----------
    policy : how weights follow from what the arms have earned
    log : the logged test
    batch : units between two reallocations, at least 1
    rng : decides which units teach the policy
    floor : least probability of an arm, in [0, 1 / k]; 0.2 / k where not given

    Yields
    ------
    one ReplayStep a batch; until the policy has enough data, it allocates evenly
    """
    if batch < 1:
        raise InvalidInput(f"A batch has {batch} units: pass at least 1.")
    arms = log.probabilities.shape[1]
    floor = default_floor(arms) if floor is None else floor
    totals = ArmTotals.none(arms)
    for start in range(0, len(log.actions), batch):
        part = slice(start, start + batch)
        probabilities = apply_floor(_weights(policy, totals), floor=floor)
        kept = _kept(log, part, probabilities, rng)
        before, totals = totals, totals + _totals(log.actions[part][kept], log.rewards[part][kept], arms)
        units = min(start + batch, len(log.actions))
        yield ReplayStep(units=units, before=before, after=totals, probabilities=probabilities)


def summarise_replay(steps: Sequence[ReplayStep], log: UnitLog, *, level: float = 0.95) -> ReplayResult:
    """Return what the policy would have earned, from all steps of replay_steps over the same log.

    Parameters
    ----------
    steps : all of them, in order
    log : the same log
    level : of the intervals, in (0, 1)

    Raises
    ------
    NoSupport
        too few units were kept, or too few carry the answer by importance weights
    """
    if not steps or steps[-1].units != len(log.actions):
        raise InvalidInput("The steps do not cover the log: pass all steps of one replay of this log.")
    kept = steps[-1].after
    if steps[-1].kept < LEAST_KEPT:
        raise NoSupport(f"Only {steps[-1].kept} units could be replayed, {LEAST_KEPT} are needed: log more units.")
    repeats = np.diff([step.units for step in steps], prepend=0)
    target = np.repeat([step.probabilities for step in steps], repeats, axis=0)
    predictions = np.repeat([_means(step.before) for step in steps], repeats, axis=0)
    taken = target[np.arange(len(log.actions)), log.actions]
    rewards, propensities = log.rewards, log.propensities
    everyone = _totals(log.actions, rewards, log.probabilities.shape[1])
    return ReplayResult(
        units=len(log.actions),
        kept=steps[-1].kept,
        replayed=_mean(kept, level),
        ips=importance_sampling(rewards, propensities=propensities, target=taken, level=level),
        self_normalised=self_normalised(rewards, propensities=propensities, target=taken, level=level),
        doubly_robust=doubly_robust(
            rewards, log.actions, propensities=propensities, target=target, predictions=predictions, level=level
        ),
        logged=_mean(everyone, level),
    )


def _weights(policy: Policy, totals: ArmTotals) -> FloatArray:
    try:
        return policy.weights(totals)
    except NotEnoughData:
        return np.full(totals.arms, 1.0 / totals.arms)


def _kept(log: UnitLog, part: slice, probabilities: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Keep each unit with a chance proportional to the policy's probability of its action over the log's."""
    propensities = log.propensities[part]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(probabilities > 0.0, probabilities / log.probabilities[part], 0.0)
    if not np.isfinite(ratios).all():
        raise NoSupport("The log gave an arm no chance that the policy would play: replay logs with a floor above 0.")
    return rng.random(len(propensities)) * ratios.max() < probabilities[log.actions[part]] / propensities


def _totals(actions: IntArray, rewards: FloatArray, arms: int) -> ArmTotals:
    return ArmTotals(
        pulls=np.bincount(actions, minlength=arms).astype(np.float64),
        rewards=np.bincount(actions, rewards, minlength=arms),
        squared_rewards=np.bincount(actions, rewards**2, minlength=arms),
    )


def _means(totals: ArmTotals) -> FloatArray:
    """Return each arm's mean reward, drawn towards that of all arms by one unit: shape (k,)."""
    overall = totals.rewards.sum() / max(float(totals.pulls.sum()), 1.0)
    return (totals.rewards + overall) / (totals.pulls + 1.0)


def _mean(totals: ArmTotals, level: float) -> IntervalEstimate:
    count = float(totals.pulls.sum())
    mean = float(totals.rewards.sum()) / count
    variance = max(float(totals.squared_rewards.sum()) / count - mean * mean, 0.0)
    reach = two_sided_quantile(error_rate(level)) * math.sqrt(variance / max(count - 1.0, 1.0))
    return IntervalEstimate(point=mean, low=mean - reach, high=mean + reach)
