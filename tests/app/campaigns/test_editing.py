import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from app.auth.auditing import Audit
from app.auth.principals import Principal, Role
from app.campaigns.editing import (
    NEXT_STATUSES,
    CampaignChange,
    CampaignDraft,
    CampaignEditing,
    MerchantDraft,
    Upserted,
    UserDraft,
)
from app.errors import DomainErrors, ErrorCode
from app.store.access import AccessStore
from app.store.catalogue import CatalogueStore
from app.store.models.codes import CampaignStatus, Channel

ANN = Principal(7, "ann", Role.ADMIN)
START = datetime(2026, 2, 1, tzinfo=UTC)
NAN, HUGE = float("nan"), 10**400
TABLES = ("merchant", "campaign", "app_user", "audit_entry")


@pytest.fixture
def access(catalogue) -> AccessStore:
    return AccessStore(catalogue)


@pytest.fixture
def editing(catalogue, campaign_store, access, clock) -> CampaignEditing:
    return CampaignEditing(campaign_store, CatalogueStore(catalogue), audit=Audit(access), clock=clock)


@pytest.fixture
def everything(catalogue):
    """All that editing could change."""

    async def read() -> list:
        return [await catalogue.fetch(f"SELECT * FROM {table} ORDER BY id") for table in TABLES]

    return read


def merchant(**given) -> MerchantDraft:
    return MerchantDraft(**{"key": "cafe", "name": "Café", "category": "food"} | given)


def campaign(**given) -> CampaignDraft:
    defaults = {
        "key": "summer",
        "name": "Summer",
        "merchant": 1,
        "channels": [Channel.PUSH],
        "offer_amount": Decimal(5),
    }
    return CampaignDraft(**defaults | given)


def problems(refused: pytest.ExceptionInfo[DomainErrors]) -> set[tuple[str, str]]:
    return {(problem.code.value, ".".join(problem.path)) for problem in refused.value.problems}


# ------------------------------------------------------------------------------------------------ merchants


async def test_create_a_merchant(editing: CampaignEditing, campaign_store, access, clock) -> None:
    row = await editing.create_merchant(merchant(latitude=-90, longitude=180.0), by=ANN)
    assert (row.key, row.name, row.category, row.latitude, row.longitude) == ("cafe", "Café", "food", -90, 180)
    assert row.created_at == clock.now()
    assert await campaign_store.merchants(["cafe"]) == {"cafe": row}
    [entry] = await access.audit_entries(kind="merchant", subject_id=str(row.id))
    assert (entry.actor, entry.action, entry.before, entry.after["key"]) == ("7 ann", "merchant.create", None, "cafe")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"key": "bakery"}, {("ALREADY_EXISTS", "key")}),
        ({"key": "bakery", "name": ""}, {("ALREADY_EXISTS", "key"), ("INVALID_INPUT", "name")}),
        *(
            ({"key": key}, {("INVALID_INPUT", "key")})
            for key in ("", "Cafe", "-a", "a b", "a" * 65, "é", "mer_12", "cafe\n", "a\x00", "\ud800")
        ),
        *(({"name": name}, {("INVALID_INPUT", "name")}) for name in ("", " \t", "x" * 201, "a\x00b", "\ud800")),
        ({"category": "x" * 101}, {("INVALID_INPUT", "category")}),
        ({"latitude": 1.0}, {("INVALID_INPUT", "longitude")}),
        ({"latitude": 90.1, "longitude": -180.1}, {("INVALID_INPUT", "latitude"), ("INVALID_INPUT", "longitude")}),
        ({"latitude": NAN, "longitude": 0.0}, {("INVALID_INPUT", "latitude")}),
        ({"latitude": 0.0, "longitude": float("inf")}, {("INVALID_INPUT", "longitude")}),
    ],
)
async def test_refused_merchants_leave_nothing(editing, everything, given: dict, expected: set) -> None:
    before = await everything()
    with pytest.raises(DomainErrors) as refused:
        await editing.create_merchant(merchant(**given), by=ANN)
    assert problems(refused) == expected
    assert await everything() == before


