"""Made-up rows for any schema of ours, some of them flawed: errors, nulls where none may be, values of other kinds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from operator import attrgetter
from random import Random
from types import SimpleNamespace
from typing import Any

from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, Undefined

from app.errors import DomainErrors, InvalidInput, NotFound
from graph.fields import Along
from graph.identifiers import Identified
from graph.scalars import Amount
from graph.schema import GraphSchema, _reader
from graph.selection import LOADED, READER


class Speaking(NotFound):
    """An error that has whatever attribute a row may have."""

    def __getattr__(self, name: str) -> Any:
        # graphql-core asks an error for these
        if name.startswith("__") or name in {"nodes", "source", "positions", "extensions"}:
            raise AttributeError(name)
        return "said"


FAULTS: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: Undefined,
    lambda: NotFound("Gone: look elsewhere."),
    lambda: DomainErrors([InvalidInput("Bad: do better.", path=("x",)), NotFound("Gone.")]),
    lambda: ZeroDivisionError("secret"),
    lambda: Speaking("Gone: look elsewhere."),
    lambda: "text",
    lambda: 7,
    lambda: True,
    lambda: 2**40,
    lambda: 2**70,
    lambda: 1.0,
    lambda: float("nan"),
    lambda: float("inf"),
    object,
    list,
    dict,
    lambda: (1, None),
    lambda: Decimal("NaN"),
    lambda: datetime(2026, 1, 1),  # noqa: DTZ001  # naive on purpose
    SimpleNamespace,
)
OWN_FAULTS: dict[str, tuple[Any, ...]] = {
    "Float": (float("nan"), float("inf"), True, "1.5", Decimal("1.5")),
    "Int": (2**31, -(2**31) - 1, 1.5, False, "7"),
    "Boolean": (0, 2, 0.0, float("nan"), "true"),
    "String": (1, 1.5, float("inf"), True, b"bytes"),
    "ID": (1.5, True, float("nan"), b"bytes"),
    "BigInt": (1.5, True, "7", float("nan")),
    "DateTime": (date(2026, 3, 1), datetime(2026, 3, 1), "2026-03-01"),  # noqa: DTZ001  # naive on purpose
    "Date": ("2026-03-01", 7),
    "Decimal": (Decimal("Infinity"), Decimal("1E+40"), 12, "12.50"),
    "JSON": (object(), {1: 2}, float("nan")),
    "GraphQLObjectType": (Speaking("Gone: look elsewhere."), None),
}
"""What a value may wrongly be, by scalar or kind of type."""
LEAVES: dict[str, tuple[Any, ...]] = {
    "String": ("", "text", "é😀", 'a\nb"c\\', "x" * 300),
    "ID": ("id", "é", 7),
    "Int": (0, -1, 2**31 - 1, -(2**31), 3.0, True),
    "Float": (0.0, -0.0, 1.5, 1e300, 5e-324, 3, 0.1),
    "Boolean": (True, False, 1),
    "BigInt": (0, 2**53, -5, 2**31),
    "Date": (date(2026, 3, 1), date(1, 1, 1), datetime(2026, 3, 1, tzinfo=UTC)),
    "DateTime": (
        datetime(2026, 3, 1, 9, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 1, 9, 0, 0, 120, tzinfo=UTC),
        datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ),
    "Decimal": (Decimal("12.5"), Decimal("0.005"), Decimal("-1E+3"), Decimal(0), Decimal("123456789012.345")),
    "JSON": ({"a": [1, None, {"b": 2.5}]}, [1], "text", 0, False),
}


MICROS = (0, 1, 5_000, -5_000, 15_000, -15_000, 25_000, 12_345_678, -4_999, 10**18, -(10**18) - 1)


class Maker:
    """Makes the rows of one run: the same seed, place and arguments give the same rows."""

    def __init__(self, seed: int, flaws: float, *, kind: str = "") -> None:
        """Flaw a share of the values, of all types or of one kind."""
        self.seed = seed
        self.flaws = flaws
        self._kind = kind

    def value(self, type_: Any, place: str) -> Any:
        """Return what a field of this type may hold."""
        random = Random(f"{self.seed}/{place}")
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if random.random() < self.flaws and self._kind in {"", kind_of(inner)}:
            own = OWN_FAULTS.get(kind_of(inner))
            return random.choice(own) if own and random.random() < 0.7 else random.choice(FAULTS)()
        if inner is type_ and random.random() < 0.2:
            return None
        if isinstance(inner, GraphQLList):
            items = [self.value(inner.of_type, f"{place}/{index}") for index in range(random.randrange(4))]
            return tuple(items) if random.random() < 0.2 else items
        if isinstance(inner, GraphQLObjectType):
            return self.row(inner, place)
        if isinstance(inner, GraphQLEnumType):
            return random.choice(list(inner.wrapped_cls))
        return random.choice(LEAVES[inner.name])

    def row(self, type_: GraphQLObjectType, place: str) -> Any:
        row = SimpleNamespace(place=place)
        for name, field in type_.fields.items():
            if LOADED not in field.extensions:
                set_path(row, path_of(name, field), self.read(field, f"{place}.{name}"))
        return row

    def read(self, field: Any, place: str) -> Any:
        reader = field.extensions[READER]
        random = Random(f"{self.seed}/{place}")
        if isinstance(reader, Identified):
            return random.choice((7, 8, 10**12))
        if isinstance(reader, Amount):
            return random.choice(MICROS) if random.random() >= self.flaws else random.choice((None, "x", 1.5, []))
        return self.value(field.type, place)


def kind_of(type_: Any) -> str:
    """Return a scalar's name, else what kind of type it is."""
    name = getattr(type_, "name", "")
    return name if name in LEAVES else type(type_).__name__


