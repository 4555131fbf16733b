import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from engine.errors import InvalidInput
from engine.simulation.worlds import ConversionWorld, RevenueWorld


def test_looks_accumulate() -> None:
    world = ConversionWorld(rates=np.array([0.1, 0.3]), daily_units=200)
    seen = world.looks(np.random.default_rng(1), tests=500, looks=10)
    assert seen.converted.shape == (500, 10, 2)
    assert (np.diff(seen.converted, axis=1) >= 0).all()
    assert_allclose(seen.exposed[0, :, 0], 200 * np.arange(1, 11))
    assert_allclose(seen.converted[:, -1].mean(axis=0) / 2000, [0.1, 0.3], rtol=0.02)
    assert seen.at_each_look()[0].shape == (5000, 2)


def test_each_test_may_have_its_own_rates() -> None:
    world = ConversionWorld(rates=np.array([[0.0, 1.0], [1.0, 0.0]]), daily_units=3)
    seen = world.looks(np.random.default_rng(1), tests=2, looks=2)
    assert_allclose(seen.converted[:, -1], [[0, 6], [6, 0]])


def test_revenue_has_its_mean() -> None:
    world = RevenueWorld(share=0.2, log_mean=1.0, log_deviation=0.5)
    values = world.values(np.random.default_rng(2), units=500_000)
    assert_allclose(values.mean(), world.mean, rtol=0.01)
    assert_allclose((values > 0).mean(), 0.2, atol=0.003)
    assert_allclose(world.mean, 0.2 * stats.lognorm(0.5, scale=np.exp(1.0)).mean())


@pytest.mark.parametrize(("rates", "units"), [([0.1], 5), ([0.1, 1.1], 5), ([0.1, 0.2], 0)])
def test_worlds_that_cannot_be(rates: list[float], units: int) -> None:
    with pytest.raises(InvalidInput, match="pass"):
        ConversionWorld(rates=np.array(rates), daily_units=units)
