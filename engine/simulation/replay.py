"""Run a policy over a logged test, as if it had been there: what it would have learned, and what it would have earned.

Units come in the order of the log, in batches. Where the log has the whole probability vectors, a unit teaches the
policy only where a coin, weighted by how much likelier the policy was to take the logged action, says so: then what the
policy sees is distributed as if it had acted itself (Li, Chu, Langford and Wang (2011), "Unbiased offline evaluation of
contextual-bandit-based news article recommendation algorithms", algorithm 2, here for any logged probabilities). Where
the log has the probability of the logged action alone, no such coin can be weighed, and every unit teaches by its
importance weight: a batch counts for as many units as it is worth, (sum w)**2 / sum w**2, so that the policy claims to
know no more than the log can tell. What the policy would have earned is estimated twice: from what taught it, and from
all units by importance weights.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.arrays import BoolArray, FloatArray, IntArray
from engine.bandits.intervals import Moments, value_intervals
from engine.bandits.off_policy import OffPolicyEstimate, doubly_robust, importance_sampling, self_normalised
from engine.bandits.policy import ArmTotals, Policy, apply_floor, default_floor
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NoSupport, NotEnoughData
from engine.levels import error_rate, two_sided_quantile

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
        _check_units(self)

    @property
    def arms(self) -> int:
        """The number of arms, k."""
        return self.probabilities.shape[1]

    @property
    def propensities(self) -> FloatArray:
        """The probability of each logged action: shape (n,)."""
        return self.probabilities[np.arange(len(self.actions)), self.actions]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropensityLog:
    """A logged test that kept the probability of the logged arm alone, one row a unit, in the order of exposure.

    Attributes
    ----------
    actions : the logged arm, in [0, k): shape (n,)
    rewards : the metric's unit: shape (n,)
    propensities : of the logged arm when the unit was assigned, in (0, 1]: shape (n,)
    arms : k
    """

    actions: IntArray
    rewards: FloatArray
    propensities: FloatArray
    arms: int

    def __post_init__(self) -> None:
        """Refuse a log that cannot be."""
        units = len(self.actions)
        if not units == len(self.rewards) == len(self.propensities) or units == 0:
            raise InvalidInput("A log needs one action, one reward and one propensity a unit: pass all three.")
        _check_units(self)


type Log = UnitLog | PropensityLog


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayStep:
    """One batch of the replay.

    Attributes
    ----------
    units : units gone through so far, this batch included
    before, after : what the policy had been taught before this batch, and after it
    probabilities : the policy's in this batch: shape (k,)
    """

    units: int
    before: ArmTotals
    after: ArmTotals
    probabilities: FloatArray

    @property
    def kept(self) -> int:
        """Units that taught the policy so far; where they taught by weight, how many those are worth."""
        return round(float(self.after.pulls.sum()))

    @property
    def mean_reward(self) -> float | None:
        """Mean reward of what taught the policy so far, the metric's unit; None while nothing did."""
        pulls = float(self.after.pulls.sum())
        return float(self.after.rewards.sum()) / pulls if pulls > 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What the policy would have earned a unit.

    Attributes
    ----------
    units, kept : units logged, and those that taught the policy, or how many they are worth
    replayed : mean reward of what taught it, the metric's unit
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
    policy: Policy, log: Log, *, batch: int, rng: np.random.Generator, floor: float | None = None
) -> Iterator[ReplayStep]:
    """Go through the log batch by batch, so that a caller can show progress and draw the course.

    Parameters
    ----------
    policy : how weights follow from what the arms have earned
    log : the logged test
    batch : units between two reallocations, at least 1
    rng : decides which units teach the policy; not used where the log has no vectors
    floor : least probability of an arm, in [0, 1 / k]; 0.2 / k where not given

    Yields
    ------
    one ReplayStep a batch; until the policy has enough data, it allocates evenly
    """
    if batch < 1:
        raise InvalidInput(f"A batch has {batch} units: pass at least 1.")
    floor = default_floor(log.arms) if floor is None else floor
    totals = ArmTotals.none(log.arms)
    for start in range(0, len(log.actions), batch):
        part = slice(start, start + batch)
        probabilities = apply_floor(_weights(policy, totals), floor=floor)
        before, totals = totals, totals + _lesson(log, part, probabilities, rng)
        units = min(start + batch, len(log.actions))
        yield ReplayStep(units=units, before=before, after=totals, probabilities=probabilities)


