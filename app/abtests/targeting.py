"""Whom a test is for: a condition on attributes, in the MongoDB-like form that feature-flag tools share.

    {"segment": "vip"}                                  an attribute equals a value
    {"age": {"$gte": 18, "$lt": 65}}                    all comparisons hold
    {"country": {"$in": ["NL", "BE"]}}                  one of these; also $nin, $ne, $eq, $exists
    {"$or": [{"plan": "pro"}, {"spend": {"$gt": 100}}]} also $and, $nor, $not

A missing attribute is null. Comparisons between different types are false.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.errors import DomainErrors, InvalidInput

type Attributes = Mapping[str, Any]
type Predicate = Callable[[Attributes], bool]

DEEPEST = 10
PLACE = ("targeting",)


@dataclass(frozen=True, slots=True)
class Targeting:
    """A compiled condition, and the attributes that it asks for."""

    matches: Predicate
    attributes: frozenset[str]


def compile_targeting(condition: object) -> Targeting:
    """Return what a condition means; None targets everybody. Raises DomainErrors where it cannot be understood."""
    names: set[str] = set()
    predicate = _everybody if condition is None else _condition(condition, names, depth=0)
    return Targeting(predicate, frozenset(names))


def _everybody(attributes: Attributes) -> bool:
    del attributes
    return True


def _refuse(message: str) -> DomainErrors:
    return DomainErrors([InvalidInput(message, path=PLACE)])


def _condition(condition: object, names: set[str], *, depth: int) -> Predicate:
    if depth > DEEPEST:
        raise _refuse(f"Targeting nests more than {DEEPEST} levels: flatten it.")
    if not isinstance(condition, Mapping):
        raise _refuse('Targeting is an object such as {"segment": "vip"}.')
    pairs = cast("Mapping[str, object]", condition).items()
    return _all([_part(name, value, names, depth=depth) for name, value in pairs])


def _part(name: str, value: object, names: set[str], *, depth: int) -> Predicate:
    if name in _COMBINATIONS:
        return _COMBINATIONS[name]([_condition(item, names, depth=depth + 1) for item in _items(name, value)])
    if name == "$not":
        return _none([_condition(value, names, depth=depth + 1)])
    if name.startswith("$"):
        raise _refuse(f"Targeting knows no {name}: combine with $and, $or, $nor or $not.")
    names.add(name)
    return _attribute(name, value)


def _items(name: str, value: object) -> Iterator[object]:
    if not isinstance(value, list) or not value:
        raise _refuse(f"{name} takes a list of one condition or more.")
    yield from cast("list[object]", value)


def _attribute(name: str, value: object) -> Predicate:
    tests = _comparisons(value if _is_operators(value) else {"$eq": value})
    return lambda attributes: all(test(attributes.get(name)) for test in tests)


def _is_operators(value: object) -> bool:
    return isinstance(value, Mapping) and any(key.startswith("$") for key in cast("Mapping[str, object]", value))


def _comparisons(value: object) -> list[Callable[[Any], bool]]:
    pairs = cast("Mapping[str, object]", value).items()
    return [_comparison(name, operand) for name, operand in pairs]


def _comparison(name: str, operand: object) -> Callable[[Any], bool]:
    if name in _ORDERINGS:
        return _ordered(_ORDERINGS[name], operand)
    if name in ("$in", "$nin"):
        choices = list(_items(name, operand))
        return lambda found: any(_equal(found, choice) for choice in choices) is (name == "$in")
    if name in ("$eq", "$ne"):
        return lambda found: _equal(found, operand) is (name == "$eq")
    if name == "$exists":
        return lambda found: (found is not None) is bool(operand)
    raise _refuse(f"Targeting knows no {name}: use $eq, $ne, $in, $nin, $gt, $gte, $lt, $lte or $exists.")


def _ordered(compare: Callable[[Any, Any], bool], operand: object) -> Callable[[Any], bool]:
    if isinstance(operand, bool) or not isinstance(operand, int | float | str):
        raise _refuse("Order compares numbers or texts: give one of these.")
    kind = str if isinstance(operand, str) else (int, float)
    return lambda found: isinstance(found, kind) and not isinstance(found, bool) and compare(found, operand)


def _equal(found: object, wanted: object) -> bool:
    if isinstance(found, bool) is not isinstance(wanted, bool):
        return False
    return found == wanted or (isinstance(found, list) and wanted in found)


def _all(parts: Sequence[Predicate]) -> Predicate:
    return lambda attributes: all(part(attributes) for part in parts)


def _any(parts: Sequence[Predicate]) -> Predicate:
    return lambda attributes: any(part(attributes) for part in parts)


def _none(parts: Sequence[Predicate]) -> Predicate:
    return lambda attributes: not any(part(attributes) for part in parts)


_COMBINATIONS: Mapping[str, Callable[[Sequence[Predicate]], Predicate]] = {"$and": _all, "$or": _any, "$nor": _none}
_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
