"""Statements about keys and the audit log."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.store.database import Connection, Database
from app.store.models.codes import Role

_FIRST_KEY_LOCK = 0x776E_7701
_KEY_COLUMNS = "id, name, prefix, digest, role, created_at, last_used_at, revoked_at"
_ENTRY_COLUMNS = "id, at, actor, action, subject_kind, subject_id, before, after"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRow:
    """A key as stored: its digest, never the key itself."""

    id: int
    name: str
    prefix: str
    digest: str
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntryRow:
    """One change, by whom, from what to what."""

    id: int
    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    before: Any
    after: Any


class AccessStore:
    """Keys and audit entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open a transaction; its connection goes to the methods that take one."""
        return self._database.transaction()

    async def keys(self) -> list[ApiKeyRow]:
        """Return every key ever made, oldest first."""
        rows = await self._database.fetch(f"SELECT {_KEY_COLUMNS} FROM api_key ORDER BY id")
        return [_key(row) for row in rows]

    async def active_key(self, digest: str) -> ApiKeyRow | None:
        """Return the key with this digest unless it is revoked."""
        row = await self._database.fetchrow(
            f"SELECT {_KEY_COLUMNS} FROM api_key WHERE digest = $1 AND revoked_at IS NULL", digest
        )
        return None if row is None else _key(row)

    async def touch_key(self, key_id: int, *, at: datetime) -> None:
        """Note that a key was used."""
        await self._database.execute("UPDATE api_key SET last_used_at = $2 WHERE id = $1", key_id, at)

    async def lock_first_key(self, connection: Connection) -> None:
        """Let only one process at a time decide, until its transaction ends, whether a first key is wanting."""
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FIRST_KEY_LOCK)

    async def any_key_of(self, connection: Connection, *, role: Role) -> bool:
        """Say whether a key of this role was ever made."""
        return await connection.fetchval("SELECT EXISTS (SELECT FROM api_key WHERE role = $1)", role.value)

    async def insert_key(
        self, connection: Connection, *, name: str, prefix: str, digest: str, role: Role, at: datetime
    ) -> ApiKeyRow | None:
        """Store a key; return None where its digest is there already."""
        row = await connection.fetchrow(
            "INSERT INTO api_key (name, prefix, digest, role, created_at) VALUES ($1, $2, $3, $4, $5) "
            f"ON CONFLICT (digest) DO NOTHING RETURNING {_KEY_COLUMNS}",
            *(name, prefix, digest, role.value, at),
        )
        return None if row is None else _key(row)

    async def revoked_among(self, key_ids: Collection[int]) -> set[int]:
        """Return which of these keys are revoked."""
        rows = await self._database.fetch(
            "SELECT id FROM api_key WHERE id = ANY($1::bigint[]) AND revoked_at IS NOT NULL", list(key_ids)
        )
        return {row["id"] for row in rows}

    async def revoke_key(self, connection: Connection, *, key_id: int, at: datetime) -> ApiKeyRow | None:
        """Revoke a key, once; return None where there is none with this id."""
        row = await connection.fetchrow(
            f"UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING {_KEY_COLUMNS}",
            *(key_id, at),
        )
        return None if row is None else _key(row)

    async def add_audit_entry(
        self, connection: Connection, *, actor: str, action: str, subject: tuple[str, str], before: Any, after: Any
    ) -> None:
        """Store one change in the transaction that makes it."""
        await connection.execute(
            "INSERT INTO audit_entry (actor, action, subject_kind, subject_id, before, after) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            *(actor, action, *subject, before, after),
        )

    async def audit_entries(self, *, kind: str, subject_id: str) -> Sequence[AuditEntryRow]:
        """Return what was done to one subject, oldest first."""
        rows = await self._database.fetch(
            f"SELECT {_ENTRY_COLUMNS} FROM audit_entry WHERE subject_kind = $1 AND subject_id = $2 ORDER BY id",
            *(kind, subject_id),
        )
        return [AuditEntryRow(**dict(row)) for row in rows]


def _key(row: Any) -> ApiKeyRow:
    values: dict[str, Any] = {**row, "role": Role(row["role"])}
    return ApiKeyRow(**values)
