"""The bandit of the home screen: its history is the server's own, and its truth is in it."""

import numpy as np
import pytest
from scipy.stats import binomtest

from app.abtests.drafting import problems
from app.commands.demo import loading_of
from app.demo.loading import world_visits
from app.demo.truth import TAPPING
from app.demo.visits import PICTURES, STEP, STEPS, VISITS_A_STEP, WINDOW_HOURS
from app.runtime.clock import ManualClock
from app.store.models.codes import EventType

SURE = 1e-4


@pytest.fixture(scope="module")
def steps(world, events):
    return list(world_visits(world).steps(events))


def test_the_draft_is_sound():
    assert problems(PICTURES) == []
    assert {variant.key for variant in PICTURES.variants} == set(TAPPING)


def test_each_user_comes_once_and_taps_by_the_truth(world, events, steps):
    sent = [event for step in steps for event in step.events]
    shown = {event.user_id: event for event in sent if event.type == "EXPOSED"}
    taps = {event.user_id: event for event in sent if event.type == "CLICKED"}
    assert len(shown) == STEPS * VISITS_A_STEP
    assert len(shown) + len(taps) == len(sent) == len({event.id for event in sent})
    for user, tapped in taps.items():
        assert 0 <= (tapped.occurred_at - shown[user].occurred_at).total_seconds() < 3600 * WINDOW_HOURS
    for picture, rate in TAPPING.items():
        users = [user for user, event in shown.items() if event.variant_key == picture]
        assert binomtest(sum(user in taps for user in users), len(users), rate).pvalue > SURE
    since = world_visits(world).began.timestamp() * 1e6
    clicking = events.users[(events.types == EventType.CLICKED) & (events.at >= since)]
    assert not {world.population.users.external_id[user] for user in clicking} & set(shown)


def test_what_is_sent_in_a_step_happens_in_it(world, steps):
    assert steps[0].at == world_visits(world).began
    for step in steps:
        assert all(step.at <= event.occurred_at < step.at + STEP for event in step.events)
    assert steps[-1].at + STEP == world.anchor


def test_the_shares_move_to_the_best_picture_and_keep_the_floor(steps):
    best = max(TAPPING, key=lambda picture: TAPPING[picture])
    place = [variant.key for variant in PICTURES.variants].index(best)
    assert steps[0].shares == (0.25,) * 4
    assert steps[-1].shares[place] > 0.6
    assert min(min(step.shares) for step in steps) >= 0.05 - 1e-12
    assert len({step.shares for step in steps}) > STEPS // 2


async def test_the_server_makes_the_very_steps_of_the_world(clean_database):
    world = await loading_of(clean_database, clock=ManualClock()).load(size=0.05)
    expected = list(world_visits(world).steps(world.history().events.until(world.anchor)))
    rows = await clean_database.fetch(
        "SELECT l.policy_version, l.created_at, l.probabilities FROM allocation l JOIN ab_test t ON t.id = l.test_id "
        "WHERE t.key = $1 ORDER BY policy_version",
        PICTURES.key,
    )
    assert [row["policy_version"] for row in rows] == [step.version for step in expected]
    assert [row["created_at"] for row in rows] == [step.at for step in expected]
    for row, step in zip(rows, expected, strict=True):
        np.testing.assert_allclose(row["probabilities"], step.shares, atol=1e-12)
    units = await clean_database.fetch(
        "SELECT a.probability, l.probabilities, v.position FROM ab_test_assignment a "
        "JOIN ab_test t ON t.id = a.test_id JOIN ab_test_variant v ON v.id = a.variant_id "
        "JOIN allocation l ON l.test_id = a.test_id AND l.policy_version = a.policy_version WHERE t.key = $1",
        PICTURES.key,
    )
    assert len(units) == STEPS * VISITS_A_STEP
    for unit in units:
        assert unit["probability"] == pytest.approx(unit["probabilities"][unit["position"]])
