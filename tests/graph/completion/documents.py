"""Random documents over a schema, all valid: fields, aliases, arguments, fragments, directives, variables."""

from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_required_argument,
)
from hypothesis import strategies as st

LITERALS = {
    "Int": ("1", "20", "7"),
    "Float": ("0.5", "2", "1e-3"),
    "String": ('"a"', '""', '"é😀"'),
    "ID": ('"cmp_1"', '"some-key"', "7"),
    "Boolean": ("true", "false"),
    "DateTime": ('"2026-03-01T00:00:00Z"', '"2026-03-01T09:30:00+02:00"'),
    "Date": ('"2026-03-01"',),
    "Decimal": ('"12.50"', "3"),
    "BigInt": ("12",),
    "JSON": ("{a: 1}", '"text"'),
}
VALUES: dict[str, tuple[Any, ...]] = {
    "Int": (1, 20, 3.0),
    "Float": (0.5, 2),
    "String": ("a", "é😀"),
    "ID": ("cmp_1", 7),
    "Boolean": (True, False),
    "DateTime": ("2026-03-01T00:00:00Z",),
    "Date": ("2026-03-01",),
    "Decimal": ("12.50", 3),
    "BigInt": (12,),
    "JSON": ({"a": [1, None]}, "text"),
}


@dataclass
class Document:
    """What has been written of a document, and the values of its variables."""

    schema: GraphQLSchema
    draw: Any
    most_fields: int = 60
    definitions: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    fragments: list[tuple[str, GraphQLObjectType, str]] = field(default_factory=list)

    def text(self, kind: str, body: str) -> str:
        declared = ", ".join(f"${name}: {type_}" for name, type_ in self.definitions.items())
        fragments = " ".join(f"fragment {name} on {type_.name} {body}" for name, type_, body in self.fragments)
        return f"{kind} Random{f'({declared})' if declared else ''} {body} {fragments}"

    def selection(self, type_: GraphQLObjectType, depth: int) -> str:
        """Return a selection set of an object type."""
        parts = [self._part(type_, depth) for _ in range(self.draw(st.integers(1, 6)))]
        return f"{{ {' '.join(parts)} }}"

    def _part(self, type_: GraphQLObjectType, depth: int) -> str:
        kind = self.draw(st.sampled_from(["field"] * 8 + ["typename", "inline", "named", "again"]))
        if kind == "inline" and depth > 0:
            condition = self.draw(st.sampled_from(["", f"on {type_.name} "]))
            return f"... {condition}{self._directives()} {self.selection(type_, depth - 1)}"
        if kind == "named" and depth > 0:
            return f"...{self._new_fragment(type_, depth - 1)} {self._directives()}"
        if kind == "again" and (known := [name for name, of, _ in self.fragments if of is type_]):
            return f"...{self.draw(st.sampled_from(known))} {self._directives()}"
        if kind == "typename":
            return f"{self.draw(st.sampled_from(['', 'kind: ']))}__typename {self._directives()}"
        return self.field(type_, depth)

    def _new_fragment(self, type_: GraphQLObjectType, depth: int) -> str:
        body = self.selection(type_, depth)
        name = f"F{len(self.fragments)}"
        self.fragments.append((name, type_, body))
        return name

    def field(self, type_: GraphQLObjectType, depth: int, *, plain: bool = False) -> str:
        """Return a field of an object type, a plain one without directives: an alias always has the same arguments."""
        self.most_fields -= 1
        leaves = [name for name, one in type_.fields.items() if not isinstance(named(one), GraphQLObjectType)]
        deep = depth > 0 and self.most_fields > 0
        name = self.draw(st.sampled_from(list(type_.fields) if deep or not leaves else leaves))
        found = type_.fields[name]
        index = self.draw(st.integers(0, 2))
        alias = f"{name}_{index}: " if index else ""
        directives = "" if plain else self._directives()
        below = named(found)
        nested = self.selection(below, depth - 1) if isinstance(below, GraphQLObjectType) else ""
        return f"{alias}{name}{self._arguments(type_, name, found, index)} {directives} {nested}"

    def _arguments(self, type_: GraphQLObjectType, name: str, found: GraphQLField, index: int) -> str:
        given = [
            f"{argument}: {value}"
            for argument, one in found.args.items()
            if (value := self._argument(f"{type_.name}_{name}_{argument}_{index}", one)) is not None
        ]
        return f"({', '.join(given)})" if given else ""

    def _argument(self, key: str, argument: GraphQLArgument) -> str | None:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (self._new_argument(key, argument),)
        return known[0]

    @property
    def _known(self) -> dict[str, tuple[str | None]]:
        return self.__dict__.setdefault("known", {})

    def _new_argument(self, key: str, argument: GraphQLArgument) -> str | None:
        required = is_required_argument(argument)
        way = self.draw(st.sampled_from(["literal", "variable"] + ([] if required else ["none", "null", "unset"])))
        if way == "none":
            return None
        if way == "null":
            return None if isinstance(argument.type, GraphQLNonNull) else "null"
        if way == "literal":
            return self._literal(argument.type)
        return self._variable(key, argument.type, unset=way == "unset")

    def _variable(self, key: str, type_: Any, *, unset: bool = False) -> str:
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(inner, GraphQLList | GraphQLInputObjectType):
            return self._literal(type_)
        nullable = not isinstance(type_, GraphQLNonNull)
        self.definitions[key] = inner.name if nullable and self.draw(st.booleans()) else f"{inner.name}!"
        if self.definitions[key].endswith("!"):
            self.variables[key] = self.draw(st.sampled_from(values_of(inner)))
        elif not unset:
            self.variables[key] = self.draw(st.sampled_from([None, *values_of(inner)]))
        return f"${key}"

    def _literal(self, type_: Any) -> str:
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(inner, GraphQLList):
            return f"[{', '.join(self._literal(inner.of_type) for _ in range(self.draw(st.integers(0, 2))))}]"
        if isinstance(inner, GraphQLInputObjectType):
            return self._object(inner)
        if isinstance(inner, GraphQLEnumType):
            return self.draw(st.sampled_from(list(inner.values)))
        return self.draw(st.sampled_from(LITERALS[inner.name]))

    def _object(self, type_: GraphQLInputObjectType) -> str:
        parts = []
        for name, one in type_.fields.items():
            required = isinstance(one.type, GraphQLNonNull)
            if required or self.draw(st.integers(0, 3)) == 0:
                key = f"{type_.name}_{name}_{len(self.definitions)}"
                value = self._variable(key, one.type) if self.draw(st.booleans()) else self._literal(one.type)
                parts.append(f"{name}: {value}")
        return f"{{{', '.join(parts)}}}"

    def _directives(self) -> str:
        if self.draw(st.integers(0, 7)):
            return ""
        name = self.draw(st.sampled_from(["skip", "include"]))
        condition = self.draw(st.sampled_from(["true", "false", "$yes", "$no"]))
        if condition.startswith("$"):
            self.definitions[condition[1:]] = self.draw(st.sampled_from(["Boolean!", "Boolean! = true"]))
            self.variables[condition[1:]] = condition == "$yes"
        return f"@{name}(if: {condition})"


def named(found: GraphQLField) -> Any:
    return get_named_type(found.type)


def values_of(type_: Any) -> tuple[Any, ...]:
    return tuple(type_.values) if isinstance(type_, GraphQLEnumType) else VALUES[type_.name]


@dataclass(frozen=True)
class Written:
    """A document of one operation, its variables' values, and whether it has one root field and no more."""

    text: str
    variables: dict[str, Any]
    single: bool


@st.composite
def documents(draw: Any, schema: GraphQLSchema) -> Written:
    """Return a random document."""
    document = Document(schema, draw)
    way = draw(st.sampled_from(["subscription", "field", "field", "fields"]))
    if way == "subscription":
        root = f"{{ {document.field(schema.subscription_type, 5, plain=True)} }}"
        return Written(document.text("subscription", root), document.variables, single=True)
    if way == "field":
        root = f"{{ {document.field(schema.query_type, 6)} }}"
        return Written(document.text("query", root), document.variables, single=True)
    return Written(document.text("query", document.selection(schema.query_type, 6)), document.variables, single=False)
