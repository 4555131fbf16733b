"""What the variants of a bandit are worth, by three estimators side by side, from sums by policy version.

Only units whose window has closed are counted, converted or not: those that convert early would else stand for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.abtests.summarising import MICROS
from app.runtime.clock import Clock
from app.store.abtests import TestDefinition
from app.store.models.codes import AllocationPolicy, MetricKind
from app.store.policies import BatchSums, PolicyStore
from engine.bandits.inference import AdaptiveEstimates, BatchLog, Estimator, adaptive_estimates
from engine.errors import EngineError

NAIVE_WARNING = (
    "The shares followed the rewards: a variant that was unlucky early got fewer units and stays low on record, so "
    "these means are biased and their intervals cover less often than they say. Read AW_AIPW instead."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """One estimator's answer; `unavailable` says in words why there is none."""

    definition: TestDefinition
    estimator: Estimator
    estimates: AdaptiveEstimates | None = None
    unavailable: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """All estimators' answers, of a test whose shares follow its rewards."""

    as_of: datetime
    units: int
    open_units: int
    policy_versions: int
    estimates: tuple[Estimated, ...]


class Estimating:
    """Estimates values of bandits' variants."""

    def __init__(self, policies: PolicyStore, *, clock: Clock) -> None:
        self._policies = policies
        self._clock = clock

    async def estimates(self, definitions: Mapping[int, TestDefinition]) -> dict[int, Adaptive | None]:
        """Return the estimates of many tests, in two statements whatever their number; None for FIXED ones."""
        at = self._clock.now()
        adaptive = [test_id for test_id, one in definitions.items() if _adapts(one)]
        batches = await self._policies.batches(adaptive, at=at) if adaptive else {}
        waiting = await self._policies.open_units(adaptive, at=at) if adaptive else {}
        return {
            test_id: estimated(one, batches.get(test_id, ()), open_units=waiting.get(test_id, 0), as_of=at)
            if _adapts(one)
            else None
            for test_id, one in definitions.items()
        }


def estimated(
    definition: TestDefinition, batches: Sequence[BatchSums], *, open_units: int, as_of: datetime
) -> Adaptive:
    """Return the estimates from a test's sums by policy version and variant."""
    versions = len({batch.policy_version for batch in batches})
    return Adaptive(
        as_of=as_of,
        units=sum(batch.units for batch in batches),
        open_units=open_units,
        policy_versions=versions,
        estimates=tuple(_by(estimator, definition, batches, moved=versions > 1) for estimator in Estimator),
    )


def batch_log(definition: TestDefinition, batches: Sequence[BatchSums]) -> BatchLog:
    """Return the engine's log: a row a policy version, a column a variant, in the metric's unit."""
    versions = {version: row for row, version in enumerate(sorted({batch.policy_version for batch in batches}))}
    columns = {variant.id: variant.position for variant in definition.variants}
    shape = (len(versions), len(columns))
    probabilities, pulls, rewards, squares = (np.zeros(shape) for _ in range(4))
    scale = MICROS if definition.metrics[0].kind is MetricKind.REVENUE else 1
    for batch in batches:
        row, column = versions[batch.policy_version], columns[batch.variant_id]
        probabilities[row] = batch.probabilities
        pulls[row, column] = batch.units
        rewards[row, column] = batch.value_sum / scale
        squares[row, column] = batch.value_squares / scale**2
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return BatchLog(probabilities=probabilities, pulls=pulls, rewards=rewards, squared_rewards=squares)


def _by(estimator: Estimator, definition: TestDefinition, batches: Sequence[BatchSums], *, moved: bool) -> Estimated:
    warning = NAIVE_WARNING if estimator is Estimator.NAIVE and moved else None
    if not batches:
        words = "No unit's window has closed yet: wait for the first ones."
        return Estimated(definition=definition, estimator=estimator, unavailable=words, warning=warning)
    control = definition.control.position
    try:
        found = adaptive_estimates(
            batch_log(definition, batches),
            estimator,
            level=definition.test.confidence_level,
            control=control,
            conversions=definition.metrics[0].kind is MetricKind.CONVERSION,
        )
    except EngineError as refusal:
        return Estimated(definition=definition, estimator=estimator, unavailable=str(refusal), warning=warning)
    return Estimated(definition=definition, estimator=estimator, estimates=found, warning=warning)


def _adapts(definition: TestDefinition) -> bool:
    learns = definition.test.allocation_policy is not AllocationPolicy.FIXED
    return learns and definition.test.allocation_policy is not AllocationPolicy.CONTEXTUAL_THOMPSON
