"""Situations of campaigns, as advice is made from."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.optimizer.situations import Situation, Situations
from app.store.campaigns import CampaignRow
from app.store.measures import Measures
from app.store.models.codes import CampaignStatus, Channel

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def make_campaign(number: int = 1, **given: Any) -> CampaignRow:
    """A campaign that runs; what is given replaces the defaults."""
    defaults = {
        "id": number,
        "key": f"c{number}",
        "name": f"Campaign {number}",
        "merchant_id": 1,
        "status": CampaignStatus.ACTIVE,
        "channels": (Channel.PUSH, Channel.EMAIL),
        "offer_amount": Decimal("5.00"),
        "currency": "USD",
        "budget": None,
        "starts_at": None,
        "ends_at": None,
        "targeting": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return CampaignRow(**(defaults | given))


def make_measures(
    sent: int, converted: int = 0, *, value: float = 20.0, reward: float = 5.0, cost: float = 0.0
) -> Measures:
    """Totals of messages that were all delivered, half of them opened; money is a conversion's, cost a message's."""
    return Measures(
        sent=sent,
        delivered=sent,
        opened=sent // 2,
        converted=converted,
        revenue_micros=round(converted * value * 1e6),
        reward_micros=round(converted * reward * 1e6),
        delivery_micros=round(sent * cost * 1e6),
    )


@pytest.fixture(scope="session")
def campaign():
    return make_campaign


@pytest.fixture(scope="session")
def measures():
    return make_measures


@pytest.fixture(scope="session")
def situation():
    """Make the situation of a campaign by number."""

    def make(number: int = 1, *, of: dict[str, Any] | None = None, **given: Any) -> Situation:
        return Situation(campaign=make_campaign(number, **(of or {})), **given)

    return make


@pytest.fixture(scope="session")
def situations():
    def make(*campaigns: Situation, **given: Any) -> Situations:
        return Situations(campaigns=campaigns, as_of=NOW, **given)

    return make
