"""What a test must be before it is created: every problem of a draft, each with the path of its field."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from app.abtests.targeting import compile_targeting
from app.errors import DomainError, DomainErrors, InvalidInput
from app.store.contexts import MOST_VARIANTS
from app.store.models.codes import AllocationPolicy, EventType, MetricKind

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
VARIANT_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
WEIGHT_TOLERANCE = 1e-6
MOST_GUARDRAILS = 20
MOST_CONTEXT_ATTRIBUTES = 20
LONGEST_ATTRIBUTE = 100
LONGEST_WINDOW_HOURS = 24 * 366
UNSTORABLE = "This holds a NUL, half a surrogate pair, or a number past 64 bits: send what PostgreSQL can store."
ADAPTIVE_METRICS = (MetricKind.CONVERSION, MetricKind.REVENUE)
DEFAULT_FLOOR = 0.2
"""The floor of a bandit, over all variants: each has at least this share divided by their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantDraft:
    """An arm to be; the name is the key unless given."""

    key: str
    weight: float
    name: str | None = None
    is_control: bool = False
    payload: object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDraft:
    """A metric to be; `margin` is the relative harm a guardrail tolerates, `stops` whether more pauses the test."""

    key: str
    kind: MetricKind
    event: EventType
    name: str | None = None
    denominator: EventType | None = None
    higher_is_better: bool = True
    window_hours: int = 72
    margin: float | None = None
    stops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDraft:
    """A test to be. `exclusion` is a group's name with the part [low, high) of its units that this test may have."""

    __test__ = False

    key: str
    name: str
    variants: Sequence[VariantDraft]
    metric: MetricDraft
    guardrails: Sequence[MetricDraft] = ()
    hypothesis: str | None = None
    campaign: int | str | None = None
    confidence_level: float = 0.95
    power: float = 0.8
    minimum_detectable_effect: float | None = None
    baseline: float | None = None
    target_sample_size: int | None = None
    allocation_policy: AllocationPolicy = AllocationPolicy.FIXED
    floor: float | None = None
    reallocate_every_minutes: int = 60
    discount: float | None = None
    coverage: float = 1.0
    seed: str | None = None
    targeting: object | None = None
    holdout: float = 0.0
    exclusion: tuple[str, float, float] | None = None
    context_attributes: Sequence[str] = ()

    @property
    def metrics(self) -> tuple[MetricDraft, ...]:
        """Return the metric, then the guardrails."""
        return (self.metric, *self.guardrails)


def problems(draft: TestDraft) -> list[DomainError]:
    """Return everything that forbids creating this test, whatever the database holds."""
    return [
        *_texts(draft),
        *_variants(draft.variants),
        *_metrics(draft),
        *_numbers(draft),
        *_policy(draft),
        *_targeting(draft.targeting),
    ]


def weight_problems(weights: Sequence[float], path: tuple[str, ...]) -> Iterator[DomainError]:
    """Yield what is wrong with shares of traffic."""
    for number, weight in enumerate(weights):
        if not 0 <= weight <= 1:
            yield _wrong((*path, str(number), "weight"), f"A weight is a share from 0 to 1, not {weight}.")
    total = sum(weights)  # infinite where a float does not hold it
    if math.isfinite(total) and abs(total - 1) > WEIGHT_TOLERANCE:
        yield _wrong(path, f"Weights sum to 1, these to {total:.6g}: adjust them.")


def _wrong(path: tuple[str, ...], message: str) -> DomainError:
    return InvalidInput(message, path=path)


def _texts(draft: TestDraft) -> Iterator[DomainError]:
    if not KEY.fullmatch(draft.key):
        yield _wrong(
            ("key",),
            "A key has 1 to 64 of a-z, 0-9, '-' and '_', a letter or digit first: choose one like 'spring-push'.",
        )
    yield from text_problems(draft.name, ("name",), most=200)
    if draft.hypothesis is not None:
        yield from text_problems(draft.hypothesis, ("hypothesis",), most=10_000)
    if draft.seed is not None:
        yield from text_problems(draft.seed, ("seed",), most=200)


def text_problems(text: str, path: tuple[str, ...], *, most: int) -> Iterator[DomainError]:
    """Yield what forbids storing a text: empty, too long, or not storable."""
    if not text.strip():
        yield _wrong(path, "This text is empty: write something a colleague will recognise.")
    if len(text) > most:
        yield _wrong(path, f"This text has {len(text)} characters: shorten it to {most}.")
    if not storable(text):
        yield _wrong(path, UNSTORABLE)


