from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.auth.auditing import Audit, actor
from app.auth.principals import COMMAND_LINE, Principal
from app.store.access import AccessStore
from app.store.models.codes import Channel, Role


@dataclass(frozen=True, slots=True)
class Offer:
    amount: Decimal
    at: datetime
    channels: tuple[Channel, ...]


@pytest.fixture
async def store(database):
    await database.execute("TRUNCATE audit_entry")
    return AccessStore(database)


async def test_an_entry_says_who_did_what_from_what_to_what(store):
    offer = Offer(Decimal("2.50"), datetime(2026, 1, 2, tzinfo=UTC), (Channel.SMS,))
    async with store.transaction() as connection:
        await Audit(store).record(
            connection, Principal(3, "ops", Role.ADMIN), action="campaign.update", subject=("campaign", 9), after=offer
        )
    (entry,) = await store.audit_entries(kind="campaign", subject_id="9")
    assert (entry.actor, entry.action, entry.before) == ("3 ops", "campaign.update", None)
    assert entry.after == {"amount": "2.50", "at": "2026-01-02T00:00:00Z", "channels": [3]}


async def record_then_fail(store):
    async with store.transaction() as connection:
        await Audit(store).record(connection, COMMAND_LINE, action="a", subject=("campaign", 9))
        raise ZeroDivisionError


async def test_an_entry_goes_with_its_change(store):
    with pytest.raises(ZeroDivisionError):
        await record_then_fail(store)
    assert await store.audit_entries(kind="campaign", subject_id="9") == []


def test_an_actor_fits_its_column():
    assert len(actor(Principal(1, "n" * 500, Role.ADMIN))) == 200
