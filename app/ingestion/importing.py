"""Importing a file: batch by batch, each bad row refused with its line, and going on where a broken import stopped.

How far an import has come is noted after each batch, under a digest of the file and its mapping. What was stored but
not yet noted when an import broke is stored again, which changes nothing: events and users are known by their ids.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched, islice
from pathlib import Path
from typing import IO, Protocol

import orjson

from app.errors import InvalidInput
from app.ingestion.batches import Incoming, read_mapping
from app.ingestion.mappings import ColumnMapping, Unusable, read_mapping_file
from app.ingestion.pipeline import Ingestion
from app.ingestion.rejections import DropReason, Receipt, Rejected, Rejection
from app.ingestion.sources import Row, has_columns, read_rows
from app.runtime.clock import Clock
from app.store.imports import ImportRunRow, ImportStore

BATCH_ROWS = 2_000

type Fields = Mapping[str, object]


class Destination(Protocol):
    """Port: where rows go, as mappings from Winnow's names. Writing the same again must be harmless."""

    async def write(self, items: Sequence[Fields]) -> Receipt:
        """Store items and say what became of them, by their places."""
        ...


class EventsDestination:
    """Stores rows as events."""

    def __init__(self, ingestion: Ingestion) -> None:
        self._ingestion = ingestion

    async def write(self, items: Sequence[Fields]) -> Receipt:
        """Record events."""
        events: list[Incoming] = [read_mapping(item) for item in items]
        return await self._ingestion.record(events)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, how its columns are read, and where its refused rows are written down."""

    path: Path
    mapping: ColumnMapping
    digest: str
    report: Path


def open_source(path: Path, mapping_path: Path, *, kind: str | None = None, report: Path | None = None) -> Source:
    """Read a mapping for a file; raise InvalidInput where either cannot be used."""
    for needed in (path, mapping_path):
        if not needed.is_file():
            raise InvalidInput(f"There is no file {needed}: correct the path.")
    text = mapping_path.read_text(encoding="utf-8")
    mapping = read_mapping_file(text)
    if has_columns(path):
        _check_columns(path, mapping)
    if kind is not None and kind != mapping.kind:
        raise InvalidInput(f"The mapping {mapping_path.name} is for {mapping.kind}, not for {kind}: use another.")
    return Source(path, mapping, _digest(path, text), report or path.with_name(f"{path.name}.rejected.jsonl"))


class FileImport:
    """Brings a file's rows to their destination."""

    def __init__(self, destination: Destination, runs: ImportStore, clock: Clock) -> None:
        self._destination = destination
        self._runs = runs
        self._clock = clock

    async def run(self, source: Source, *, advanced: Callable[[int], object] = lambda _: None) -> ImportRunRow:
        """Import what is not imported yet and return the counts of the whole file.

        A finished import of which rows were refused is done again: what was missing may be there now. `advanced` is
        told how many rows were done, first those of an earlier run.
        """
        run = await self._begin(source)
        advanced(run.rows_done)
        return run if run.finished_at is not None else await self._go_on(source, run, advanced)

    async def _begin(self, source: Source) -> ImportRunRow:
        name, now = source.path.name[:400], self._clock.now()
        run = await self._runs.begin(source.digest, source=name, at=now)
        if run.finished_at is not None and run.rejected:
            await self._runs.restart(run.id, at=now)
            run = await self._runs.begin(source.digest, source=name, at=now)
        return run

    async def _go_on(self, source: Source, run: ImportRunRow, advanced: Callable[[int], object]) -> ImportRunRow:
        with source.report.open("ab" if run.rows_done else "wb") as report:
            for rows in batched(islice(read_rows(source.path), run.rows_done, None), BATCH_ROWS):  # the last is smaller
                receipt = await self._import(source.mapping, rows)
                _write_report(report, rows, receipt)
                now = self._clock.now()
                await self._runs.advance(run.id, rows=len(rows), receipt=receipt, at=now)
                run = _added(run, len(rows), receipt)
                advanced(len(rows))
        now = self._clock.now()
        await self._runs.finish(run.id, at=now)
        return replace(run, finished_at=now)

    async def _import(self, mapping: ColumnMapping, rows: Sequence[Row]) -> Receipt:
        items: dict[int, Fields] = {}
        refused: list[Rejected] = []
        for place, row in enumerate(rows):
            made = _apply(mapping, row)
            if isinstance(made, Rejection):
                refused.append(Rejected(place, made))
            elif made is not None:
                items[place] = made
        places = list(items)
        receipt = await self._destination.write(list(items.values()))
        refused += [Rejected(places[rejected.index], rejected.rejection) for rejected in receipt.rejected]
        return Receipt(receipt.accepted, receipt.duplicates, tuple(sorted(refused, key=lambda r: r.index)))


def _check_columns(path: Path, mapping: ColumnMapping) -> None:
    first = next(read_rows(path), None)
    if first is not None and not isinstance(first.values, Rejection):
        mapping.require_columns(first.values)


def _apply(mapping: ColumnMapping, row: Row) -> Fields | Rejection | None:
    if isinstance(row.values, Rejection):
        return row.values
    try:
        return mapping.apply(row.values) if mapping.wants(row.values) else None
    except Unusable as error:
        return Rejection(DropReason.WRONG_VALUE, error.message, error.field)


def _write_report(report: IO[bytes], rows: Sequence[Row], receipt: Receipt) -> None:
    for rejected in receipt.rejected:
        entry = {
            "line": rows[rejected.index].line,
            "id": rejected.id,
            "field": rejected.field,
            "code": rejected.code,
            "reason": rejected.rejection.reason,
            "message": rejected.message,
        }
        report.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
    report.flush()


def _added(run: ImportRunRow, rows: int, receipt: Receipt) -> ImportRunRow:
    return replace(
        run,
        rows_done=run.rows_done + rows,
        accepted=run.accepted + receipt.accepted,
        duplicates=run.duplicates + receipt.duplicates,
        rejected=run.rejected + len(receipt.rejected),
    )


def _digest(path: Path, mapping: str) -> str:
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256")
    content.update(mapping.encode())
    return content.hexdigest()
