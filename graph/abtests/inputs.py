"""What clients send about A/B tests."""

from collections.abc import Sequence

import strawberry
from strawberry import UNSET

from app.abtests.drafting import MetricDraft, TestDraft, VariantDraft
from app.abtests.sizing import SizeQuestion
from app.store.abtest_lists import TestFilter
from graph.abtests.enums import AllocationPolicy, MetricKind, TestStatus
from graph.events.inputs import EventType
from graph.identifiers import Kind, decode
from graph.scalars import JSON


@strawberry.input(name="TestFilter", description="Which tests to list; all conditions hold together.")
class TestFilterInput:
    """The contract's TestFilter."""

    __test__ = False

    status: list[TestStatus] | None = strawberry.field(default=UNSET, description="One of these.")
    campaign_id: strawberry.ID | None = strawberry.field(default=UNSET, description="About this campaign: id or key.")
    search: str | None = strawberry.field(default=UNSET, description="Part of the name or key, whatever the case.")


@strawberry.input(description="What the sample size calculator is asked.")
class SampleSizeInput:
    """Becomes a `SizeQuestion`."""

    kind: MetricKind = strawberry.field(default=MetricKind.CONVERSION, description="What a unit's value is.")
    baseline: float = strawberry.field(description="The control's expected value; for a conversion a fraction.")
    standard_deviation: float | None = strawberry.field(
        default=UNSET, description="Of one unit's value, the metric's unit; needed unless it is a conversion."
    )
    minimum_detectable_effect: float = strawberry.field(description="Smallest effect that matters, not 0.")
    relative: bool | None = strawberry.field(default=True, description="Whether the effect is a fraction of baseline.")
    power: float | None = strawberry.field(default=0.8, description="Chance of calling the effect, a fraction.")
    confidence_level: float | None = strawberry.field(default=0.95, description="Over all comparisons, a fraction.")
    variants: int | None = strawberry.field(default=2, description="Arms, the control included.")
    daily_units: int | None = strawberry.field(default=UNSET, description="Units exposed a day, over all variants.")
    sequential: bool | None = strawberry.field(
        default=False, description="Whether to plan for being judged at any look rather than once."
    )


@strawberry.input(description="An arm of a new test.")
class VariantInput:
    """Becomes a `VariantDraft`."""

    key: str = strawberry.field(description="Unique in the test.")
    name: str | None = strawberry.field(default=UNSET, description="Name for people; the key unless given.")
    weight: float = strawberry.field(description="Share of units, a fraction; all sum to 1.")
    is_control: bool | None = strawberry.field(default=False, description="Exactly one is.")
    payload: JSON | None = strawberry.field(default=UNSET, description="What the application gets.")


@strawberry.input(description="What a unit's value is made of, within a window after its exposure.")
class MetricInput:
    """Becomes a `MetricDraft`."""

    key: str = strawberry.field(description="Unique in the test.")
    name: str | None = strawberry.field(default=UNSET, description="Name for people; the key unless given.")
    kind: MetricKind = strawberry.field(
        description="CONVERSION: 1 if it sent `event`; COUNT: how often; REVENUE: the sum of `value`; "
        "RATIO: the sum of `value` over the number of `denominator` events."
    )
    event: EventType = strawberry.field(description="The event that counts.")
    denominator: EventType | None = strawberry.field(default=UNSET, description="Of a RATIO, and no other kind.")
    higher_is_better: bool | None = strawberry.field(default=True, description="Whether more is better.")
    window_hours: int | None = strawberry.field(default=72, description="From the exposure on, hours.")
    margin: float | None = strawberry.field(
        default=UNSET, description="Of a guardrail: relative harm tolerated, a fraction; 0.05 unless given."
    )
    stops: bool | None = strawberry.field(
        default=False, description="Of a guardrail: whether harm past the margin, shown at any look, pauses the test."
    )


@strawberry.input(description="Units of a named group that tests share out, so that no unit is in two of them.")
class ExclusionInput:
    """The part [low, high) of an exclusion group's units."""

    group: str = strawberry.field(description="The group's name, the same in all its tests.")
    low: float = strawberry.field(description="Start of this test's part, a fraction.")
    high: float = strawberry.field(description="End of this test's part, a fraction.")


