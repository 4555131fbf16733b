"""What introspection costs: a list of the schema counts as often as it has entries, on average where `types` lists it.

Tools ask for all types with their fields once. Fields of fields, and the same again under other names, would come to
millions; there each list counts as its longest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    SelectionSetNode,
)

ROOTS = frozenset({"__schema", "__type"})
WRAPPED = 0.5
"""Of types, how many wrap another."""

type Length = Literal["mean", "longest"]


@dataclass(slots=True)
class IntrospectionCosts:
    """Counts what selections below `__schema` and `__type` may come to."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    known: dict[tuple[str, Length], float] = field(default_factory=dict[tuple[str, Length], float])

    def of(self, root: FieldNode) -> int:
        """Return what `__schema`, or `__type`, comes to."""
        return 1 + int(self._of_set(root.selection_set, "longest"))

    def _of_set(self, selections: SelectionSetNode | None, length: Length) -> float:
        return 0.0 if selections is None else sum(self._of_one(one, length) for one in selections.selections)

    def _of_one(self, selection: Any, length: Length) -> float:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value, length)
        if isinstance(selection, FieldNode):
            return self._of_field(selection, length)
        return self._of_set(selection.selection_set, length)

    def _of_field(self, node: FieldNode, length: Length) -> float:
        name = node.name.value
        entries = _lengths(self.schema)[length].get(name, 1.0)
        below: Length = "mean" if name == "types" else "longest" if name in {"type", "ofType"} else length
        return 1 + entries * self._of_set(node.selection_set, below)

    def _of_fragment(self, name: str, length: Length) -> float:
        key = (name, length)
        if key not in self.known:
            self.known[key] = self._of_set(self.fragments[name].selection_set, length)
        return self.known[key]


@lru_cache(maxsize=4)
def _lengths(schema: GraphQLSchema) -> Mapping[Length, Mapping[str, float]]:
    """Return how many entries each list of introspection has: on average over all types, and at most."""
    types = schema.type_map.values()
    counts = {
        "fields": [_size(one, "fields", GraphQLObjectType, GraphQLInterfaceType) for one in types],
        "inputFields": [_size(one, "fields", GraphQLInputObjectType) for one in types],
        "enumValues": [_size(one, "values", GraphQLEnumType) for one in types],
        "possibleTypes": [_size(one, "types", GraphQLUnionType) for one in types],
        "interfaces": [_size(one, "interfaces", GraphQLObjectType, GraphQLInterfaceType) for one in types],
        "args": list(_arguments(types)),
    }
    every = {"types": float(len(types)), "directives": float(len(schema.directives)), "ofType": WRAPPED}
    return {
        "mean": every | {name: sum(sizes) / len(sizes) for name, sizes in counts.items()},
        "longest": every | {name: float(max(sizes)) for name, sizes in counts.items()},
    }


def _size(type_: GraphQLNamedType, attribute: str, *kinds: type[GraphQLNamedType]) -> int:
    return len(getattr(type_, attribute)) if isinstance(type_, kinds) else 0


def _arguments(types: Iterable[GraphQLNamedType]) -> Iterable[int]:
    objects = (one for one in types if isinstance(one, GraphQLObjectType))
    return (len(one.args) for one in chain.from_iterable(type_.fields.values() for type_ in objects))
