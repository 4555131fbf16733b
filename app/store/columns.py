"""Many rows of one statement as columns of numpy: PostgreSQL's binary form, a fixed width a row, no object a value."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.store.database import Connection

type Kind = Literal["bigint", "smallint", "float", "time"]
type Column = NDArray[Any]
type Columns = dict[str, Column]

EPOCH_MICROS = 946_684_800_000_000
"""PostgreSQL counts from 2000, everybody else from 1970."""

_WIDTHS: Mapping[Kind, str] = {"bigint": ">i8", "smallint": ">i2", "float": ">f8", "time": ">i8"}
_HEADER, _TRAILER = 19, 2
_COUNT = "number of values"


async def fetch_columns(connection: Connection, query: str, *args: object, **kinds: Kind) -> Columns:
    """Return a statement's rows as columns, by name and in the order of its select list.

    No value may be null: the statement puts something in its place. Times come as microseconds since 1970 (UTC).
    """
    output = io.BytesIO()
    await connection.copy_from_query(query, *args, output=output, format="binary")
    rows = _rows(output.getvalue(), kinds)
    return {name: _native(rows[name], kind) for name, kind in kinds.items()}


def _rows(content: bytes, kinds: Mapping[str, Kind]) -> Column:
    """Return the rows; a null, which takes less room, would put all after it in the wrong place."""
    layout = _row_type(kinds)
    if (len(content) - _HEADER - _TRAILER) % layout.itemsize:
        raise ValueError("A statement's values are not of the widths that were said: none may be null.")
    rows = np.frombuffer(content, dtype=layout, offset=_HEADER, count=(len(content) - _HEADER) // layout.itemsize)
    if not (rows[_COUNT] == len(kinds)).all():
        raise ValueError("A statement's rows have other columns than were said: none of their values may be null.")
    return rows


def _row_type(kinds: Mapping[str, Kind]) -> np.dtype[np.void]:
    """Return the layout of a row: the number of its values, then each value after its length."""
    fields = [(_COUNT, ">i2")]
    for name, kind in kinds.items():
        fields += [("", ">i4"), (name, _WIDTHS[kind])]
    return np.dtype(fields)


def _native(column: Column, kind: Kind) -> Column:
    if kind == "float":
        return column.astype(np.float64)
    return column.astype(np.int64) + (EPOCH_MICROS if kind == "time" else 0)
