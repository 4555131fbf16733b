"""Changing merchants, campaigns and users, each change with its audit entry in the same transaction.

Everything wrong with an input is raised at once, as `DomainErrors`, each problem with the path of its field in the
contract's spelling (`offerAmount`); a refused action leaves nothing behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, UnsetType

from app.auth.auditing import Audit
from app.auth.principals import Principal
from app.campaigns.checking import Problems
from app.errors import DomainErrors, InvalidTransition
from app.runtime.clock import Clock
from app.store.campaigns import CampaignRow, CampaignStore, MerchantRow, UserRow
from app.store.catalogue import CampaignValues, CatalogueStore, NewMerchant, UserValues
from app.store.cursors import LARGEST_ID, askable
from app.store.database import Connection
from app.store.models.codes import CampaignStatus, Channel
from app.store.retrying import retrying

MAX_USERS = 1_000

NEXT_STATUSES: Mapping[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.DRAFT: frozenset({CampaignStatus.ACTIVE}),
    CampaignStatus.ACTIVE: frozenset({CampaignStatus.PAUSED, CampaignStatus.ENDED}),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.ACTIVE, CampaignStatus.ENDED}),
    CampaignStatus.ENDED: frozenset(),
}
"""What a campaign can become from each status; an ended one has ended for good."""


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
    """What changes of a campaign: UNSET leaves a field as it is, None clears it.

    Clearing what every campaign must have is INVALID_INPUT.
    """

    name: str | UnsetType | None = UNSET
    channels: Sequence[Channel] | UnsetType | None = UNSET
    offer_amount: Decimal | UnsetType | None = UNSET
    budget: Decimal | UnsetType | None = UNSET
    starts_at: datetime | UnsetType | None = UNSET
    ends_at: datetime | UnsetType | None = UNSET
    status: CampaignStatus | UnsetType | None = UNSET
    targeting: object | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDraft:
    """A user to be created or brought up to date, by the caller's own id: UNSET leaves as it is, None clears."""

    external_id: str
    segment: str | UnsetType | None = UNSET
    timezone: str | UnsetType | None = UNSET
    attributes: object | UnsetType | None = UNSET
    latitude: float | UnsetType | None = UNSET
    longitude: float | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """How many users were created, and how many existed and were updated."""

    created: int
    updated: int


class CampaignEditing:
    """Creates and changes what campaigns are made of. Every method raises `DomainErrors`."""

    def __init__(self, campaigns: CampaignStore, catalogue: CatalogueStore, *, audit: Audit, clock: Clock) -> None:
        self._campaigns = campaigns
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    async def create_merchant(self, draft: MerchantDraft, *, by: Principal) -> MerchantRow:
        """Create a merchant."""
        problems = _check_merchant(draft)
        if draft.key in await self._campaigns.merchants([draft.key]):
            problems.taken(draft.key, "key")
        problems.raise_any()
        async with self._catalogue.transaction() as connection:
            row = await self._catalogue.insert_merchant(connection, _new_merchant(draft), at=self._clock.now())
            if row is None:
                raise _taken(draft.key)
            await self._audit.record(connection, by, action="merchant.create", subject=("merchant", row.id), after=row)
        return row

    async def create_campaign(self, draft: CampaignDraft, *, by: Principal) -> CampaignRow:
        """Create a campaign of an existing merchant."""
        problems = _check_draft(draft)
        if draft.key in await self._campaigns.campaigns([draft.key]):
            problems.taken(draft.key, "key")
        merchant = (await self._campaigns.merchants([draft.merchant])).get(draft.merchant)
        if merchant is None:
            problems.missing("merchant", draft.merchant, "merchantId")
            raise problems.error()
        problems.raise_any()
        async with self._catalogue.transaction() as connection:
            row = await self._catalogue.insert_campaign(
                connection,
                _values(draft),
                key=draft.key,
                merchant_id=merchant.id,
                currency=draft.currency,
                at=self._clock.now(),
            )
            if row is None:
                raise _taken(draft.key)
            await self._audit.record(connection, by, action="campaign.create", subject=("campaign", row.id), after=row)
        return row

    async def update_campaign(self, campaign: int | str, change: CampaignChange, *, by: Principal) -> CampaignRow:
        """Change a campaign, named by its id or key; a change that changes nothing leaves no audit entry."""
        async with self._catalogue.transaction() as connection:
            before = await self._locked(connection, campaign)
            values = _merged(before, change)
            _check_change(before, change, values).raise_any()
            if values == _values(before):
                return before
            row = await self._catalogue.update_campaign(connection, before.id, values=values, at=self._clock.now())
            await self._audit.record(
                connection, by, action="campaign.update", subject=("campaign", row.id), before=before, after=row
            )
        return row

    async def upsert_users(self, users: Sequence[UserDraft], *, by: Principal) -> Upserted:
        """Create or update up to 1,000 users; of two with the same external id the last wins.

        One user at fault refuses them all; the path of its problem starts with `users` and its index.
        """
        _check_users(users).raise_any()
        drafts = {user.external_id: user for user in users}
        return await retrying(lambda: self._upsert(drafts, by=by)) if drafts else Upserted(created=0, updated=0)

    async def _upsert(self, drafts: Mapping[str, UserDraft], *, by: Principal) -> Upserted:
        now = self._clock.now()
        new = [_user_values(draft, None) for draft in drafts.values()]
        async with self._catalogue.transaction() as connection:
            created = await self._catalogue.insert_users(connection, new, at=now)
            known = await self._catalogue.lock_users(connection, [id_ for id_ in drafts if id_ not in created])
            updated = {id_: _user_values(drafts[id_], row) for id_, row in known.items()}
            if updated:
                await self._catalogue.update_users(connection, list(updated.values()), at=now)
            await self._audit.record(
                connection,
                by,
                action="user.upsert",
                subject=("user", _subject(drafts)),
                before=list(known.values()),
                after=[*created.values(), *updated.values()],
            )
        return Upserted(created=len(created), updated=len(updated))

    async def _locked(self, connection: Connection, reference: int | str) -> CampaignRow:
        possible = askable(reference) if isinstance(reference, str) else 0 < reference <= LARGEST_ID
        row = await self._catalogue.lock_campaign(connection, reference) if possible else None
        if row is None:
            problems = Problems()
            problems.missing("campaign", reference, "id")
            raise problems.error()
        return row


