import numpy as np
import pytest
from scipy.stats import binomtest

from app.abtests.drafting import problems
from app.demo.abtests import PLANS, Lifts
from app.demo.population import SEGMENTS
from app.demo.sending import DAY, MICROS
from app.demo.truth import TEST_EFFECTS
from app.store.models.codes import EventType

SURE = 1e-4
"""Some 40 comparisons are made below with a fixed seed: a right world fails none of them."""


@pytest.fixture(scope="module")
def exposures(world, history):
    return world.experiments.exposures(history.sends)


def plan_of(key):
    return next(number for number, plan in enumerate(PLANS) if plan.key == key)


def without_effects(world, sends):
    nothing = np.zeros(len(sends))
    return world._respond(sends, Lifts(clicking=nothing, converting=nothing))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.key)
def test_drafts_are_sound(plan):
    assert problems(plan.draft) == []
    assert plan.began > (plan.ended or 0.0)
    assert (plan.winner is None) is (plan.ended is None)


def test_users_have_one_variant_each_and_targets_are_kept(world):
    by_segment = {"new", "lapsed"}
    for plan, variants in zip(PLANS, world.experiments.variants, strict=True):
        inside = variants >= 0
        assert variants.max() == len(plan.draft.variants) - 1
        names = {SEGMENTS[segment].name for segment in np.unique(world.population.users.segment[inside])}
        assert names == (by_segment if plan.key == "win-back-tone" else {segment.name for segment in SEGMENTS})


def test_tests_shuffle_users_independently(world):
    one, other = (world.experiments.variants[plan_of(key)] for key in ("saved-so-far", "bold-headline"))
    both = int(((one == 1) & (other == 1)).sum())
    assert binomtest(both, len(one), 0.25).pvalue > SURE


def test_a_user_is_exposed_by_the_first_offer_of_a_tests_time(world, history, exposures):
    anchor = round(world.anchor.timestamp() * MICROS)
    for plan, shown in zip(PLANS, exposures, strict=True):
        at, users = history.sends.at[shown.sends], history.sends.users[shown.sends]
        assert len(np.unique(users)) == len(users) > 500
        assert at.min() >= anchor - plan.began * DAY
        assert at.max() < anchor - (plan.ended or 0.0) * DAY
        keys = {world.population.campaigns[number].key for number in np.unique(history.sends.campaigns[shown.sends])}
        assert plan.draft.campaign is None or keys == {plan.draft.campaign}


def test_exposed_users_fall_to_variants_by_their_weights(exposures):
    for shown, plan in zip(exposures, PLANS, strict=True):
        share = 1 / len(plan.draft.variants)
        np.testing.assert_allclose(shown.probabilities, share, atol=1e-3)
        for variant in range(len(plan.draft.variants)):
            assert binomtest(int((shown.variants == variant).sum()), len(shown.variants), share).pvalue > SURE


def test_only_treated_sends_are_lifted_and_by_the_truth(world, history, exposures):
    lifts = world.experiments.lifts(history.sends)
    clicking, converting = np.ones(len(history.sends)), np.ones(len(history.sends))
    for plan, shown in zip(PLANS, exposures, strict=True):
        since = dict(
            zip(history.sends.users[shown.sends].tolist(), history.sends.at[shown.sends].tolist(), strict=True)
        )
        variant = dict(zip(history.sends.users[shown.sends].tolist(), shown.variants.tolist(), strict=True))
        effects = {effect.variant: effect for effect in TEST_EFFECTS if effect.test == plan.key}
        ended = world.anchor.timestamp() * MICROS - (plan.ended or 0.0) * DAY
        columns = (history.sends.users, history.sends.at, history.sends.campaigns)
        for send, (user, at, campaign) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            concerned = plan.draft.campaign in (None, world.population.campaigns[campaign].key)
            if concerned and since.get(user, np.inf) <= at < ended:
                effect = effects.get(plan.draft.variants[variant[user]].key)
                clicking[send] *= 1 + (effect.clicking if effect else 0)
                converting[send] *= 1 + (effect.converting if effect else 0)
    np.testing.assert_allclose(lifts.clicking, clicking - 1)
    np.testing.assert_allclose(lifts.converting, converting - 1)


def test_clicks_and_conversions_of_every_variant_are_what_the_truth_expects(world, history, exposures):
    conversion = history.response.delivered * history.response.conversion
    click = history.response.delivered * history.response.opened * history.response.clicked
    for number, shown in enumerate(exposures):
        since = np.full(len(world.population.users), np.iinfo(np.int64).max)
        since[history.sends.users[shown.sends]] = history.sends.at[shown.sends]
        ended = world.experiments.ended(PLANS[number]) or np.iinfo(np.int64).max
        after = (history.sends.at >= since[history.sends.users]) & (history.sends.at < ended)
        for variant in range(len(PLANS[number].draft.variants)):
            chosen = after & (world.experiments.variants[number][history.sends.users] == variant)
            for kind, probability in ((EventType.CONVERTED, conversion), (EventType.CLICKED, click)):
                happened = np.zeros(len(history.sends), bool)
                happened[history.events.sends[history.events.types == kind]] = True
                found = binomtest(int(happened[chosen].sum()), int(chosen.sum()), float(probability[chosen].mean()))
                assert found.pvalue > SURE, f"{kind.name} of {PLANS[number].key}"


@pytest.mark.parametrize(("key", "variant", "ratio"), [("instant-cash-back", 1, 1.5), ("bold-headline", 1, 0.5)])
def test_an_effect_is_in_the_conversions_and_not_only_in_the_plan(world, history, key, variant, ratio):
    number = plan_of(key)
    ended = world.experiments.ended(PLANS[number]) or round(world.anchor.timestamp() * MICROS)
    inside = (history.sends.at >= world.experiments.began(PLANS[number])) & (history.sends.at < ended)
    plain = without_effects(world, history.sends)
    expected = plain.delivered * plain.conversion
    converted = np.zeros(len(history.sends), bool)
    converted[history.events.sends[history.events.types == EventType.CONVERTED]] = True
    ratios = []
    for arm in (0, variant):
        chosen = inside & (world.experiments.variants[number][history.sends.users] == arm)
        ratios.append(converted[chosen].sum() / expected[chosen].sum())
    assert ratios[1] / ratios[0] == pytest.approx(ratio, rel=0.2)
