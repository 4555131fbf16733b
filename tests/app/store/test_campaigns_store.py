"""Rows by reference, and pages that together are the whole list, once and in order."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import pytest_asyncio

from app.errors import InvalidInput
from app.store.campaigns import CampaignFilter, CampaignOrder, CampaignRow, CampaignStore
from app.store.cursors import Cursor, read_cursor
from app.store.database import Database
from app.store.models.codes import CampaignStatus, Channel

CATALOGUE = """
    INSERT INTO merchant (key, name, category, latitude, longitude)
    SELECT 'm' || n, 'Merchant ' || n, 'food', n, -n FROM generate_series(1, 7) n;
    INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount, starts_at)
    SELECT 'c' || n, (ARRAY['Rye 50%', 'rye_bread', 'Oat', 'Élan', 'Oat'])[1 + n % 5] , 1 + n % 3,
           (ARRAY['DRAFT', 'ACTIVE', 'PAUSED', 'ENDED'])[1 + n % 4],
           CASE WHEN n % 2 = 0 THEN '{1}' ELSE '{1,2}' END::smallint[], n,
           CASE WHEN n % 3 > 0 THEN timestamptz '2026-01-01Z' + (n % 4) * interval '1 day' END
    FROM generate_series(1, 23) n;
    INSERT INTO campaign_total (campaign_id, slot, delivered, converted, revenue_micros, reward_micros)
    SELECT n, d, 100, n % 3, (n % 4) * 1000000, CASE WHEN n % 5 > 0 THEN 700000 ELSE 0 END
    FROM generate_series(1, 18) n, generate_series(0, 1) d;
    INSERT INTO app_user (external_id, segment, timezone, attributes, latitude, longitude) VALUES
        ('ann', 'vip', 'Europe/Paris', '{"age": 30}', 1.5, 2.5),
        ('usr_1', '', NULL, NULL, NULL, NULL), ('3', '', NULL, NULL, NULL, NULL)
