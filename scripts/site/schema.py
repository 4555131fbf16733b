"""Reference pages of the graph, from its schema: every type and field with its description, linked to each other."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
)

KINDS: Mapping[str, tuple[str, tuple[type[GraphQLNamedType], ...]]] = {
    "objects": ("Objects", (GraphQLObjectType,)),
    "inputs": ("Inputs", (GraphQLInputObjectType,)),
    "enums": ("Enumerations", (GraphQLEnumType,)),
    "others": ("Interfaces, unions and scalars", (GraphQLInterfaceType, GraphQLUnionType, GraphQLScalarType)),
}
WORD = re.compile(r"\w+")


def pages(schema_file: Path) -> dict[str, tuple[str, str]]:
    """Return title and text of each page, by its file name without ending."""
    schema = build_schema(schema_file.read_text())
    roots = {"queries": schema.query_type, "mutations": schema.mutation_type, "subscriptions": schema.subscription_type}
    types = {name: kind for name, kind in sorted(schema.type_map.items()) if not name.startswith("__")}
    where = {name: page for name, kind in types.items() if (page := _page_of(schema, kind))}
    made = {
        name: (name.capitalize(), f"# {name.capitalize()}\n" + "\n".join(_fields(root, where)) + "\n")
        for name, root in roots.items()
        if root
    }
    for page, (title, _classes) in KINDS.items():
        parts = [part for name, at in where.items() if at == page for part in _type(types[name], where)]
        made[page] = (title, f"# {title}\n" + "\n".join(parts) + "\n")
    return made


def _page_of(schema: GraphQLSchema, kind: GraphQLNamedType) -> str | None:
    if kind in (schema.query_type, schema.mutation_type, schema.subscription_type):
        return None
    return next(page for page, (_title, classes) in KINDS.items() if isinstance(kind, classes))


def _type(kind: GraphQLNamedType, where: Mapping[str, str]) -> Iterator[str]:
    yield f"\n## {kind.name} {{ #{kind.name} }}\n\n{_text(kind.description)}\n"
    if isinstance(kind, GraphQLEnumType):
        yield from (f"- `{name}` {_text(value.description)}" for name, value in kind.values.items())
    elif isinstance(kind, GraphQLUnionType):
        yield "One of " + ", ".join(_linked(each.name, where) for each in kind.types) + "."
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        interfaces = getattr(kind, "interfaces", ())
        if interfaces:
            yield "Implements " + ", ".join(_linked(each.name, where) for each in interfaces) + ".\n"
        yield from (_entry(name, field, where) for name, field in kind.fields.items())


def _fields(root: GraphQLObjectType, where: Mapping[str, str]) -> Iterator[str]:
    for name, field in sorted(root.fields.items()):
        yield f"\n## {name} {{ #{name} }}\n\n{_text(field.description)}\n"
        yield f"Returns {_linked(str(field.type), where)}.\n"
        yield from (_entry(given, argument, where) for given, argument in field.args.items())


def _entry(name: str, field: GraphQLField | GraphQLInputField | GraphQLArgument, where: Mapping[str, str]) -> str:
    arguments = getattr(field, "args", {})
    given = ", ".join(f"`{each}`: {_linked(str(one.type), where)}" for each, one in arguments.items())
    old = f" **Deprecated**: {_text(field.deprecation_reason)}" if field.deprecation_reason else ""
    called = f"- `{name}`{f' ({given})' if given else ''}"
    return f"{called}: {_linked(str(field.type), where)}. {_text(field.description)}{old}"


def _linked(written: str, where: Mapping[str, str]) -> str:
    """Return a type as it is written in the schema, its name a link."""
    return WORD.sub(lambda name: f"[{name[0]}]({where[name[0]]}.md#{name[0]})", written)


def _text(description: str | None) -> str:
    return " ".join((description or "").split()).replace("<", "&lt;")
