"""Merchants, campaigns and users: rows by id or key, and keyset pages of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from app.store.campaign_parts import MERCHANT_COLUMNS, NO_PARTS, CampaignPart, CampaignParts, MerchantRow
from app.store.cursors import LARGEST_ID, Cursors, CursorValue, Page, askable, check_first, read_cursor
from app.store.database import Database, Record, is_too_large
from app.store.listing import NEWEST, Conditions, Order, page_of, search_pattern
from app.store.measures import CALCULATED
from app.store.models.codes import CampaignStatus, Channel

__all__ = [
    "ALL_CAMPAIGNS",
    "CampaignFilter",
    "CampaignOrder",
    "CampaignRow",
    "CampaignStore",
    "MerchantRow",
    "Page",
    "UserRow",
    "check_first",
]


class CampaignRow(Struct, frozen=True, gc=False, omit_defaults=True):
    """A campaign; money has two decimals, in `currency`. `along` has the parts that were read, as they were written."""

    id: int
    key: str
    name: str
    merchant_id: int
    status: CampaignStatus
    channels: tuple[Channel, ...]
    offer_amount: Decimal
    currency: str
    budget: Decimal | None
    starts_at: datetime | None
    ends_at: datetime | None
    targeting: object | None
    created_at: datetime
    updated_at: datetime
    along: Mapping[CampaignPart[Any], str] = {}


class UserRow(Struct, frozen=True, kw_only=True):
    """A person who gets offers; a user without a segment has None."""

    id: int
    external_id: str
    segment: str | None
    timezone: str | None
    attributes: object | None
    latitude: float | None
    longitude: float | None
    created_at: datetime
    updated_at: datetime


class CampaignOrder(StrEnum):
    """The order of a list of campaigns; what has no value comes last, ties by id.

    NEWEST, ROI and CONVERSION_RATE are descending, NAME and STARTS_AT ascending.
    """

    NEWEST = "NEWEST"
    NAME = "NAME"
    STARTS_AT = "STARTS_AT"
    ROI = "ROI"
    CONVERSION_RATE = "CONVERSION_RATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFilter:
    """Which campaigns a list holds; `search` looks for a part of the name or key, whatever the case."""

    statuses: Sequence[CampaignStatus] | None = None
    merchant_id: int | None = None
    channel: Channel | None = None
    search: str | None = None


ALL_CAMPAIGNS = CampaignFilter()

_FIELDS = {name: type_ for name, type_ in get_type_hints(CampaignRow).items() if name != "along"}
_CAMPAIGN: msgspec.json.Decoder[tuple[Any, ...]] = msgspec.json.Decoder(
    tuple.__class_getitem__(tuple(_FIELDS.values()))
)
CAMPAIGN_JSON = f"json_build_array({', '.join(_FIELDS)})::text"
"""What PostgreSQL writes of a row of `campaign`, for `campaign_of`."""

USER_COLUMNS = (
    "id, external_id, nullif(segment, '') AS segment, timezone, attributes, latitude, longitude, created_at, updated_at"
)


_ORDERS = {
    CampaignOrder.NEWEST: NEWEST,
    CampaignOrder.NAME: Order("NAME", "name", str, nullable=False),
    CampaignOrder.STARTS_AT: Order("STARTS_AT", "starts_at", datetime, "timestamptz"),
    CampaignOrder.ROI: Order("ROI", "roi", float, "float8", descending=True),
    CampaignOrder.CONVERSION_RATE: Order("CONVERSION_RATE", "conversion_rate", float, "float8", descending=True),
}


@lru_cache
def _page(order: CampaignOrder, conditions: str, arguments: int, parts: CampaignParts) -> str:
    """Return the statement of a page: written once, so that it is found at once when it is prepared.

    All rows come as one, of arrays: PostgreSQL sends rows in pieces of 8 kB, and each piece wakes who waits for them.
    """
    by = _ORDERS[order]
    columns = ", ".join(f"array_agg({one})" for one in ("order_value", CAMPAIGN_JSON, *(p.written for p in parts)))
    return (
        f"SELECT {columns} FROM ("
        f"SELECT *, {by.value} AS order_value FROM {_source(order)} {conditions} "
        f"ORDER BY {by.sql} LIMIT ${arguments + 1}) AS campaign"
    )


def _source(order: CampaignOrder) -> str:
    if order not in (CampaignOrder.ROI, CampaignOrder.CONVERSION_RATE):
        return "campaign"
    return f"""
        (SELECT campaign.*, {order.lower()} FROM campaign LEFT JOIN (
            SELECT campaign_id, {CALCULATED[order].sql} AS {order.lower()} FROM campaign_total GROUP BY campaign_id
        ) AS performance ON performance.campaign_id = campaign.id) AS campaign
    """


@lru_cache
def _any_campaign(parts: CampaignParts) -> str:
    return f"SELECT {', '.join([CAMPAIGN_JSON, *(part.written for part in parts)])} FROM campaign"


class CampaignStore:
    """Reads merchants, campaigns and users. One statement a call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def campaigns(
        self, references: Sequence[int | str], *, parts: CampaignParts = NO_PARTS
    ) -> dict[int | str, CampaignRow]:
        """Return the campaigns that exist, by the id (int) or key (str) they were asked for."""

        async def read(parts: CampaignParts) -> list[CampaignRow]:
            rows = await self._find(_any_campaign(parts), references, name="key")
            return [_with_parts(parts, *row) for row in rows]

        return _by_reference(await _with_parts_or_without(read, parts), references, lambda row: row.key)

    async def merchants(self, references: Sequence[int | str]) -> dict[int | str, MerchantRow]:
        """Return the merchants that exist, by the id (int) or key (str) they were asked for."""
        rows = await self._find(f"SELECT {MERCHANT_COLUMNS} FROM merchant", references, name="key")
        return _by_reference([merchant_row(row) for row in rows], references, lambda row: row.key)

    async def users(self, references: Sequence[int | str]) -> dict[int | str, UserRow]:
        """Return the users that exist, by the id (int) or external id (str) they were asked for."""
        rows = await self._find(f"SELECT {USER_COLUMNS} FROM app_user", references, name="external_id")
        return _by_reference([user_row(row) for row in rows], references, lambda row: row.external_id)

    async def campaign_page(
        self,
        first: int = 20,
        after: str | None = None,
        *,
        where: CampaignFilter = ALL_CAMPAIGNS,
        order: CampaignOrder = CampaignOrder.NEWEST,
        parts: CampaignParts = NO_PARTS,
    ) -> Page[CampaignRow]:
        """Return the `first` (0 to 100) campaigns after a cursor of the same order; InvalidInput for another cursor."""
        check_first(first)
        by = _ORDERS[order]
        conditions = _conditions(where)
        if after is not None:
            by.follow(read_cursor(after, order=by.name, kind=by.kind), conditions)

        async def read(parts: CampaignParts) -> Page[CampaignRow]:
            statement = _page(order, str(conditions), len(conditions.arguments), parts)
            (row,) = await self._database.fetch(statement, *conditions.arguments, first + 1)
            return _page_of(row, parts, first=first, after=after, order=by.name)

        return await _with_parts_or_without(read, parts)

    async def count_campaigns(self, where: CampaignFilter = ALL_CAMPAIGNS) -> int:
        """Return how many campaigns the filter lets through."""
        conditions = _conditions(where)
        return await self._database.fetchval(f"SELECT count(*) FROM campaign {conditions}", *conditions.arguments)

    async def campaign_pages(
        self, merchant_ids: Sequence[int], first: int = 20, *, after: str | None = None
    ) -> dict[int, Page[CampaignRow]]:
        """Return for each merchant its `first` newest campaigns after a cursor."""
        check_first(first)
        before = LARGEST_ID if after is None else read_cursor(after, order=NEWEST.name).id
        found = await self._database.fetch(
            f"""
            SELECT page.*, NULL::text AS order_value
            FROM unnest($1::bigint[]) AS merchant(id)
            CROSS JOIN LATERAL (
                SELECT id, merchant_id, {CAMPAIGN_JSON} AS written FROM campaign
                WHERE merchant_id = merchant.id AND id < $2 ORDER BY id DESC LIMIT $3
            ) AS page
            """,
            *(list(dict.fromkeys(merchant_ids)), before, first + 1),
        )
        rows: dict[int, list[Record]] = {id_: [] for id_ in merchant_ids}
        for row in found:
            rows[row["merchant_id"]].append(row)
        return {
            id_: page_of(page, _campaign_row, first=first, after=after, order=NEWEST.name) for id_, page in rows.items()
        }

    async def count_campaigns_by_merchant(self, merchant_ids: Sequence[int]) -> dict[int, int]:
        """Return for each merchant how many campaigns it has."""
        rows = await self._database.fetch(
            "SELECT merchant_id, count(*) AS n FROM campaign WHERE merchant_id = ANY($1::bigint[]) GROUP BY 1",
            merchant_ids,
        )
        return dict.fromkeys(merchant_ids, 0) | {row["merchant_id"]: row["n"] for row in rows}

    async def merchant_page(self, first: int = 20, after: str | None = None) -> Page[MerchantRow]:
        """Return the `first` (0 to 100) newest merchants after a cursor."""
        check_first(first)
        before = LARGEST_ID if after is None else read_cursor(after, order=NEWEST.name).id
        rows = await self._database.fetch(
            f"SELECT {MERCHANT_COLUMNS}, NULL::text AS order_value FROM merchant "
            "WHERE id < $1 ORDER BY id DESC LIMIT $2",
            *(before, first + 1),
        )
        return page_of(rows, merchant_row, first=first, after=after, order=NEWEST.name)

    async def count_merchants(self) -> int:
        """Return how many merchants there are."""
        return await self._database.fetchval("SELECT count(*) FROM merchant")

    async def count_by_status(self) -> Mapping[CampaignStatus, int]:
        """Return how many campaigns have each status."""
        rows = await self._database.fetch("SELECT status, count(*) AS n FROM campaign GROUP BY status")
        return {CampaignStatus(row["status"]): row["n"] for row in rows}

    async def _find(self, select: str, references: Sequence[int | str], *, name: str) -> list[Record]:
        ids = [r for r in references if isinstance(r, int) and 0 < r <= LARGEST_ID]
        names = [r for r in references if isinstance(r, str) and askable(r)]
        if len(ids) == 1 and not names:  # a number is sent at less cost than an array
            return await self._database.fetch(_by_id(select), ids[0])
        return await self._database.fetch(_by_id_or_name(select, name), ids, names)


