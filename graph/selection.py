"""What an operation asks of one field and of everything below it, found before anything is loaded."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from graphql import (
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    get_argument_values,
    get_named_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields

from graph.fields import PARTS, WANTED, Parts, Relation, Wanted

LOADED = "winnow-loaded"
READER = "winnow-reader"


def named_type(field: GraphQLField) -> GraphQLNamedType:
    """Return what a field leads to, out of its lists and non-nulls."""
    return get_named_type(field.type)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # untyped lists


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the schema knows of a loaded field.

    `below` is the type of the objects it leads to where that has loaded fields of its own; `convert` makes the loader's
    arguments of GraphQL's, whose Python names are in `names`; `looks_ahead` says whether it is told what is selected
    below, `reads_along` whether it is told what could be read along.
    """

    relation: Relation
    convert: Callable[[dict[str, Any]], dict[str, Any]]
    below: GraphQLObjectType | None
    names: Mapping[str, str]
    looks_ahead: bool
    reads_along: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A loaded field as asked for in one place: under which response name, with which arguments, and what below it.

    `part` is what would spare it its loader, were it read along with the rows.
    """

    key: str
    relation: Relation
    arguments: Mapping[str, object]
    below: Sequence["Asked"]
    part: object | None


def asked(loaded: Loaded, key: str, arguments: Mapping[str, object], below: Sequence[Asked]) -> Asked:
    """Return what is asked of a field, whose loader is told what fields below would take along."""
    relation = loaded.relation
    ready = {**arguments, PARTS: _parts(below)} if loaded.reads_along else arguments
    return Asked(key, relation, ready, below, None if relation.along is None else relation.along.part(**ready))


def _parts(below: Sequence[Asked]) -> Parts:
    return tuple(dict.fromkeys(_parts_below(below)))


def _parts_below(below: Sequence[Asked]) -> Iterator[object]:
    for one in below:
        if one.part is not None:
            yield one.part
        elif one.relation.through:
            yield from _parts_below(one.below)


class Selected(NamedTuple):
    """A field of an object as it is asked for: the response name, the schema's field and every node that names it."""

    key: str
    field: GraphQLField
    details: list[FieldDetails]


class Selections:
    """Reads what is asked the way graphql-core will: fragments, @skip, @include, variables, aliases."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        *,
        values: Any,
    ) -> None:
        self.schema = schema
        self.operation = operation
        self.values = values
        self._fragments = fragments

    def roots(self) -> list[Selected]:
        """Return what is asked of the operation's root."""
        root = cast("GraphQLObjectType", self.schema.get_root_type(self.operation.operation))
        collected = collect_fields(self.schema, self._fragments, self.values, root, self.operation)
        return self._selected(root, collected.grouped_field_set)

    def below(self, parent: GraphQLObjectType, details: list[FieldDetails]) -> list[Selected]:
        """Return what is asked of an object of a type to which these nodes lead."""
        collected = collect_subfields(self.schema, self._fragments, self.values, self.operation, parent, details)
        return self._selected(parent, collected.grouped_field_set)

    def loaded_below(self, loaded: Loaded, details: list[FieldDetails]) -> Iterable[tuple[Selected, Loaded]]:
        """Return what is to be loaded for the objects to which a loaded field leads."""
        if loaded.below is not None:
            for selected in self.below(loaded.below, details):
                if LOADED in selected.field.extensions:
                    yield selected, cast("Loaded", selected.field.extensions[LOADED])

    def arguments(self, selected: Selected) -> dict[str, Any]:
        """Return a field's arguments."""
        first = selected.details[0]
        if not selected.field.args:
            return {}
        return get_argument_values(selected.field, first.node, self.values, first.fragment_variable_values)

    def wanted(self, selected: Selected) -> Wanted:
        """Return every field that is selected somewhere below."""
        found: dict[tuple[object, ...], list[str]] = {}
        self._want(selected, found)
        return frozenset(name for names in found.values() for name in names)

    def _want(self, selected: Selected, found: dict[tuple[object, ...], list[str]]) -> None:
        parent = named_type(selected.field)
        nodes = (parent.name, *(id(detail.node) for detail in selected.details))
        if nodes in found or not isinstance(parent, GraphQLObjectType):
            return
        below = self.below(parent, selected.details)
        found[nodes] = [f"{parent.name}.{one.details[0].node.name.value}" for one in below]
        for one in below:
            self._want(one, found)

    def _selected(self, parent: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]]) -> list[Selected]:
        found = (
            (key, self.schema.get_field(parent, details[0].node.name.value), details)
            for key, details in grouped.items()
        )
        return [Selected(key, field, details) for key, field, details in found if field is not None]


def details_of(fragments: Mapping[str, FragmentDefinitionNode]) -> dict[str, FragmentDetails]:
    """Return fragments as graphql-core collects from them."""
    return {name: FragmentDetails(definition) for name, definition in fragments.items()}


def asked_of(info: GraphQLResolveInfo[Any], arguments: dict[str, Any]) -> Asked:
    """Return what is asked of the field that is being resolved."""
    selections = Selections(info.schema, info.operation, details_of(info.fragments), values=info.variable_values)
    details = [FieldDetails(node, None) for node in info.field_nodes]
    field = cast("GraphQLField", info.schema.get_field(info.parent_type, info.field_name))
    return _asked(selections, Selected(str(info.path.key), field, details), field.extensions[LOADED], arguments)


def loader_arguments(
    selections: Selections, selected: Selected, loaded: Loaded, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Return what a loader is called with, given GraphQL's arguments."""
    converted = loaded.convert(arguments)
    return {**converted, WANTED: selections.wanted(selected)} if loaded.looks_ahead else converted


def _asked(selections: Selections, selected: Selected, loaded: Loaded, arguments: dict[str, Any]) -> Asked:
    below = [
        _asked(selections, one, of_one, selections.arguments(one))
        for one, of_one in selections.loaded_below(loaded, selected.details)
    ]
    return asked(loaded, selected.key, loader_arguments(selections, selected, loaded, arguments), below)
