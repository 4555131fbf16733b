"""Advice made of a database: what is seen leads to it, once, in a number of statements that does not depend on it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.optimizer.advising import Advising
from app.optimizer.situations import TestState
from app.runtime.clock import ManualClock
from app.runtime.compute import InlineCompute
from app.store.activity import ActivityStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.learned import LearnedStore
from app.store.models.codes import RecommendationKind
from app.store.performance import PerformanceStore
from app.store.recommendations import RecommendationStore
from engine.decision import Decision

NOW = datetime(2026, 3, 31, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def states() -> list[TestState]:
    return []


@pytest_asyncio.fixture
async def advising(clean_database: Database, clock: ManualClock, states: list[TestState]) -> Advising:
    async def verdicts() -> list[TestState]:
        return states

    return Advising(
        activity=ActivityStore(clean_database),
        performance=PerformanceStore(clean_database),
        learned=LearnedStore(clean_database),
        recommendations=RecommendationStore(clean_database),
        verdicts=verdicts,
        compute=InlineCompute(),
        clock=clock,
    )


async def catalogue(database: Database, count: int) -> None:
    await database.execute("INSERT INTO merchant (key, name, category) VALUES ('m', 'M', '') ON CONFLICT DO NOTHING")
    await database.execute(
        "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)"
        " SELECT 'c' || n, 'C' || n, 1, 'ACTIVE', '{1,2}', 5 FROM generate_series(1, $1) n ON CONFLICT DO NOTHING",
        count,
    )


async def happened(database: Database, clock: ManualClock, *, users: int = 600, campaign: str = "c1") -> None:
    """Each user was sent one message: by push a fifth converted, by e-mail one of 60."""
    events = []
    for number in range(users):
        push = number % 2 == 0
        common = {
            "occurredAt": NOW - timedelta(days=1 + number % 20),
            "userId": f"u{number}",
            "campaignId": campaign,
            "channel": "PUSH" if push else "EMAIL",
        }
        kinds = ["SENT", "DELIVERED", *(["CONVERTED"] if number % (5 if push else 60) == 0 else [])]
        events += [
            {"id": f"{campaign}/{number}/{kind}", "type": kind, **common, "value": Decimal(20 + number % 3)}
            if kind == "CONVERTED"
            else {"id": f"{campaign}/{number}/{kind}", "type": kind, **common}
            for kind in kinds
        ]
    receipt = await Ingestion(EventStore(database), clock).record(read_mappings(events))
    assert receipt.rejected == ()


async def test_nothing_is_advised_of_nothing(advising: Advising, clean_database: Database) -> None:
    assert (await advising.advise()).added == 0
    await catalogue(clean_database, 2)
    assert (await advising.advise()).added == 0


async def test_what_was_seen_leads_to_advice_that_stays(
    advising: Advising, clean_database: Database, clock: ManualClock
) -> None:
    await catalogue(clean_database, 1)
    await happened(clean_database, clock, users=2_000)
    made = await advising.advise()
    rows = (await RecommendationStore(clean_database).page()).rows
    assert {row.kind for row in rows} == {RecommendationKind.CHANNEL, RecommendationKind.START_TEST}
    channel = next(row for row in rows if row.kind is RecommendationKind.CHANNEL)
    assert channel.title == "Send by PUSH"
    assert channel.gain is not None
    assert channel.gain.low > 0
    clock.advance(timedelta(hours=6))
    again = await advising.advise()
    assert (made.added, again.added, again.kept, again.superseded) == (2, 0, 2, 0)
    assert [row.id for row in (await RecommendationStore(clean_database).page()).rows] == [row.id for row in rows]


async def test_advice_goes_when_its_reason_does(
    advising: Advising, clean_database: Database, clock: ManualClock, states: list[TestState]
) -> None:
    test = await clean_database.fetchval("INSERT INTO ab_test (key, name, seed) VALUES ('t', 'T', 's') RETURNING id")
    states.append(
        TestState(test_id=test, key="t", name="T", campaign_id=None, decision=Decision.INVALID, reasons=("Bad.",))
    )
    assert (await advising.advise()).added == 1
    [row] = (await RecommendationStore(clean_database).page()).rows
    assert (row.kind, row.test_id, row.rationale) == (RecommendationKind.END_TEST, test, "Bad.")
    states.clear()
    assert (await advising.advise()).superseded == 1
    assert (await RecommendationStore(clean_database).page()).rows == ()


async def test_statements_do_not_grow_with_campaigns(
    advising: Advising, clean_database: Database, clock: ManualClock, statements
) -> None:
    await catalogue(clean_database, 1)
    await happened(clean_database, clock)
    with statements.watched() as few:
        await advising.situations(NOW)
    await catalogue(clean_database, 20)
    for number in range(2, 6):
        await happened(clean_database, clock, users=60, campaign=f"c{number}")
    with statements.watched() as many:
        found = await advising.situations(NOW)
    assert len(found.campaigns) == 20
    assert len(many) == len(few)
