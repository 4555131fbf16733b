"""API keys: made, listed, revoked, recognised."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta

from app.auth.auditing import Audit
from app.auth.principals import COMMAND_LINE, Principal, Role
from app.errors import InvalidInput, NotFound, Unauthenticated
from app.runtime.clock import Clock
from app.store.access import AccessStore, ApiKeyRow
from app.store.database import Connection

KEY_PREFIX = "wnw_"
SHOWN_CHARACTERS = 8
MAX_KEY_CHARACTERS = 256
MAX_NAME_CHARACTERS = 100
REMEMBERED_SECONDS = 5.0
"""How long a key that was looked up is trusted: a revocation takes effect within this time in every process."""
REMEMBERED_KEYS = 10_000
USE_NOTED_EVERY = timedelta(minutes=1)
FIRST_KEY_NAME = "first"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment at which it can be read."""

    row: ApiKeyRow
    key: str = field(repr=False)


class KeyRing:
    """Every key of an installation."""

    def __init__(self, store: AccessStore, *, audit: Audit, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._remembered: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    async def authenticate(self, credential: str | None) -> Principal:
        """Return who shows `Bearer KEY` or `KEY`; raise Unauthenticated for anything else."""
        digest = digest_of(read_key(credential))
        principal = self._recall(digest)
        return principal if principal is not None else await self._look_up(digest)

    async def create(self, name: str, role: Role, *, by: Principal = COMMAND_LINE) -> NewKey:
        """Make a key; what is returned is shown to nobody ever again."""
        key = KEY_PREFIX + secrets.token_urlsafe(30)
        row = await self._insert(_checked_name(name), key, role=role, by=by)
        if row is None:  # two equal keys of 240 random bits
            raise RuntimeError("A random key was made twice: the machine's source of randomness is broken.")
        return NewKey(row, key)

    async def keys(self) -> list[ApiKeyRow]:
        """Return every key ever made, without the keys themselves."""
        return await self._store.keys()

    async def revoke(self, key_id: int, *, by: Principal = COMMAND_LINE) -> ApiKeyRow:
        """Make a key worthless: at once in this process, within REMEMBERED_SECONDS in the others."""
        async with self._store.transaction() as connection:
            row = await self._store.revoke_key(connection, key_id=key_id, at=self._clock.now())
            if row is None:
                raise NotFound(f"There is no key {key_id}: `winnow keys list` shows which there are.", path=("id",))
            await self._audit.record(connection, by, action="key.revoke", subject=("key", key_id))
        self._remembered.pop(row.digest, None)
        return row

    async def ensure_first(self, given: str | None = None) -> str | None:
        """See to it that somebody can get in; return a key that was made here and is to be printed, once.

        A given key (WINNOW_BOOTSTRAP_KEY) becomes an admin key; without one, an admin key is made where none ever was.
        Any number of processes may do this at once.
        """
        async with self._store.transaction() as connection:
            await self._store.lock_first_key(connection)
            if given is None and await self._store.any_key_of(connection, role=Role.ADMIN):
                return None
            key = _checked_first(given) or KEY_PREFIX + secrets.token_urlsafe(30)
            await self._add(connection, FIRST_KEY_NAME, key, role=Role.ADMIN, by=COMMAND_LINE)
        return None if given else key

    async def _insert(self, name: str, key: str, *, role: Role, by: Principal) -> ApiKeyRow | None:
        async with self._store.transaction() as connection:
            return await self._add(connection, name, key, role=role, by=by)

    async def _add(self, connection: Connection, name: str, key: str, *, role: Role, by: Principal) -> ApiKeyRow | None:
        row = await self._store.insert_key(
            connection, name=name, prefix=_shown(key), digest=digest_of(key), role=role, at=self._clock.now()
        )
        if row is not None:
            after = {"name": name, "role": role}
            await self._audit.record(connection, by, action="key.create", subject=("key", row.id), after=after)
        return row

    def _recall(self, digest: str) -> Principal | None:
        principal, until = self._remembered.get(digest, (None, 0.0))
        return principal if until > self._clock.monotonic() else None

    async def _look_up(self, digest: str) -> Principal:
        row = await self._store.active_key(digest)
        if row is None or not hmac.compare_digest(row.digest, digest):
            self._remembered.pop(digest, None)
            raise Unauthenticated("This key is unknown or was revoked: ask whoever runs Winnow for another one.")
        await self._note_use(row)
        return self._remember(row)

    def _remember(self, row: ApiKeyRow) -> Principal:
        principal = Principal(row.id, row.name, row.role)
        self._remembered[row.digest] = (principal, self._clock.monotonic() + REMEMBERED_SECONDS)
        self._remembered.move_to_end(row.digest)
        if len(self._remembered) > REMEMBERED_KEYS:
            self._remembered.popitem(last=False)
        return principal

    async def _note_use(self, row: ApiKeyRow) -> None:
        now = self._clock.now()
        if row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY:
            await self._store.touch_key(row.id, at=now)


def read_key(credential: str | None) -> str:
    """Return the key in `Bearer KEY` or `KEY`; raise Unauthenticated where there is none to be read."""
    scheme, _, rest = (credential or "").strip().partition(" ")
    key = rest.strip() if scheme.lower() == "bearer" else scheme
    if not key or (rest and scheme.lower() != "bearer"):
        raise Unauthenticated("No key was shown: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.")
    if not _is_word(key):
        raise Unauthenticated("A key is one word of visible ASCII characters: send it exactly as it was printed.")
    return key


def digest_of(key: str) -> str:
    """Return what is stored of a key. It has 240 random bits, so that one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def _is_word(key: str) -> bool:
    return 0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable() and " " not in key


def _checked_first(given: str | None) -> str | None:
    if given is not None and not _is_word(given):
        raise InvalidInput(
            f"WINNOW_BOOTSTRAP_KEY must be one word of 1 to {MAX_KEY_CHARACTERS} visible ASCII characters: correct it.",
            path=("bootstrap_key",),
        )
    return given


def _shown(key: str) -> str:
    # a short given key would be given away by its beginning
    return key[:SHOWN_CHARACTERS] if key.startswith(KEY_PREFIX) and len(key) > 3 * SHOWN_CHARACTERS else "***"


def _checked_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not 0 < len(cleaned) <= MAX_NAME_CHARACTERS:
        raise InvalidInput(f"A key's name has 1 to {MAX_NAME_CHARACTERS} characters: give another one.", path=("name",))
    return cleaned
