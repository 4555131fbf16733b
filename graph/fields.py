"""How a type's fields are declared: read from the row behind it, or loaded for many rows at once.

A type's class says what clients see; its instances are never made. The row behind an object is whatever a use case
returned. A `reading` takes its value from that row. A `related` field is answered by a loader, an async function of the
context and all rows of one place in the tree, which returns one value a row; its keyword-only parameters are the
field's arguments. Two are none of them: `wanted` gets what the operation selects below, so that a loader may leave out
what nobody asks for, and `parts` what fields below would take along with the rows. See `graph.trees` for when loaders
run.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from app.auth.principals import Permission

type Read = Callable[[Any], object]
type Load = Callable[..., Awaitable[Sequence[object]]]
type Refused = Callable[[Exception], object]

type Wanted = frozenset[str]
"""Every field selected somewhere below a place, as `Type.field` in the schema's names.
"""

type Parts = tuple[Any, ...]
"""What fields of the objects that a loader leads to would take along: see `Along`."""

READ = "winnow-read"
RELATION = "winnow-relation"
WANTED = "wanted"
PARTS = "parts"
REMEMBERED = 1_000
"""Selections of which what they need is remembered: they are made with their operations, and come again."""


@dataclass(frozen=True, slots=True)
class Along:
    """How a field is spared its loader: by what the rows' own loader has read along with them.

    `part` says what that is, given the field's arguments as its loader gets them; None where they ask for something
    that is not read so. `take`, of the context, the rows and the part, returns what the loader would; None where not
    all rows came with it.
    """

    part: Callable[..., object | None]
    take: Callable[[Any, Sequence[Any], Any], Sequence[object] | None]


@dataclass(slots=True)
class Relation:
    """How a field is loaded, who may ask for it, and how many objects it may come to.

    `refused` makes an answer of an error that clients get as data (a mutation's payload); None leaves it an error.
    `through` says that it is taken from the row, without waiting for anything.
    """

    permission: Permission | None
    size: int
    load: Load | None = None
    refused: Refused | None = None
    current: bool = False
    along: Along | None = None
    through: bool = False

    @property
    def arguments(self) -> list[StrawberryArgument]:
        """Return the field's arguments: the loader's keyword-only parameters."""
        return [] if self.load is None else _arguments(self.load)

    def takes(self, parameter: str) -> bool:
        """Tell whether the loader has a parameter of this name."""
        return self.load is not None and parameter in inspect.signature(self.load).parameters


class RelationField(StrawberryField):
    """A field whose arguments are its loader's."""

    @property
    def arguments(self) -> list[StrawberryArgument]:  # pyright: ignore[reportIncompatibleMethodOverride]  # never set
        """Return the loader's keyword-only parameters."""
        return cast("Relation", self.metadata[RELATION]).arguments


def reading(description: str, read: Read | None = None) -> Any:
    """Declare a field read from the row: by `read`, or the attribute of the same name."""
    return strawberry.field(description=description, metadata={READ: read})


def related(
    description: str,
    *,
    permission: Permission | None = None,
    size: int = 1,
    through: Read | None = None,
    refused: Refused | None = None,
    current: bool = False,
) -> Any:
    """Declare a field answered by a loader: the one registered by `loads`, or what `through` takes from each row.

    `size` is how many objects to reckon with where no argument `first` says so. `current` says of a query that its
    answer may not be old: no read replica is asked.
    """
    load = None if through is None else _each(through)
    relation = Relation(permission, size, load, refused, current, through=through is not None)
    return RelationField(description=description, metadata={RELATION: relation})


def loads[L: Load](owner: type, name: str, *, along: Along | None = None) -> Callable[[L], L]:
    """Register the loader of a related field, named as in Python, and what may spare calling it."""

    def register(load: L) -> L:
        relation = relation_of(owner, name)
        relation.load, relation.along = load, along
        return load

    return register


def answers[A: Callable[..., Awaitable[object]]](owner: type, name: str) -> Callable[[A], A]:
    """Register what answers a field of a root type: a function of the context and the arguments, for one value."""

    def register(answer: A) -> A:
        relation_of(owner, name).load = _for_root(answer)
        return answer

    return register


def extend(owner: type, name: str, annotation: object, field: RelationField) -> None:
    """Add a related field to a type of another domain, which need not know of this one."""
    field.python_name = name
    field.name = name
    field.type_annotation = StrawberryAnnotation(annotation)
    field.origin = owner
    get_object_definition(owner, strict=True).fields.append(field)


def relation_of(owner: type, name: str) -> Relation:
    """Return the relation declared as `name` in a type."""
    fields = get_object_definition(owner, strict=True).fields
    return next(field.metadata[RELATION] for field in fields if field.python_name == name)


def _each(read: Read) -> Load:
    async def load(_context: object, rows: Sequence[object]) -> Sequence[object]:
        return [read(row) for row in rows]

    return load


def _for_root(answer: Callable[..., Awaitable[object]]) -> Load:
    async def load(context: object, _roots: Sequence[object], **arguments: object) -> Sequence[object]:
        return [await answer(context, **arguments)]

    load.__wrapped__ = answer  # pyright: ignore[reportFunctionMemberAccess]  # inspect.signature follows it
    return load


def _arguments(load: Load) -> list[StrawberryArgument]:
    namespace = sys.modules[inspect.unwrap(load).__module__].__dict__
    parameters = inspect.signature(load).parameters.values()
    named = [one for one in parameters if one.kind is one.KEYWORD_ONLY and one.name not in (WANTED, PARTS)]
    return [_argument(parameter, namespace) for parameter in named]


def _argument(parameter: inspect.Parameter, namespace: dict[str, Any]) -> StrawberryArgument:
    default = UNSET if parameter.default in {None, parameter.empty} else parameter.default
    annotation = StrawberryAnnotation(parameter.annotation, namespace=namespace)
    return StrawberryArgument(parameter.name, None, annotation, default=default)
