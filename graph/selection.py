"""What an operation asks of one field and of everything below it, found before anything is loaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    get_argument_values,
    get_named_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_subfields

from graph.fields import Relation

LOADED = "winnow-loaded"


def named_type(field: GraphQLField) -> GraphQLNamedType:
    """Return what a field leads to, out of its lists and non-nulls."""
    return get_named_type(field.type)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # untyped lists


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the schema knows of a loaded field.

    `below` is the type of the objects it leads to where that has loaded fields of its own; `convert` makes the loader's
    arguments of GraphQL's.
    """

    relation: Relation
    convert: Callable[[dict[str, Any]], dict[str, Any]]
    below: GraphQLObjectType | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A loaded field as asked for in one place: under which response name, with which arguments, and what below it."""

    key: str
    relation: Relation
    arguments: Mapping[str, object]
    branches: bool
    below: Sequence["Asked"]


class Selection:
    """Reads what is asked below a field the way graphql-core will: fragments, @skip, @include, variables, aliases."""

    def __init__(self, info: GraphQLResolveInfo[Any]) -> None:
        self._info = info
        self._fragments = {name: FragmentDetails(definition) for name, definition in info.fragments.items()}

    def field(self, arguments: dict[str, Any]) -> Asked:
        """Return what is asked of the field that is being resolved."""
        info = self._info
        details = [FieldDetails(node, None) for node in info.field_nodes]
        field = info.schema.get_field(info.parent_type, info.field_name)
        loaded = cast("Loaded", cast("GraphQLField", field).extensions[LOADED])
        return self._asked(str(info.path.key), loaded, details, arguments=arguments)

    def _asked(self, key: str, loaded: Loaded, details: list[FieldDetails], *, arguments: dict[str, Any]) -> Asked:
        below = () if loaded.below is None else self._below(loaded.below, details)
        return Asked(key, loaded.relation, loaded.convert(arguments), loaded.below is not None, below)

    def _below(self, parent: GraphQLObjectType, details: list[FieldDetails]) -> Sequence[Asked]:
        info = self._info
        collected = collect_subfields(
            info.schema, self._fragments, info.variable_values, info.operation, parent, details
        )
        fields = ((key, found, self._definition(parent, found)) for key, found in collected.grouped_field_set.items())
        return [
            self._asked(key, field.extensions[LOADED], found, arguments=self._arguments(field, found))
            for key, found, field in fields
            if field is not None and LOADED in field.extensions
        ]

    def _definition(self, parent: GraphQLObjectType, details: list[FieldDetails]) -> GraphQLField | None:
        return self._info.schema.get_field(parent, details[0].node.name.value)

    def _arguments(self, field: GraphQLField, details: list[FieldDetails]) -> dict[str, Any]:
        first = details[0]
        if not field.args:
            return {}
        return get_argument_values(field, first.node, self._info.variable_values, first.fragment_variable_values)
