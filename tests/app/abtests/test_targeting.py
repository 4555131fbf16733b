"""Conditions on attributes: what each operator holds for, also where an attribute is missing or of another type."""

import pytest

from app.abtests.targeting import compile_targeting
from app.errors import DomainErrors, ErrorCode

HOLDS = [
    (None, {}),
    ({}, {"anything": 1}),
    ({"segment": "vip"}, {"segment": "vip"}),
    ({"segment": "vip"}, {"segment": ["new", "vip"]}),
    ({"segment": None}, {}),
    ({"age": 18}, {"age": 18.0}),
    ({"ok": True}, {"ok": True}),
    ({"age": {"$gte": 18, "$lt": 65}}, {"age": 18}),
    ({"age": {"$gt": 17.5}}, {"age": 18}),
    ({"name": {"$lte": "m"}}, {"name": "anna"}),
    ({"country": {"$in": ["NL", "BE"]}}, {"country": "BE"}),
    ({"country": {"$nin": ["NL"]}}, {"country": "BE"}),
    ({"country": {"$nin": ["NL"]}}, {}),
    ({"country": {"$ne": "NL"}}, {}),
    ({"country": {"$eq": "NL"}}, {"country": "NL"}),
    ({"email": {"$exists": True}}, {"email": ""}),
    ({"email": {"$exists": False}}, {}),
    ({"$or": [{"plan": "pro"}, {"spend": {"$gt": 100}}]}, {"spend": 101}),
    ({"$and": [{"plan": "pro"}, {"age": 3}]}, {"plan": "pro", "age": 3}),
    ({"$nor": [{"plan": "pro"}, {"age": 3}]}, {"plan": "free"}),
    ({"$not": {"plan": "pro"}}, {}),
    ({"city": "Zürich", "tags": {"$in": ["ü"]}}, {"city": "Zürich", "tags": "ü"}),
    ({"address": {"city": "Bern"}}, {"address": {"city": "Bern"}}),
]
FAILS = [
    ({"segment": "vip"}, {}),
    ({"segment": "vip"}, {"segment": "VIP"}),
    ({"age": 1}, {"age": True}),
    ({"ok": True}, {"ok": 1}),
    ({"age": {"$gte": 18, "$lt": 65}}, {"age": 65}),
    ({"age": {"$gte": 18}}, {"age": "18"}),
    ({"age": {"$gte": 18}}, {"age": True}),
    ({"age": {"$gte": 18}}, {}),
    ({"age": {"$lt": 18}}, {"age": None}),
    ({"name": {"$lt": "m"}}, {"name": 3}),
    ({"country": {"$in": ["NL", "BE"]}}, {"country": None}),
    ({"$or": [{"plan": "pro"}, {"spend": {"$gt": 100}}]}, {"spend": 100}),
    ({"$nor": [{"plan": "pro"}]}, {"plan": "pro"}),
    ({"plan": "pro", "age": 3}, {"plan": "pro"}),
]
REFUSED = [
    [],
    "vip",
    3,
    {"$where": "1"},
    {"age": {"$regex": "x"}},
    {"age": {"$gte": 18, "oops": 1}},
    {"$and": []},
    {"$or": {"a": 1}},
    {"country": {"$in": "NL"}},
    {"country": {"$in": []}},
    {"age": {"$gt": None}},
    {"age": {"$gt": True}},
    {"age": {"$gt": [1]}},
    {"$not": [1]},
    {"$or": [1]},
]


@pytest.mark.parametrize(("condition", "attributes"), HOLDS)
def test_holds(condition: object, attributes: dict) -> None:
    assert compile_targeting(condition).matches(attributes) is True


@pytest.mark.parametrize(("condition", "attributes"), FAILS)
def test_fails(condition: object, attributes: dict) -> None:
    assert compile_targeting(condition).matches(attributes) is False


@pytest.mark.parametrize("condition", REFUSED)
def test_what_cannot_be_understood_is_refused(condition: object) -> None:
    with pytest.raises(DomainErrors) as refused:
        compile_targeting(condition)
    assert [(problem.code, problem.path) for problem in refused.value.problems] == [
        (ErrorCode.INVALID_INPUT, ("targeting",))
    ]


def test_nesting_is_bounded_however_deep_it_comes() -> None:
    condition: dict = {"a": 1}
    for _ in range(10):
        condition = {"$not": condition}
    assert compile_targeting(condition).matches({"a": 1}) is True
    for _ in range(5_000):
        condition = {"$not": condition}
    with pytest.raises(DomainErrors, match="flatten"):
        compile_targeting(condition)


def test_it_says_which_attributes_it_asks_for() -> None:
    condition = {"$or": [{"plan": "pro"}, {"$not": {"age": {"$gt": 3}}}], "segment": "vip"}
    assert compile_targeting(condition).attributes == {"plan", "age", "segment"}