KINDS = (*LEAVES, "GraphQLObjectType", "GraphQLList", "CustomGraphQLEnumType")


def set_path(row: Any, path: str, value: Any) -> None:
    *owners, name = path.split(".")
    for owner in owners:
        row.__dict__.setdefault(owner, SimpleNamespace())
        row = getattr(row, owner)
    row.__dict__[name] = value


def path_of(name: str, field: Any) -> str:
    reader = field.extensions[READER]
    if isinstance(reader, Identified | Amount):
        return reader.path
    return reader.__reduce__()[1][0] if isinstance(reader, attrgetter) else f"read_{name}"


def serve(schema: GraphSchema, maker: Callable[[], Maker]) -> None:
    """Let a schema's loaders and readers take made-up rows."""
    core = schema.core
    for type_ in [one for one in core.type_map.values() if isinstance(one, GraphQLObjectType)]:
        for name, field in type_.fields.items():
            _serve_field(core, type_, name, field, maker)


def _serve_field(core: GraphQLSchema, type_: GraphQLObjectType, name: str, field: Any, maker: Any) -> None:
    if LOADED in field.extensions:
        loaded = field.extensions[LOADED]
        place = f"{type_.name}.{name}"
        along = None if loaded.relation.along is None else _along(place, field, maker)
        relation = replace(loaded.relation, load=_loader(place, field, maker), refused=None, along=along)
        field.extensions[LOADED] = replace(loaded, relation=relation)
    elif READER in field.extensions and path_of(name, field).startswith("read_"):
        read = field.extensions[READER] = _made(path_of(name, field))
        branching = any(LOADED in one.extensions for one in type_.fields.values())
        field.resolve = _reader(read, in_branch=branching)


def _made(path: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row, path)


def _about(name: str, arguments: Mapping[str, Any]) -> str:
    asked = sorted((key, sorted(value) if key == "wanted" else value) for key, value in arguments.items())
    return f"{name}({[one for one in asked if one[0] != 'parts']!r})"


def _along(name: str, field: Any, maker: Callable[[], Maker]) -> Along:
    """Let two in three fields be read along, and of these one in three not be there after all, or fail."""

    def part(**arguments: Any) -> str | None:
        about = _about(name, arguments)
        return about if Random(about).random() < 0.67 else None

    def take(_context: object, rows: Sequence[Any], part: str) -> Sequence[Any] | None:
        made = maker()
        chance = Random(f"{made.seed} {part}").random()
        if chance < made.flaws / 3:
            raise Speaking("Taken wrongly: look elsewhere.")
        if chance > 0.67:
            return None
        return [made.value(field.type, f"{getattr(row, 'place', '')}>{part}") for row in rows]

    return Along(part, take)


def _loader(name: str, field: Any, maker: Callable[[], Maker]) -> Any:
    async def load(_context: object, rows: Sequence[Any], **arguments: Any) -> Sequence[Any]:
        made, about = maker(), _about(name, arguments)
        whole = made.value(field.type, f"whole {about}")
        if isinstance(whole, Exception):
            raise whole
        values = [made.value(field.type, f"{getattr(row, 'place', '')}>{about}") for row in rows]
        return [*values, None] if whole == (1, None) else values

    return load
