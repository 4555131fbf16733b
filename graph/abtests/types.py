"""What clients see of A/B tests and their results."""

from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

import strawberry

from app.abtests.summarising import metric_of
from app.auth.principals import Permission
from graph.abtests import rows
from graph.abtests.enums import AllocationPolicy, Decision, FrequentistTest, GuardrailStatus, MetricKind, TestStatus
from graph.campaigns.types import Campaign
from graph.connections import Connection
from graph.fields import extend, reading, related
from graph.identifiers import Identified, Kind
from graph.scalars import JSON, BigInt, Passed


def _of_test(name: str, description: str) -> Any:
    return reading(description, attrgetter(f"test.{name}"))


@strawberry.type(description="One arm of a test.")
class Variant:
    """The row is an `app.store.abtests.VariantRow`."""

    id: strawberry.ID = reading("Opaque id.", Identified(Kind.VARIANT))
    key: str = reading("The variant's key, unique in its test.")
    name: str = reading("Name for people.")
    is_control: bool = reading("Whether the others are compared with it.")
    weight: float = reading("Planned share of units, a fraction.")
    payload: JSON | None = reading(
        "What the application gets; null when the key says it all.", Passed("written_payload")
    )


@strawberry.type(description="What a test is judged by.")
class Metric:
    """The row is an `app.store.abtests.MetricRow`."""

    key: str = reading("The metric's key, unique in its test.")
    name: str = reading("Name for people.")
    kind: MetricKind = reading("What a unit's value is made of.")
    higher_is_better: bool = reading("Whether more is better.")
    window_hours: int = reading("How long after its exposure a unit's events count, hours.")
    margin: float | None = reading("Of a guardrail: relative harm tolerated, a fraction; null is 0.05.")
    stops: bool = reading("Whether a breach of it, a guardrail, pauses the test.")


@strawberry.type(description="An estimate with its interval, in the unit of what is estimated.")
class IntervalEstimate:
    """The row is an `engine.effects.IntervalEstimate`."""

    point: float = reading("The estimate.")
    low: float = reading("Lower end of the interval.")
    high: float = reading("Upper end of the interval.")


@strawberry.type(description="What one variant's units did.")
class VariantTotals:
    """The row is an `app.abtests.results.VariantTotals`."""

    variant: Variant = reading("The variant.")
    exposed: BigInt = reading("Units exposed, a count.")
    converted: BigInt = reading("Units with a value above 0, a count.")
    multiple_exposed: BigInt = reading("Units that saw other variants too, a count; they count for their first.")
    mean: float | None = reading("Mean of a unit's value, the metric's unit; null without units.")
    standard_deviation: float | None = reading("Of a unit's value, the metric's unit; null below two units.")


@strawberry.type(description="Whether exposures follow the shares that variants should have.")
class SampleRatioCheck:
    """The row is a `rows.SampleRatio`."""

    p_value: float | None = reading("Of a chi-squared test; null when nobody was exposed.")
    mismatch: bool = reading("Whether p < 0.001: then no result can be trusted.")
    caution: bool = reading("Whether p < 0.01: worth a look.")
    expected: list[float] = reading("Units each variant should have, counts.")
    observed: list[int] = reading("Units each variant has, counts.")


@strawberry.type(description="A treatment against the control.")
class Comparison:
    """The row is a `rows.Compared`."""

    variant: Variant = reading("The treatment.")
    difference: IntervalEstimate = reading("Treatment minus control, the metric's unit.", attrgetter("one.difference"))
    lift: IntervalEstimate | None = reading(
        "Difference over the control's value, fractions; null where that is not above 0.", attrgetter("one.lift")
    )
    p_value: float = reading("Two-sided, of this comparison alone.", attrgetter("one.p_value"))
    adjusted_p_value: float = reading(
        "Adjusted for the number of comparisons (Holm).", attrgetter("one.adjusted_p_value")
    )


