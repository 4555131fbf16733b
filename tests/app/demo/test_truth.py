import numpy as np
import pytest

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


def test_a_treatment_lifts_conversion_and_nothing_else(world):
    plain, treated = respond_to(world, [5.0]), respond_to(world, [5.0], lift=0.2)
    assert treated.converted == pytest.approx(1.2 * plain.converted)
    assert treated.opened == plain.opened
    assert treated.conversion == pytest.approx(1.2 * plain.conversion)


def test_probabilities_are_probabilities(history):
    for name in ("delivered", "opened", "clicked", "activated", "converted", "geofence"):
        values = getattr(history.response, name)
        assert values.shape == (len(history.sends),)
        assert 0 <= values.min() <= values.max() <= 1


def test_the_effects_of_tests_belong_to_campaigns_that_run(world):
    running = {plan.key for plan in world.population.campaigns if plan.last_day is None}
    assert {effect.campaign for effect in TEST_EFFECTS} <= running
    assert {effect.lift > 0 for effect in TEST_EFFECTS} == {True, False}
