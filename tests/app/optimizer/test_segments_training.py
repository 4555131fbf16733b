"""What chance divided: users that a test held out, or else its control; and when segments are told apart by it."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.abtests.audiences import is_for
from app.ingestion.batches import IncomingEvent
from app.ingestion.pipeline import Ingestion
from app.optimizer.segments import Arms, Split, rank_splits, read_splits
from app.runtime.clock import ManualClock
from app.store.database import Database
from app.store.events import EventStore
from app.store.experiments import ExperimentStore
from engine.assignment.allocation import Holdout
from engine.summaries import ProportionSummary

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = NOW - timedelta(days=20)
USERS = 1_200
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES (1, 'shop', 'Shop', 'food'), (2, 'other', 'Other', 'food');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES
        (1, 'one', 'One', 1, '{1}', 5), (2, 'two', 'Two', 2, '{1}', 5);
    INSERT INTO ab_test (id, key, name, seed, campaign_id, status, started_at, holdout, targeting)
        VALUES (1, 'kept-out', 'Kept out', 'seed-7', 1, 'RUNNING', '2026-02-09', 0.3,
                '{"segment": {"$in": ["new", "Überall", "lost"]}}'),
               (2, 'wording', 'Wording', 'w', 2, 'ENDED', '2026-02-09', 0, NULL),
               (3, 'small', 'Small', 's', 2, 'RUNNING', '2026-02-09', 0, NULL),
               (4, 'bandit', 'Bandit', 'b', 2, 'RUNNING', '2026-02-09', 0, NULL);
    UPDATE ab_test SET allocation_policy = 'THOMPSON' WHERE id = 4;
    INSERT INTO ab_test_variant (id, test_id, key, name, position, is_control, weight)
        SELECT t * 10 + p, t, 'v' || p, 'V', p, p = 0, 0.5 FROM generate_series(1, 4) t, generate_series(0, 2) p;
    INSERT INTO ab_test_metric (id, test_id, key, name, position, kind, event)
        SELECT t, t, 'converted', 'Converted', 0, 'CONVERSION', 6 FROM generate_series(1, 4) t;
    INSERT INTO test_totals (test_id, metric_id, variant_id, segment, slot, exposed, converted)
        SELECT t, t, t * 10 + p, s, slot, CASE t WHEN 2 THEN 100 WHEN 3 THEN 10 ELSE 5000 END, p + 1
        FROM generate_series(2, 4) t, generate_series(0, 2) p, unnest(ARRAY['new', '']) s, generate_series(0, 1) slot;
"""


@pytest_asyncio.fixture
async def shop(clean_database: Database) -> Database:
    """Of those not held out new users buy half of the time, others as rarely as those held out."""
    await clean_database.execute(CATALOGUE)
    segments = ("new", "Überall", "elsewhere")
    rows = [(u, f"user-{u}", segments[u % 3], START - timedelta(days=1)) for u in range(1, USERS + 1)]
    rows += [(USERS + 1, "late", "new", START + timedelta(days=1))]
    await clean_database.executemany(
        "INSERT INTO app_user (id, external_id, segment, created_at) VALUES ($1, $2, $3, $4)", rows
    )
    holdout = Holdout(seed="seed-7-holdout", fraction=0.3)
    buyers = [
        u for u in range(1, USERS + 1) if u % (2 if u % 3 == 0 and not holdout.holds(f"user-{u}") else 10) == u % 3 // 2
    ]
    events = [
        IncomingEvent(
            id=f"e{u}",
            type="CONVERTED",
            occurred_at=START + timedelta(days=1 + u % 5),
            user_id=f"user-{u}",
            campaign_id="one" if u % 2 else "two",
        )
        for u in buyers
    ]
    receipt = await Ingestion(EventStore(clean_database), ManualClock(NOW)).record(events)
    assert not receipt.rejected
    return clean_database


async def splits_of(database: Database) -> dict[int, Split]:
    found = await read_splits(ExperimentStore(database), start=START, end=NOW, outcome_days=7.0, targets=is_for)
    return {split.campaign_id: split for split in found}


async def test_users_held_out_are_the_control_of_their_campaign(shop: Database) -> None:
    split = (await splits_of(shop))[1]
    assert "kept-out" in split.treatment
    assert [arms.segment for arms in split.segments] == ["new", "Überall"]  # "elsewhere" the test is not for
    units = sum(arms.treated.exposed + arms.control.exposed for arms in split.segments)
    assert units == USERS * 2 / 3  # without who came later
    share = sum(arms.control.exposed for arms in split.segments) / units
    assert 0.25 < share < 0.35
    bought = await shop.fetch("SELECT DISTINCT user_id FROM event WHERE campaign_id = 1 AND user_id % 3 < 2")
    assert sum(arms.treated.converted + arms.control.converted for arms in split.segments) == len(bought)


