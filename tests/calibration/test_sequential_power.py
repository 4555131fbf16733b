"""A sequential design's sample size has the power it promises, at its last look alone and over all looks."""

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.power.baselines import ConversionBaseline
from engine.power.sample_size import Design, sample_size
from engine.sequential.comparing import sequential_proportions_batch

LOOKS = 28
TESTS = 4000


@pytest.mark.parametrize(("rate", "lift", "power"), [(0.10, 0.10, 0.8), (0.03, 0.20, 0.9)])
def test_power(rate: float, lift: float, power: float):
    rng = np.random.default_rng(31)
    target = sample_size(ConversionBaseline(rate=rate), lift, design=Design(power=power, sequential=True)).per_variant
    daily = -(-target // LOOKS)
    converted = rng.binomial(daily, [rate, rate * (1 + lift)], (LOOKS, TESTS, 2)).cumsum(axis=0)
    called = [
        sequential_proportions_batch(converted[look], np.full((TESTS, 2), daily * (look + 1)), target=target).p_value[
            :, 0
        ]
        < 0.05
        for look in range(LOOKS)
    ]
    at_last, ever = np.asarray(called[-1]), np.any(called, axis=0)
    print(f"power {power} asked: {at_last.mean():.4f} at the last look, {ever.mean():.4f} at any of {LOOKS}")
    assert binomtest(int(at_last.sum()), TESTS, power).pvalue > 0.001
    assert ever.mean() >= at_last.mean()


def test_stopping_early_saves_units():
    rng = np.random.default_rng(32)
    design = Design(power=0.8, sequential=True)
    watched = sample_size(ConversionBaseline(rate=0.1), 0.10, design=design).per_variant
    daily = -(-watched // LOOKS)
    converted = rng.binomial(daily, [0.10, 0.12], (LOOKS, TESTS, 2)).cumsum(axis=0)  # twice the effect planned for
    called = np.array(
        [
            sequential_proportions_batch(
                converted[look], np.full((TESTS, 2), daily * (look + 1)), target=watched
            ).p_value[:, 0]
            < 0.05
            for look in range(LOOKS)
        ]
    )
    assert called.any(axis=0).mean() > 0.99
    stopped = (called.argmax(axis=0) + 1) * daily
    fixed = sample_size(ConversionBaseline(rate=0.1), 0.10).per_variant
    assert stopped.mean() < fixed
