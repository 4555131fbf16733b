"""Writes, in Python, the functions that complete what one operation selects.

An object of the selection is a dict display in the selection's order: in a function of its own that takes the branch or
the row, or in its parent's where the row alone says everything. Leaves are put in as they are where they are of the
expected kind. A function returns what graphql-core would, or raises: it never judges.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

import orjson
from graphql import (
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    TypeNameMetaFieldDef,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails

from graph.completion.leaves import Surprise, complete_by, leaf_of
from graph.identifiers import Identified
from graph.scalars import Amount, Passed, write_micros
from graph.selection import LOADED, READER, Selected, Selections
from graph.trees import Branch

MOST_FIELDS = 2_000
"""An operation that selects more is left to graphql-core."""

type Complete = Callable[[Mapping[str, Any]], dict[str, object]]
"""Returns an operation's data, given the loaded values of its root fields by response name; or raises."""


class NotCompiled(Exception):
    """The operation asks for something that only graphql-core answers."""


def compile_completion(selections: Selections) -> Complete:
    """Return what completes an operation's loaded values. Raises NotCompiled where it cannot be compiled."""
    writer = _Writer(selections)
    writer.write_root()
    return writer.compiled()


class _Writer:
    def __init__(self, selections: Selections) -> None:
        self._selections = selections
        self._lines: list[str] = []
        self._names: dict[str, Any] = {
            "Surprise": Surprise,
            "surprised": _surprised,
            "write_micros": write_micros,
            "Fragment": orjson.Fragment,
            "Branch": Branch,
        }
        self._written: dict[object, str] = {}
        self._seen: set[object] = set()
        self._fields = 0
        self._values = 0

    def compiled(self) -> Complete:
        """Return the root's function."""
        code = compile("\n".join(self._lines), "<operation>", "exec")
        exec(code, self._names)  # noqa: S102  # names and numbers made here; texts of the operation only as literals
        return self._names["complete"]

    def write_root(self) -> None:
        """Write the function of the operation's root."""
        operation = self._selections.operation.operation
        root = cast("GraphQLObjectType", self._selections.schema.get_root_type(operation))
        members = [
            f"{selected.key!r}: {self._value(root, selected, f'values[{selected.key!r}]')}"
            for selected in self._selections.roots()
        ]
        self._lines += ["def complete(values):", f"    return {{{', '.join(members)}}}"]

    def _object(self, type_: GraphQLObjectType, details: list[FieldDetails], source: str, *, bound: bool) -> str:
        """Return the expression of an object that is not null. `bound` says that the source is a name."""
        if type_.is_type_of is not None:
            raise NotCompiled
        selected = self._selections.below(type_, details)
        same = (type_.name, *((one.key, *(id(detail.node) for detail in one.details)) for one in selected))
        if same not in self._seen and _is_plain(selected):
            self._seen.add(same)
            row = source if bound else self._new("r")
            first = source if bound else f"({row} := {source})"
            members = self._members(type_, selected, _Sources(self._names, row))
            return f"({members} if not isinstance({first}, Exception) else surprised())"
        if same not in self._written:  # the same fields of the same fragments, in another place
            self._written[same] = self._write_object(type_, selected)
        return f"{self._written[same]}({source})"

    def _write_object(self, type_: GraphQLObjectType, selected: Sequence[Selected]) -> str:
        branching = any(LOADED in one.field.extensions for one in selected)
        members = self._members(type_, selected, _Sources(self._names, "row" if branching else "value"))
        name = self._new("object")
        self._lines += [f"def {name}(value):", *_head(branching=branching), f"    return {members}"]
        return name

    def _members(self, type_: GraphQLObjectType, selected: Sequence[Selected], sources: "_Sources") -> str:
        self._count(len(selected))
        members = [f"{one.key!r}: {self._value(type_, one, sources.of(one))}" for one in selected]
        return f"{{{', '.join(members)}}}"

    def _value(self, parent: GraphQLObjectType, selected: Selected, source: str) -> str:
        field = selected.field
        if field is TypeNameMetaFieldDef:
            return repr(parent.name)
        if LOADED not in field.extensions and (READER not in field.extensions or field.args):
            raise NotCompiled
        if isinstance(field.extensions.get(READER), _Written):
            return source
        return self._completed(cast("Any", field).type, selected.details, source)

    def _completed(self, type_: Any, details: list[FieldDetails], source: str) -> str:
        """Return an expression that completes what `source` stands for."""
        nullable = not isinstance(type_, GraphQLNonNull)
        inner = type_ if nullable else cast("Any", type_).of_type
        if is_leaf_type(inner):
            return self._leaf(inner, source, nullable=nullable)
        if isinstance(inner, GraphQLList):
            return self._list(cast("Any", inner).of_type, details, source, nullable=nullable)
        if not isinstance(inner, GraphQLObjectType):
            raise NotCompiled
        if not nullable:
            return self._object(inner, details, source, bound=source.isidentifier())
        value = self._new("v")
        return f"(None if ({value} := {source}) is None else {self._object(inner, details, value, bound=True)})"

    def _leaf(self, type_: GraphQLLeafType, source: str, *, nullable: bool) -> str:
        value, leaf = self._new("v"), leaf_of(type_)
        other = f"complete_{type_.name}"
        self._names.setdefault(other, complete_by(type_))
        null = f"None if ({value} := {source}) is None else " if nullable else ""
        first = value if nullable else f"({value} := {source})"
        if leaf is None:
            return f"({null}{other}({first}))"
        self._names.update(leaf.names)
        usual = leaf.usual.format(first=first, v=value)
        return f"({null}{leaf.plain.format(v=value)} if {usual} else {other}({value}))"

    def _list(self, item: Any, details: list[FieldDetails], source: str, *, nullable: bool) -> str:
        value, each = self._new("v"), self._new("i")
        null = f"None if ({value} := {source}) is None else " if nullable else ""
        first = value if nullable else f"({value} := {source})"
        items = f"[{self._completed(item, details, each)} for {each} in {value}]"
        return f"({null}{items} if type({first}) is list or type({value}) is tuple else surprised())"

    def _count(self, fields: int) -> None:
        self._fields += fields
        if self._fields > MOST_FIELDS:
            raise NotCompiled

    def _new(self, kind: str) -> str:
        self._values += 1
        return f"{kind}{self._values}"


