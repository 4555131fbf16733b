"""A small catalogue, and what models might have written about it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from app.auth.principals import Principal, Role
from app.store.database import Database

ANALYST = Principal(3, "analyst", Role.ANALYST)
SENDER = Principal(4, "sender", Role.SENDER)
CLIENT = Principal(5, "app", Role.CLIENT)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Learned:
    """Writes rows as a training job does."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def model(
        self, kind: str, *, version: int = 1, active: bool = True, refusals: list[Any] | None = None
    ) -> int:
        return await self.database.fetchval(
            "INSERT INTO trained_model (kind, version, trained_at, training_rows, seconds, scores, feature_importances,"
            " active, refusals) VALUES ($1, $2, $3, 1000, 1.5, $4, $5, $6, $7) RETURNING id",
            kind, version, LONG_AGO, {"auc": 0.8}, {"recency": 0.1}, active, refusals,
        )  # fmt: skip

    async def curve(self, model: int, campaign: int, amount: str = "5.00") -> None:
        rate = [0.1, 0.05, 0.2]
        curve = [
            {"amount": 2.5, "conversion_rate": rate, "profit_per_user": [1.0, 0.5, 2.0]},
            {"amount": 5.0, "conversion_rate": rate, "profit_per_user": [2.0, 1.5, 3.0]},
        ]
        await self.database.execute(
            "INSERT INTO offer_curve (campaign_id, model_id, amount, low, high, expected_conversion_rate,"
            " expected_profit_per_user, curve, evidence)"
            " VALUES ($1, $2, $3::text::numeric, 4, 6, 0.1, 2.34, $4, 'tried')",
            campaign, model, amount, curve,
        )  # fmt: skip

    async def hours(
        self,
        model: int,
        *,
        user: int | None = None,
        segment: str | None = None,
        best: int = 9,
        evidence: str = "GLOBAL",
        sends: int = 100,
    ) -> None:
        rates = [0.3 if hour == best else 0.2 if hour == (best + 1) % 24 else 0.1 for hour in range(24)]
        await self.database.execute(
            "INSERT INTO send_time_profile (user_id, segment, model_id, hour, sends, open_probability, low, high,"
            " by_hour, evidence) VALUES ($1, $2, $3, $4, $5, 0.3, 0.25, 0.36, $6, $7)",
            user, segment, model, best, sends, rates, evidence,
        )  # fmt: skip

    async def affinity(self, model: int, user: int | None, merchants: dict[int, float], *reasons: str) -> None:
        ranked = sorted(merchants.items(), key=lambda pair: -pair[1])
        await self.database.executemany(
            "INSERT INTO merchant_affinity (user_id, merchant_id, model_id, rank, score, reasons)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            [(user, merchant, model, rank, score, list(reasons)) for rank, (merchant, score) in enumerate(ranked, 1)],
        )

    async def response(self, model: int, user: int, campaign: int, probability: float, rank: int = 1) -> None:
        await self.database.execute(
            "INSERT INTO campaign_response (user_id, campaign_id, model_id, rank, probability)"
            " VALUES ($1, $2, $3, $4, $5)",
            user, campaign, model, rank, probability,
        )  # fmt: skip

    async def effect(self, model: int, campaign: int, effect: float, *, user: int | None = None, **more: Any) -> None:
        evidence = {"told_apart": False, "compared": "A with B", "treated": 900, "control": 100, "reasons": ["Why."]}
        await self.database.execute(
            "INSERT INTO campaign_effect (user_id, campaign_id, model_id, effect, low, high, evidence)"
            " VALUES ($1, $2, $3, $4::float8, $4::float8 - 0.01, $4::float8 + 0.01, $5)",
            user, campaign, model, effect, None if user else evidence | more,
        )  # fmt: skip

    async def segment(self, model: int, campaign: int, segment: str, rank: int, lift: float = 0.02) -> None:
        await self.database.execute(
            "INSERT INTO segment_rank (campaign_id, model_id, segment, rank, expected_lift, low, high, reasons)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, '[\"a holdout says so\"]')",
            campaign, model, segment, rank, lift, lift - 0.01, lift + 0.01,
        )  # fmt: skip

    async def advice(self, kind: str, *, campaign: int | None = None, gain: float | None = None, **more: Any) -> int:
        return await self.database.fetchval(
            "INSERT INTO recommendation (kind, campaign_id, test_id, title, rationale, gain_point, gain_low, gain_high,"
            " evidence, created_at, superseded_at) VALUES ($1, $2, $3, 'Do it', 'Because.', $4::float8, $4::float8 - 1,"
            " $4::float8 + 1, $5, $6, $7) RETURNING id",
            kind, campaign, more.get("test"), gain, {"subject": more.get("subject", "")}, LONG_AGO,
            more.get("superseded"),
        )  # fmt: skip


@pytest.fixture
def learned(clean_database: Database) -> Learned:
    return Learned(clean_database)


@pytest_asyncio.fixture
async def shops(clean_database: Database, services) -> None:
    """Merchants 1 (Rome), 2 (10 km north) and 3 (no place), each with one active campaign; users 1 to 3."""
    del services  # made on the clean database
    await clean_database.execute(
        "INSERT INTO merchant (key, name, category, latitude, longitude) VALUES ('a', 'A', '', 41.9, 12.5),"
        " ('b', 'B', '', 41.99, 12.5), ('c', 'C', '', NULL, NULL)"
    )
    await clean_database.execute(
        "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)"
        " SELECT 'of-' || key, name, id, 'ACTIVE', '{1}', 5 FROM merchant ORDER BY id"
    )
    await clean_database.execute(
        "INSERT INTO app_user (external_id, segment, timezone, latitude, longitude) VALUES"
        " ('ann', 'vip', 'Europe/Rome', 41.9, 12.5), ('bob', 'new', NULL, NULL, NULL),"
        " ('cid', '', 'Mars/Olympus', 41.99, 12.5)"
    )


@pytest.fixture
def data(ask) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Ask, and return the data of an answer without errors."""

    async def data(query: str, **given: Any) -> dict[str, Any]:
        body = await ask(query, **given)
        assert "errors" not in body, body
        return body["data"]

    return data