@lru_cache
def _by_id(select: str) -> str:
    return f"{select} WHERE id = $1::bigint"


@lru_cache
def _by_id_or_name(select: str, name: str) -> str:
    return f"{select} WHERE id = ANY($1::bigint[]) OR {name} = ANY($2::text[])"


def merchant_row(row: Record) -> MerchantRow:
    """Return a row that begins with MERCHANT_COLUMNS."""
    return MerchantRow(*row[: len(MerchantRow.__struct_fields__)])


def campaign_of(written: str) -> CampaignRow:
    """Return the campaign that PostgreSQL wrote."""
    return CampaignRow(*_CAMPAIGN.decode(written))


def _campaign_row(row: Record) -> CampaignRow:
    return campaign_of(row["written"])


def _with_parts(parts: CampaignParts, written: str, *along: str) -> CampaignRow:
    return CampaignRow(*_CAMPAIGN.decode(written), along=dict(zip(parts, along, strict=True)))


def _page_of(row: Record, parts: CampaignParts, *, first: int, after: str | None, order: str) -> Page[CampaignRow]:
    """Return the page of arrays, one of each column; they are None where there are no rows."""
    order_values, *columns = (column or () for column in row)
    rows = [_with_parts(parts, *values) for values in zip(*(column[:first] for column in columns), strict=True)]
    places = list(zip(order_values[:first], (one.id for one in rows), strict=True))
    return Page(
        rows=tuple(rows),
        cursors=Cursors(order, places, place=_place),
        has_next=len(order_values) > first,
        has_previous=after is not None,
    )


