"""Rows of the results' types: the engine speaks of variants by index, clients see the variants."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.abtests.assigning import Decision
from app.abtests.guarding import stops_of
from app.abtests.results import TestResults
from app.store.abtest_rows import AllocationRow, MetricRow, TestDefinition, VariantRow
from app.store.models.codes import AllocationPolicy
from engine.bayesian.results import BayesianResult, VariantPosterior
from engine.decision import Verdict
from engine.effects import Comparison
from engine.frequentist.guardrail import GuardrailCheck
from engine.frequentist.results import FrequentistResult
from engine.sequential.comparing import SequentialResult


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """A sample ratio check, or that there is none yet."""

    p_value: float | None
    mismatch: bool
    caution: bool
    expected: list[float]
    observed: list[int]


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison with its treatment."""

    variant: VariantRow
    one: Comparison


@dataclass(frozen=True, slots=True)
class Frequentist:
    """A fixed-horizon result with its treatments."""

    result: FrequentistResult
    comparisons: list[Compared]


@dataclass(frozen=True, slots=True)
class Sequential:
    """An always-valid result with its treatments."""

    result: SequentialResult
    comparisons: list[Compared]


@dataclass(frozen=True, slots=True)
class Believed:
    """A posterior with its variant."""

    variant: VariantRow
    posterior: VariantPosterior


@dataclass(frozen=True, slots=True)
class Bayesian:
    """Posteriors with their variants."""

    result: BayesianResult
    variants: list[Believed]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a curve."""

    x: float
    density: float


@dataclass(frozen=True, slots=True)
class Guard:
    """A guardrail's check with its treatment."""

    metric: MetricRow
    variant: VariantRow
    check: GuardrailCheck


class Judged:
    """A verdict with its winner."""

    __slots__ = ("verdict", "winner")

    def __init__(self, results: TestResults) -> None:
        self.verdict: Verdict = results.verdict
        index = results.verdict.winner
        self.winner = None if index is None else results.definition.variants[index]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A guardrail's stop of a test, with its metric and variant."""

    metric: MetricRow
    variant: VariantRow
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """A variant's share."""

    variant: VariantRow
    probability: float


@dataclass(frozen=True, slots=True)
class Allocated:
    """A policy version with its variants."""

    created_at: datetime
    policy_version: int
    policy: AllocationPolicy
    floor: float
    shares: list[Share]
    seed: str
    id: int | None = None
    watermark: Any = None

    @property
    def as_of(self) -> datetime | None:
        """Return up to when the step had counted."""
        return None if self.watermark is None else datetime.fromisoformat(self.watermark["as_of"])

    @property
    def discount(self) -> float | None:
        """Return what one more version left of a unit's weight."""
        return None if self.watermark is None else self.watermark["discount"]


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that gave a variant."""

    definition: TestDefinition
    variant: VariantRow
    user_id: str
    assigned_at: datetime
    probability: float
    policy_version: int


def sample_ratio(results: TestResults) -> SampleRatio:
    """Return the check, or an empty one."""
    check = results.sample_ratio
    if check is None:
        count = len(results.definition.variants)
        return SampleRatio(None, mismatch=False, caution=False, expected=[0.0] * count, observed=[0] * count)
    return SampleRatio(check.p_value, check.mismatch, check.caution, list(check.expected), list(check.observed))


class Compares(Protocol):
    """What a comparison belongs to: results, or a point of a course."""

    @property
    def definition(self) -> TestDefinition:
        """The test."""
        ...

    @property
    def frequentist(self) -> FrequentistResult | None:
        """At a fixed size."""
        ...

    @property
    def sequential(self) -> SequentialResult | None:
        """At every look."""
        ...


def frequentist(results: Compares) -> Frequentist | None:
    """Return the fixed-horizon result with its treatments."""
    result = results.frequentist
    return None if result is None else Frequentist(result, _compared(results, result.comparisons))


def sequential(results: Compares) -> Sequential | None:
    """Return the always-valid result with its treatments."""
    result = results.sequential
    return None if result is None else Sequential(result, _compared(results, result.comparisons))


def bayesian(results: TestResults) -> Bayesian | None:
    """Return the posteriors with their variants."""
    result, variants = results.bayesian, results.definition.variants
    if result is None:
        return None
    return Bayesian(result, [Believed(variants[posterior.variant], posterior) for posterior in result.variants])


def guards(results: TestResults) -> list[Guard]:
    """Return the guardrails' checks with their treatments."""
    variants = results.definition.variants
    return [Guard(one.metric, variants[one.check.variant], one.check) for one in results.guardrails]


def winner(definition: TestDefinition) -> VariantRow | None:
    """Return the variant that was declared the winner."""
    return next((variant for variant in definition.variants if variant.id == definition.test.winner_id), None)


def stops(definition: TestDefinition) -> list[Stopped]:
    """Return the guardrails' stops with their metrics and variants."""
    metrics = {metric.key: metric for metric in definition.metrics}
    variants = {variant.key: variant for variant in definition.variants}
    return [
        Stopped(metrics[stop.metric], variants[stop.variant], stop.reason, datetime.fromisoformat(stop.at))
        for stop in stops_of(definition)
    ]


def allocation(definition: TestDefinition) -> Allocated:
    """Return the shares in force; a draft's plan where there are none yet."""
    test = definition.test
    if definition.allocation is not None:
        return allocated(definition, definition.allocation)
    shares = [Share(variant, variant.weight) for variant in definition.variants]
    return Allocated(test.created_at, 0, test.allocation_policy, test.floor, shares, test.seed)


def allocated(definition: TestDefinition, row: AllocationRow) -> Allocated:
    """Return a policy version with its variants."""
    shares = [Share(*pair) for pair in zip(definition.variants, row.probabilities, strict=True)]
    return Allocated(
        row.created_at,
        row.policy_version,
        row.policy,
        row.floor,
        shares,
        definition.test.seed,
        id=row.id,
        watermark=row.watermark,
    )


def decided(decision: Decision) -> Decided | None:
    """Return a decision as an assignment; None where it gave no variant."""
    if decision.variant is None:
        return None
    return Decided(
        decision.test.definition,
        decision.variant,
        decision.user_id,
        decision.decided_at,
        decision.probability,
        decision.policy_version,
    )


def _compared(results: Compares, comparisons: tuple[Comparison, ...]) -> list[Compared]:
    variants = results.definition.variants
    return [Compared(variants[one.variant], one) for one in comparisons]
