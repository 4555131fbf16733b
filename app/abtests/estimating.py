"""What the variants of a bandit are worth, by three estimators side by side, from sums by policy version.

Only units whose window has closed are counted, converted or not: those that convert early would else stand for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.abtests.definitions import is_contextual
from app.abtests.summarising import MICROS
from app.runtime.clock import Clock
from app.store.abtest_rows import TestDefinition
from app.store.models.codes import AllocationPolicy, MetricKind
from app.store.policies import BatchSums, ContextBatchSums, PolicyStore
from engine.arrays import FloatArray
from engine.bandits.inference import AdaptiveEstimates, BatchLog, Estimator, adaptive_estimates
from engine.bandits.propensities import InverseSums
from engine.errors import EngineError

NAIVE_WARNING = (
    "The shares followed the rewards: a variant that was unlucky early got fewer units and stays low on record, so "
    "these means are biased and their intervals cover less often than they say. Read AW_AIPW instead."
)
CONTEXT_WARNING = (
    "Each variant was given to those who were expected to like it, so these means are of different people and cannot "
    "be compared. Read AW_AIPW instead."
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
    """All estimators' answers, of a test whose shares follow its rewards.

    `left_out` are units of which it is not known how they were given their variant.
    """

    as_of: datetime
    units: int
    left_out: int
    open_units: int
    policy_versions: int
    estimates: tuple[Estimated, ...]


class Estimating:
    """Estimates values of bandits' variants."""

    def __init__(self, policies: PolicyStore, *, clock: Clock) -> None:
        self._policies = policies
        self._clock = clock

    async def estimates(self, definitions: Mapping[int, TestDefinition]) -> dict[int, Adaptive | None]:
        """Return the estimates of many tests, in three statements whatever their number; None for FIXED ones."""
        at = self._clock.now()
        adaptive = [test_id for test_id, one in definitions.items() if _adapts(one)]
        batches = await self._batches(definitions, at)
        waiting = await self._policies.open_units(adaptive, at=at) if adaptive else {}
        return {
            test_id: estimated(one, batches.get(test_id, ()), open_units=waiting.get(test_id, 0), as_of=at)
            if _adapts(one)
            else None
            for test_id, one in definitions.items()
        }

    async def _batches(self, definitions: Mapping[int, TestDefinition], at: datetime) -> dict[int, Sequence[BatchSums]]:
        contextual = [test_id for test_id, one in definitions.items() if is_contextual(one)]
        others = [test_id for test_id, one in definitions.items() if _adapts(one) and not is_contextual(one)]
        found: dict[int, Sequence[BatchSums]] = {}
        found |= await self._policies.batches(others, at=at) if others else {}
        found |= await self._policies.context_batches(contextual, at=at) if contextual else {}
        return found


def estimated(
    definition: TestDefinition, batches: Sequence[BatchSums], *, open_units: int, as_of: datetime
) -> Adaptive:
    """Return the estimates from a test's sums by policy version and variant."""
    left_out = sum(batch.left_out for batch in batches if isinstance(batch, ContextBatchSums))
    batches = [batch for batch in batches if batch.units]
    versions = len({batch.policy_version for batch in batches})
    return Adaptive(
        as_of=as_of,
        units=sum(batch.units for batch in batches),
        left_out=left_out,
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
    inverse = _inverse_sums(batches, versions, columns, probabilities=probabilities, scale=scale)
    return BatchLog(probabilities=probabilities, pulls=pulls, rewards=rewards, squared_rewards=squares, inverse=inverse)


def _inverse_sums(
    batches: Sequence[BatchSums],
    versions: Mapping[int, int],
    columns: Mapping[int, int],
    *,
    probabilities: FloatArray,
    scale: float,
) -> InverseSums | None:
    """Return the sums by units' own probabilities; None where units have those of their version."""
    contextual = [batch for batch in batches if isinstance(batch, ContextBatchSums)]
    if not contextual:
        return None
    shares = probabilities.copy()
    sums = np.zeros((5, *probabilities.shape))
    for batch in contextual:
        row, column = versions[batch.policy_version], columns[batch.variant_id]
        if batch.mean_inverse_shares is not None:
            shares[row] = [0.0 if mean is None else 1.0 / mean for mean in batch.mean_inverse_shares]
        sums[:, row, column] = (
            batch.inverse,
            batch.value_inverse / scale,
            batch.inverse_squares,
            batch.value_inverse_squares / scale,
            batch.value_squares_inverse_squares / scale**2,
        )
    return InverseSums(
        shares=shares,
        pulls=sums[0],
        rewards=sums[1],
        square_pulls=sums[2],
        square_rewards=sums[3],
        squared_rewards=sums[4],
    )


def _by(estimator: Estimator, definition: TestDefinition, batches: Sequence[BatchSums], *, moved: bool) -> Estimated:
    words = CONTEXT_WARNING if is_contextual(definition) else NAIVE_WARNING
    warning = words if estimator is Estimator.NAIVE and moved else None
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
    return definition.test.allocation_policy is not AllocationPolicy.FIXED
