"""Statements about imports: how far each has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.store.database import Database

_COLUMNS = "id, digest, source, rows_done, accepted, duplicates, rejected, started_at, finished_at"


class Counts(Protocol):
    """What became of a batch: the receipt of ingestion."""

    @property
    def accepted(self) -> int:
        """How many were stored."""
        ...

    @property
    def duplicates(self) -> int:
        """How many were there already."""
        ...

    @property
    def rejected(self) -> tuple[Any, ...]:
        """Those refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRunRow:
    """One import, by the digest of what is imported."""

    id: int
    digest: str
    source: str
    rows_done: int
    accepted: int
    duplicates: int
    rejected: int
    started_at: datetime
    finished_at: datetime | None


class ImportStore:
    """Reads and writes how far imports have come."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, digest: str, *, source: str, at: datetime) -> ImportRunRow:
        """Return the import with this digest, made now where it is the first time."""
        (row,) = await self._database.fetch(
            "INSERT INTO import_run (digest, source, started_at, updated_at) VALUES ($1, $2, $3, $3) "
            f"ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING {_COLUMNS}",
            *(digest, source, at),
        )
        return ImportRunRow(**dict(row))

    async def advance(self, run_id: int, *, rows: int, receipt: Counts, at: datetime) -> None:
        """Note that a batch of rows is stored."""
        await self._database.execute(
            "UPDATE import_run SET rows_done = rows_done + $2, accepted = accepted + $3, duplicates = duplicates + $4, "
            "rejected = rejected + $5, updated_at = $6 WHERE id = $1",
            *(run_id, rows, receipt.accepted, receipt.duplicates, len(receipt.rejected), at),
        )

    async def restart(self, run_id: int, *, at: datetime) -> None:
        """Forget how far an import came: it begins anew."""
        await self._database.execute(
            "UPDATE import_run SET rows_done = 0, accepted = 0, duplicates = 0, rejected = 0, started_at = $2, "
            "updated_at = $2, finished_at = NULL WHERE id = $1",
            *(run_id, at),
        )

    async def finish(self, run_id: int, *, at: datetime) -> None:
        """Note that everything is stored."""
        await self._database.execute(
            "UPDATE import_run SET finished_at = $2, updated_at = $2 WHERE id = $1", run_id, at
        )
