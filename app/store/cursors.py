"""Opaque places in a list: its order, the value there and the row's id; a page starts after one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast, overload

import msgspec
from msgspec import Struct

from app.errors import InvalidInput

MOST = 100
LARGEST_ID = 2**63 - 1

type CursorValue = str | float | datetime | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list ordered by `order`."""

    order: str
    value: CursorValue
    id: int

    def __str__(self) -> str:
        """Return the cursor as clients keep it."""
        return urlsafe_b64encode(msgspec.json.encode((self.order, self.value, self.id))).decode().rstrip("=")


class Placed(Protocol):
    """A row with an `order_value` and an `id`."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column."""
        ...


def _placed(row: Placed) -> tuple[CursorValue, int]:
    return row["order_value"], row["id"]


class Cursors[Row](Sequence[str]):
    """The cursors of a list's rows, written when they are looked at: few clients ask for any.

    `place` returns what a row is ordered by, and its id.
    """

    def __init__(
        self, order: str, rows: Sequence[Row], place: Callable[[Row], tuple[CursorValue, int]] = _placed
    ) -> None:
        self._order = order
        self._rows = rows
        self._place = place

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return a row's cursor."""
        if isinstance(index, slice):
            return Cursors(self._order, self._rows[index], self._place)
        return str(Cursor(self._order, *self._place(self._rows[index])))

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cursors) and list(self) == list(cast("Cursors[Any]", other))

    def __hash__(self) -> int:
        return hash(tuple(self))


class Page[Row](Struct, frozen=True, gc=False, kw_only=True):
    """A stretch of a list: its rows, an opaque cursor for each, and whether more lie on either side."""

    rows: tuple[Row, ...]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


def check_first(first: int) -> None:
    """Raise InvalidInput unless a page has 0 to 100 rows."""
    if not 0 <= first <= MOST:
        raise InvalidInput(f"Ask for 0 to {MOST} at a time.", path=("first",))


def read_cursor(text: str, *, order: str, kind: type[CursorValue] | None = None) -> Cursor:
    """Return a cursor of a list in this order, whose values are of this kind or None; InvalidInput for any other."""
    try:
        named, value, id_ = msgspec.json.decode(_decoded(text), type=_FORM)
        cursor = Cursor(named, _value(value, kind), id_)
    except (ValueError, Error, msgspec.MsgspecError) as error:
        raise _foreign() from error
    if named != order or not 0 < id_ <= LARGEST_ID:
        raise _foreign()
    return cursor


_FORM = tuple[str, str | float | None, int]


def _foreign() -> InvalidInput:
    return InvalidInput("The cursor is not one of this list in this order: start again without it.", path=("after",))


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _value(value: str | float | None, kind: type[CursorValue] | None) -> CursorValue:
    if value is None:
        return None
    if kind is None or (isinstance(value, str) and not askable(value)):
        raise ValueError(value)
    return msgspec.convert(value, kind)


def askable(text: str) -> bool:
    """Tell whether PostgreSQL can hold this text: no NUL, no half of a surrogate pair."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
