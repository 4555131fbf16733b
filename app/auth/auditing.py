"""What was changed, by whom, from what to what; written in the transaction that makes the change."""

from typing import Any

import msgspec

from app.auth.principals import Principal
from app.store.access import AccessStore
from app.store.database import Connection

MAX_ACTOR = 200


class Audit:
    """The audit log."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    async def record(
        self,
        connection: Connection,
        principal: Principal,
        *,
        action: str,
        subject: tuple[str, str | int],
        before: object = None,
        after: object = None,
    ) -> None:
        """Note that `principal` did `action` (such as "campaign.update") to `subject` (its kind and id).

        `before` and `after` may be anything made of built-in types, dataclasses, dates and decimals. The entry is kept
        or dropped together with the transaction of `connection`.
        """
        kind, subject_id = subject
        await self._store.add_audit_entry(
            connection,
            actor=actor(principal),
            action=action,
            subject=(kind, str(subject_id)),
            before=_plain(before),
            after=_plain(after),
        )


def actor(principal: Principal) -> str:
    """Return how the log names a caller: the key's number and name, since names may repeat."""
    return f"{principal.key_id} {principal.name}"[:MAX_ACTOR]


def _plain(value: object) -> Any:
    return None if value is None else msgspec.to_builtins(value, str_keys=True)
