"""Merchants, campaigns and users: rows by id or key, and keyset pages of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.store.database import Database
from app.store.models.codes import CampaignStatus, Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantRow:
    """A merchant."""

    id: int
    key: str
    name: str
    category: str
    latitude: float | None
    longitude: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRow:
    """A campaign; money has two decimals, in `currency`."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[Row]:
    """A stretch of a list: its rows, an opaque cursor for each, and whether more lie on either side."""

    rows: tuple[Row, ...]
    cursors: tuple[str, ...]
    has_next: bool
    has_previous: bool


class CampaignStore:
    """Reads and writes merchants, campaigns and users. One statement a call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def campaigns(self, references: Sequence[int | str]) -> dict[int | str, CampaignRow]:
        """Return the campaigns that exist, by the id (int) or key (str) they were asked for."""
        raise NotImplementedError

    async def merchants(self, references: Sequence[int | str]) -> dict[int | str, MerchantRow]:
        """Return the merchants that exist, by the id (int) or key (str) they were asked for."""
        raise NotImplementedError

    async def users(self, references: Sequence[int | str]) -> dict[int | str, UserRow]:
        """Return the users that exist, by the id (int) or external id (str) they were asked for."""
        raise NotImplementedError

    async def campaign_page(
        self,
        first: int = 20,
        after: str | None = None,
        *,
        where: CampaignFilter = ALL_CAMPAIGNS,
        order: CampaignOrder = CampaignOrder.NEWEST,
    ) -> Page[CampaignRow]:
        """Return the `first` (1 to 100) campaigns after a cursor of the same order; InvalidInput for another cursor."""
        raise NotImplementedError

    async def count_campaigns(self, where: CampaignFilter = ALL_CAMPAIGNS) -> int:
        """Return how many campaigns the filter lets through."""
        raise NotImplementedError

    async def campaign_pages(
        self, merchant_ids: Sequence[int], first: int = 20, *, after: str | None = None
    ) -> dict[int, Page[CampaignRow]]:
        """Return for each merchant its `first` newest campaigns after a cursor."""
        raise NotImplementedError

    async def count_campaigns_by_merchant(self, merchant_ids: Sequence[int]) -> dict[int, int]:
        """Return for each merchant how many campaigns it has."""
        raise NotImplementedError

    async def merchant_page(self, first: int = 20, after: str | None = None) -> Page[MerchantRow]:
        """Return the `first` (1 to 100) newest merchants after a cursor."""
        raise NotImplementedError

    async def count_merchants(self) -> int:
        """Return how many merchants there are."""
        raise NotImplementedError

    async def count_by_status(self) -> Mapping[CampaignStatus, int]:
        """Return how many campaigns have each status."""
        raise NotImplementedError
