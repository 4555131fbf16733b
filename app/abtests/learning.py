"""One step of a bandit: from what its variants' units did to the next shares. A pure function."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.abtests.summarising import MICROS
from app.store.abtest_rows import TestDefinition
from app.store.models.codes import AllocationPolicy, MetricKind
from app.store.policies import ArmSums
from engine.arrays import FloatArray
from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import ArmTotals, Policy, apply_floor
from engine.bandits.thompson import BetaThompson, NormalThompson, TopTwo
from engine.bandits.ucb import KLUCB
from engine.errors import EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a test's step may know.

    `highest_value` is the highest value of any unit, in the totals' unit: for policies that need to know the range.
    """

    definition: TestDefinition
    sums: Sequence[ArmSums]
    discount: float | None = None
    highest_value: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The next shares; None where the policy cannot tell yet, with words that say why.

    Of a contextual test they are the average over units, and the model says each unit's own.
    """

    probabilities: tuple[float, ...] | None
    reason: str | None = None
    model: Mapping[str, Any] | None = None


def needs_versions(discount: float | None) -> bool:
    """Say whether a step needs its sums by policy version: where older steps count less."""
    return discount is not None and discount < 1.0


def needs_highest_value(definition: TestDefinition) -> bool:
    """Say whether a step needs to know the highest value."""
    metric = definition.metrics[0]
    ranged = definition.test.allocation_policy is AllocationPolicy.UCB or not metric.higher_is_better
    return metric.kind is MetricKind.REVENUE and ranged


def next_shares(learned: Sequence[Learned]) -> list[Shares]:
    """Return the next shares of many tests; those of the same policy and number of variants are worked out together."""
    together: defaultdict[object, list[int]] = defaultdict(list)
    for index, one in enumerate(learned):
        together[_kind(one)].append(index)
    answers: dict[int, Shares] = {}
    for indices in together.values():
        answers.update(zip(indices, _of_one_kind([learned[index] for index in indices]), strict=True))
    return [answers[index] for index in range(len(learned))]


def arm_totals(learned: Learned) -> ArmTotals:
    """Return what the variants earned, in the metric's unit, more being better, older steps discounted.

    Where less is better a unit's reward is what it stays below the highest value: 1 for a conversion.
    """
    positions = {variant.id: variant.position for variant in learned.definition.variants}
    sums = np.zeros((3, len(positions)))
    newest = 1 if learned.definition.allocation is None else learned.definition.allocation.policy_version
    for one in learned.sums:
        age = 0 if one.policy_version is None else max(newest - one.policy_version, 0)
        weight = (learned.discount or 1.0) ** age
        sums[:, positions[one.variant_id]] += weight * np.array(_moments(learned, one))
    return ArmTotals(pulls=sums[0], rewards=sums[1], squared_rewards=sums[2])


def policy_of(definition: TestDefinition, *, highest_reward: float = 1.0) -> Policy:
    """Return the engine's policy of a test."""
    conversion = definition.metrics[0].kind is MetricKind.CONVERSION
    thompson: Policy = BetaThompson() if conversion else NormalThompson()
    match definition.test.allocation_policy:
        case AllocationPolicy.THOMPSON:
            return thompson
        case AllocationPolicy.TOP_TWO_THOMPSON:
            return TopTwo(thompson=thompson)
        case AllocationPolicy.UCB:
            return KLUCB(highest_reward=highest_reward)
        case AllocationPolicy.EPSILON_GREEDY:
            return EpsilonGreedy()
        case other:
            raise ValueError(f"{other} does not learn from totals.")


def _moments(learned: Learned, one: ArmSums) -> tuple[float, float, float]:
    scale = _scale(learned.definition)
    units, total, squares = float(one.counted), one.value_sum / scale, one.value_squares / scale**2
    if learned.definition.metrics[0].higher_is_better:
        return units, total, squares
    highest = _highest_reward(learned)
    return units, highest * units - total, highest**2 * units - 2 * highest * total + squares


def _of_one_kind(learned: Sequence[Learned]) -> list[Shares]:
    policy = policy_of(learned[0].definition, highest_reward=_highest_reward(learned[0]))
    totals = [arm_totals(one) for one in learned]
    together = ArmTotals(
        pulls=np.stack([one.pulls for one in totals]),
        rewards=np.stack([one.rewards for one in totals]),
        squared_rewards=np.stack([one.squared_rewards for one in totals]),
    )
    try:
        weights = policy.weights(together)
    except EngineError:  # of one test at least: the others are not to wait for it
        return [_alone(policy, one, mine) for one, mine in zip(learned, totals, strict=True)]
    return [_floored(row, one) for row, one in zip(weights, learned, strict=True)]


def _alone(policy: Policy, learned: Learned, totals: ArmTotals) -> Shares:
    try:
        return _floored(policy.weights(totals), learned)
    except EngineError as error:
        return Shares(probabilities=None, reason=str(error))


def _floored(weights: FloatArray, learned: Learned) -> Shares:
    probabilities = apply_floor(weights, floor=learned.definition.test.floor)
    return Shares(probabilities=tuple(float(share) for share in probabilities))


def _kind(learned: Learned) -> object:
    definition = learned.definition
    ranged = _highest_reward(learned) if definition.test.allocation_policy is AllocationPolicy.UCB else None
    return definition.test.allocation_policy, definition.metrics[0].kind, len(definition.variants), ranged


def _highest_reward(learned: Learned) -> float:
    if learned.definition.metrics[0].kind is MetricKind.CONVERSION:
        return 1.0
    return max(learned.highest_value or 0, 1) / MICROS


def _scale(definition: TestDefinition) -> int:
    return MICROS if definition.metrics[0].kind is MetricKind.REVENUE else 1