async def test_and_each_of_them_is_a_unit_with_its_chance(shop: Database) -> None:
    trial = (await splits_of(shop))[1].trial
    assert trial is not None
    assert len(trial) == USERS * 2 / 3
    assert set(trial.propensity.tolist()) == {0.7}
    assert set(trial.at.tolist()) == {round(START.timestamp() * 1e6)}
    holdout = Holdout(seed="seed-7-holdout", fraction=0.3)
    first = trial.user_ids.tolist()[0]
    assert trial.treated[0] == (not holdout.holds(f"user-{first}"))
    some = trial.some(100, seed=1)
    assert len(some) == len(some.segments) == 100
    assert set(some.user_ids.tolist()) < set(trial.user_ids.tolist())


async def test_units_of_a_test_are_those_whose_time_is_over(shop: Database) -> None:
    await shop.execute(
        "INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,"
        " policy_version) SELECT 2, u, 20 + u % 3, at, at, 0.5, 1 + u % 2 FROM generate_series(1, 6) u,"
        " LATERAL (SELECT $1::timestamptz - make_interval(days => u) AS at) a",
        NOW,
    )
    await shop.execute(
        "INSERT INTO unit_metric (test_id, metric_id, user_id, variant_id, multiple, value, segment)"
        " SELECT 2, 2, u, 20 + u % 3, (u = 6)::int, u % 2, 'new' FROM generate_series(1, 6) u"
    )
    await shop.execute(
        "INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities)"
        " VALUES (2, 1, 'FIXED', 0, '[0.2, 0.4, 0.4]'), (2, 2, 'FIXED', 0, '[0.5, 0.3, 0.2]')"
    )
    units = await ExperimentStore(shop).units(2, NOW)
    assert [unit.user_id for unit in units] == [3, 4, 5]  # 1 and 2 have days to come, 6 saw several variants
    assert [unit.treated for unit in units] == [False, True, True]
    assert [unit.converted for unit in units] == [True, False, True]
    assert [unit.propensity for unit in units] == pytest.approx([0.5, 0.8, 0.5])
    trial = (await splits_of(shop))[2].trial
    assert trial is not None
    assert trial.user_ids.tolist() == [3, 4, 5]


async def test_elsewhere_the_largest_test_with_fixed_shares(shop: Database) -> None:
    split = (await splits_of(shop))[2]
    assert "wording" in split.treatment
    assert [arms.segment for arms in split.segments] == ["", "new"]
    assert split.segments[0].control == ProportionSummary(converted=2, exposed=200)
    assert split.segments[0].treated == ProportionSummary(converted=10, exposed=400)


async def test_tests_that_ended_before_the_window_are_not_seen(shop: Database) -> None:
    await shop.execute("UPDATE ab_test SET ended_at = started_at + interval '1 hour'")
    later = START + timedelta(days=10)
    store = ExperimentStore(shop)
    assert await read_splits(store, start=later, end=NOW, outcome_days=7.0, targets=is_for) == []


def arms(segment: str, treated: int, control: int, units: int = 5_000) -> Arms:
    return Arms(
        segment=segment,
        treated=ProportionSummary(converted=treated, exposed=units),
        control=ProportionSummary(converted=control, exposed=units),
    )


def split(*segments: Arms) -> Split:
    return Split(campaign_id=9, treatment="those sent to with those held out", segments=segments)


def test_segments_are_ranked_by_what_is_added_not_by_what_they_do() -> None:
    ranked = rank_splits([split(arms("loyal", 1_000, 1_000), arms("new", 300, 100), arms("lapsed", 150, 100))])
    assert [row.segment for row in ranked.rows] == ["new", "lapsed", "loyal"]
    assert [row.rank for row in ranked.rows] == [1, 2, 3]
    assert ranked.rows[0].low < ranked.rows[0].lift < ranked.rows[0].high
    assert ranked.rows[0].lift == pytest.approx(0.04, abs=0.01)
    assert any("those held out" in reason for reason in ranked.rows[0].reasons)
    assert ranked.refusals == ()


def test_segments_that_chance_alone_sets_apart_are_not_ranked_and_it_is_said() -> None:
    ranked = rank_splits([split(arms("loyal", 1_010, 905), arms("new", 203, 100))])
    assert ranked.rows == ()
    ((campaign, reason),) = ranked.refusals
    assert campaign == 9
    assert "do not differ between segments by more than chance" in reason


def test_too_few_units_are_refused() -> None:
    ranked = rank_splits([split(arms("loyal", 1, 1, units=40), arms("new", 2, 1, units=40))])
    assert ranked.rows == ()
    assert "Segments are not ranked." in ranked.refusals[0][1]