def summarise_replay(
    steps: Sequence[ReplayStep], log: Log, *, level: float = 0.95, conversions: bool = False
) -> ReplayResult:
    """Return what the policy would have earned, from all steps of replay_steps over the same log.

    Parameters
    ----------
    steps : all of them, in order
    log : the same log
    level : of the intervals, in (0, 1)
    conversions : whether rewards are 0 or 1, so that intervals stay between them: engine.bandits.intervals

    Raises
    ------
    NoSupport
        too few units were kept, or too few carry the answer by importance weights
    """
    if not steps or steps[-1].units != len(log.actions):
        raise InvalidInput("The steps do not cover the log: pass all steps of one replay of this log.")
    kept = steps[-1].after
    if steps[-1].kept < LEAST_KEPT:
        raise NoSupport(
            f"Only {steps[-1].kept} units could be replayed, {LEAST_KEPT} are needed: log more units, with a higher"
            " floor, or ask about a policy closer to the logged one."
        )
    repeats = np.diff([step.units for step in steps], prepend=0)
    target = np.repeat([step.probabilities for step in steps], repeats, axis=0)
    predictions = np.repeat([_means(step.before) for step in steps], repeats, axis=0)
    taken = target[np.arange(len(log.actions)), log.actions]
    rewards, propensities = log.rewards, log.propensities
    everyone = _totals(log.actions, rewards, np.ones_like(rewards), log.arms)
    estimates = (
        importance_sampling(rewards, propensities=propensities, target=taken, level=level),
        self_normalised(rewards, propensities=propensities, target=taken, level=level),
        doubly_robust(
            rewards, log.actions, propensities=propensities, target=target, predictions=predictions, level=level
        ),
    )
    z, shown = two_sided_quantile(error_rate(level)), _rate if conversions else _symmetric
    ips, normalised, robust = (replace(one, value=shown(one.value, z)) for one in estimates)
    return ReplayResult(
        units=len(log.actions),
        kept=steps[-1].kept,
        replayed=shown(_mean(kept, z), z),
        ips=ips,
        self_normalised=normalised,
        doubly_robust=robust,
        logged=shown(_mean(everyone, z), z),
    )


def _weights(policy: Policy, totals: ArmTotals) -> FloatArray:
    try:
        return policy.weights(totals)
    except NotEnoughData:
        return np.full(totals.arms, 1.0 / totals.arms)


def _lesson(log: Log, part: slice, probabilities: FloatArray, rng: np.random.Generator) -> ArmTotals:
    """Return what a batch teaches a policy that gives its arms these probabilities."""
    actions, rewards = log.actions[part], log.rewards[part]
    if isinstance(log, UnitLog):
        kept = _kept(log, part, probabilities, rng)
        return _totals(actions[kept], rewards[kept], np.ones(int(kept.sum())), log.arms)
    weights = probabilities[actions] / log.propensities[part]
    squares = float(np.square(weights).sum())
    worth = float(weights.sum()) / squares if squares > 0.0 else 0.0
    return _totals(actions, rewards, worth * weights, log.arms)


def _kept(log: UnitLog, part: slice, probabilities: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Keep each unit with a chance proportional to the policy's probability of its action over the log's."""
    propensities = log.propensities[part]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(probabilities > 0.0, probabilities / log.probabilities[part], 0.0)
    if not np.isfinite(ratios).all():
        raise NoSupport("The log gave an arm no chance that the policy would play: replay logs with a floor above 0.")
    return rng.random(len(propensities)) * ratios.max() < probabilities[log.actions[part]] / propensities


def _totals(actions: IntArray, rewards: FloatArray, weights: FloatArray, arms: int) -> ArmTotals:
    return ArmTotals(
        pulls=np.bincount(actions, weights, minlength=arms),
        rewards=np.bincount(actions, weights * rewards, minlength=arms),
        squared_rewards=np.bincount(actions, weights * rewards**2, minlength=arms),
    )


def _check_units(log: Log) -> None:
    if not np.isfinite(log.rewards).all():
        raise InvalidInput("A reward is not finite: leave out the unit or correct it.")
    if not (int(log.actions.min()) >= 0 and int(log.actions.max()) < log.arms):
        raise InvalidInput(f"An action lies outside 0 to {log.arms - 1}: pass indices of the arms.")
    if not ((log.propensities > 0.0) & (log.propensities <= 1.0 + 1e-9)).all():
        raise InvalidInput("A logged action had probability 0, or more than 1: correct the logged probabilities.")


def _means(totals: ArmTotals) -> FloatArray:
    """Return each arm's mean reward, drawn towards that of all arms by one unit: shape (k,)."""
    overall = totals.rewards.sum() / max(float(totals.pulls.sum()), 1.0)
    return (totals.rewards + overall) / (totals.pulls + 1.0)


def _symmetric(interval: IntervalEstimate, _z: float) -> IntervalEstimate:
    return interval


def _rate(interval: IntervalEstimate, z: float) -> IntervalEstimate:
    """Return a conversion rate's interval from its symmetric one."""
    variance = ((interval.high - interval.low) / (2.0 * z)) ** 2
    found = Moments(values=np.array([interval.point]), covariances=np.array([[variance]]))
    ends = value_intervals(found, z=z, conversions=True)
    return IntervalEstimate(point=interval.point, low=float(ends.low[0]), high=float(ends.high[0]))


def _mean(totals: ArmTotals, z: float) -> IntervalEstimate:
    count = float(totals.pulls.sum())
    mean = float(totals.rewards.sum()) / count
    variance = max(float(totals.squared_rewards.sum()) / count - mean * mean, 0.0)
    reach = z * math.sqrt(variance / max(count - 1.0, 1.0))
    return IntervalEstimate.around(mean, reach)
