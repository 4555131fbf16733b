"""A test's results: both schools side by side, from the same totals. A pure function of totals and definition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from app.abtests.summarising import MetricTotals
from app.store.abtest_rows import MetricRow, TestDefinition, VariantRow
from app.store.models.codes import MetricKind
from engine.bayesian.beta_binomial import analyze_proportions
from engine.bayesian.gamma_poisson import analyze_counts
from engine.bayesian.hurdle import LEAST_BUYERS, analyze_revenue
from engine.bayesian.normal import analyze_means, analyze_student, student_posterior
from engine.bayesian.ratio import analyze_ratios
from engine.bayesian.results import BayesianResult
from engine.decision import Evidence, Thresholds, Verdict, decide
from engine.effects import Comparison
from engine.errors import EngineError, NotEnoughData
from engine.frequentist.comparing import compare_means, compare_proportions, compare_ratios
from engine.frequentist.cuped import cuped_adjustment
from engine.frequentist.guardrail import GuardrailCheck, guardrail_check
from engine.frequentist.results import FrequentistResult
from engine.frequentist.sample_ratio import SampleRatioCheck, sample_ratio_check
from engine.moments import Moments
from engine.power.achieved import AchievedPower, achieved_power
from engine.power.baselines import Baseline, ConversionBaseline, MeanBaseline
from engine.power.sample_size import Design
from engine.sequential.comparing import (
    SequentialResult,
    sequential_means,
    sequential_proportions,
    sequential_ratios,
)

UNPLANNED_TARGET = 10_000
"""Units per variant at which intervals are narrowest where nobody planned a size; never looked up in the data."""
DEFAULT_MARGIN = 0.05
"""Relative harm that a guardrail tolerates unless the test says otherwise."""
MULTIPLE_EXPOSURE_WARNING = 0.01
"""Share of exposed units in more than one variant, from which on a result warns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What of a test is asked: one metric, at a level, in a segment or in all; `adjusted` by what units did before."""

    metric: MetricRow
    level: float
    segment: str | None = None
    adjusted: bool = False


class VariantTotals(Struct, frozen=True, gc=False):
    """What one variant's units did, in the metric's unit."""

    variant: VariantRow
    exposed: int
    converted: int
    multiple_exposed: int
    mean: float | None
    standard_deviation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What a guardrail metric says of one treatment."""

    metric: MetricRow
    check: GuardrailCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResults:
    """All that is known of one question at one time; `pending` says in words why a part is missing."""

    __test__ = False

    as_of: datetime
    definition: TestDefinition
    question: Question
    totals: tuple[VariantTotals, ...]
    sample_ratio: SampleRatioCheck | None
    frequentist: FrequentistResult | None
    sequential: SequentialResult | None
    bayesian: BayesianResult | None
    power: AchievedPower | None
    guardrails: tuple[Guarded, ...]
    pending: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The totals that an answer rests on: of the metric asked about, and of the guardrails."""

    asked: MetricTotals
    guardrails: tuple[MetricTotals, ...]
    expected_weights: tuple[float, ...]


def compute_results(
    definition: TestDefinition,
    question: Question,
    totals: Totals,
    *,
    as_of: datetime,
    posterior: BayesianResult | None = None,
) -> TestResults:
    """Return both schools' results, the test's health, and the verdict; `posterior` stands for the closed form."""
    pending: list[str] = []
    asked, target = totals.asked, definition.test.target_sample_size or UNPLANNED_TARGET
    ratio = _attempt(lambda: sample_ratio_check(asked.exposed, totals.expected_weights), [])
    frequentist = _attempt(lambda: _frequentist(asked, question, _moments(asked, question)), pending)
    sequential = _attempt(lambda: _sequential(asked, question, _moments(asked, question), target), pending)
    bayesian = posterior or _attempt(lambda: _bayesian(asked, question), pending)
    guardrails = tuple(check for guarded in totals.guardrails for check in guardrail_checks(guarded, question, target))
    evidence = Evidence(
        progress=None if definition.test.target_sample_size is None else progress(definition, sum(asked.exposed)),
        frequentist=frequentist,
        sequential=sequential,
        probability_best=bayesian and [posterior.probability_best for posterior in bayesian.variants],
        expected_loss=bayesian and [posterior.expected_loss for posterior in bayesian.variants],
        control=asked.control,
        control_value=_control_value(bayesian),
        higher_is_better=question.metric.higher_is_better,
        sample_ratio=ratio,
        guardrails=[guarded.check for guarded in guardrails],
        multiple_exposures=_multiple_exposures(asked),
        names=[variant.key for variant in asked.variants],
    )
    return TestResults(
        as_of=as_of,
        definition=definition,
        question=question,
        totals=tuple(_variant_totals(asked)),
        sample_ratio=ratio,
        frequentist=frequentist,
        sequential=sequential,
        bayesian=bayesian,
        power=_attempt_power(definition, asked, question, as_of),
        guardrails=guardrails,
        pending=" ".join(dict.fromkeys(pending)) or None,
        verdict=decide(evidence, thresholds=_thresholds(definition, evidence.control_value)),
    )


def compare_schools(
    definition: TestDefinition, question: Question, totals: MetricTotals
) -> tuple[FrequentistResult | None, SequentialResult | None]:
    """Return the comparison at a fixed size and the one that is valid at every look; None for too little data."""
    target = definition.test.target_sample_size or UNPLANNED_TARGET
    moments = _attempt(lambda: _moments(totals, question), [])
    return (
        _attempt(lambda: _frequentist(totals, question, moments), []),
        _attempt(lambda: _sequential(totals, question, moments, target), []),
    )


def progress(definition: TestDefinition, exposed: int) -> float:
    """Return the exposed units over the planned ones, at most 1; 0 where no size is planned."""
    target = definition.test.target_sample_size
    return 0.0 if target is None else min(1.0, exposed / (target * len(definition.variants)))


def guardrail_checks(totals: MetricTotals, question: Question, target: int) -> list[Guarded]:
    """Return what confidence sequences say of one guardrail; nothing where there is too little data."""
    own = Question(metric=totals.metric, level=question.level, segment=question.segment)
    result = _attempt(lambda: _sequential(totals, own, _moments(totals, own), target), [])
    if result is None:
        return []
    share = DEFAULT_MARGIN if totals.metric.margin is None else totals.metric.margin
    checks = (_guardrail(totals, comparison, share) for comparison in result.comparisons)
    return [Guarded(metric=totals.metric, check=check) for check in checks]


def _guardrail(totals: MetricTotals, comparison: Comparison, share: float) -> GuardrailCheck:
    control = (
        totals.means()[totals.control].mean
        if totals.metric.kind is not MetricKind.RATIO
        else (totals.ratios()[totals.control].ratio)
    )
    return guardrail_check(
        comparison.difference,
        margin=abs(control) * share,
        variant=comparison.variant,
        higher_is_better=totals.metric.higher_is_better,
    )


def _attempt[T](compute: Callable[[], T], pending: list[str]) -> T | None:
    """Return what the engine computes; where it refuses these data, note its words."""
    try:
        return compute()
    except EngineError as refusal:
        pending.append(str(refusal))
        return None


def _moments(totals: MetricTotals, question: Question) -> Sequence[Moments] | None:
    if question.adjusted:
        return cuped_adjustment(totals.covariates()).variants
    return totals.means() if totals.metric.kind in (MetricKind.COUNT, MetricKind.REVENUE) else None


def _frequentist(totals: MetricTotals, question: Question, moments: Sequence[Moments] | None) -> FrequentistResult:
    control, level = totals.control, question.level
    if moments is not None:
        return compare_means(moments, control=control, level=level)
    if totals.metric.kind is MetricKind.RATIO:
        return compare_ratios(totals.ratios(), control=control, level=level)
    return compare_proportions(totals.proportions(), control=control, level=level)


def _sequential(
    totals: MetricTotals, question: Question, moments: Sequence[Moments] | None, target: int
) -> SequentialResult:
    control, level = totals.control, question.level
    if moments is not None:
        return sequential_means(moments, target=target, control=control, level=level)
    if totals.metric.kind is MetricKind.RATIO:
        return sequential_ratios(totals.ratios(), target=target, control=control, level=level)
    return sequential_proportions(totals.proportions(), target=target, control=control, level=level)


def _bayesian(totals: MetricTotals, question: Question) -> BayesianResult:
    control, level, higher = totals.control, question.level, question.metric.higher_is_better
    if question.adjusted:
        return _adjusted_bayesian(totals, question)
    match totals.metric.kind:
        case MetricKind.CONVERSION:
            return analyze_proportions(totals.proportions(), control=control, level=level, higher_is_better=higher)
        case MetricKind.COUNT:
            return analyze_counts(totals.means(), control=control, level=level, higher_is_better=higher)
        case MetricKind.RATIO:
            return analyze_ratios(totals.ratios(), control=control, level=level, higher_is_better=higher)
        case MetricKind.REVENUE:
            if all(row.converted >= LEAST_BUYERS for row in totals.rows):
                return analyze_revenue(totals.hurdles(), control=control, level=level, higher_is_better=higher)
            return analyze_means(totals.means(), control=control, level=level, higher_is_better=higher)


def _adjusted_bayesian(totals: MetricTotals, question: Question) -> BayesianResult:
    adjusted = cuped_adjustment(totals.covariates()).variants
    posterior = student_posterior(
        [one.mean for one in adjusted], [one.variance for one in adjusted], [one.count for one in adjusted]
    )
    higher = question.metric.higher_is_better
    return analyze_student("normal", posterior, control=totals.control, level=question.level, higher_is_better=higher)


def _control_value(bayesian: BayesianResult | None) -> float | None:
    return None if bayesian is None else bayesian.variants[bayesian.control].mean.point


def _multiple_exposures(totals: MetricTotals) -> int:
    doubled, exposed = sum(row.multiple_exposed for row in totals.rows), sum(totals.exposed)
    return doubled if exposed and doubled / exposed >= MULTIPLE_EXPOSURE_WARNING else 0


def _thresholds(definition: TestDefinition, control_value: float | None) -> Thresholds:
    effect = definition.test.minimum_detectable_effect
    if effect is None or not control_value:
        return Thresholds(probability_best=definition.test.confidence_level)
    return Thresholds(
        probability_best=definition.test.confidence_level, effect_that_matters=abs(effect * control_value)
    )


def _attempt_power(
    definition: TestDefinition, totals: MetricTotals, question: Question, as_of: datetime
) -> AchievedPower | None:
    """Return the power, None also where the effect that matters takes a rate out of (0, 1)."""
    try:
        return _power(definition, totals, question, as_of)
    except EngineError:
        return None


def _power(
    definition: TestDefinition, totals: MetricTotals, question: Question, as_of: datetime
) -> AchievedPower | None:
    test = definition.test
    if test.minimum_detectable_effect is None:
        return None
    return achieved_power(
        _baseline(totals),
        test.minimum_detectable_effect,
        counts=totals.exposed,
        control=totals.control,
        design=Design(power=test.power, level=question.level),
        daily_units=_daily_units(definition, sum(totals.exposed), as_of),
    )


def _baseline(totals: MetricTotals) -> Baseline:
    if totals.metric.kind is MetricKind.CONVERSION:
        summary = totals.proportions()[totals.control]
        if summary.converted in (0, summary.exposed):
            raise NotEnoughData("The control has no baseline rate yet: wait for the first conversions.")
        return ConversionBaseline.from_summary(summary)
    if totals.metric.kind is MetricKind.RATIO:
        return MeanBaseline.from_ratio(totals.ratios()[totals.control])
    summary = totals.means()[totals.control]
    if summary.count < 2 or summary.variance == 0 or summary.mean == 0:
        raise NotEnoughData("The control has no baseline yet: wait until its units differ.")
    return MeanBaseline.from_summary(summary)


def _daily_units(definition: TestDefinition, exposed: int, as_of: datetime) -> float | None:
    started, ended = definition.test.started_at, definition.test.ended_at
    if started is None or exposed == 0:
        return None
    until = as_of if ended is None else min(ended, as_of)
    days = (until - started).total_seconds() / 86_400
    return exposed / days if days > 0 else None


def _variant_totals(totals: MetricTotals) -> list[VariantTotals]:
    return [
        VariantTotals(
            variant=variant,
            exposed=row.exposed,
            converted=row.converted,
            multiple_exposed=row.multiple_exposed,
            mean=_attempt(lambda index=index: _mean(totals, index), []),
            standard_deviation=_attempt(lambda index=index: totals.means()[index].standard_deviation, []),
        )
        for index, (variant, row) in enumerate(zip(totals.variants, totals.rows, strict=True))
    ]


def _mean(totals: MetricTotals, index: int) -> float:
    if totals.metric.kind is MetricKind.RATIO:
        return totals.ratios()[index].ratio
    return totals.means()[index].mean