def _check_merchant(draft: MerchantDraft) -> Problems:
    problems = Problems()
    problems.key(draft.key)
    problems.text(draft.name, "name", longest=200)
    problems.text(draft.category, "category", longest=100)
    problems.position(draft.latitude, draft.longitude)
    return problems


def _check_draft(draft: CampaignDraft) -> Problems:
    problems = Problems()
    problems.key(draft.key)
    problems.currency(draft.currency)
    _check_values(problems, _values(draft))
    return problems


def _check_change(before: CampaignRow, change: CampaignChange, values: CampaignValues) -> Problems:
    problems = Problems()
    for name, field in _REQUIRED.items():
        if getattr(change, name) is None:
            problems.invalid(f"`{field}` cannot be cleared: give a value or leave it out.", field)
    _check_values(problems, values)
    if values.status is not before.status and values.status not in NEXT_STATUSES[before.status]:
        problems.add(_forbidden(before.status, values.status))
    return problems


def _check_values(problems: Problems, values: CampaignValues) -> None:
    problems.text(values.name, "name", longest=200)
    problems.channels(values.channels)
    problems.money(values.offer_amount, "offerAmount", positive=True, digits=12)
    if values.budget is not None:
        problems.money(values.budget, "budget", digits=14)
    problems.times(values.starts_at, values.ends_at)
    problems.json_object(values.targeting, "targeting")


def _check_users(users: Sequence[UserDraft]) -> Problems:
    problems = Problems()
    if len(users) > MAX_USERS:
        problems.invalid(f"{len(users):,} users are too many: send at most {MAX_USERS:,} at a time.", "users")
        return problems
    for index, user in enumerate(users):
        _check_user(problems.part("users", str(index)), user)
    return problems


def _check_user(problems: Problems, user: UserDraft) -> None:
    problems.text(user.external_id, "externalId", longest=200)
    values = _user_values(user, None)
    if values.segment is not None:
        problems.text(values.segment, "segment", longest=100)
    problems.timezone(values.timezone)
    problems.json_object(values.attributes, "attributes")
    if (user.latitude is UNSET) != (user.longitude is UNSET):
        problems.invalid("A place has a latitude and a longitude: give both or neither.", "latitude")
    else:
        problems.position(values.latitude, values.longitude)


def _new_merchant(draft: MerchantDraft) -> NewMerchant:
    return NewMerchant(
        key=draft.key,
        name=draft.name,
        category=draft.category,
        latitude=draft.latitude,
        longitude=draft.longitude,
    )


def _values(source: CampaignDraft | CampaignRow) -> CampaignValues:
    return CampaignValues(
        name=source.name,
        channels=tuple(source.channels),
        offer_amount=source.offer_amount,
        budget=source.budget,
        starts_at=source.starts_at,
        ends_at=source.ends_at,
        status=source.status,
        targeting=source.targeting,
    )


def _merged(before: CampaignRow, change: CampaignChange) -> CampaignValues:
    """Return what a campaign would be; what cannot be cleared stays."""
    given = {name: getattr(change, name) for name in CHANGEABLE}
    kept = {
        name: value for name, value in given.items() if value is not UNSET and not (value is None and name in _REQUIRED)
    }
    merged = replace(_values(before), **kept)
    return replace(merged, channels=tuple(merged.channels))


def _user_values(draft: UserDraft, known: UserRow | None) -> UserValues:
    """Return what is known of a user after an update, or at first."""

    def newest[T](given: T | UnsetType, before: T | None) -> T | None:
        return before if isinstance(given, UnsetType) else given

    return UserValues(
        external_id=draft.external_id,
        segment=newest(draft.segment, known and known.segment),
        timezone=newest(draft.timezone, known and known.timezone),
        attributes=newest(draft.attributes, known and known.attributes),
        latitude=newest(draft.latitude, known.latitude if known else None),
        longitude=newest(draft.longitude, known.longitude if known else None),
    )


def _subject(drafts: Mapping[str, UserDraft]) -> str:
    """Return how the log names the users of one call: the one, or how many."""
    return next(iter(drafts)) if len(drafts) == 1 else f"{len(drafts)} users"


def _taken(key: str) -> DomainErrors:
    problems = Problems()
    problems.taken(key, "key")
    return problems.error()


def _forbidden(before: CampaignStatus, after: CampaignStatus) -> InvalidTransition:
    allowed = " or ".join(sorted(NEXT_STATUSES[before]))
    advice = f"from here it can become {allowed}." if allowed else "create a new campaign instead."
    return InvalidTransition(f"A campaign that is {before} cannot become {after}: {advice}", path=("status",))


CHANGEABLE = tuple(field.name for field in fields(CampaignChange))
_REQUIRED = {"name": "name", "channels": "channels", "offer_amount": "offerAmount", "status": "status"}
