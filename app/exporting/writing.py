"""Rows as CSV or Parquet, a part at a time: memory holds one page of rows, whatever their number."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from importlib import import_module
from typing import Any

import orjson

type Rows = Sequence[Mapping[str, Any]]


class FileFormat(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"


MEDIA_TYPES = {FileFormat.CSV: "text/csv; charset=utf-8", FileFormat.PARQUET: "application/vnd.apache.parquet"}

_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "text": lambda arrow: arrow.string(),
    "json": lambda arrow: arrow.string(),
    "time": lambda arrow: arrow.timestamp("us", tz="UTC"),
    "number": lambda arrow: arrow.float64(),
    "integer": lambda arrow: arrow.int64(),
    "boolean": lambda arrow: arrow.bool_(),
    "numbers": lambda arrow: arrow.list_(arrow.float64()),
}
_IN_CSV = {"numbers": "json"}
"""Kinds that a CSV cell cannot hold, and as what it holds them."""


async def write(
    pages: AsyncIterator[Rows], columns: Mapping[str, str], *, file_format: FileFormat
) -> AsyncGenerator[bytes]:
    """Yield a file of the pages' rows; without rows, a file with columns and nothing else."""
    kinds = columns if file_format is FileFormat.PARQUET else {n: _IN_CSV.get(k, k) for n, k in columns.items()}
    arrow: Any = import_module("pyarrow")  # not before a file is wanted: it takes a web process 40 MB
    schema = arrow.schema([(name, _TYPES[kind](arrow)) for name, kind in kinds.items()])
    sink = _Sink()
    writer = _WRITERS[file_format](arrow.PythonFile(sink, mode="w"), schema)

    def write_page(rows: Rows) -> None:
        writer.write_batch(arrow.record_batch(_columns(rows, kinds), schema=schema))

    async for rows in pages:
        await asyncio.to_thread(write_page, rows)
        yield sink.take()
    writer.close()
    yield sink.take()


class _Sink:
    """A file that is written to at one end and taken away at the other."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


_WRITERS: Mapping[FileFormat, Callable[[Any, Any], Any]] = {
    FileFormat.CSV: lambda sink, schema: import_module("pyarrow.csv").CSVWriter(sink, schema),
    FileFormat.PARQUET: lambda sink, schema: import_module("pyarrow.parquet").ParquetWriter(
        sink, schema, compression="zstd"
    ),
}


def _columns(rows: Rows, kinds: Mapping[str, str]) -> list[list[Any]]:
    return [[_cell(row[name], kind) for row in rows] for name, kind in kinds.items()]


def _cell(value: Any, kind: str) -> Any:
    return value if kind != "json" or value is None else orjson.dumps(value).decode()
