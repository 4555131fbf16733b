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


async def fetch_columns(connection: Connection, query: str, *args: object, **kinds: Kind) -> Columns:
    """Return a statement's rows as columns, by name and in the order of its select list.

    No value may be null: the statement puts something in its place. Times come as microseconds since 1970 (UTC).
    """
    output = io.BytesIO()
    await connection.copy_from_query(query, *args, output=output, format="binary")
    rows = np.frombuffer(output.getbuffer()[_HEADER:-_TRAILER], dtype=_row_type(kinds))
    return {name: _native(rows[name], kind) for name, kind in kinds.items()}


def _row_type(kinds: Mapping[str, Kind]) -> np.dtype[np.void]:
    """Return the layout of a row: the number of its values, then each value after its length."""
    fields = [("", ">i2")]
    for name, kind in kinds.items():
        fields += [("", ">i4"), (name, _WIDTHS[kind])]
    return np.dtype(fields)


def _native(column: Column, kind: Kind) -> Column:
    if kind == "float":
        return column.astype(np.float64)
    return column.astype(np.int64) + (EPOCH_MICROS if kind == "time" else 0)