@strawberry.type(description="A fixed-horizon test: valid at the planned size, not before.")
class FrequentistResult:
    """The row is a `rows.Frequentist`."""

    test: FrequentistTest = reading("The family of the test.", attrgetter("result.test"))
    method: str = reading("The very procedure, in words.", attrgetter("result.omnibus.method"))
    statistic: float | None = reading(
        "The test's statistic; null where it has none.", attrgetter("result.omnibus.statistic")
    )
    degrees_of_freedom: float | None = reading(
        "Of the statistic's distribution; null where it has none.", attrgetter("result.omnibus.degrees_of_freedom")
    )
    p_value: float = reading("Two-sided, of no difference among all variants.", attrgetter("result.p_value"))
    confidence_level: float = reading("Of the intervals, a fraction.", attrgetter("result.level"))
    significant: bool = reading("Whether pValue < 1 - confidenceLevel.", attrgetter("result.significant"))
    comparisons: list[Comparison] = reading("Each treatment against the control.")


@strawberry.type(description="A confidence sequence: valid at every look.")
class SequentialResult:
    """The row is a `rows.Sequential`."""

    comparisons: list[Comparison] = reading("Each treatment against the control; p-values are always valid.")
    significant: bool = reading("Whether an adjusted p-value is below 1 - level.", attrgetter("result.significant"))


@strawberry.type(description="A point of a density curve.")
class DensityPoint:
    """The row is a `rows.Point`."""

    x: float = reading("The metric's unit.")
    density: float = reading("Per that unit.")


@strawberry.type(description="What is believed of one variant.")
class VariantPosterior:
    """The row is a `rows.Believed`."""

    variant: Variant = reading("The variant.")
    mean: IntervalEstimate = reading("Posterior mean and highest-density interval.", attrgetter("posterior.mean"))
    lift_over_control: IntervalEstimate | None = reading(
        "Posterior lift, fractions; null for the control.", attrgetter("posterior.lift")
    )
    probability_best: float = reading("That no other variant is better.", attrgetter("posterior.probability_best"))
    probability_beats_control: float | None = reading(
        "That it is better than the control; null for the control.", attrgetter("posterior.probability_beats_control")
    )
    expected_loss: float = reading(
        "What choosing it is expected to cost, the metric's unit.", attrgetter("posterior.expected_loss")
    )
    density: list[DensityPoint] = related("The posterior density on an even grid.", size=64)


@strawberry.type(description="The Bayesian school's answer.")
class BayesianResult:
    """The row is a `rows.Bayesian`."""

    model: str = reading("What was fitted.", attrgetter("result.model"))
    variants: list[VariantPosterior] = related("By variant.", through=attrgetter("variants"), size=5)
    converged: bool = reading(
        "Whether the fit may be trusted; closed forms always may.", attrgetter("result.converged")
    )
    r_hat: float | None = reading("Largest split R-hat; null for closed forms.", attrgetter("result.r_hat"))
    effective_sample_size: float | None = reading(
        "Smallest bulk effective sample size; null for closed forms.", attrgetter("result.effective_sample_size")
    )


@strawberry.type(description="What the test can see with the units it has.")
class AchievedPower:
    """The row is an `engine.power.achieved.AchievedPower`."""

    at_minimum_detectable_effect: float | None = reading("Chance of calling that effect, a fraction.")
    remaining_units: int | None = reading("Units still needed over all variants, a count.")
    days_remaining: float | None = reading("At the present rate, days; null when that is not known.")


@strawberry.type(description="A guardrail metric's difference against its margin.")
class GuardrailCheck:
    """The row is a `rows.Guard`."""

    metric: Metric = reading("The guardrail.")
    variant: Variant = reading("The treatment.")
    difference: IntervalEstimate = reading(
        "Treatment minus control, valid at every look.", attrgetter("check.difference")
    )
    margin: float = reading("The harm still tolerated, the metric's unit.", attrgetter("check.margin"))
    status: GuardrailStatus = reading("What the interval says.", attrgetter("check.status"))


@strawberry.type(description="What both schools together say.")
class Verdict:
    """The row is a `rows.Judged`."""

    decision: Decision = reading("What to do.", attrgetter("verdict.decision"))
    winner: Variant | None = reading("The winning variant; null unless the decision is WINNER.")
    agreed: bool = reading("Whether both schools say the same.", attrgetter("verdict.agreed"))
    reasons: list[str] = reading("In words, the weightiest first.", lambda row: list(row.verdict.reasons))


