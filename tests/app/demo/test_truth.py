import numpy as np
import pytest

from app.demo.abtests import PLANS
from app.demo.truth import TEST_EFFECTS, affinity, dose, hour_factor, respond


def respond_to(world, amounts, **given):
    count = len(amounts)
    defaults = {
        "merchants": np.zeros(count, np.int64),
        "liking": np.ones(count),
        "channels": np.ones(count, np.int64),
        "hours": np.full(count, 12.0),
        "amounts": np.array(amounts),
    }
    return respond(world.population, np.zeros(count, np.int64), **(defaults | given))


def test_a_greater_offer_converts_better_by_less_and_less():
    curve = dose(np.arange(0.0, 30.0))
    assert np.all(np.diff(curve) > 0)
    assert np.all(np.diff(curve, 2) < 0)
    assert 0 < curve[0] < curve[-1] < 0.8


def test_hours_wrap_around_midnight():
    peak = np.array([23.5])
    assert hour_factor(np.array([0.5]), peak) == pytest.approx(hour_factor(np.array([22.5]), peak))
    assert hour_factor(peak, peak) > 2 * hour_factor(np.array([11.5]), peak)


def test_the_median_user_likes_everything_as_much(world):
    liking = affinity(world.population)
    assert np.median(liking) == pytest.approx(1, abs=0.02)
    assert np.all(np.median(liking, axis=0) == pytest.approx(1, abs=0.05))


def test_a_lift_of_conversion_lifts_nothing_else(world):
    plain, treated = respond_to(world, [5.0]), respond_to(world, [5.0], converting_lift=0.2)
    assert treated.converted == pytest.approx(1.2 * plain.converted)
    assert treated.opened == plain.opened
    assert treated.conversion == pytest.approx(1.2 * plain.conversion)


def test_probabilities_are_probabilities(history):
    for name in ("delivered", "opened", "clicked", "activated", "converted", "geofence"):
        values = getattr(history.response, name)
        assert values.shape == (len(history.sends),)
        assert 0 <= values.min() <= values.max() <= 1


def test_a_lift_of_clicking_carries_on_to_conversion(world):
    plain, treated = respond_to(world, [5.0]), respond_to(world, [5.0], clicking_lift=0.2)
    assert treated.clicked == pytest.approx(1.2 * plain.clicked)
    assert treated.converted == plain.converted
    assert treated.conversion == pytest.approx(1.2 * plain.conversion)


def test_effects_belong_to_treatments_of_the_worlds_tests():
    treatments = {
        (plan.key, variant.key) for plan in PLANS for variant in plan.draft.variants if not variant.is_control
    }
    assert {(effect.test, effect.variant) for effect in TEST_EFFECTS} == treatments
    assert len(TEST_EFFECTS) == len(treatments)