@strawberry.input(description="A test to be created, as a DRAFT.")
class CreateTestInput:
    """Becomes a `TestDraft`."""

    key: str = strawberry.field(description="Slug, unique: lower-case letters, digits, - and _, at most 64.")
    name: str = strawberry.field(description="Name for people.")
    hypothesis: str | None = strawberry.field(default=UNSET, description="What is expected and why.")
    campaign_id: strawberry.ID | None = strawberry.field(default=UNSET, description="The campaign: an id or key.")
    variants: list[VariantInput] = strawberry.field(description="2 to 20 arms.")
    metric: MetricInput = strawberry.field(description="What decides.")
    guardrails: list[MetricInput] | None = strawberry.field(
        default_factory=list[MetricInput], description="What must not get worse."
    )
    confidence_level: float | None = strawberry.field(default=0.95, description="Of intervals and tests, a fraction.")
    power: float | None = strawberry.field(default=0.8, description="Chance of calling the effect, a fraction.")
    minimum_detectable_effect: float | None = strawberry.field(
        default=UNSET, description="Relative, a fraction; with `baseline` it sets targetSampleSize."
    )
    baseline: float | None = strawberry.field(default=UNSET, description="The control's expected value.")
    target_sample_size: int | None = strawberry.field(default=UNSET, description="Planned units per variant.")
    allocation_policy: AllocationPolicy | None = strawberry.field(
        default=AllocationPolicy.FIXED, description="How traffic is shared."
    )
    floor: float | None = strawberry.field(
        default=UNSET,
        description="Least share of each variant of a bandit, a fraction; 0.2 / number of variants unless given. The "
        "weights are the first shares, and none may be below it.",
    )
    reallocate_every_minutes: int | None = strawberry.field(
        default=60, description="How often a bandit steps, minutes; after each 2 to 5 % of the traffic is often enough."
    )
    discount: float | None = strawberry.field(
        default=UNSET,
        description="For a bandit whose variants' worth drifts: what each further policy version leaves of a unit's "
        "weight, a fraction above 0; 0.9 halves it in 6.6 versions. Absent: nothing is forgotten.",
    )
    context_attributes: list[str] | None = strawberry.field(
        default_factory=list[str],
        description="Of CONTEXTUAL_THOMPSON, and needed there: names of the users' attributes it learns from, at most "
        "20; numbers, booleans and texts, told by what most units have.",
    )
    coverage: float | None = strawberry.field(default=1.0, description="Share of units in the test, a fraction.")
    seed: str | None = strawberry.field(default=UNSET, description="Seed of the hash; the key unless given.")
    targeting: JSON | None = strawberry.field(
        default=UNSET, description='Whom it is for: a condition on attributes, such as {"segment": "vip"}.'
    )
    holdout: float | None = strawberry.field(default=0.0, description="Share of units kept out, a fraction.")
    exclusion: ExclusionInput | None = strawberry.field(
        default=UNSET, description="Its part of an exclusion group; absent: it excludes no other test."
    )


@strawberry.input(description="A variant's new share.")
class WeightInput:
    """A variant's key and weight."""

    key: str = strawberry.field(description="The variant's key.")
    weight: float = strawberry.field(description="Share of units, a fraction; all sum to 1.")


def test_draft(given: CreateTestInput) -> TestDraft:
    """Return the test as the use case takes it; null stands for the default."""
    exclusion = given.exclusion or None
    return TestDraft(
        key=given.key,
        name=given.name,
        hypothesis=given.hypothesis or None,
        campaign=decode(Kind.CAMPAIGN, given.campaign_id) if given.campaign_id else None,
        variants=[_variant(variant) for variant in given.variants],
        metric=_metric(given.metric),
        guardrails=[_metric(metric) for metric in given.guardrails or ()],
        confidence_level=_or(given.confidence_level, 0.95),
        power=_or(given.power, 0.8),
        minimum_detectable_effect=_or(given.minimum_detectable_effect, None),
        baseline=_or(given.baseline, None),
        target_sample_size=_or(given.target_sample_size, None),
        allocation_policy=_or(given.allocation_policy, AllocationPolicy.FIXED),
        floor=_or(given.floor, None),
        reallocate_every_minutes=_or(given.reallocate_every_minutes, 60),
        discount=_or(given.discount, None),
        context_attributes=tuple(given.context_attributes or ()),
        coverage=_or(given.coverage, 1.0),
        seed=_or(given.seed, None),
        targeting=_or(given.targeting, None),
        holdout=_or(given.holdout, 0.0),
        exclusion=(exclusion.group, exclusion.low, exclusion.high) if exclusion else None,
    )


def size_question(given: SampleSizeInput) -> SizeQuestion:
    """Return what the calculator is asked; null stands for the default."""
    return SizeQuestion(
        kind=given.kind,
        baseline=given.baseline,
        minimum_detectable_effect=given.minimum_detectable_effect,
        standard_deviation=_or(given.standard_deviation, None),
        relative=_or(given.relative, True),
        power=_or(given.power, 0.8),
        confidence_level=_or(given.confidence_level, 0.95),
        variants=_or(given.variants, 2),
        daily_units=_or(given.daily_units, None),
        sequential=_or(given.sequential, False),
    )


def test_filter(given: TestFilterInput | None, campaign_id: int | None) -> TestFilter:
    """Return the conditions; the campaign's row was found meanwhile."""
    if given is None:
        return TestFilter(campaign_id=campaign_id)
    statuses: Sequence[TestStatus] | None = _or(given.status, None)
    return TestFilter(
        statuses=None if statuses is None else tuple(statuses), campaign_id=campaign_id, search=given.search or None
    )


def _variant(given: VariantInput) -> VariantDraft:
    return VariantDraft(
        key=given.key,
        name=given.name or None,
        weight=given.weight,
        is_control=bool(given.is_control),
        payload=_or(given.payload, None),
    )


def _metric(given: MetricInput) -> MetricDraft:
    return MetricDraft(
        key=given.key,
        name=given.name or None,
        kind=given.kind,
        event=given.event,
        denominator=_or(given.denominator, None),
        higher_is_better=_or(given.higher_is_better, True),
        window_hours=_or(given.window_hours, 72),
        margin=_or(given.margin, None),
        stops=_or(given.stops, False),
    )


def _or[T](value: T | None, default: T) -> T:
    return default if value is None or value is UNSET else value
