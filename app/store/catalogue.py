"""Writing merchants, campaigns and users, within a transaction of the caller's."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.store.campaigns import (
    CAMPAIGN_JSON,
    MERCHANT_COLUMNS,
    USER_COLUMNS,
    CampaignRow,
    MerchantRow,
    UserRow,
    campaign_of,
    merchant_row,
    user_row,
)
from app.store.database import Connection, Database
from app.store.models.codes import CampaignStatus, Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMerchant:
    """What a merchant is made of."""

    key: str
    name: str
    category: str
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignValues:
    """What of a campaign can change."""

    name: str
    channels: Sequence[Channel]
    offer_amount: Decimal
    budget: Decimal | None
    starts_at: datetime | None
    ends_at: datetime | None
    status: CampaignStatus
    targeting: object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserValues:
    """What is known of a user."""

    external_id: str
    segment: str | None
    timezone: str | None
    attributes: object | None
    latitude: float | None
    longitude: float | None


_INCOMING_USERS = """
    unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::float8[], $6::float8[])
        AS incoming(external_id, segment, timezone, attributes, latitude, longitude)
"""
# In the order of external ids, so that of two writers with users in common one waits for the other.
INSERT_USERS = f"""
    INSERT INTO app_user (external_id, segment, timezone, attributes, latitude, longitude, created_at, updated_at)
    SELECT external_id, coalesce(segment, ''), timezone, attributes, latitude, longitude, $7, $7
    FROM {_INCOMING_USERS} ORDER BY external_id
    ON CONFLICT (external_id) DO NOTHING
    RETURNING {USER_COLUMNS}
"""
# In the order of ids, as those who keep totals lock them.
LOCK_USERS = f"SELECT {USER_COLUMNS} FROM app_user WHERE external_id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"
UPDATE_USERS = f"""
    UPDATE app_user AS known
    SET segment = coalesce(incoming.segment, ''), timezone = incoming.timezone, attributes = incoming.attributes,
        latitude = incoming.latitude, longitude = incoming.longitude, updated_at = $7
    FROM {_INCOMING_USERS}
    WHERE known.external_id = incoming.external_id
"""


class CatalogueStore:
    """Writes merchants, campaigns and users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open a transaction; its connection goes to the methods that take one."""
        return self._database.transaction()

    async def insert_merchant(
        self, connection: Connection, merchant: NewMerchant, *, at: datetime
    ) -> MerchantRow | None:
        """Store a merchant; return None where its key is taken."""
        row = await connection.fetchrow(
            "INSERT INTO merchant (key, name, category, latitude, longitude, created_at) "
            f"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO NOTHING RETURNING {MERCHANT_COLUMNS}",
            *(merchant.key, merchant.name, merchant.category, merchant.latitude, merchant.longitude, at),
        )
        return None if row is None else merchant_row(row)

    async def insert_campaign(
        self,
        connection: Connection,
        values: CampaignValues,
        *,
        key: str,
        merchant_id: int,
        currency: str,
        at: datetime,
    ) -> CampaignRow | None:
        """Store a campaign; return None where its key is taken."""
        row = await connection.fetchrow(
            f"""
            INSERT INTO campaign (name, channels, offer_amount, budget, starts_at, ends_at, status, targeting,
                                  key, merchant_id, currency, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
            ON CONFLICT (key) DO NOTHING RETURNING {CAMPAIGN_JSON}
            """,
            *(*_campaign_arguments(values), key, merchant_id, currency, at),
        )
        return None if row is None else campaign_of(row[0])

    async def lock_campaign(self, connection: Connection, reference: int | str) -> CampaignRow | None:
        """Return a campaign by its id or key, and keep others from changing it until the transaction ends."""
        column = "id" if isinstance(reference, int) else "key"
        row = await connection.fetchrow(
            f"SELECT {CAMPAIGN_JSON} FROM campaign WHERE {column} = $1 FOR NO KEY UPDATE", reference
        )
        return None if row is None else campaign_of(row[0])

    async def update_campaign(
        self, connection: Connection, campaign_id: int, *, values: CampaignValues, at: datetime
    ) -> CampaignRow:
        """Store what has changed of a campaign that the transaction has locked."""
        row = await connection.fetchrow(
            f"""
            UPDATE campaign
            SET name = $1, channels = $2, offer_amount = $3, budget = $4, starts_at = $5, ends_at = $6, status = $7,
                targeting = $8, updated_at = $9
            WHERE id = $10
            RETURNING {CAMPAIGN_JSON}
            """,
            *(*_campaign_arguments(values), at, campaign_id),
        )
        if row is None:
            raise LookupError(campaign_id)
        return campaign_of(row[0])

    async def insert_users(
        self, connection: Connection, users: Sequence[UserValues], *, at: datetime
    ) -> dict[str, UserRow]:
        """Store users with different external ids; return those that were not there before, by external id."""
        rows = await connection.fetch(INSERT_USERS, *_user_arguments(users), at)
        return {row["external_id"]: user_row(row) for row in rows}

    async def lock_users(self, connection: Connection, external_ids: Sequence[str]) -> dict[str, UserRow]:
        """Return users by external id, and keep others from changing them until the transaction ends."""
        rows = await connection.fetch(LOCK_USERS, external_ids)
        return {row["external_id"]: user_row(row) for row in rows}

    async def update_users(self, connection: Connection, users: Sequence[UserValues], *, at: datetime) -> None:
        """Store what is known of users that the transaction has locked."""
        await connection.execute(UPDATE_USERS, *_user_arguments(users), at)


def _campaign_arguments(values: CampaignValues) -> tuple[object, ...]:
    return (
        *(values.name, [int(channel) for channel in values.channels], values.offer_amount, values.budget),
        *(values.starts_at, values.ends_at, values.status.value, values.targeting),
    )


def _user_arguments(users: Sequence[UserValues]) -> list[list[object]]:
    rows = [(u.external_id, u.segment, u.timezone, u.attributes, u.latitude, u.longitude) for u in users]
    return [list(column) for column in zip(*rows, strict=True)]