def storable(value: object) -> bool:
    """Say whether PostgreSQL can hold a text, or a JSON value with the texts in it."""
    try:
        written = orjson.dumps(value)
    except TypeError:  # half a surrogate pair, a number past 64 bits, nested too deep
        return False
    return b"\\u0000" not in written.replace(b"\\\\", b"")


def _variants(variants: Sequence[VariantDraft]) -> Iterator[DomainError]:
    if not 2 <= len(variants) <= MOST_VARIANTS:
        yield _wrong(("variants",), f"A test has 2 to {MOST_VARIANTS} variants, not {len(variants)}.")
    if sum(variant.is_control for variant in variants) != 1:
        yield _wrong(("variants",), "Exactly one variant is the control: set isControl on one of them.")
    yield from _keys([(variant.key, ("variants", str(n), "key")) for n, variant in enumerate(variants)])
    for number, variant in enumerate(variants):
        path = ("variants", str(number))
        if variant.name is not None:
            yield from text_problems(variant.name, (*path, "name"), most=200)
        if not storable(variant.payload):
            yield _wrong((*path, "payload"), UNSTORABLE)
    yield from weight_problems([variant.weight for variant in variants], ("variants",))


def _keys(keys: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[DomainError]:
    """Yield what is wrong with keys, each with its path: their form, and any used before."""
    seen: set[str] = set()
    for key, path in keys:
        if not VARIANT_KEY.fullmatch(key):
            yield _wrong(path, f"{key!r} is no key: use 1 to 64 letters, digits, '.', '-' and '_'.")
        if key in seen:
            yield _wrong(path, f"The key {key!r} is used before: give each its own.")
        seen.add(key)


def _metrics(draft: TestDraft) -> Iterator[DomainError]:
    if len(draft.guardrails) > MOST_GUARDRAILS:
        yield _wrong(("guardrails",), f"At most {MOST_GUARDRAILS} guardrails, not {len(draft.guardrails)}.")
    if draft.metric.stops:
        yield _wrong(("metric", "stops"), "Only a guardrail stops a test: set `stops` on one of the guardrails.")
    yield from _metric(draft.metric, ("metric",))
    for number, metric in enumerate(draft.guardrails):
        yield from _metric(metric, ("guardrails", str(number)))
    guardrails = [(metric.key, ("guardrails", str(n), "key")) for n, metric in enumerate(draft.guardrails)]
    yield from _keys([(draft.metric.key, ("metric", "key")), *guardrails])


def _metric(metric: MetricDraft, path: tuple[str, ...]) -> Iterator[DomainError]:
    if metric.name is not None:
        yield from text_problems(metric.name, (*path, "name"), most=200)
    if (metric.kind is MetricKind.RATIO) != (metric.denominator is not None):
        yield _wrong((*path, "denominator"), "A RATIO names its denominator event; no other kind does.")
    if EventType.EXPOSED in (metric.event, metric.denominator):
        yield _wrong((*path, "event"), "An exposure is no outcome: name what a unit does after it, such as CONVERTED.")
    if not 1 <= metric.window_hours <= LONGEST_WINDOW_HOURS:
        yield _wrong((*path, "windowHours"), f"A window has 1 to {LONGEST_WINDOW_HOURS} hours.")
    if metric.margin is not None and not 0 <= metric.margin < 1:
        yield _wrong((*path, "margin"), "A margin is the relative harm tolerated, from 0 up to 1.")


def _numbers(draft: TestDraft) -> Iterator[DomainError]:
    yield from _inside(draft.confidence_level, "confidenceLevel", low=0.5, high=0.9999)
    yield from _inside(draft.power, "power", low=0.05, high=0.9999)
    if not 0 < draft.coverage <= 1:
        yield _wrong(("coverage",), "Coverage is the share of units in the test, above 0 and at most 1.")
    if not 0 <= draft.holdout < 1:
        yield _wrong(("holdout",), "A holdout is a share of units kept out, from 0 up to 1.")
    yield from _sizes(draft)


def _sizes(draft: TestDraft) -> Iterator[DomainError]:
    effect = draft.minimum_detectable_effect
    if effect is not None and not 0 < abs(effect) < math.inf:
        yield _wrong(("minimumDetectableEffect",), "The effect is relative and not 0: 0.05 is five percent more.")
    if draft.baseline is not None and not 0 < draft.baseline < math.inf:
        yield _wrong(("baseline",), "A baseline is the control's expected value, above 0.")
    if draft.metric.kind is MetricKind.CONVERSION and draft.baseline is not None and draft.baseline >= 1:
        yield _wrong(("baseline",), "A conversion's baseline is a fraction below 1: 0.05 for five percent.")
    if draft.target_sample_size is not None and draft.target_sample_size < 1:
        yield _wrong(("targetSampleSize",), "A target is a number of units per variant, at least 1.")


def _inside(value: float, name: str, *, low: float, high: float) -> Iterator[DomainError]:
    if not low <= value <= high:
        yield _wrong((name,), f"{name} is a fraction from {low} to {high}, such as 0.95; not {value}.")


def _policy(draft: TestDraft) -> Iterator[DomainError]:
    if draft.floor is not None and not 0 <= draft.floor * len(draft.variants) <= 1:
        yield _wrong(("floor",), f"A floor is each variant's least share, from 0 to 1/{len(draft.variants)}.")
    elif draft.allocation_policy is not AllocationPolicy.FIXED:
        yield from _below_floor(draft)
    if not 1 <= draft.reallocate_every_minutes <= 60 * 24 * 31:
        yield _wrong(("reallocateEveryMinutes",), "Reallocation comes every 1 to 44,640 minutes.")
    if draft.allocation_policy is not AllocationPolicy.FIXED and draft.metric.kind not in ADAPTIVE_METRICS:
        yield _wrong(("allocationPolicy",), "Bandits learn from CONVERSION or REVENUE: choose one, or FIXED.")
    yield from _discount(draft)
    yield from _context(draft)
    yield from _exclusion(draft.exclusion)


def default_floor(variants: int) -> float:
    """Return the floor that a test has unless its draft says another."""
    return DEFAULT_FLOOR / max(variants, 1)


def _below_floor(draft: TestDraft) -> Iterator[DomainError]:
    """Yield first shares below the floor: nobody's share is to be raised behind the team's back."""
    floor = default_floor(len(draft.variants)) if draft.floor is None else draft.floor
    for number, variant in enumerate(draft.variants):
        if 0 <= variant.weight < floor - WEIGHT_TOLERANCE:
            message = (
                f"A bandit's shares start at its weights, and this one is below the floor of {floor:.4g}: raise the "
                "weight, or give a lower `floor`."
            )
            yield _wrong(("variants", str(number), "weight"), message)


def _discount(draft: TestDraft) -> Iterator[DomainError]:
    if draft.discount is None:
        return
    if not 0 < draft.discount <= 1:
        yield _wrong(("discount",), "A discount is what one more step leaves of a unit's weight: above 0, at most 1.")
    if draft.allocation_policy is AllocationPolicy.FIXED:
        yield _wrong(("discount",), "A FIXED test learns nothing that it could forget: leave the discount out.")


def _context(draft: TestDraft) -> Iterator[DomainError]:
    path, names = ("contextAttributes",), draft.context_attributes
    is_contextual = draft.allocation_policy is AllocationPolicy.CONTEXTUAL_THOMPSON
    if is_contextual and not names:
        yield _wrong(path, 'CONTEXTUAL_THOMPSON learns from attributes of users: name some, such as ["plan", "age"].')
    if names and not is_contextual:
        yield _wrong(path, "Only CONTEXTUAL_THOMPSON learns from attributes: choose it, or leave them out.")
    if len(names) > MOST_CONTEXT_ATTRIBUTES:
        yield _wrong(path, f"A context has at most {MOST_CONTEXT_ATTRIBUTES} attributes, not {len(names)}.")
    for number, name in enumerate(names):
        yield from text_problems(name, (*path, str(number)), most=LONGEST_ATTRIBUTE)
        if name in names[:number]:
            yield _wrong((*path, str(number)), f"{name!r} is named twice: name each attribute once.")


def _targeting(condition: object) -> Iterator[DomainError]:
    if not storable(condition):
        yield _wrong(("targeting",), UNSTORABLE)
        return
    try:
        compile_targeting(condition)
    except DomainErrors as refused:
        yield from refused.problems


def _exclusion(exclusion: tuple[str, float, float] | None) -> Iterator[DomainError]:
    if exclusion is None:
        return
    group, low, high = exclusion
    yield from text_problems(group, ("exclusion", "group"), most=64)
    if not 0 <= low < high <= 1:
        yield _wrong(("exclusion",), "A part of a group is a range within 0 to 1, its low end first.")