# ------------------------------------------------------------------------------------------------ campaigns


async def test_create_a_campaign_with_defaults(editing: CampaignEditing, campaign_store) -> None:
    row = await editing.create_campaign(campaign(), by=ANN)
    assert (row.status, row.currency, row.merchant_id) == (CampaignStatus.DRAFT, "USD", 1)
    assert (row.budget, row.starts_at, row.ends_at, row.targeting) == (None, None, None, None)
    assert await campaign_store.campaigns([row.id, "summer"]) == {row.id: row, "summer": row}


async def test_create_a_campaign_with_everything(editing: CampaignEditing, access, clock) -> None:
    tokyo = timezone(timedelta(hours=9))
    row = await editing.create_campaign(
        campaign(
            merchant="books",
            channels=[Channel.SMS, Channel.PUSH],
            offer_amount=Decimal("0.01"),
            currency="JPY",
            budget=Decimal(0),
            starts_at=START.astimezone(tokyo),
            ends_at=START + timedelta(microseconds=1),
            status=CampaignStatus.ENDED,
            targeting={"segment": ["vip", None], "age": {"from": 18, "share": 0.5}},
        ),
        by=ANN,
    )
    assert (row.merchant_id, row.channels, row.offer_amount) == (2, (Channel.SMS, Channel.PUSH), Decimal("0.01"))
    assert (row.currency, row.budget, row.starts_at) == ("JPY", 0, START)
    assert row.targeting == {"segment": ["vip", None], "age": {"from": 18, "share": 0.5}}
    assert row.created_at == row.updated_at == clock.now()
    [entry] = await access.audit_entries(kind="campaign", subject_id=str(row.id))
    assert (entry.action, entry.before, entry.after["offer_amount"]) == ("campaign.create", None, "0.01")


NESTED: dict = {}
for _ in range(40):
    NESTED = {"a": NESTED}

INVALID = [
    *({"name": name} for name in ("", "x" * 201, "\x00")),
    *({"channels": channels} for channels in ([], [Channel.PUSH, Channel.PUSH], [Channel.NONE])),
    *({"offer_amount": Decimal(text)} for text in ("0", "-1", "NaN", "sNaN", "Infinity", "0.001", "1e12", "1e-999999")),
    *({"budget": Decimal(text)} for text in ("-0.01", "NaN", "1.005", "1e14", "1e999999")),
    {"starts_at": START.replace(tzinfo=None)},
    {"ends_at": START.replace(year=9_999)},
    *({"targeting": targeting} for targeting in ([], "vip", 5, {"a": NAN}, {"a": HUGE}, {"a\x00": 1}, {"a": "\ud800"})),
    *({"targeting": targeting} for targeting in (NESTED, {"a": "x" * 20_000}, {"a": START})),
]
FIELDS = {"offer_amount": "offerAmount", "starts_at": "startsAt", "ends_at": "endsAt"}


@pytest.mark.parametrize("given", INVALID, ids=lambda given: str(given)[:40])
async def test_a_value_out_of_range_leaves_nothing(editing: CampaignEditing, everything, given: dict) -> None:
    before = await everything()
    [name] = given
    expected = {("INVALID_INPUT", FIELDS.get(name, name))}
    with pytest.raises(DomainErrors) as refused:
        await editing.create_campaign(campaign(**given), by=ANN)
    assert problems(refused) == expected
    with pytest.raises(DomainErrors) as refused:
        await editing.update_campaign(1, CampaignChange(**given), by=ANN)
    assert problems(refused) == expected
    assert await everything() == before