def _place(place: tuple[CursorValue, int]) -> tuple[CursorValue, int]:
    return place


async def _with_parts_or_without[Found](
    read: Callable[[CampaignParts], Awaitable[Found]], parts: CampaignParts
) -> Found:
    """Read campaigns with parts; without where one of these has no room in any number: its own field tells of that."""
    try:
        return await read(parts)
    except Exception as error:
        if not parts or not is_too_large(error):
            raise
        return await read(NO_PARTS)


def user_row(row: Record) -> UserRow:
    """Return a row of USER_COLUMNS."""
    return UserRow(**dict(row))


def _by_reference[Row: (CampaignRow, MerchantRow, UserRow)](
    rows: Sequence[Row], references: Sequence[int | str], name: Callable[[Row], str]
) -> dict[int | str, Row]:
    known: dict[int | str, Row] = {}
    for row in rows:
        known[row.id] = known[name(row)] = row
    return {reference: known[reference] for reference in references if reference in known}


def _conditions(where: CampaignFilter) -> Conditions:
    conditions = Conditions()
    if where.statuses is not None:
        # equal to one, so that the index on (status, id) gives the order too
        values = [status.value for status in where.statuses]
        if len(values) == 1:
            conditions.add("status = {}", values[0])
        else:
            conditions.add("status = ANY({}::text[])", values)
    if where.merchant_id is not None:
        conditions.add("merchant_id = {}", where.merchant_id)
    if where.channel is not None:
        conditions.add("{}::smallint = ANY(channels)", int(where.channel))
    if where.search is not None:
        conditions.add(r"name ILIKE {} OR key ILIKE {}", *[search_pattern(where.search)] * 2)
    return conditions