@strawberry.type(description="Both schools side by side, computed from the same totals.")
class TestResults:
    """The row is an `app.abtests.results.TestResults`."""

    __test__ = False

    as_of: datetime = reading("When the totals were read, UTC.")
    metric: Metric = reading("What was asked about.", attrgetter("question.metric"))
    totals: list[VariantTotals] = reading("By variant.")
    sample_ratio: SampleRatioCheck = reading("The test's health.", rows.sample_ratio)
    frequentist: FrequentistResult | None = reading("Fixed horizon; null with `pending` saying why.", rows.frequentist)
    sequential: SequentialResult | None = reading("Valid at every look; null as above.", rows.sequential)
    bayesian: BayesianResult | None = related("Posteriors; null as above.", through=rows.bayesian)
    power: AchievedPower | None = reading("Null where no effect that matters is planned, or too early.")
    guardrails: list[GuardrailCheck] = reading("Each guardrail and treatment.", rows.guards)
    pending: str | None = reading("Why a part is missing, in words; null when all is there.")
    verdict: Verdict = reading("What both schools together say.", rows.Judged)


@strawberry.type(description="A saved analysis.")
class Analysis:
    """The row is an `app.abtests.analyzing.SavedAnalysis`."""

    id: strawberry.ID = reading("Opaque id.", Identified(Kind.ANALYSIS))
    created_at: datetime = reading("When it was made, UTC.")
    results: TestResults = related("As they were then.", through=attrgetter("results"))
    requested_by: str | None = reading("The key that asked; null when nobody did.")


@strawberry.type(description="A variant's share of traffic.")
class VariantShare:
    """The row is a `rows.Share`."""

    variant: Variant = reading("The variant.")
    probability: float = reading("Its share, a fraction.")


@strawberry.type(
    description="One policy version: the whole probability vector, and what the step that made it knew. An assignment "
    "keeps the version by which it was decided."
)
class Allocation:
    """The row is a `rows.Allocated`."""

    created_at: datetime = reading("From when on it held, UTC.")
    policy_version: int = reading("Counts from 1; 0 is a draft's plan.")
    policy: AllocationPolicy = reading("What made it.")
    floor: float = reading("Least share of each variant, a fraction.")
    shares: list[VariantShare] = reading(
        "By variant. Of a contextual test, where every unit has its own: the average over up to 1,000 units exposed "
        "last before the step."
    )
    as_of: datetime | None = reading(
        "Up to when the step had counted what units did, UTC; null for first shares, and for weights set by hand."
    )
    discount: float | None = reading(
        "What each further version left of a unit's weight in this step, a fraction; null: nothing was forgotten."
    )
    seed: str = reading("Of the hash: with it and a unit's shares, its variant can be told again at any time.")
    watermark: JSON | None = reading(
        "What the step knew: sums by variant (units counted and open, sum of values and of their squares, micros for "
        "money), and by policy version where older ones count less; null as `asOf`."
    )
    model: JSON | None = related(
        "Of a contextual test: how contexts are encoded, and each variant's posterior (coefficients, precision). With "
        "it, the floor and a unit's context, its shares can be told again. Null for other tests, and before a model.",
        size=1,
    )


@strawberry.type(description="That a guardrail paused the test.")
class GuardrailStop:
    """The row is a `rows.Stopped`."""

    metric: Metric = reading("The guardrail.")
    variant: Variant = reading("The treatment that harmed it.")
    reason: str = reading("What was seen, in words.")
    at: datetime = reading("When, UTC.")


@strawberry.type(description="What another allocation would have earned on the same units, judged from the log.")
class OffPolicyEstimate:
    """The row is an `app.abtests.crediting.Credit`."""

    ips: IntervalEstimate | None = reading("Mean a unit by inverse propensity, the metric's unit; null when refused.")
    self_normalised: IntervalEstimate | None = reading("Mean a unit by normalised weights; null when refused.")
    doubly_robust: IntervalEstimate | None = reading("Mean a unit, helped by variants' means; null when refused.")
    effective_sample_size: float = reading("Units that carry the answer, a count.")
    refused: str | None = reading("Why the log does not tell, in words; null when it does.")


_judged = partial(related, permission=Permission.READ_TESTS)
"""What a test has shown: not for keys that only assign, and come to the test by what they assigned."""


