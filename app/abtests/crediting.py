"""What another allocation would have earned on the same units: off-policy evaluation of a test's own log."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.abtests.summarising import MICROS
from app.errors import InvalidInput
from app.store.abtest_logs import LoggedValues, TestLogs
from app.store.abtest_rows import TestDefinition
from app.store.models.codes import MetricKind
from engine.arrays import FloatArray, IntArray
from engine.bandits.off_policy import doubly_robust, effective_sample_size, importance_sampling, self_normalised
from engine.effects import IntervalEstimate
from engine.errors import EngineError

TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """An allocation's value, mean a unit in the metric's unit; `refused` says in words why there is none."""

    ips: IntervalEstimate | None = None
    self_normalised: IntervalEstimate | None = None
    doubly_robust: IntervalEstimate | None = None
    effective_sample_size: float = 0.0
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """One entry a unit: the variant's index, the probability it had, and the unit's value."""

    actions: IntArray
    propensities: FloatArray
    values: FloatArray


class Crediting:
    """Estimates values of allocations."""

    def __init__(self, logs: TestLogs) -> None:
        self._logs = logs

    async def credits(
        self, definitions: Mapping[int, TestDefinition], policy: Sequence[float]
    ) -> dict[int, Credit | InvalidInput]:
        """Return what each test would have earned under a policy, in one statement; or what is wrong with it."""
        rows = await self._logs.values(list(definitions))
        found: dict[int, Credit | InvalidInput] = {}
        for test_id, definition in definitions.items():
            problem = _problem(definition, policy)
            found[test_id] = problem or await asyncio.to_thread(credit, definition, rows.get(test_id, ()), policy)
        return found


def credit(definition: TestDefinition, rows: Sequence[LoggedValues], policy: Sequence[float]) -> Credit:
    """Return the three estimates of a policy's value from a log, or why the log does not tell."""
    if definition.metrics[0].kind is MetricKind.RATIO:
        return Credit(refused="A RATIO is no sum over units, so units cannot be reweighted: ask of another test.")
    if not rows:
        return Credit(refused="Nobody was exposed yet: wait for the first exposures.")
    log, target = _log(definition, rows), np.array(policy, dtype=np.float64)
    weights = target[log.actions] / np.maximum(log.propensities, np.finfo(np.float64).tiny)
    carried = effective_sample_size(weights)
    try:
        return _estimated(definition, log, target, carried)
    except EngineError as refusal:
        return Credit(effective_sample_size=carried, refused=str(refusal))


def _estimated(definition: TestDefinition, log: Log, target: FloatArray, carried: float) -> Credit:
    level, given = definition.test.confidence_level, target[log.actions]
    robust = doubly_robust(
        log.values,
        log.actions,
        propensities=log.propensities,
        target=np.broadcast_to(target, (log.values.size, target.size)),
        predictions=_predictions(log, target.size),
        level=level,
    )
    plain = importance_sampling(log.values, propensities=log.propensities, target=given, level=level)
    normalised = self_normalised(log.values, propensities=log.propensities, target=given, level=level)
    return Credit(
        ips=plain.value,
        self_normalised=normalised.value,
        doubly_robust=robust.value,
        effective_sample_size=carried,
    )


def _log(definition: TestDefinition, rows: Sequence[LoggedValues]) -> Log:
    index = {variant.id: position for position, variant in enumerate(definition.variants)}
    units = np.array([row.units for row in rows])
    scale = MICROS if definition.metrics[0].kind is MetricKind.REVENUE else 1
    return Log(
        actions=np.repeat(np.array([index[row.variant_id] for row in rows], dtype=np.int64), units),
        propensities=np.repeat(np.array([row.probability for row in rows], dtype=np.float64), units),
        values=np.repeat(np.array([row.value / scale for row in rows], dtype=np.float64), units),
    )


def _predictions(log: Log, variants: int) -> FloatArray:
    """Return each variant's mean for every unit; for its own variant without the unit itself."""
    counts = np.bincount(log.actions, minlength=variants).astype(np.float64)
    sums = np.bincount(log.actions, weights=log.values, minlength=variants)
    means = np.divide(sums, counts, out=np.full(variants, sums.sum() / counts.sum()), where=counts > 0)
    predictions = np.tile(means, (log.values.size, 1))
    others = counts[log.actions] - 1.0
    without = np.divide(sums[log.actions] - log.values, others, out=np.zeros_like(others), where=others > 0)
    predictions[np.arange(log.values.size), log.actions] = without
    return predictions


def _problem(definition: TestDefinition, policy: Sequence[float]) -> InvalidInput | None:
    keys = [variant.key for variant in definition.variants]
    if len(policy) != len(keys):
        return _wrong(f"A policy has one share for each of {', '.join(keys)}, in this order; not {len(policy)}.")
    if not all(0 <= share <= 1 for share in policy) or abs(sum(policy) - 1) > TOLERANCE:
        return _wrong(f"Shares lie from 0 to 1 and sum to 1, these to {sum(policy):.6g}: adjust them.")
    return None


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, path=("policy",))