async def test_every_problem_of_a_campaign_at_once(editing: CampaignEditing, everything) -> None:
    before = await everything()
    with pytest.raises(DomainErrors) as refused:
        await editing.create_campaign(
            campaign(
                key="spring",
                name="",
                merchant="nobody",
                channels=[],
                offer_amount=Decimal(0),
                currency="usd",
                budget=Decimal(-1),
                starts_at=START,
                ends_at=START,
                targeting=[],
            ),
            by=ANN,
        )
    invalid = ("name", "channels", "offerAmount", "currency", "budget", "endsAt", "targeting")
    assert problems(refused) == {
        ("ALREADY_EXISTS", "key"),
        ("NOT_FOUND", "merchantId"),
        *(("INVALID_INPUT", field) for field in invalid),
    }
    assert all(problem.message.strip().endswith(".") for problem in refused.value.problems)
    assert await everything() == before


@pytest.mark.parametrize("reference", [99, 0, -1, 2**70, "nobody", "", "\x00", "\ud800"])
async def test_what_does_not_exist(editing: CampaignEditing, everything, reference: int | str) -> None:
    before = await everything()
    with pytest.raises(DomainErrors) as refused:
        await editing.update_campaign(reference, CampaignChange(name="x"), by=ANN)
    assert problems(refused) == {("NOT_FOUND", "id")}
    with pytest.raises(DomainErrors) as refused:
        await editing.create_campaign(campaign(merchant=reference), by=ANN)
    assert problems(refused) == {("NOT_FOUND", "merchantId")}
    assert await everything() == before


async def test_one_of_two_with_the_same_key_is_told(editing: CampaignEditing, catalogue) -> None:
    made = await asyncio.gather(
        *(editing.create_campaign(campaign(), by=ANN) for _ in range(5)), return_exceptions=True
    )
    refused = [error for error in made if isinstance(error, DomainErrors)]
    assert len(refused) == 4
    assert {error.problems[0].code for error in refused} == {ErrorCode.ALREADY_EXISTS}
    assert await catalogue.fetchval("SELECT count(*) FROM audit_entry") == 1


@pytest.mark.parametrize("table", ["merchant", "campaign"])
async def test_a_key_taken_while_checking(editing: CampaignEditing, catalogue, table: str) -> None:
    """Another transaction has inserted the key and not committed: the check sees nothing, the insert waits for it."""
    create = {
        "merchant": lambda: editing.create_merchant(merchant(key="late"), by=ANN),
        "campaign": lambda: editing.create_campaign(campaign(key="late"), by=ANN),
    }
    columns = {"merchant": "category", "campaign": "merchant_id, channels, offer_amount"}
    values = {"merchant": "''", "campaign": "1, '{1}', 1"}
    waits = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    async with catalogue.transaction() as other:
        await other.execute(f"INSERT INTO {table} (key, name, {columns[table]}) VALUES ('late', 'L', {values[table]})")
        waiting = asyncio.create_task(create[table]())
        for _ in range(1_000):
            if await catalogue.fetchval(waits):
                break
            await asyncio.sleep(0.01)
    with pytest.raises(DomainErrors) as refused:
        await waiting
    assert problems(refused) == {("ALREADY_EXISTS", "key")}
    assert await catalogue.fetchval("SELECT count(*) FROM audit_entry") == 0


async def test_absent_is_unchanged_and_null_is_cleared(editing: CampaignEditing, access, clock) -> None:
    row = await editing.create_campaign(campaign(budget=Decimal(9), starts_at=START, targeting={"a": 1}), by=ANN)
    clock.advance(60)
    changed = await editing.update_campaign("summer", CampaignChange(name="Sun", budget=None, targeting=None), by=ANN)
    assert (changed.name, changed.budget, changed.targeting) == ("Sun", None, None)
    assert (changed.starts_at, changed.offer_amount, changed.channels) == (START, Decimal(5), (Channel.PUSH,))
    assert (changed.created_at, changed.updated_at) == (row.created_at, clock.now())
    entry = (await access.audit_entries(kind="campaign", subject_id=str(row.id)))[-1]
    assert (entry.action, entry.actor) == ("campaign.update", "7 ann")
    assert (entry.before["name"], entry.after["name"]) == ("Summer", "Sun")
    assert (entry.before["budget"], entry.after["budget"]) == ("9.00", None)


