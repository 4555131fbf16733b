"""The whole world with its tests, loaded once: the server's results against the world's events, and its truth."""

from datetime import timedelta

import numpy as np
import pytest

from app.abtests.analyzing import Asked
from app.abtests.assigning import Assigning
from app.abtests.definitions import Definitions
from app.commands.demo import loading_of, use_cases_of_tests
from app.demo.abtests import PLANS
from app.demo.experimenting import steps_of
from app.demo.sending import HOUR
from app.demo.world import NONE
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import ManualClock
from app.store.abtests import TestStore
from app.store.campaigns import CampaignStore
from app.store.models.codes import MetricKind

SIZE = 0.15


@pytest.fixture
async def loaded(clean_database):
    clock = ManualClock()
    world = await loading_of(clean_database, clock=clock).load(size=SIZE)
    store = TestStore(clean_database)
    ids = await store.ids_of([plan.key for plan in PLANS])
    found = await store.definitions(ids.values())
    definitions = {definition.test.key: definition for definition in found.values()}
    return world, clean_database, clock, definitions


def unit_values(world, events, number, metric):
    """What each exposed user did within the metric's window, by variant: recomputed from the world's own events."""
    shown = events.take(np.flatnonzero(events.tests == number))
    since = np.full(len(world.population.users), np.iinfo(np.int64).max)
    since[shown.users] = shown.at
    chosen = (events.types == metric.event) & (events.at >= since[events.users])
    chosen &= events.at - since[events.users] < metric.window_hours * HOUR
    values = events.values[chosen] / 100 if metric.kind is MetricKind.REVENUE else np.ones(int(chosen.sum()))
    sums = np.bincount(events.users[chosen], values, minlength=len(since))
    if metric.kind is MetricKind.CONVERSION:
        sums = np.minimum(sums, 1)
    variants = range(len(PLANS[number].draft.variants))
    return [sums[shown.users[shown.variants == variant]] for variant in variants]


async def test_results_equal_what_the_world_did_and_the_server_decides_alike(loaded):
    world, database, clock, definitions = loaded
    events = world.history().events.until(world.anchor)
    analyzing = use_cases_of_tests(database, clock).analyzing
    results = await analyzing.results({one.test.id: one for one in definitions.values()})
    for number, plan in enumerate(PLANS):
        test_id = definitions[plan.key].test.id
        values = unit_values(world, events, number, plan.draft.metric)
        totals = results[test_id].totals
        assert [row.exposed for row in totals] == [len(one) for one in values]
        assert [row.converted for row in totals] == [int((one > 0).sum()) for one in values]
        assert [row.multiple_exposed for row in totals] == [0] * len(values)
        assert [row.mean for row in totals] == pytest.approx([one.mean() for one in values])
    sure = await analyzing.results({one.test.id: one for one in definitions.values()}, Asked(confidence_level=0.999))
    check_truth(world, sure, definitions)
    await check_decisions(database, world, clock)
    await check_history(database, definitions, world, clock)
    await check_repetition(database, world, clock)


def check_truth(world, results, definitions):
    """The true effect on each test's conversions lies within its interval."""
    history, checked = world.history(), 0
    conversion = history.response.delivered * history.response.conversion
    for number, plan in enumerate(PLANS):
        if plan.draft.metric.key != "converted":
            continue
        frequentist = results[definitions[plan.key].test.id].frequentist
        means = expected_means(world, history.sends, conversion, number)
        for comparison, mean in zip(frequentist.comparisons, means[1:], strict=True):
            assert comparison.difference.low < mean - means[0] < comparison.difference.high, plan.key
            checked += 1
    assert checked == 5


def expected_means(world, sends, conversion, number):
    """By variant, the mean probability that an exposed user converts by an offer sent within the window."""
    (shown,) = [one for one in world.experiments.exposures(sends) if one.test == number]
    since = np.full(len(world.population.users), np.iinfo(np.int64).max)
    since[sends.users[shown.sends]] = sends.at[shown.sends]
    window = PLANS[number].draft.metric.window_hours * HOUR
    counted = (sends.at >= since[sends.users]) & (sends.at - since[sends.users] < window)
    none = np.exp(np.bincount(sends.users[counted], np.log1p(-conversion[counted]), minlength=len(since)))
    users = sends.users[shown.sends]
    return [1 - none[users[shown.variants == one]].mean() for one in range(len(PLANS[number].draft.variants))]


async def check_decisions(database, world, clock):
    """Every user of every running test: the server's decision is the world's."""
    store = TestStore(database)
    tests = Definitions(store, LocalBroadcast(), clock=clock)
    await tests.reload()
    assigning = Assigning(tests, tests=store, users=CampaignStore(database), clock=clock)
    for number, plan in enumerate(PLANS):
        if plan.ended is not None:
            continue
        keys = [variant.key for variant in plan.draft.variants]
        for user, variant in list(
            zip(world.population.users.external_id, world.experiments.variants[number], strict=True)
        )[:400]:
            decision = await assigning.decide(plan.key, user)
            assert (None if decision.variant is None else decision.variant.key) == (
                None if variant == NONE else keys[variant]
            )


async def check_history(database, definitions, world, clock):
    """The ended test has its last analysis, of the time when it ended."""
    saved = await database.fetch("SELECT test_id, results FROM analysis")
    ended = [plan for plan in PLANS if plan.ended is not None]
    assert [row["test_id"] for row in saved] == [definitions[plan.key].test.id for plan in ended]
    assert saved[0]["results"]["as_of"] == (world.anchor - timedelta(days=ended[0].ended)).isoformat()
    winner = await database.fetchval(
        "SELECT v.key FROM ab_test t JOIN ab_test_variant v ON v.id = t.winner_id WHERE t.key = $1", ended[0].key
    )
    assert winner == ended[0].winner


async def check_repetition(database, world, clock):
    """Every step taken again changes nothing."""
    counted = (
        "SELECT (SELECT count(*) FROM ab_test), (SELECT count(*) FROM audit_entry), (SELECT count(*) FROM analysis)"
    )
    before = await database.fetchrow(counted)
    experimenting = loading_of(database, clock=clock).experimenting
    for step in steps_of(world.experiments):
        await experimenting.take(step)
    assert await database.fetchrow(counted) == before


def test_steps_come_in_order_of_time(world):
    steps = steps_of(world.experiments)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert sum(step.is_end for step in steps) == sum(plan.ended is not None for plan in PLANS)
    assert sum(not step.is_end for step in steps) == len(PLANS)
