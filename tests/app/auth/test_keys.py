import asyncio
import hashlib
import hmac
from datetime import timedelta

import pytest

from app.auth import keys as keys_module
from app.auth.auditing import Audit
from app.auth.keys import REMEMBERED_KEYS, REMEMBERED_SECONDS, KeyRing, digest_of, read_key
from app.auth.principals import Principal
from app.errors import InvalidInput, NotFound, Unauthenticated
from app.runtime.clock import ManualClock
from app.store.access import AccessStore
from app.store.models.codes import Role


@pytest.fixture
async def store(database):
    await database.execute("TRUNCATE api_key, audit_entry RESTART IDENTITY")
    return AccessStore(database)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ring(store, clock):
    return KeyRing(store, audit=Audit(store), clock=clock)


async def test_a_key_is_made_and_recognised(ring):
    new = await ring.create("dashboard", Role.ANALYST)
    assert new.key.startswith("wnw_")
    assert len(new.key) == 44
    for credential in (new.key, f"Bearer {new.key}", f"bearer  {new.key} "):
        assert await ring.authenticate(credential) == Principal(new.row.id, "dashboard", Role.ANALYST)


async def test_only_the_digest_is_stored(ring, database):
    new = await ring.create("a", Role.CLIENT)
    stored = dict(await database.fetchrow("SELECT * FROM api_key"))
    assert stored["digest"] == hashlib.sha256(new.key.encode()).hexdigest()
    assert not any(new.key in str(value) for value in stored.values())
    assert new.key not in repr(new)
    audited = await database.fetchval("SELECT string_agg(audit_entry::text, '') FROM audit_entry")
    assert new.key not in audited


@pytest.mark.parametrize(
    "credential",
    [
        None, "", " ", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "wnw_unknown", "Bearer a b", "Bearer é", "wnw_\x00",
        "ÿ" * 40, "k" * 257, "Bearer " + "k" * 10_000, "Bearer\twnw_a b",
    ],
)  # fmt: skip
async def test_what_is_no_key_is_refused(ring, credential):
    with pytest.raises(Unauthenticated):
        await ring.authenticate(credential)


def test_a_refusal_does_not_repeat_what_was_shown():
    with pytest.raises(Unauthenticated) as refused:
        read_key("Bearer sécret")
    assert "cret" not in str(refused.value)


async def test_digests_are_compared_in_constant_time(ring, monkeypatch):
    new = await ring.create("a", Role.CLIENT)
    compared, original = [], hmac.compare_digest

    def compare(left, right):
        compared.append((left, right))
        return original(left, right)

    monkeypatch.setattr(keys_module.hmac, "compare_digest", compare)
    await ring.authenticate(new.key)
    assert compared == [(digest_of(new.key), digest_of(new.key))]


async def test_a_lookup_is_remembered_for_some_seconds_only(ring, clock, database):
    new = await ring.create("a", Role.CLIENT)
    await ring.authenticate(new.key)
    await database.execute("UPDATE api_key SET name = 'b'")
    clock.advance(REMEMBERED_SECONDS - 0.1)
    assert (await ring.authenticate(new.key)).name == "a"
    clock.advance(0.2)
    assert (await ring.authenticate(new.key)).name == "b"


async def test_a_revoked_key_ends_here_at_once_and_elsewhere_in_time(ring, store, clock):
    elsewhere = KeyRing(store, audit=Audit(store), clock=clock)
    new = await ring.create("a", Role.CLIENT)
    await ring.authenticate(new.key)
    await elsewhere.authenticate(new.key)
    await ring.revoke(new.row.id)
    with pytest.raises(Unauthenticated):
        await ring.authenticate(new.key)
    clock.advance(REMEMBERED_SECONDS + 0.1)
    with pytest.raises(Unauthenticated):
        await elsewhere.authenticate(new.key)


async def test_revoking_twice_keeps_the_first_time(ring, clock):
    new = await ring.create("a", Role.CLIENT)
    first = await ring.revoke(new.row.id)
    clock.advance(60)
    assert (await ring.revoke(new.row.id)).revoked_at == first.revoked_at
    with pytest.raises(NotFound):
        await ring.revoke(987_654)


async def test_last_use_is_noted_at_most_once_a_minute(ring, clock, database):
    new = await ring.create("a", Role.CLIENT)
    noted = []
    for _ in range(13):
        await ring.authenticate(new.key)
        noted.append(await database.fetchval("SELECT last_used_at FROM api_key"))
        clock.advance(10)
    assert sorted(set(noted)) == [noted[0], noted[0] + timedelta(minutes=1), noted[0] + timedelta(minutes=2)]


async def test_memory_is_bounded(ring, monkeypatch):
    monkeypatch.setattr(keys_module, "REMEMBERED_KEYS", 2)
    made = [await ring.create(f"k{number}", Role.CLIENT) for number in range(4)]
    for new in made:
        await ring.authenticate(new.key)
    assert len(ring._remembered) == 2
    assert REMEMBERED_KEYS == 10_000


async def test_a_given_first_key_is_an_admin_and_stored_once(ring, store):
    assert await ring.ensure_first("test-key") is None
    assert await ring.ensure_first("test-key") is None
    assert (await ring.authenticate("Bearer test-key")).role is Role.ADMIN
    (row,) = await store.keys()
    assert "test" not in row.prefix


async def test_without_a_given_key_one_is_made_once(ring):
    key = await ring.ensure_first()
    assert (await ring.authenticate(key)).role is Role.ADMIN
    assert await ring.ensure_first() is None


async def test_a_first_key_that_was_revoked_stays_revoked(ring, store):
    await ring.ensure_first("test-key")
    (row,) = await store.keys()
    await ring.revoke(row.id)
    await ring.ensure_first("test-key")
    with pytest.raises(Unauthenticated):
        await ring.authenticate("test-key")


@pytest.mark.parametrize("given", [None, "test-key"])
async def test_processes_starting_at_once_make_one_first_key(store, clock, given):
    rings = [KeyRing(store, audit=Audit(store), clock=clock) for _ in range(6)]
    made = await asyncio.gather(*(ring.ensure_first(given) for ring in rings))
    assert len(await store.keys()) == 1
    assert sum(key is not None for key in made) == (given is None)


@pytest.mark.parametrize("given", ["", "two words", "clé", "x" * 257])
async def test_an_unusable_first_key_is_refused_and_nothing_stored(ring, store, given):
    with pytest.raises(InvalidInput):
        await ring.ensure_first(given)
    assert await store.keys() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
async def test_a_key_needs_a_name(ring, store, name):
    with pytest.raises(InvalidInput):
        await ring.create(name, Role.CLIENT)
    assert await store.keys() == []


async def test_making_and_revoking_are_audited(ring, store):
    by = Principal(7, "root", Role.ADMIN)
    new = await ring.create("a", Role.SENDER, by=by)
    await ring.revoke(new.row.id, by=by)
    entries = await store.audit_entries(kind="key", subject_id=str(new.row.id))
    assert [(entry.actor, entry.action) for entry in entries] == [("7 root", "key.create"), ("7 root", "key.revoke")]
    assert entries[0].after == {"name": "a", "role": "sender"}
