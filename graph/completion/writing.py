"""Writes, in Python, the functions that complete what one operation selects.

One function an object of the selection takes the row (or the branch that stands for it) and returns a dict in the
selection's order. Leaves are put in as they are where they are of the expected kind. A function returns what
graphql-core would, or raises: it never judges.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

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
from graph.scalars import Amount, write_micros
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
            "Branch": Branch,
        }
        self._written: dict[object, str] = {}
        self._fields = 0
        self._values = 0

    def compiled(self) -> Complete:
        """Return the root's function."""
        code = compile("\n".join(self._lines), "<operation>", "exec")
        exec(code, self._names)  # noqa: S102  # names and numbers made here; texts of the operation only as literals
        return self._names["complete"]

    def write_root(self) -> None:
        """Write the function of the operation's root."""
        root = self._selections.schema.get_root_type(self._selections.operation.operation)
        members: list[str] = []
        for selected in self._selections.roots():
            loaded = f"values[{selected.key!r}]"
            members.append(f"{selected.key!r}: {self._value(cast('GraphQLObjectType', root), selected, loaded)}")
        self._lines += ["def complete(values):", f"    return {{{', '.join(members)}}}"]

    def _object(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> str:
        """Write the function of an object; return its name."""
        if type_.is_type_of is not None:
            raise NotCompiled
        selected = self._selections.below(type_, details)
        same = (type_.name, *((one.key, *(id(detail.node) for detail in one.details)) for one in selected))
        if same not in self._written:  # the same fields of the same fragments, in another place
            self._written[same] = self._write_object(type_, selected)
        return self._written[same]

    def _write_object(self, type_: GraphQLObjectType, selected: Sequence[Selected]) -> str:
        self._count(len(selected))
        branching = any(LOADED in one.field.extensions for one in selected)
        sources = _Sources("row" if branching else "value", self._names)
        members = [f"{one.key!r}: {self._value(type_, one, sources.of(one))}" for one in selected]
        name = self._new("object")
        self._lines += [f"def {name}(value):", *_head(branching=branching), *sources.lines()]
        self._lines += [f"    return {{{', '.join(members)}}}"]
        return name

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
        return self._call(self._object(inner, details), source, nullable=nullable)

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

    def _call(self, function: str, source: str, *, nullable: bool) -> str:
        if not nullable:
            return f"{function}({source})"
        value = self._new("v")
        return f"(None if ({value} := {source}) is None else {function}({value}))"

    def _count(self, fields: int) -> None:
        self._fields += fields
        if self._fields > MOST_FIELDS:
            raise NotCompiled

    def _new(self, kind: str) -> str:
        self._values += 1
        return f"{kind}{self._values}"


class _Sources:
    """Where an object's fields are read, each as an expression over its function's locals."""

    def __init__(self, row: str, names: dict[str, Any]) -> None:
        self._row = row
        self._names = names
        self._parts: Counter[str] = Counter()

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

    def lines(self) -> list[str]:
        """Return the assignments that the expressions rest on."""
        return [f"    {_local(owner)} = {self._row}.{owner}" for owner in self._parts]

    def _owner(self, owner: str) -> str:
        if not owner:
            return self._row
        self._parts[owner] += 1
        return _local(owner)

    def _called(self, read: object) -> str:
        name = f"read_{len(self._names)}"
        self._names[name] = read
        return f"{name}({self._row})"


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


_Written = (Identified, Amount)
"""Readers whose leaves are written from what they read, without the value in between."""


def _text(read: Identified | Amount, attribute: str) -> str:
    return f"write_micros({attribute})" if isinstance(read, Amount) else f"f'{read.kind}_{{{attribute}}}'"


def _local(owner: str) -> str:
    return "of_" + owner.replace(".", "_")


def _surprised() -> object:
    raise Surprise
