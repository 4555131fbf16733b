"""How scalars and enums are completed: a condition for the values that nearly always come, a call for all others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import orjson
from graphql import GraphQLEnumType, GraphQLLeafType, GraphQLScalarType, Undefined

from graph.scalars import write_decimal


class Surprise(Exception):
    """A value that graphql-core is to judge: an error, a null where none may be, something of no known kind."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Source code that completes a value `{v}`: where `usual` holds, `plain` is its completed form.

    `{first}` is where `usual` looks at it first, and may take it from its source; `names` are what the two mention. A
    completed value is one that is written in JSON as graphql-core's own would be.
    """

    usual: str
    plain: str = "{v}"
    names: Mapping[str, object] = field(default_factory=dict[str, object])


_TEXT = Leaf("type({first}) is str")
_FLOAT = Leaf("type({first}) is float and {v} - {v} == 0.0")
_INT = Leaf("type({first}) is int and -2147483648 <= {v} <= 2147483647")
_BOOLEAN = Leaf("{first} is True or {v} is False")
_BIG = Leaf("type({first}) is int")
_MOMENT = Leaf("type({first}) is datetime and {v}.tzinfo is UTC", names={"datetime": datetime, "UTC": UTC})
_DAY = Leaf("type({first}) is date", names={"date": date})
_AMOUNT = Leaf(
    "type({first}) is Decimal", "write_decimal({v})", names={"Decimal": Decimal, "write_decimal": write_decimal}
)
_ANY = Leaf("type({first}) is dict or type({v}) is Fragment", names={"Fragment": orjson.Fragment})
_SCALARS = {
    "String": _TEXT,
    "ID": _TEXT,
    "Float": _FLOAT,
    "Int": _INT,
    "Boolean": _BOOLEAN,
    "BigInt": _BIG,
    "DateTime": _MOMENT,
    "Date": _DAY,
    "Decimal": _AMOUNT,
    "JSON": _ANY,
}


def leaf_of(type_: GraphQLLeafType) -> Leaf | None:
    """Return what completes the usual values of a type; None where each is for the type to complete."""
    return _SCALARS.get(type_.name) if isinstance(type_, GraphQLScalarType) else _enum(type_)


def complete_by(type_: GraphQLLeafType) -> Callable[[Any], object]:
    """Return what completes any value of a type as graphql-core does, or raises."""
    coerce = type_.coerce_output_value

    def complete(value: Any) -> object:
        if value is None or value is Undefined or isinstance(value, Exception):
            raise Surprise
        completed = coerce(value)
        if completed is None or completed is Undefined:
            raise Surprise
        return completed

    return complete


def _enum(type_: GraphQLEnumType) -> Leaf | None:
    members = cast("type[Enum] | None", getattr(type_, "wrapped_cls", None))  # Strawberry's enums know their class
    if members is None:
        return None
    kind, names = f"E_{type_.name}", f"N_{type_.name}"
    found = {member.name: type_.coerce_output_value(member) for member in members}
    return Leaf(f"type({{first}}) is {kind}", f"{names}[{{v}}._name_]", names={kind: members, names: found})
