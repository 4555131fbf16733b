import dataclasses
import itertools
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import binomtest

from app.demo.population import SEGMENTS
from app.demo.sending import MICROS
from app.demo.truth import DELIVERY_COST_MICROS, ORDER_SIGMA, dose
from app.demo.world import DAYS, MATURE_AFTER, NONE, World
from app.store.models.codes import Channel, EventType

FUNNEL = [
    EventType.SENT,
    EventType.DELIVERED,
    EventType.OPENED,
    EventType.CLICKED,
    EventType.ACTIVATED,
    EventType.CONVERTED,
]
SURE = 1e-5
"""Some 400 comparisons are made below with a fixed seed: a right world fails none of them."""


def of(events, kind):
    return events.take(np.flatnonzero(events.types == kind))


def counts(events, kind, by, size):
    return np.bincount(by[events.types == kind], minlength=size)


def test_as_many_as_promised(world, events):
    assert 250_000 < len(events) < 400_000
    days = (events.at.max() - events.at.min()) / (86_400 * MICROS)
    assert DAYS - 1 < days <= DAYS


def test_everything_lies_within_the_days_before_the_anchor(world, events):
    anchor = round(world.anchor.timestamp() * MICROS)
    assert events.at.max() < anchor
    assert events.at.min() >= anchor - DAYS * 86_400 * MICROS
    assert np.all(np.diff(events.at) >= 0)


def test_the_same_seed_and_anchor_make_the_same_world(world, history):
    again = World(world.anchor).history().events
    other = World(world.anchor, seed=1).history().events
    for field in dataclasses.fields(again):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(history.events, field.name))
    assert len(other) != len(again) or not np.array_equal(other.at, again.at)


def test_an_event_is_known_by_its_send_type_and_test(events):
    names = zip(events.sends.tolist(), events.types.tolist(), events.tests.tolist(), strict=True)
    assert len(set(names)) == len(events)


@pytest.mark.parametrize("by", ["campaigns", "channels", "users"])
def test_the_funnel_narrows_everywhere(events, by):
    column = getattr(events, by)
    stages = [counts(events, kind, column, column.max() + 1) for kind in FUNNEL]
    for earlier, later in itertools.pairwise(stages):
        assert np.all(later <= earlier)


def test_every_step_comes_after_the_one_that_led_to_it(history):
    for earlier, later in itertools.pairwise(FUNNEL):
        before, after = of(history.events, earlier), of(history.events, later)
        at = np.full(len(history.sends), np.iinfo(np.int64).max)
        at[before.sends] = before.at
        assert np.all(after.at >= at[after.sends])


def test_conversions_are_what_the_truth_expects_by_campaign(world, history):
    probability = history.response.delivered * history.response.conversion
    assert_binomial(history, probability, by=history.sends.campaigns, kind=EventType.CONVERTED)


def test_openings_are_what_the_truth_expects_by_segment_and_channel(world, history):
    probability = history.response.delivered * history.response.opened
    segments = world.population.users.segment[history.sends.users]
    assert_binomial(history, probability, by=segments * 8 + history.sends.channels, kind=EventType.OPENED)


def test_deliveries_fail_as_often_as_the_channels_do(history):
    assert_binomial(history, history.response.delivered, by=history.sends.channels, kind=EventType.DELIVERED)


def test_the_dose_curve_is_in_the_conversions_of_campaigns_that_try_amounts(world, history):
    tried = ~np.isnan(history.sends.probabilities)
    amounts = history.sends.amounts
    activated = np.zeros(len(amounts), bool)
    activated[of(history.events, EventType.ACTIVATED).sends] = True
    converted = np.zeros(len(amounts), bool)
    converted[of(history.events, EventType.CONVERTED).sends] = True
    low, high = (activated & tried & (amounts < 3)), (activated & tried & (amounts > 8))
    observed = converted[high].mean() / converted[low].mean()
    expected = dose(amounts[high]).mean() / dose(amounts[low]).mean()
    assert expected > 1.5
    assert observed == pytest.approx(expected, rel=0.25)


def assert_binomial(history, probability, *, by, kind):
    happened = np.zeros(len(history.sends), bool)
    happened[of(history.events, kind).sends] = True
    for value in np.unique(by).tolist():
        chosen = by == value
        result = binomtest(int(happened[chosen].sum()), int(chosen.sum()), float(probability[chosen].mean()))
        assert result.pvalue > SURE, f"{kind.name} of {value}"


def test_segments_and_affinity_differ_as_told(world, history):
    conversion = history.response.conversion
    segments = world.population.users.segment[history.sends.users]
    names = [segment.name for segment in SEGMENTS]
    by_segment = {name: conversion[segments == number].mean() for number, name in enumerate(names)}
    assert by_segment["loyal"] > 1.5 * by_segment["regular"] > 2 * by_segment["lapsed"]
    liking = world.liking[history.sends.users, history.sends.merchants]
    assert conversion[liking > 1.5].mean() > 2 * conversion[liking < 0.67].mean()


def test_orders_are_lognormal_around_the_merchants_median(world, history):
    converted = of(history.events, EventType.CONVERTED)
    medians = np.array([merchant.order for merchant in world.population.merchants])
    merchants = history.sends.merchants[converted.sends]
    logs = np.log(converted.values / 100 / medians[merchants])
    assert abs(logs.mean()) < 5 * ORDER_SIGMA / np.sqrt(len(logs))
    assert logs.std() == pytest.approx(ORDER_SIGMA, rel=0.05)


def test_money_stands_where_it_belongs(events):
    sent = of(events, EventType.SENT)
    np.testing.assert_array_equal(sent.costs, DELIVERY_COST_MICROS[sent.channels])
    assert np.all((events.values != NONE) == (events.types == EventType.CONVERTED))
    assert np.all((events.costs != NONE) == (events.types == EventType.SENT))


def test_geofences_are_entered_where_the_merchant_is(world, events):
    entered = of(events, EventType.GEOFENCE_ENTERED)
    assert len(entered) > 1_000
    merchants = np.array([campaign.merchant for campaign in world.population.campaigns])[entered.campaigns]
    assert np.abs(entered.places - world.population.merchant_places[merchants]).max() < 0.01
    assert np.all(entered.channels == Channel.NONE)


def test_everything_has_happened_once_matured(history):
    late = history.events.at - history.sends.at[history.events.sends]
    assert late.max() <= MATURE_AFTER.total_seconds() * MICROS


def test_life_goes_on_sooner(world):
    at = world.anchor + timedelta(days=3)
    events = world.happen(np.random.default_rng(5), 200, at=at, haste=500.0)
    moment = round(at.timestamp() * MICROS)
    assert (events.types == EventType.SENT).sum() == 200
    assert events.at.min() == moment
    assert events.at.max() < moment + MATURE_AFTER.total_seconds() * MICROS / 500
    running = {number for number, plan in enumerate(world.population.campaigns) if plan.runs_on(DAYS + 3)}
    assert set(events.campaigns.tolist()) <= running


def test_size_scales_the_sends(world):
    small = World(world.anchor, size=0.1).history()
    assert 10_000 < len(small.sends) < 13_000
