from datetime import UTC, datetime, timedelta

import pytest

from app.store.access import AccessStore
from app.store.models.codes import Role

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(clean_database):
    return AccessStore(clean_database)


async def insert(store, digest, role=Role.CLIENT):
    async with store.transaction() as connection:
        return await store.insert_key(connection, name="k", prefix="wnw_", digest=digest, role=role, at=AT)


async def test_a_digest_is_stored_once(store):
    row = await insert(store, "d")
    assert (row.role, row.created_at, row.revoked_at) == (Role.CLIENT, AT, None)
    assert await insert(store, "d", Role.ADMIN) is None
    assert await store.active_key("d") == row
    assert await store.active_key("e") is None


async def test_a_revoked_key_is_listed_but_not_active(store):
    row = await insert(store, "d")
    async with store.transaction() as connection:
        revoked = await store.revoke_key(connection, key_id=row.id, at=AT)
    assert await store.active_key("d") is None
    assert await store.keys() == [revoked]


async def test_a_role_counts_as_made_though_its_keys_are_revoked(store):
    row = await insert(store, "d", Role.ADMIN)
    async with store.transaction() as connection:
        await store.revoke_key(connection, key_id=row.id, at=AT)
        assert await store.any_key_of(connection, role=Role.ADMIN)
        assert not await store.any_key_of(connection, role=Role.CLIENT)


async def test_use_is_noted(store):
    row = await insert(store, "d")
    await store.touch_key(row.id, at=AT + timedelta(minutes=5))
    assert (await store.active_key("d")).last_used_at == AT + timedelta(minutes=5)


async def test_a_subjects_history_is_its_own_and_in_order(store):
    async with store.transaction() as connection:
        for action, subject in (("make", "1"), ("make", "2"), ("change", "1")):
            await store.add_audit_entry(
                connection, actor="a", action=action, subject=("campaign", subject), before=None, after={"n": "é"}
            )
    entries = await store.audit_entries(kind="campaign", subject_id="1")
    assert [(entry.action, entry.before, entry.after) for entry in entries] == [
        ("make", None, {"n": "é"}),
        ("change", None, {"n": "é"}),
    ]
