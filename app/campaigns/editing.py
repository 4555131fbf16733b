"""Changing merchants, campaigns and users, each change with its audit entry in the same transaction.

Everything wrong with an input is raised at once, as `DomainErrors`, each problem with the path of its field in the
contract's spelling (`offerAmount`); a refused action leaves nothing behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, UnsetType

from app.auth.auditing import Audit
from app.auth.principals import Principal
from app.runtime.clock import Clock
from app.store.campaigns import CampaignRow, CampaignStore, MerchantRow
from app.store.models.codes import CampaignStatus, Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantDraft:
    """A merchant to be created."""

    key: str
    name: str
    category: str
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDraft:
    """A campaign to be created; `merchant` is an id or a key."""

    key: str
    name: str
    merchant: int | str
    channels: Sequence[Channel]
    offer_amount: Decimal
    currency: str = "USD"
    budget: Decimal | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    status: CampaignStatus = CampaignStatus.DRAFT
    targeting: object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignChange:
    """What changes of a campaign: UNSET leaves a field as it is, None clears it (INVALID_INPUT where it must have a value)."""

    name: str | None | UnsetType = UNSET
    channels: Sequence[Channel] | None | UnsetType = UNSET
    offer_amount: Decimal | None | UnsetType = UNSET
    budget: Decimal | None | UnsetType = UNSET
    starts_at: datetime | None | UnsetType = UNSET
    ends_at: datetime | None | UnsetType = UNSET
    status: CampaignStatus | None | UnsetType = UNSET
    targeting: object | None | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDraft:
    """A user to be created or brought up to date, by the caller's own id. What is None stays as it is."""

    external_id: str
    segment: str | None = None
    timezone: str | None = None
    attributes: object | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """How many users were created, and how many existed and were updated."""

    created: int
    updated: int


class CampaignEditing:
    """Creates and changes what campaigns are made of. Every method raises `DomainErrors`."""

    def __init__(self, store: CampaignStore, audit: Audit, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    async def create_merchant(self, draft: MerchantDraft, *, by: Principal) -> MerchantRow:
        """Create a merchant."""
        raise NotImplementedError

    async def create_campaign(self, draft: CampaignDraft, *, by: Principal) -> CampaignRow:
        """Create a campaign of an existing merchant."""
        raise NotImplementedError

    async def update_campaign(self, campaign: int | str, change: CampaignChange, *, by: Principal) -> CampaignRow:
        """Change a campaign, named by its id or key."""
        raise NotImplementedError

    async def upsert_users(self, users: Sequence[UserDraft], *, by: Principal) -> Upserted:
        """Create or update up to 1,000 users; of two with the same external id the last wins.

        One user at fault refuses them all; its path starts with `users` and its index.
        """
        raise NotImplementedError
