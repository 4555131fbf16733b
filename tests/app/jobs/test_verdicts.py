"""What tests say, as advice asks for it."""

from datetime import UTC, datetime, timedelta

import pytest

from app.abtests.drafting import MetricDraft, TestDraft, VariantDraft
from app.auth.principals import COMMAND_LINE
from app.commands.use_cases import lifecycle_and_analyzing
from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.jobs.verdicts import verdicts_of
from app.runtime.clock import ManualClock
from app.store.abtests import TestStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.models.codes import EventType, MetricKind
from engine.decision import Decision

NOW = datetime(2026, 3, 31, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def started(database: Database, clock: ManualClock, **given) -> None:
    lifecycle, _ = lifecycle_and_analyzing(database, clock)
    halves = (VariantDraft(key="a", name="Plain", weight=0.5, is_control=True), VariantDraft(key="b", weight=0.5))
    metric = MetricDraft(key="converted", kind=MetricKind.CONVERSION, event=EventType.CONVERTED)
    draft = TestDraft(**({"key": "spring", "name": "Spring", "variants": halves, "metric": metric} | given))
    made = await lifecycle.create(draft, principal=COMMAND_LINE)
    await lifecycle.start(made.test.id, at=NOW - timedelta(days=20), principal=COMMAND_LINE)


async def units(database: Database, clock: ManualClock, **converted: tuple[int, int]) -> None:
    events = []
    for variant, (exposed, successes) in converted.items():
        for number in range(exposed):
            shared = {"userId": f"{variant}{number}", "occurredAt": NOW - timedelta(days=10)}
            events.append(
                shared | {"id": f"e{variant}{number}", "type": "EXPOSED", "testId": "spring", "variantKey": variant}
            )
            if number < successes:
                events.append(shared | {"id": f"c{variant}{number}", "type": "CONVERTED"})
    assert (await Ingestion(EventStore(database), clock).record(read_mappings(events))).rejected == ()


async def states(database: Database, clock: ManualClock):
    _, analyzing = lifecycle_and_analyzing(database, clock)
    return await verdicts_of(TestStore(database), analyzing)()


async def test_a_winner_with_its_difference_and_its_share(clean_database: Database, clock: ManualClock) -> None:
    await started(clean_database, clock)
    await units(clean_database, clock, a=(600, 60), b=(600, 180))
    [state] = await states(clean_database, clock)
    assert (state.key, state.decision, state.winner, state.winner_share) == ("spring", Decision.WINNER, "b", 0.5)
    assert state.counts_conversions
    assert not state.is_money
    assert state.difference is not None
    assert state.difference.point == pytest.approx(0.2)
    assert 0 < state.difference.low < 0.2 < state.difference.high
    assert state.reasons


async def test_where_the_control_wins_the_difference_is_to_the_best_treatment(
    clean_database: Database, clock: ManualClock
) -> None:
    await started(clean_database, clock)
    await units(clean_database, clock, a=(600, 180), b=(600, 60))
    [state] = await states(clean_database, clock)
    assert (state.decision, state.winner) == (Decision.WINNER, "Plain")
    assert state.difference is not None
    assert state.difference.point == pytest.approx(0.2)
    assert 0 < state.difference.low < state.difference.high


async def test_tests_that_say_nothing_yet_and_ended_ones(clean_database: Database, clock: ManualClock) -> None:
    await started(clean_database, clock)
    [state] = await states(clean_database, clock)
    assert (state.decision, state.winner, state.difference) == (Decision.KEEP_RUNNING, None, None)
    await clean_database.execute("UPDATE ab_test SET status = 'ENDED'")
    assert await states(clean_database, clock) == []


async def test_what_is_better_when_less_has_no_difference_in_money(
    clean_database: Database, clock: ManualClock
) -> None:
    metric = MetricDraft(key="clicked", kind=MetricKind.CONVERSION, event=EventType.CONVERTED, higher_is_better=False)
    await started(clean_database, clock, metric=metric)
    await units(clean_database, clock, a=(600, 180), b=(600, 60))
    [state] = await states(clean_database, clock)
    assert (state.decision, state.winner, state.difference) == (Decision.WINNER, "b", None)