async def test_nothing_changed_leaves_no_trace(editing: CampaignEditing, everything) -> None:
    before = await everything()
    await editing.update_campaign(1, CampaignChange(name="Spring", offer_amount=Decimal("5.0")), by=ANN)
    await editing.update_campaign(1, CampaignChange(), by=ANN)
    assert await everything() == before


async def test_what_must_have_a_value_cannot_be_cleared(editing: CampaignEditing, everything) -> None:
    before = await everything()
    with pytest.raises(DomainErrors) as refused:
        await editing.update_campaign(
            1, CampaignChange(name=None, channels=None, offer_amount=None, status=None, budget=None), by=ANN
        )
    assert problems(refused) == {("INVALID_INPUT", f) for f in ("name", "channels", "offerAmount", "status")}
    assert await everything() == before


async def test_an_end_must_follow_the_start_that_stands(editing: CampaignEditing) -> None:
    await editing.create_campaign(campaign(starts_at=START), by=ANN)
    with pytest.raises(DomainErrors) as refused:
        await editing.update_campaign("summer", CampaignChange(ends_at=START), by=ANN)
    assert problems(refused) == {("INVALID_INPUT", "endsAt")}


ALLOWED = {
    ("DRAFT", "ACTIVE"),
    ("ACTIVE", "PAUSED"),
    ("ACTIVE", "ENDED"),
    ("PAUSED", "ACTIVE"),
    ("PAUSED", "ENDED"),
    *((status, status) for status in CampaignStatus),
}


@pytest.mark.parametrize("before", CampaignStatus)
@pytest.mark.parametrize("after", CampaignStatus)
async def test_transitions(editing: CampaignEditing, everything, before: CampaignStatus, after: CampaignStatus) -> None:
    row = await editing.create_campaign(campaign(status=before), by=ANN)
    if (before, after) in ALLOWED:
        assert (await editing.update_campaign(row.id, CampaignChange(status=after), by=ANN)).status is after
        return
    stood = await everything()
    with pytest.raises(DomainErrors) as refused:
        await editing.update_campaign(row.id, CampaignChange(status=after, name="Other"), by=ANN)
    assert problems(refused) == {("INVALID_TRANSITION", "status")}
    assert await everything() == stood


def test_ended_is_final() -> None:
    assert NEXT_STATUSES[CampaignStatus.ENDED] == frozenset()
    assert set(NEXT_STATUSES) == set(CampaignStatus)


# ------------------------------------------------------------------------------------------------ users


async def test_upsert_creates_and_updates(editing: CampaignEditing, campaign_store, access, clock) -> None:
    clock.advance(60)
    found = await editing.upsert_users(
        [
            UserDraft(external_id="ann", segment="gold", timezone="Europe/Paris"),
            UserDraft(external_id="eve", attributes={"age": 30, "tags": ["a"]}, latitude=1.5, longitude=2.0),
            UserDraft(external_id="bob", segment=None),
        ],
        by=ANN,
    )
    assert found == Upserted(created=1, updated=2)
    users = await campaign_store.users(["ann", "eve", "bob", "cyd"])
    assert (users["ann"].segment, users["ann"].timezone, users["ann"].updated_at) == (
        "gold",
        "Europe/Paris",
        clock.now(),
    )
    assert (users["eve"].attributes, users["eve"].latitude, users["eve"].segment) == (
        {"age": 30, "tags": ["a"]},
        1.5,
        None,
    )
    assert users["bob"].segment is None
    assert users["cyd"].updated_at != clock.now()
    [entry] = await access.audit_entries(kind="user", subject_id="3 users")
    assert [user["external_id"] for user in entry.before] == ["ann", "bob"]
    assert {user["external_id"]: user["segment"] for user in entry.after} == {"ann": "gold", "bob": None, "eve": None}
    assert entry.action == "user.upsert"


