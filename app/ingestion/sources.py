"""Rows of files, one after another: CSV, JSON lines and Parquet."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]  # has none
from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]  # has none

from app.errors import InvalidInput
from app.ingestion.rejections import DropReason, Rejection

ROWS_AT_ONCE = 10_000
MAX_FIELD = 1_000_000
_arrow = cast("Any", pa)
_ParquetFile = cast("Any", parquet).ParquetFile
_JSON = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it begins at (in Parquet, its number), and what it holds or why it cannot be read."""

    line: int
    values: Mapping[str, object] | Rejection


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file's rows in constant memory; the name's ending says what it is (.csv, .tsv, .jsonl, .parquet; .gz)."""
    kind = _kind(path)
    if kind == "parquet":
        return _parquet(path)
    if kind in {"csv", "tsv"}:
        return _csv(path, delimiter="\t" if kind == "tsv" else ",")
    if kind in {"jsonl", "ndjson", "json"}:
        return _json_lines(path)
    raise InvalidInput(f"{path.name} is of no known kind: name it .csv, .tsv, .jsonl or .parquet (with .gz if packed).")


def has_columns(path: Path) -> bool:
    """Tell whether every row has the same columns: objects of JSON may leave out what is empty."""
    return _kind(path) in {"csv", "tsv", "parquet"}


def count_rows(path: Path) -> int | None:
    """Return how many rows a file says it has; None where that would mean reading it."""
    if path.suffix != ".parquet":
        return None
    with _ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def _kind(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[2].lower()


def _parquet(path: Path) -> Iterator[Row]:
    line = 0
    with _ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE):
            for values in cast("list[dict[str, object]]", _in_microseconds(batch).to_pylist()):
                line += 1
                yield Row(line, values)


def _in_microseconds(batch: Any) -> Any:
    # What has nanoseconds would come as another library's times, where that is installed.
    fields = [_coarser(field) for field in batch.schema]
    return batch if fields == list(batch.schema) else batch.cast(_arrow.schema(fields), safe=False)


def _coarser(field: Any) -> Any:
    is_fine = _arrow.types.is_timestamp(field.type) and field.type.unit == "ns"
    return field.with_type(_arrow.timestamp("us", field.type.tz)) if is_fine else field


def _csv(path: Path, *, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD)
    with _open(path) as file:
        text = (line.decode("utf-8-sig" if n == 0 else "utf-8", "surrogateescape") for n, line in enumerate(file))
        reader = csv.DictReader(text, delimiter=delimiter, strict=True)
        if reader.fieldnames is None:  # read here, so that the first row's line is known
            return
        while True:
            line = reader.line_num + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(line, _unreadable(error))
            else:
                yield Row(line, _complete(cast("dict[str | None, str | None]", values)))


def _complete(values: Mapping[str | None, str | None]) -> Mapping[str, object] | Rejection:
    if None in values or None in values.values():
        return Rejection(DropReason.NOT_JSON, "The row has more or fewer columns than the first line: correct it.")
    complete = cast("Mapping[str, str]", values)
    try:
        "".join(complete.values()).encode()
    except UnicodeEncodeError:
        return Rejection(DropReason.NOT_JSON, "The row is not valid UTF-8: encode the file as UTF-8.")
    return complete


def _json_lines(path: Path) -> Iterator[Row]:
    with _open(path) as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                yield Row(line, _object(text))


def _object(text: bytes) -> Mapping[str, object] | Rejection:
    try:
        return _JSON.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _unreadable(error)


def _unreadable(error: Exception) -> Rejection:
    return Rejection(DropReason.NOT_JSON, f"The row cannot be read ({error}): correct it.")


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
