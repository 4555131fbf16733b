"""Versions of models and their predictions: written whole or not at all, one of each kind active."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.store.database import Connection, Database, Record
from app.store.models.codes import ModelKind

KIND_LOCK = 0x57494E4E_0007
"""With a kind's place, the advisory lock under which its versions are numbered and made active."""

type Rows = Sequence[tuple[object, ...]]

TABLES: Mapping[str, tuple[str, ...]] = {
    "offer_curve": (
        *("campaign_id", "amount", "low", "high", "expected_conversion_rate", "expected_profit_per_user", "curve"),
        *("evidence", "created_at"),
    ),
    "send_time_profile": (
        *("user_id", "segment", "hour", "day_of_week", "sends", "open_probability", "low", "high", "by_hour"),
        *("evidence", "reason", "created_at"),
    ),
    "merchant_affinity": ("user_id", "merchant_id", "rank", "score", "reasons"),
    "campaign_response": ("user_id", "campaign_id", "rank", "probability"),
    "campaign_effect": ("user_id", "campaign_id", "effect", "low", "high", "evidence", "created_at"),
    "segment_rank": (*("campaign_id", "segment", "rank", "expected_lift", "low", "high", "reasons", "created_at"),),
}
"""The columns of predictions that a training writes, beside the version they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What a training made: what it learned from, how good it was found, and its predictions by table."""

    kind: ModelKind
    training_rows: int
    seconds: float
    scores: Mapping[str, Any]
    importances: Mapping[str, Any] | None = None
    artefact: bytes | None = None
    refusals: Sequence[Mapping[str, Any]] = ()
    window_start: datetime
    window_end: datetime
    trained_at: datetime
    predictions: Mapping[str, Rows] = field(default_factory=dict[str, Rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version, by its number within its kind, and whether it is the one that serves."""

    id: int
    kind: ModelKind
    version: int
    active: bool


class ModelVersions:
    """The versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_job(self, job_id: int, kind: ModelKind) -> VersionRow | None:
        """Return the version that a job has made of a kind."""
        row = await self._database.fetchrow(f"{VERSION} WHERE job_id = $1 AND kind = $2", job_id, kind.value)
        return None if row is None else _version(row)

    async def save(self, new: NewVersion, *, job_id: int | None, activate: bool | None, keep: int) -> VersionRow:
        """Store a version with its predictions, in one transaction, and drop all but the last `keep` of its kind.

        A job makes one version of a kind: where it has made it already, that one is returned. `activate` None makes it
        active unless somebody went back to an earlier version on purpose.
        """
        async with self._database.transaction() as connection:
            await _lock(connection, new.kind)
            if job_id is not None:
                made = await connection.fetchrow(f"{VERSION} WHERE job_id = $1 AND kind = $2", job_id, new.kind.value)
                if made is not None:
                    return _version(made)
            serves = activate if activate is not None else await connection.fetchval(NEWEST_SERVES, new.kind.value)
            saved = await _insert(connection, new, job_id)
            for table, rows in new.predictions.items():
                await _copy(connection, table, rows, model_id=saved["id"])
            if serves:
                await _activate(connection, saved["id"], new.kind)
            await _prune(connection, new.kind, keep=keep)
        return VersionRow(id=saved["id"], kind=new.kind, version=saved["version"], active=serves)

    async def activate(self, connection: Connection, model_id: int) -> tuple[VersionRow | None, VersionRow] | None:
        """Let a version serve; return the one that did, and it as it is now. None where there is no such version."""
        kind = await connection.fetchval("SELECT kind FROM trained_model WHERE id = $1", model_id)
        if kind is None:
            return None
        await _lock(connection, ModelKind(kind))
        before = await connection.fetchrow(f"{VERSION} WHERE kind = $1 AND active", kind)
        await _activate(connection, model_id, ModelKind(kind))
        after = await connection.fetchrow(f"{VERSION} WHERE id = $1", model_id)
        if after is None:  # dropped while we waited
            return None
        return None if before is None else _version(before), _version(after)

    async def artefact(self, kind: ModelKind) -> tuple[int, bytes] | None:
        """Return the id and the artefact of a kind's active version; None where there is none."""
        row = await self._database.fetchrow(ARTEFACT, kind.value)
        return None if row is None else (row["id"], row["artefact"])

    async def replace(self, kind: ModelKind, model_id: int, predictions: Mapping[str, Rows]) -> bool:
        """Write some of a version's predictions anew, in one transaction; return False where it serves no more."""
        async with self._database.transaction() as connection:
            await _lock(connection, kind)
            if not await connection.fetchval("SELECT active FROM trained_model WHERE id = $1", model_id):
                return False
            for table, rows in predictions.items():
                await connection.execute(f"DELETE FROM {table} WHERE model_id = $1", model_id)
                await _copy(connection, table, rows, model_id=model_id)
        return True


async def _lock(connection: Connection, kind: ModelKind) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", KIND_LOCK + list(ModelKind).index(kind))


async def _insert(connection: Connection, new: NewVersion, job_id: int | None) -> Record:
    row = await connection.fetchrow(
        INSERT,
        new.kind.value,
        new.trained_at,
        new.training_rows,
        new.seconds,
        dict(new.scores),
        None if new.importances is None else dict(new.importances),
        new.artefact,
        [dict(refusal) for refusal in new.refusals],
        new.window_start,
        new.window_end,
        job_id,
    )
    if row is None:
        raise LookupError("An insert returned no row.")
    return row


async def _copy(connection: Connection, table: str, rows: Rows, *, model_id: int) -> None:
    records = [(model_id, *row) for row in rows]
    await connection.copy_records_to_table(table, records=records, columns=("model_id", *TABLES[table]))


async def _activate(connection: Connection, model_id: int, kind: ModelKind) -> None:
    await connection.execute("UPDATE trained_model SET active = false WHERE kind = $1 AND active", kind.value)
    await connection.execute("UPDATE trained_model SET active = true WHERE id = $1", model_id)


async def _prune(connection: Connection, kind: ModelKind, *, keep: int) -> None:
    old = [row["id"] for row in await connection.fetch(OLD, kind.value, keep)]
    if old:
        for table in TABLES:
            await connection.execute(f"DELETE FROM {table} WHERE model_id = ANY ($1::bigint[])", old)
        await connection.execute("DELETE FROM trained_model WHERE id = ANY ($1::bigint[])", old)


def _version(row: Record) -> VersionRow:
    return VersionRow(id=row["id"], kind=ModelKind(row["kind"]), version=row["version"], active=row["active"])


VERSION = "SELECT id, kind, version, active FROM trained_model"
ARTEFACT = "SELECT id, artefact FROM trained_model WHERE kind = $1 AND active AND artefact IS NOT NULL"
NEWEST_SERVES = """
SELECT coalesce((SELECT active FROM trained_model WHERE kind = $1 ORDER BY version DESC LIMIT 1), true)
"""
INSERT = """
INSERT INTO trained_model (kind, version, trained_at, training_rows, seconds, scores, feature_importances, artefact,
                           refusals, window_start, window_end, job_id, active)
SELECT $1::text, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, false
FROM trained_model WHERE kind = $1::text
RETURNING id, version
"""
OLD = """
SELECT id FROM trained_model
WHERE kind = $1 AND NOT active
  AND version <= (SELECT version FROM trained_model WHERE kind = $1 ORDER BY version DESC OFFSET $2 LIMIT 1)
"""
