"""Whom campaigns are for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.abtests.audiences import is_for
from app.store.campaigns import UserRow

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN = UserRow(
    id=1,
    external_id="ann",
    segment="vip",
    timezone="Europe/Rome",
    attributes={"plan": "pro", "age": 40, "cities": ["Rome", "Milan"]},
    latitude=None,
    longitude=None,
    created_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    "targeting",
    [
        None,
        {},
        {"segment": "vip"},
        {"segment": ["new", "vip"]},
        {"segment": {"$in": ["vip"]}},
        {"plan": "pro", "age": {"$gte": 18}},
        {"timezone": "Europe/Rome"},
        {"cities": "Rome"},
        {"$or": [{"segment": "new"}, {"plan": "pro"}]},
        {"missing": {"$exists": False}},
    ],
)
def test_for_ann(targeting: Any) -> None:
    assert is_for(targeting, ANN)


@pytest.mark.parametrize(
    "targeting",
    [
        {"segment": "new"},
        {"segment": ["new", "lapsed"]},
        {"segment": []},
        {"plan": "pro", "age": {"$lt": 18}},
        {"missing": 1},
        {"$where": "true"},
        {"age": {"$near": 40}},
        "everybody",
        ["vip"],
    ],
)
def test_not_for_ann_or_not_to_be_understood(targeting: Any) -> None:
    assert not is_for(targeting, ANN)
