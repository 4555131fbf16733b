from datetime import UTC, datetime, timedelta

import pytest

from app.commands.demo import loading_of
from app.demo.abtests import PLANS
from app.demo.loading import world_visits
from app.demo.visits import PICTURES, STEPS, VISITS_A_STEP
from app.demo.world import World
from app.runtime.clock import ManualClock
from app.store.models.codes import EventType

SIZE = 0.02
NOW = datetime(2026, 3, 30, 14, 25, tzinfo=UTC)
COUNTED = """
    SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM event_key), (SELECT count(*) FROM merchant),
           (SELECT count(*) FROM campaign), (SELECT count(*) FROM app_user), (SELECT sum(sent) FROM campaign_day),
           (SELECT sum(converted) FROM campaign_hour), (SELECT sum(revenue_micros) FROM merchant_day),
           (SELECT sum(users) FROM campaign_cohort), (SELECT count(*) FROM ab_test_assignment),
           (SELECT sum(exposed) FROM test_totals), (SELECT sum(value_sum) FROM test_totals),
           (SELECT count(*) FROM analysis), (SELECT count(*) FROM audit_entry)
"""


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def make(clean_database, clock):
    return lambda: loading_of(clean_database, clock=clock, at_once=500)


@pytest.fixture
def loading(make):
    return make()


async def test_the_whole_history_is_loaded(loading, clean_database):
    world = await loading.load(size=SIZE)
    expected = world.history().events.until(world.anchor)
    converted = expected.types == EventType.CONVERTED
    stored = await clean_database.fetchrow(COUNTED)
    visits = sum(len(step.events) for step in world_visits(world).steps(expected))
    assert visits > STEPS * VISITS_A_STEP
    assert tuple(stored)[:5] == (len(expected) + visits, len(expected) + visits, 12, 40, 5_000)
    assert tuple(stored)[5:8] == (
        int((expected.types == EventType.SENT).sum()),
        int(converted.sum()),
        int(expected.values[converted].sum()) * 10_000,
    )
    assert world.anchor == NOW.replace(minute=0)


async def test_tests_are_started_and_ended_at_their_time(loading, clean_database):
    world = await loading.load(size=SIZE)
    stored = await clean_database.fetch("SELECT key, status, started_at, ended_at, winner_id FROM ab_test ORDER BY id")
    plans = [plan.key for plan in sorted(PLANS, key=lambda plan: -plan.began)]
    assert [row["key"] for row in stored] == [*plans, PICTURES.key]
    for plan in PLANS:
        (row,) = [row for row in stored if row["key"] == plan.key]
        assert row["started_at"] == world.anchor - timedelta(days=plan.began)
        assert row["ended_at"] == (None if plan.ended is None else world.anchor - timedelta(days=plan.ended))
        assert row["status"] == ("RUNNING" if plan.ended is None else "ENDED")
        assert (row["winner_id"] is None) is (plan.winner is None)
    foreign = await clean_database.fetchval("SELECT count(*) FROM ab_test WHERE decided_elsewhere")
    assert foreign == 0


async def test_segments_channels_offers_and_places_arrive(loading, clean_database):
    world = await loading.load(size=SIZE)
    tried = [campaign.key for campaign in world.population.campaigns if campaign.tries_amounts]
    offers = await clean_database.fetch(
        "SELECT DISTINCT c.key FROM event e JOIN campaign c ON c.id = e.campaign_id "
        "WHERE e.offer_micros <> (c.offer_amount * 1000000)::bigint AND e.probability = 0.2"
    )
    assert {row["key"] for row in offers} == set(tried)
    segments = await clean_database.fetchval("SELECT count(DISTINCT segment) FROM event WHERE segment <> ''")
    assert segments == 5
    fences = await clean_database.fetchval("SELECT count(*) FROM event WHERE type = 7 AND latitude IS NOT NULL")
    assert fences > 10


async def test_loading_again_later_changes_nothing(loading, clean_database, clock):
    first = await loading.load(size=SIZE)
    before = await clean_database.fetchrow(COUNTED)
    clock.advance(timedelta(days=4))
    again = await loading.load(size=SIZE)
    assert await clean_database.fetchrow(COUNTED) == before
    assert again.anchor == first.anchor


async def test_a_second_load_stores_no_event(loading, clean_database, statements):
    await loading.load(size=SIZE)
    with statements.watched() as seen:
        await loading.load(size=SIZE)
    assert len(seen) == 1


@pytest.mark.parametrize("broken_at", [2_000, 5_000])  # while the first test runs, and after its end
async def test_a_broken_load_resumes_and_ends_the_same(make, clean_database, clock, broken_at):
    await make().load(size=SIZE)
    whole = tuple(await clean_database.fetchrow(COUNTED))
    await clean_database.execute("TRUNCATE event, event_key, campaign_hour, campaign_day, campaign_total, merchant_day")
    await clean_database.execute("TRUNCATE import_run, campaign_user_day, campaign_cohort, audit_entry")
    await clean_database.execute("TRUNCATE app_user, merchant, ab_test CASCADE")

    with pytest.raises(KeyboardInterrupt):
        await make().load(size=SIZE, progress=break_at(broken_at))
    stored = await clean_database.fetchval("SELECT count(*) FROM event")
    assert broken_at <= stored < broken_at + 500
    # as if the process had died between storing a batch and noting it
    await clean_database.execute("UPDATE import_run SET rows_done = rows_done - 500")
    clock.advance(timedelta(hours=30))
    starts = []
    await make().load(size=SIZE, progress=lambda done, _: starts.append(done))
    assert starts[0] == stored - 500
    assert tuple(await clean_database.fetchrow(COUNTED))[:-1] == whole[:-1]  # users were upserted, and audited, again
    run = await clean_database.fetchrow("SELECT accepted, duplicates, rejected, rows_done FROM import_run")
    assert (run["duplicates"], run["rejected"]) == (500, 0)
    visits = "SELECT count(*) FROM event e JOIN ab_test t ON t.id = e.test_id WHERE t.key = $1"
    assert run["rows_done"] == whole[0] - await clean_database.fetchval(visits, PICTURES.key)


def break_at(count):
    def progress(done, _):
        if done >= count:
            raise KeyboardInterrupt

    return progress


async def test_another_seed_is_another_world(loading, clean_database):
    one = await loading.load(size=SIZE, seed=1)
    assert World(one.anchor, seed=1, size=SIZE).population.campaigns == one.population.campaigns
    assert World(one.anchor, seed=2, size=SIZE).population.campaigns != one.population.campaigns