async def test_absent_stays_and_null_is_cleared_for_users(editing: CampaignEditing, campaign_store) -> None:
    whole = UserDraft(
        external_id="eve", segment="vip", timezone="UTC", attributes={"a": 1}, latitude=1.0, longitude=2.0
    )
    await editing.upsert_users([whole], by=ANN)
    await editing.upsert_users([UserDraft(external_id="eve", timezone=None)], by=ANN)
    eve = (await campaign_store.users(["eve"]))["eve"]
    assert (eve.segment, eve.timezone, eve.attributes, eve.latitude, eve.longitude) == ("vip", None, {"a": 1}, 1, 2)
    cleared = UserDraft(external_id="eve", segment=None, attributes=None, latitude=None, longitude=None)
    await editing.upsert_users([cleared], by=ANN)
    eve = (await campaign_store.users(["eve"]))["eve"]
    assert (eve.segment, eve.attributes, eve.latitude, eve.longitude) == (None, None, None, None)


async def test_of_two_with_the_same_id_the_last_wins(editing: CampaignEditing, campaign_store) -> None:
    drafts = [UserDraft(external_id="eve", segment=segment) for segment in ("a", "b", "c")]
    assert await editing.upsert_users(drafts, by=ANN) == Upserted(created=1, updated=0)
    assert (await campaign_store.users(["eve"]))["eve"].segment == "c"


async def test_a_thousand_users_in_few_statements(editing: CampaignEditing, catalogue, statements) -> None:
    for created in (1_000, 0):
        drafts = [UserDraft(external_id=f"u{n}", segment="s", attributes={"n": n}) for n in range(1_000)]
        with statements.watched() as seen:
            assert await editing.upsert_users(drafts, by=ANN) == Upserted(created=created, updated=1_000 - created)
        assert len(seen) < 8
    assert await catalogue.fetchval("SELECT sum((attributes->>'n')::int) FROM app_user") == 499_500


async def test_no_users_are_nothing(editing: CampaignEditing, everything) -> None:
    before = await everything()
    assert await editing.upsert_users([], by=ANN) == Upserted(created=0, updated=0)
    assert await everything() == before


async def test_one_user_at_fault_refuses_all_and_names_each(editing: CampaignEditing, everything) -> None:
    before = await everything()
    with pytest.raises(DomainErrors) as refused:
        await editing.upsert_users(
            [
                UserDraft(external_id="new"),
                UserDraft(external_id="ann", timezone="Mars/Olympus", segment="x" * 101),
                UserDraft(external_id="", attributes=[1]),
                UserDraft(external_id="lat", latitude=1.0),
                UserDraft(external_id="far", latitude=91.0, longitude=0.0),
                UserDraft(external_id="nul", attributes={"a": "\x00"}),
                UserDraft(external_id="zone", timezone="../etc/passwd"),
            ],
            by=ANN,
        )
    assert problems(refused) == {
        ("INVALID_INPUT", f"users.{field}")
        for field in (
            "1.timezone", "1.segment", "2.externalId", "2.attributes", "3.latitude", "4.latitude", "5.attributes",
            "6.timezone",
        )
    }  # fmt: skip
    assert await everything() == before


async def test_at_most_a_thousand_users(editing: CampaignEditing, everything) -> None:
    before = await everything()
    with pytest.raises(DomainErrors, match=r"1,001.*at most 1,000"):
        await editing.upsert_users([UserDraft(external_id=str(n)) for n in range(1_001)], by=ANN)
    assert await everything() == before


async def test_writers_with_users_in_common_do_not_lock_each_other_out(editing: CampaignEditing) -> None:
    names = [f"u{n}" for n in range(50)]
    writers = [names, names[::-1], names[25:] + names[:25]]
    found = await asyncio.gather(
        *(editing.upsert_users([UserDraft(external_id=name) for name in order], by=ANN) for order in writers * 2)
    )
    assert sum(one.created for one in found) == 50
    assert sum(one.updated for one in found) == 250