@strawberry.type(name="ABTest", description="An A/B test or a bandit.")
class ABTest:
    """The row is an `app.store.abtests.TestDefinition`."""

    id: strawberry.ID = reading("Opaque id, usable wherever an id is asked for.", Identified(Kind.TEST, "test.id"))
    key: str = _of_test("key", "The test's slug, unique, usable as its id; its OpenFeature flag.")
    name: str = _of_test("name", "Name for people.")
    hypothesis: str | None = _of_test("hypothesis", "What is expected and why; null when not said.")
    status: TestStatus = _of_test("status", "The test's place in its life.")
    campaign: Campaign | None = related("The campaign it is about; null when about none.")
    variants: list[Variant] = reading("The arms, in their order.")
    control: Variant = reading("What the others are compared with.")
    metric: Metric = reading("What decides.", lambda row: metric_of(row, None))
    guardrails: list[Metric] = reading("What must not get worse.", lambda row: list(row.metrics[1:]))
    confidence_level: float = _of_test("confidence_level", "Of intervals and tests, a fraction.")
    allocation_policy: AllocationPolicy = _of_test("allocation_policy", "How traffic is shared.")
    floor: float = _of_test("floor", "Least share of each variant of a bandit, a fraction.")
    reallocate_every_minutes: int = _of_test("reallocate_every_minutes", "How often a bandit steps, minutes.")
    discount: float | None = _of_test(
        "discount",
        "What each further policy version leaves of a unit's weight, a fraction; null: nothing is forgotten.",
    )
    context_attributes: list[str] = reading(
        "Users' attributes that a contextual bandit learns from; empty for other tests.",
        lambda row: list(row.test.context_attributes or ()),
    )
    minimum_detectable_effect: float | None = _of_test(
        "minimum_detectable_effect", "Smallest lift that matters, a fraction; null when not planned."
    )
    target_sample_size: int | None = _of_test("target_sample_size", "Planned units per variant; null when not planned.")
    progress: float = _judged("Exposed units over planned ones, at most 1; 0 when none are planned.")
    coverage: float = _of_test("coverage", "Share of units in the test, a fraction.")
    holdout: float = _of_test("holdout", "Share of units kept out, a fraction.")
    created_at: datetime = _of_test("created_at", "When it was created, UTC.")
    started_at: datetime | None = _of_test("started_at", "From when on exposures count, UTC; null for a draft.")
    ended_at: datetime | None = _of_test("ended_at", "When it ended, UTC; null while it has not.")
    results: TestResults = _judged("Results as they stand.")
    segments: list[str] = _judged("Segments in which units were exposed; an empty text is none.", size=10)
    analyses: Connection[Analysis] = _judged("Every saved analysis, newest first: the test's history.")
    allocation: Allocation = _judged("Shares in force.", through=rows.allocation)
    allocation_history: Connection[Allocation] = _judged("Every policy version, newest first.")
    off_policy: OffPolicyEstimate = _judged("What another allocation would have earned.")
    guardrail_stops: list[GuardrailStop] = reading(
        "Each time a guardrail paused it, oldest first; a variant is paused for once by each guardrail.", rows.stops
    )
    winner: Variant | None = reading("Declared at the end; null when none was.", rows.winner)


@strawberry.type(description="Units that a test needs.")
class SampleSize:
    """The row is an `engine.power.sample_size.SampleSize`."""

    per_variant: int = reading("Units of each variant, a count.")
    total: int = reading("Units over all variants, a count.")
    days: float | None = reading("At the daily units given, days; null without them.")


@strawberry.type(description="What was decided for a unit.")
class Assignment:
    """The row is a `rows.Decided`."""

    test: ABTest = related("The test.", through=attrgetter("definition"))
    variant: Variant = reading("The variant.")
    user_id: strawberry.ID = reading("The caller's own id of the unit.")
    assigned_at: datetime = reading("When it was decided, UTC.")
    probability: float = reading("With which probability, a fraction.")
    policy_version: int = reading("By which policy version.")


extend(
    Campaign,
    "tests",
    Connection[ABTest],
    related("A/B tests about the campaign, newest first.", permission=Permission.READ_TESTS),
)
