"""Every bad draft is refused with a code and the path of its field; sound ones at every end of a range pass."""

import math

import pytest

from app.abtests.drafting import MetricDraft, VariantDraft, problems, storable
from app.errors import ErrorCode
from app.store.models.codes import AllocationPolicy, EventType, MetricKind


def variant(key: str = "x", weight: float = 0.5, **given: object) -> VariantDraft:
    return VariantDraft(key=key, weight=weight, **given)


def metric(key: str = "m", **given: object) -> MetricDraft:
    return MetricDraft(**({"key": key, "kind": MetricKind.CONVERSION, "event": EventType.CONVERTED} | given))


CONTROL = variant("control", is_control=True)
CONTROL_B = variant("b", 0.25)
BANDIT = {"allocation_policy": AllocationPolicy.THOMPSON}
CONTEXTUAL = {"allocation_policy": AllocationPolicy.CONTEXTUAL_THOMPSON, "context_attributes": ["plan"]}
NESTED = {"$not": {"segment": "vip"}}
for _ in range(12):
    NESTED = {"$not": NESTED}

BAD = [
    ({"key": ""}, "key"),
    ({"key": "Spring"}, "key"),
    ({"key": "-spring"}, "key"),
    ({"key": "a" * 65}, "key"),
    ({"key": "spring\n"}, "key"),
    ({"key": "frühling"}, "key"),
    ({"name": " "}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": "a\x00b"}, "name"),
    ({"name": "\ud83d"}, "name"),
    ({"hypothesis": ""}, "hypothesis"),
    ({"hypothesis": "x" * 10_001}, "hypothesis"),
    ({"seed": " "}, "seed"),
    ({"variants": []}, "variants"),
    ({"variants": [variant("a", 1, is_control=True)]}, "variants"),
    ({"variants": [variant("a"), variant("b")]}, "variants"),
    ({"variants": [CONTROL, variant("b", is_control=True)]}, "variants"),
    ({"variants": [CONTROL, variant("control")]}, "variants.1.key"),
    ({"variants": [CONTROL, variant("ü")]}, "variants.1.key"),
    ({"variants": [CONTROL, variant("")]}, "variants.1.key"),
    ({"variants": [CONTROL, variant("b", 0.4)]}, "variants"),
    ({"variants": [variant("a", 1.5, is_control=True), variant("b", -0.5)]}, "variants.1.weight"),
    ({"variants": [CONTROL, variant("b", math.nan)]}, "variants.1.weight"),
    ({"variants": [CONTROL, variant("b", math.inf)]}, "variants.1.weight"),
    ({"variants": [CONTROL, variant("b", 1e308), variant("c", 1e308)]}, "variants.2.weight"),
    ({"variants": [CONTROL, variant("b", -1e308), variant("c", -1e308)]}, "variants.2.weight"),
    ({"variants": [CONTROL, variant("b", name="x" * 201)]}, "variants.1.name"),
    ({"variants": [CONTROL, variant("b", payload={"text": "\ud800"})]}, "variants.1.payload"),
    ({"variants": [CONTROL, variant("b", payload=["\x00"])]}, "variants.1.payload"),
    ({"variants": [CONTROL, variant("b", payload=2**70)]}, "variants.1.payload"),
    (
        {"variants": [variant(f"v{n}", 1 / 21, is_control=n == 0) for n in range(21)]},
        "variants",
    ),
    ({"metric": metric("")}, "metric.key"),
    ({"metric": metric(name="")}, "metric.name"),
    ({"metric": metric(kind=MetricKind.RATIO)}, "metric.denominator"),
    ({"metric": metric(denominator=EventType.CLICKED)}, "metric.denominator"),
    ({"metric": metric(event=EventType.EXPOSED)}, "metric.event"),
    ({"metric": metric(kind=MetricKind.RATIO, denominator=EventType.EXPOSED)}, "metric.event"),
    ({"metric": metric(window_hours=0)}, "metric.windowHours"),
    ({"metric": metric(window_hours=24 * 366 + 1)}, "metric.windowHours"),
    ({"guardrails": [metric("converted")], "metric": metric("converted")}, "guardrails.0.key"),
    ({"guardrails": [metric("a"), metric("a")]}, "guardrails.1.key"),
    ({"guardrails": [metric("a"), metric("b", window_hours=-1)]}, "guardrails.1.windowHours"),
    ({"guardrails": [metric("a", margin=1.0)]}, "guardrails.0.margin"),
    ({"guardrails": [metric("a", margin=math.nan)]}, "guardrails.0.margin"),
    ({"guardrails": [metric(f"g{n}") for n in range(21)]}, "guardrails"),
    ({"confidence_level": 0.4}, "confidenceLevel"),
    ({"confidence_level": 95}, "confidenceLevel"),
    ({"confidence_level": math.nan}, "confidenceLevel"),
    ({"power": 0.01}, "power"),
    ({"power": 1.0}, "power"),
    ({"coverage": 0.0}, "coverage"),
    ({"coverage": 1.01}, "coverage"),
    ({"coverage": math.nan}, "coverage"),
    ({"holdout": 1.0}, "holdout"),
    ({"holdout": -0.1}, "holdout"),
    ({"minimum_detectable_effect": 0.0}, "minimumDetectableEffect"),
    ({"minimum_detectable_effect": math.nan}, "minimumDetectableEffect"),
    ({"minimum_detectable_effect": math.inf}, "minimumDetectableEffect"),
    ({"baseline": 0.0}, "baseline"),
    ({"baseline": 5.0}, "baseline"),
    ({"target_sample_size": 0}, "targetSampleSize"),
    ({"floor": 0.51}, "floor"),
    ({"floor": -0.1}, "floor"),
    ({"floor": math.nan}, "floor"),
    ({"reallocate_every_minutes": 0}, "reallocateEveryMinutes"),
    (
        {"allocation_policy": AllocationPolicy.THOMPSON, "metric": metric(kind=MetricKind.COUNT)},
        "allocationPolicy",
    ),
    (BANDIT | {"variants": [variant("a", 0.95, is_control=True), variant("b", 0.05)]}, "variants.1.weight"),
    (BANDIT | {"floor": 0.3, "variants": [variant("a", 0.75, is_control=True), CONTROL_B]}, "variants.1.weight"),
    (BANDIT | {"variants": [variant("a", 1.0, is_control=True), variant("b", 0.0)]}, "variants.1.weight"),
    ({"discount": 0.9}, "discount"),
    (BANDIT | {"discount": 0.0}, "discount"),
    (BANDIT | {"discount": 1.01}, "discount"),
    (BANDIT | {"discount": math.nan}, "discount"),
    (CONTEXTUAL | {"context_attributes": []}, "contextAttributes"),
    (BANDIT | {"context_attributes": ["plan"]}, "contextAttributes"),
    ({"context_attributes": ["plan"]}, "contextAttributes"),
    (CONTEXTUAL | {"context_attributes": ["plan", "age", "plan"]}, "contextAttributes.2"),
    (CONTEXTUAL | {"context_attributes": [" "]}, "contextAttributes.0"),
    (CONTEXTUAL | {"context_attributes": ["a\x00b"]}, "contextAttributes.0"),
    (CONTEXTUAL | {"context_attributes": ["x" * 101]}, "contextAttributes.0"),
    (CONTEXTUAL | {"context_attributes": [f"a{n}" for n in range(21)]}, "contextAttributes"),
    (CONTEXTUAL | {"metric": metric(kind=MetricKind.RATIO, denominator=EventType.CLICKED)}, "allocationPolicy"),
    ({"exclusion": ("", 0.0, 0.5)}, "exclusion.group"),
    ({"exclusion": ("g", 0.5, 0.5)}, "exclusion"),
    ({"exclusion": ("g", -0.1, 0.5)}, "exclusion"),
    ({"exclusion": ("g", 0.0, math.nan)}, "exclusion"),
    ({"targeting": "vip"}, "targeting"),
    ({"targeting": {"age": {"$regex": "x"}}}, "targeting"),
    ({"targeting": {"$or": []}}, "targeting"),
    ({"targeting": NESTED}, "targeting"),
    ({"targeting": {"name": "\ud800"}}, "targeting"),
]


@pytest.mark.parametrize(("given", "path"), BAD, ids=[f"{path}-{number}" for number, (_, path) in enumerate(BAD)])
def test_a_bad_draft_is_refused_with_code_and_path(draft, given: dict, path: str) -> None:
    found = problems(draft(**given))
    assert path in {".".join(problem.path) for problem in found}
    assert {problem.code for problem in found} == {ErrorCode.INVALID_INPUT}
    assert all(problem.message.endswith((".", "?")) and len(problem.message) > 20 for problem in found)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"key": "a"},
        {"key": "0" * 64},
        {"name": "x" * 200},
        {"variants": [variant("a", 1 / 3, is_control=True), variant("b", 1 / 3), variant("c", 1 / 3)]},
        {"variants": [variant("a", 0.0, is_control=True), variant("b", 1.0)]},
        {"variants": [variant(f"v{n}", 0.05, is_control=n == 0) for n in range(20)]},
        {"metric": metric(kind=MetricKind.RATIO, denominator=EventType.CLICKED, window_hours=24 * 366)},
        {"coverage": 0.0001, "holdout": 0.999, "confidence_level": 0.9999, "power": 0.05},
        {"floor": 0.5, "exclusion": ("g", 0.0, 1.0)},
        BANDIT | {"variants": [variant("a", 0.9, is_control=True), variant("b", 0.1)], "discount": 1.0},
        BANDIT | {"variants": [variant("a", 1.0, is_control=True), variant("b", 0.0)], "floor": 0.0},
        BANDIT
        | {"variants": [variant(k, 1 / 3, is_control=k == "a") for k in "abc"], "floor": 1 / 3, "discount": 1e-9},
        CONTEXTUAL | {"context_attributes": [f"a{n}" for n in range(20)]},
        {"targeting": {"$or": [{"age": {"$gte": 18}}, {"plan": {"$in": ["pro"]}}]}},
    ],
)
def test_a_sound_draft_has_no_problem(draft, given: dict) -> None:
    assert problems(draft(**given)) == []


def test_everything_wrong_is_told_at_once(draft) -> None:
    found = problems(draft(key="", name="", coverage=2.0))
    assert [".".join(problem.path) for problem in found] == ["key", "name", "coverage"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("\\u0000", True), ("\\\x00", False), ({"a\x00": 1}, False), (None, True), ("grün 😀", True), (2**63, True)],
)
def test_storable(value: object, expected: bool) -> None:
    assert storable(value) is expected