class _Sources:
    """Where an object's fields are read, each as an expression that is evaluated once, one after the other.

    The first that needs a part of the row takes it from there, for those that follow.
    """

    def __init__(self, names: dict[str, Any], row: str) -> None:
        self._names = names
        self._row = row
        self._parts: dict[str, str] = {}

    def of(self, selected: Selected) -> str:
        field = selected.field
        if LOADED in field.extensions:
            return f"ready[{selected.key!r}]"
        read = field.extensions.get(READER)
        path = _path(read)
        if path is None:
            return self._called(read)
        owner, _, name = path.rpartition(".")
        attribute = f"{self._owner(owner)}.{name}"
        return _text(read, attribute) if isinstance(read, _Written) else attribute

    def _owner(self, owner: str) -> str:
        if not owner:
            return self._row
        if owner not in self._parts:
            self._parts[owner] = f"{self._row}_{owner.replace('.', '_')}"
            return f"({self._parts[owner]} := {self._row}.{owner})"
        return self._parts[owner]

    def _called(self, read: object) -> str:
        name = f"read_{len(self._names)}"
        self._names[name] = read
        return f"{name}({self._row})"


def _is_plain(selected: Sequence[Selected]) -> bool:
    """Tell whether an object is but a row, and reading it fails where there is nothing in its place."""
    if any(LOADED in one.field.extensions for one in selected):
        return False
    return any(_path(one.field.extensions.get(READER)) is not None for one in selected)


def _head(*, branching: bool) -> list[str]:
    unusual = "type(value) is not Branch" if branching else "isinstance(value, Exception) or value is None"
    taken = ["    row, ready = value.row, value.ready"] if branching else []
    return [f"    if {unusual}:", "        raise Surprise", *taken]


def _path(read: object) -> str | None:
    """Return the attributes that a reader follows, where it does nothing else."""
    if isinstance(read, _Written):
        return read.path
    if not isinstance(read, attrgetter):
        return None
    names = read.__reduce__()[1]
    return names[0] if len(names) == 1 else None


_Written = (Identified, Amount, Passed)
"""Readers whose leaves are written from what they read, without the value in between."""


def _text(read: Identified | Amount | Passed, attribute: str) -> str:
    if isinstance(read, Identified):
        return f"f'{read.kind}_{{{attribute}}}'"
    return f"write_micros({attribute})" if isinstance(read, Amount) else f"Fragment(bytes({attribute}))"


def _surprised() -> object:
    raise Surprise
