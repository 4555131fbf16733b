"""Advice that stands: kept, changed and superseded, with ids that stay."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.store.database import Database
from app.store.models.codes import RecommendationKind
from app.store.recommendations import Advice, RecommendationStore, Replaced
from engine.effects import IntervalEstimate

NOW = datetime(2026, 3, 31, tzinfo=UTC)
GAIN = IntervalEstimate(point=3.0, low=1.0, high=6.0)


def advice(kind: RecommendationKind = RecommendationKind.CHANNEL, **given: Any) -> Advice:
    defaults = {"title": "Send by PUSH", "rationale": "It earns more.", "campaign_id": 1, "evidence": {"sends": 7}}
    return Advice(kind=kind, **(defaults | given))


@pytest_asyncio.fixture
async def store(clean_database: Database) -> RecommendationStore:
    await clean_database.execute("INSERT INTO merchant (key, name, category) VALUES ('m', 'M', '')")
    await clean_database.execute(
        "INSERT INTO campaign (key, name, merchant_id, channels, offer_amount)"
        " SELECT 'c' || n, 'C', 1, '{1}', 5 FROM generate_series(1, 2) n"
    )
    return RecommendationStore(clean_database)


async def test_the_same_advice_keeps_its_id_and_its_first_time(store: RecommendationStore) -> None:
    assert await store.replace([advice(subject="PUSH", gain=GAIN)], at=NOW) == Replaced(added=1, kept=0, superseded=0)
    [first] = (await store.page()).rows
    again = advice(subject="PUSH", title="Still by PUSH", gain=None)
    later = NOW + timedelta(days=1)
    assert await store.replace([again], at=later) == Replaced(added=0, kept=1, superseded=0)
    [second] = (await store.page()).rows
    assert (second.id, second.created_at) == (first.id, NOW)
    assert (first.gain, second.gain, second.title) == (GAIN, None, "Still by PUSH")
    assert second.evidence == {"sends": 7, "subject": "PUSH"}


@pytest.mark.parametrize(
    "other",
    [
        {"subject": "SMS"},
        {"subject": "PUSH", "campaign_id": 2},
        {"subject": "PUSH", "campaign_id": None},
        {"subject": "PUSH", "kind": RecommendationKind.SEGMENT},
    ],
)
async def test_other_advice_supersedes_it(store: RecommendationStore, other: dict[str, Any]) -> None:
    await store.replace([advice(subject="PUSH")], at=NOW)
    assert await store.replace([advice(**other)], at=NOW) == Replaced(added=1, kept=0, superseded=1)
    assert [row.id for row in (await store.page()).rows] == [2]
    assert await store.count() == 1


async def test_what_comes_back_is_new(store: RecommendationStore) -> None:
    await store.replace([advice()], at=NOW)
    await store.replace([], at=NOW)
    await store.replace([advice()], at=NOW + timedelta(days=1))
    [row] = (await store.page()).rows
    assert (row.id, row.created_at) == (2, NOW + timedelta(days=1))


async def test_made_twice_at_once_it_stands_once(store: RecommendationStore) -> None:
    await asyncio.gather(*(store.replace([advice()], at=NOW) for _ in range(4)))
    assert await store.count() == 1


async def test_of_campaigns_in_one_statement(store: RecommendationStore, statements) -> None:
    kinds = (RecommendationKind.CHANNEL, RecommendationKind.BUDGET)
    await store.replace([advice(kind, campaign_id=number) for number in (1, 2) for kind in kinds], at=NOW)
    with statements.watched() as seen:
        found = await store.of_campaigns([1, 2, 3])
    assert len(seen) == 1
    assert {number: [row.kind for row in rows] for number, rows in found.items()} == {
        1: [RecommendationKind.BUDGET, RecommendationKind.CHANNEL],
        2: [RecommendationKind.BUDGET, RecommendationKind.CHANNEL],
        3: [],
    }
