"""Variables: coerced at once where they are of the built-in scalars and as JSON has them, else by graphql-core."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, cast

from graphql import (
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    VariableDefinitionNode,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import get_variable_values

from graph.selection import Selections

type IsUsual = Callable[[Any], bool]


class Refused(Exception):
    """The variables are not what the operation takes: graphql-core says why."""


def _is_int(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


def _is_text(value: Any) -> bool:
    return type(value) is str


USUAL: Mapping[str, IsUsual] = {
    "Int": _is_int,
    "Float": lambda value: type(value) is float and isfinite(value),
    "String": _is_text,
    "ID": _is_text,
    "Boolean": lambda value: type(value) is bool,
}
"""By built-in scalar, which values of JSON are their own coerced form."""


class Coercion:
    """How one operation's variables are read."""

    def __init__(
        self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: dict[str, FragmentDetails]
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._definitions = [_definition(one) for one in operation.variable_definitions or ()]

    def read(self, given: Mapping[str, Any]) -> "Variables":
        """Return the variables of a request. Raises Refused where they are not what the operation takes."""
        coerced = self._at_once(given)
        return Variables(self, given, coerced) if coerced is not None else Variables(self, given)

    def select(self, given: Mapping[str, Any]) -> Selections:
        """Return the operation as graphql-core reads it with these variables. Raises Refused."""
        values = get_variable_values(self._schema, self._operation.variable_definitions or (), dict(given))
        if isinstance(values, list):
            raise Refused
        return Selections(self._schema, self._operation, self._fragments, values=values)

    def _at_once(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        coerced: dict[str, Any] = {}
        for name, is_usual, may_lack, may_be_null in self._definitions:
            if name not in given:
                if not may_lack:
                    return None
                continue
            value = coerced[name] = given[name]
            if not (may_be_null if value is None else is_usual(value)):
                return None
        return coerced


class Variables:
    """The variables of one request: `coerced`, and what graphql-core makes of them where it is asked."""

    __slots__ = ("_coercion", "_given", "_selections", "coerced")

    def __init__(self, coercion: Coercion, given: Mapping[str, Any], coerced: dict[str, Any] | None = None) -> None:
        self._coercion = coercion
        self._given = given
        self._selections = None if coerced is not None else coercion.select(given)
        self.coerced: Mapping[str, Any] = cast("Any", self._selections).values.coerced if coerced is None else coerced

    @property
    def selections(self) -> Selections:
        """Return the operation as graphql-core reads it."""
        if self._selections is None:
            self._selections = self._coercion.select(self._given)
        return self._selections


def _definition(node: VariableDefinitionNode) -> tuple[str, IsUsual, bool, bool]:
    """Return a variable's name, which values are usual, whether it may be left out, and whether it may be null."""
    type_: Any = node.type
    required = isinstance(type_, NonNullTypeNode)
    named = type_.type if required else type_
    is_usual = USUAL.get(getattr(getattr(named, "name", None), "value", ""), _never)
    return node.variable.name.value, is_usual, not required and node.default_value is None, not required


def _never(_value: object) -> bool:
    return False