"""


@pytest_asyncio.fixture
async def store(clean_database: Database) -> CampaignStore:
    await clean_database.execute(CATALOGUE)
    return CampaignStore(clean_database)


async def whole(store: CampaignStore, first: int, **given) -> list[CampaignRow]:
    """Return all rows of a list, page by page."""
    rows, after = [], None
    while True:
        page = await store.campaign_page(first, after, **given)
        assert len(page.rows) == len(page.cursors) <= first
        assert page.has_previous == (after is not None)
        rows += page.rows
        if not page.has_next:
            return rows
        assert len(page.rows) == first
        after = page.cursors[-1]


# ------------------------------------------------------------------------------------------------ by reference


async def test_campaigns_by_id_and_key(store: CampaignStore) -> None:
    found = await store.campaigns([3, "c4", 99, "nobody", 2**80, -1, "\x00", "\ud800"])
    assert set(found) == {3, "c4"}
    row = found["c4"]
    assert (row.id, row.key, row.name, row.merchant_id, row.status) == (4, "c4", "Oat", 2, CampaignStatus.DRAFT)
    assert (row.channels, row.offer_amount, row.currency, row.budget) == ((Channel.PUSH,), Decimal("4.00"), "USD", None)
    assert row.starts_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert await store.campaigns([]) == {}


async def test_merchants_by_id_and_key(store: CampaignStore) -> None:
    found = await store.merchants([3, "m3", "m4", 99])
    assert set(found) == {3, "m3", "m4"}
    assert found[3] == found["m3"]
    assert (found[3].key, found[3].name, found[3].latitude, found[3].longitude) == ("m3", "Merchant 3", 3, -3)


async def test_users_by_id_and_external_id(store: CampaignStore) -> None:
    found = await store.users([2, "ann", "usr_1", "3", 3])
    assert {reference: row.id for reference, row in found.items()} == {2: 2, "ann": 1, "usr_1": 2, "3": 3, 3: 3}
    assert (found["ann"].segment, found["ann"].attributes, found[2].segment) == ("vip", {"age": 30}, None)


# ------------------------------------------------------------------------------------------------ pages


def last_if_none(value, *, sign: int = 1):
    return (value is None, sign * value if value is not None else 0)


def roi(n: int) -> float | None:
    cost = 2 * 700_000 if n % 5 else 0
    return (2 * (n % 4) * 1_000_000 - cost) / cost if cost and n <= 18 else None


LATER = datetime(2027, 1, 1, tzinfo=UTC)
EXPECTED = {
    CampaignOrder.NEWEST: lambda row: -row.id,
    CampaignOrder.NAME: lambda row: (row.name.encode(), row.id),
    CampaignOrder.STARTS_AT: lambda row: (
        row.starts_at is None,
        row.starts_at or datetime.max.replace(tzinfo=UTC),
        row.id,
    ),
    CampaignOrder.ROI: lambda row: (last_if_none(roi(row.id), sign=-1), row.id),
    CampaignOrder.CONVERSION_RATE: lambda row: (last_if_none(row.id % 3 if row.id <= 18 else None, sign=-1), row.id),
}


@pytest.mark.parametrize("order", CampaignOrder)
@pytest.mark.parametrize("first", [1, 2, 5, 23, 100])
async def test_pages_are_the_whole_list_in_order(store: CampaignStore, order: CampaignOrder, first: int) -> None:
    everything = list((await store.campaigns(range(1, 24))).values())
    assert await whole(store, first, order=order) == sorted(everything, key=EXPECTED[order])


ENDED, PAUSED, DRAFT = CampaignStatus.ENDED, CampaignStatus.PAUSED, CampaignStatus.DRAFT
FILTERS = {
    "none": (CampaignFilter(), lambda row: True),
    "one status": (CampaignFilter(statuses=[PAUSED]), lambda row: row.status is PAUSED),
    "statuses": (CampaignFilter(statuses=[PAUSED, DRAFT]), lambda row: row.status in (PAUSED, DRAFT)),
    "no status": (CampaignFilter(statuses=[]), lambda row: False),
    "merchant": (CampaignFilter(merchant_id=2), lambda row: row.merchant_id == 2),
    "channel": (CampaignFilter(channel=Channel.EMAIL), lambda row: Channel.EMAIL in row.channels),
    "part of a name": (CampaignFilter(search="RYE"), lambda row: "rye" in row.name.lower()),
    "part of a key": (CampaignFilter(search="c2"), lambda row: "c2" in row.key),
    "percent is not special": (CampaignFilter(search="50%"), lambda row: "50%" in row.name),
    "underscore is not special": (CampaignFilter(search="e_b"), lambda row: "e_b" in row.name),
    "backslash is not special": (CampaignFilter(search="\\"), lambda row: False),
    "several": (
        CampaignFilter(channel=Channel.EMAIL, search="oat", statuses=[ENDED]),
        lambda row: (len(row.channels), row.name, row.status) == (2, "Oat", ENDED),
    ),
}


@pytest.mark.parametrize(("where", "expected"), FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("order", [CampaignOrder.NEWEST, CampaignOrder.NAME, CampaignOrder.ROI])
async def test_filters(store: CampaignStore, order: CampaignOrder, where: CampaignFilter, expected) -> None:
    everything = (await store.campaigns(range(1, 24))).values()
    wanted = sorted((row for row in everything if expected(row)), key=EXPECTED[order])
    assert await whole(store, 2, where=where, order=order) == wanted
    assert await store.count_campaigns(where) == len(wanted)


async def test_a_page_of_nothing(store: CampaignStore) -> None:
    page = await store.campaign_page(0)
    assert (page.rows, list(page.cursors), page.has_next) == ((), [], True)


async def test_a_cursor_stays_valid_when_rows_come_and_go(store: CampaignStore, clean_database: Database) -> None:
    page = await store.campaign_page(3, order=CampaignOrder.NAME)
    await clean_database.execute("DELETE FROM campaign WHERE id = $1", page.rows[-1].id)
    rest = await whole(store, 100, order=CampaignOrder.NAME)
    after = await store.campaign_page(100, page.cursors[-1], order=CampaignOrder.NAME)
    assert list(page.rows[:-1] + after.rows) == rest


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "é", "AAAA", "bm9wZQ", str(Cursor("NAME", "Oat", 4)), str(Cursor("ROI", None, 0)),
        str(Cursor("ROI", None, 2**63)), str(Cursor("ROI", "high", 4)), str(Cursor("ROI", None, -1)),
    ],
)  # fmt: skip
async def test_a_cursor_of_another_list(store: CampaignStore, cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await store.campaign_page(5, cursor, order=CampaignOrder.ROI)
    assert refused.value.path == ("after",)


@pytest.mark.parametrize("cursor", [Cursor("NAME", "a\x00", 4), Cursor("NAME", 0.5, 4), Cursor("STARTS_AT", "noon", 4)])
async def test_a_forged_cursor(store: CampaignStore, cursor: Cursor) -> None:
    with pytest.raises(InvalidInput):
        await store.campaign_page(5, str(cursor), order=CampaignOrder(cursor.order))


@pytest.mark.parametrize("first", [-1, 101])
async def test_a_page_too_large(store: CampaignStore, first: int) -> None:
    for page in (store.campaign_page(first), store.campaign_pages([1], first), store.merchant_page(first)):
        with pytest.raises(InvalidInput) as refused:
            await page
        assert refused.value.path == ("first",)


@pytest.mark.parametrize("search", ["a\x00", "\ud800"])
async def test_text_that_no_name_has(store: CampaignStore, search: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await store.campaign_page(where=CampaignFilter(search=search))
    assert refused.value.path == ("filter", "search")


# ------------------------------------------------------------------------------------------------ many merchants


async def test_pages_of_many_merchants_are_one_statement(store: CampaignStore, statements) -> None:
    with statements.watched() as seen:
        pages = await store.campaign_pages([1, 2, 2, 7, 99], 3)
    assert len(seen) == 1
    assert {id_: [row.id for row in page.rows] for id_, page in pages.items()} == {
        1: [21, 18, 15],
        2: [22, 19, 16],
        7: [],
        99: [],
    }
    assert [pages[id_].has_next for id_ in (1, 7)] == [True, False]
    alone = await store.campaign_page(3, where=CampaignFilter(merchant_id=1))
    assert alone == pages[1]
    after = await store.campaign_pages([1], 3, after=pages[1].cursors[-1])
    assert [row.id for row in after[1].rows] == [12, 9, 6]
    assert after[1].has_previous


async def test_counts(store: CampaignStore) -> None:
    assert await store.count_campaigns() == 23
    assert await store.count_campaigns_by_merchant([1, 2, 3, 7]) == {1: 7, 2: 8, 3: 8, 7: 0}
    assert await store.count_merchants() == 7
    assert await store.count_by_status() == {"DRAFT": 5, "ACTIVE": 6, "PAUSED": 6, "ENDED": 6}


async def test_pages_of_merchants(store: CampaignStore) -> None:
    first = await store.merchant_page(4)
    rest = await store.merchant_page(4, first.cursors[-1])
    assert [row.id for row in first.rows + rest.rows] == [7, 6, 5, 4, 3, 2, 1]
    assert (first.has_next, rest.has_next, first.has_previous, rest.has_previous) == (True, False, False, True)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((0.1 + 0.2, float), (1e-300, float), (-5.0, float), (None, float), ("Élan", str), ("", str)),
        (datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC), datetime),
    ],
)
def test_a_cursor_keeps_its_value_exactly(value, kind) -> None:
    cursor = Cursor("ANY", value, 7)
    assert read_cursor(str(cursor), order="ANY", kind=kind) == cursor


# ---------------------------------------------------------------------------------------------- as PostgreSQL writes it

TARGETING = {"kind": "all", 'é\\"': [1.5, 2**60, None, True, {"": "\u2028"}]}
FIELDS = {
    "starts_at": datetime(1970, 1, 1, tzinfo=UTC),
    "ends_at": datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "created_at": datetime(2026, 3, 29, 1, 59, 59, 123_456, tzinfo=UTC),
    "updated_at": datetime(2026, 3, 29, 1, 59, 59, 0, tzinfo=UTC),
    "offer_amount": Decimal("9999999999.99"),
    "budget": Decimal("0.10"),
    "currency": "JPY",
    "channels": [1, 2, 3],
    "name": 'Brot & "Rye" \\ 50 %, 日本 \u2028',
    "targeting": TARGETING,
}


async def test_a_campaign_is_read_as_it_was_stored(store: CampaignStore, clean_database: Database) -> None:
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(FIELDS, start=1))
    await clean_database.execute(f"UPDATE campaign SET {columns} WHERE key = 'c5'", *FIELDS.values())
    row = (await store.campaigns(["c5"]))["c5"]
    for name, value in FIELDS.items():
        found = getattr(row, name)
        assert found == (tuple(map(Channel, value)) if name == "channels" else value), name
        assert type(found) is (tuple if name == "channels" else type(value)), name
    assert str(row.offer_amount) == "9999999999.99"
    assert str(row.budget) == "0.10"
    page = await store.campaign_page(100)
    assert next(one for one in page.rows if one.key == "c5") == row
    assert {one.key for one in page.rows} == {f"c{n}" for n in range(1, 24)}


async def test_a_page_reads_one_row_more_than_it_shows(store: CampaignStore) -> None:
    for first, more in ((0, True), (22, True), (23, False), (24, False)):
        page = await store.campaign_page(first)
        assert (len(page.rows), len(page.cursors), page.has_next) == (min(first, 23), min(first, 23), more)
    nobody = await store.campaign_page(5, where=CampaignFilter(search="nobody has this name"))
    assert (nobody.rows, list(nobody.cursors), nobody.has_next) == ((), [], False)
