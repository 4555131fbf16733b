import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from engine.arrays import FloatArray
from engine.bayesian.hurdle import HurdleSummary, analyze_revenue
from engine.errors import InvalidInput, NotEnoughData
from engine.simulation.worlds import RevenueWorld
from engine.summaries import MeanSummary


def drawn(summary: HurdleSummary, rng: np.random.Generator, draws: int = 400_000) -> FloatArray:
    """Draw from the posterior directly: beta, scaled inverse chi-squared, normal."""
    k = summary.converted
    variance = (k - 1) * summary.log_amounts.variance / rng.chisquare(k - 1, draws)
    mean = rng.normal(summary.log_amounts.mean, np.sqrt(variance / k))
    return rng.beta(1 + k, 1 + summary.exposed - k, draws) * np.exp(mean + variance / 2)


@pytest.mark.parametrize(
    ("worlds", "units"),
    [
        ([(0.1, 3.0, 1.0), (0.1, 3.05, 1.0)], [5000, 5000]),
        ([(0.1, 3.0, 1.0), (0.1, 3.05, 1.0)], [500, 50_000]),
        ([(0.1, 3.0, 0.03), (0.1, 3.0, 1.5)], [5000, 5000]),
        ([(0.999, 3.0, 0.8), (0.998, 3.0, 0.8)], [3000, 3000]),
        ([(0.2, 3.0, 1.0), (0.2, 3.0, 1.0), (0.21, 3.0, 0.9)], [2000, 2100, 2200]),
    ],
)
def test_posterior_agrees_with_draws(worlds: list[tuple[float, float, float]], units: list[int]) -> None:
    rng = np.random.default_rng(12)
    summaries = [
        HurdleSummary.from_values(
            RevenueWorld(share=share, log_mean=mean, log_deviation=deviation).values(rng, units=count)
        )
        for (share, mean, deviation), count in zip(worlds, units, strict=True)
    ]
    result = analyze_revenue(summaries)
    draws = np.stack([drawn(summary, rng) for summary in summaries])
    best = draws.argmax(axis=0)
    for i, variant in enumerate(result.variants):
        others = np.delete(draws, i, axis=0).max(axis=0)
        assert_allclose(variant.mean.point, draws[i].mean(), rtol=2e-3)
        assert_allclose(np.mean((draws[i] > variant.mean.low) & (draws[i] < variant.mean.high)), 0.95, atol=2e-3)
        assert_allclose(variant.probability_best, np.mean(best == i), atol=4e-3)
        assert_allclose(variant.expected_loss, np.maximum(others - draws[i], 0).mean(), rtol=0.05, atol=1e-3)
        if variant.lift is not None:
            lift = draws[i] / draws[0] - 1
            assert_allclose(np.mean((lift > variant.lift.low) & (lift < variant.lift.high)), 0.95, atol=2e-3)
            assert_allclose(np.mean(lift < variant.lift.point), 0.5, atol=4e-3)
    assert_allclose(sum(v.probability_best for v in result.variants), 1.0, atol=1e-10)


def test_lower_is_better_turns_the_answer_round() -> None:
    rng = np.random.default_rng(13)
    world = RevenueWorld(share=0.2, log_mean=2.0, log_deviation=0.7)
    pair = [HurdleSummary.from_values(world.values(rng, units=1000)) for _ in range(2)]
    high, low = analyze_revenue(pair), analyze_revenue(pair, higher_is_better=False)
    assert_allclose(high.variants[0].probability_best, low.variants[1].probability_best, atol=1e-12)
    assert_allclose(high.variants[0].expected_loss, low.variants[1].expected_loss, atol=1e-12)


def test_density_holds_its_mass() -> None:
    world = RevenueWorld(share=0.2, log_mean=2.0, log_deviation=0.7)
    rng = np.random.default_rng(14)
    pair = [HurdleSummary.from_values(world.values(rng, units=1000)) for _ in range(2)]
    density = analyze_revenue(pair).variants[0].density(400)
    assert_allclose(np.trapezoid(density.density, density.x), 0.999, atol=1e-3)


@given(st.lists(st.floats(0.0, 1e6).map(lambda x: x if x > 1e-3 else 0.0), max_size=30), st.integers(0, 30))
def test_merging_equals_pooling(values: list[float], cut: int) -> None:
    first, second = HurdleSummary.from_values(values[:cut]), HurdleSummary.from_values(values[cut:])
    merged, pooled = first + second, HurdleSummary.from_values(values)
    assert merged.count == pooled.count
    assert merged.converted == pooled.converted
    if pooled.converted > 1:
        assert merged.log_amounts.mean == pooled.log_amounts.mean
        assert merged.log_amounts.variance == pooled.log_amounts.variance


def test_too_few_buyers_are_refused() -> None:
    few = HurdleSummary.from_values([0.0] * 50 + [3.0, 4.0])
    with pytest.raises(NotEnoughData, match="2 buyers and at least 10 are needed: wait"):
        analyze_revenue([few, few])


def test_equal_amounts_are_refused() -> None:
    equal = HurdleSummary.from_values([0.0] * 50 + [3.0] * 20)
    with pytest.raises(NotEnoughData, match="compare conversion instead"):
        analyze_revenue([equal, equal])


def test_a_mean_that_rests_on_the_prior_is_refused() -> None:
    """Eleven buyers of wildly different amounts: the posterior of sigma reaches the prior's bound."""
    wild = HurdleSummary.from_values(np.concatenate([np.zeros(50), np.exp(np.linspace(-5.0, 5.0, 11))]))
    with pytest.raises(NotEnoughData, match="rest on the prior"):
        analyze_revenue([wild, wild])


def test_impossible_summaries_are_refused() -> None:
    with pytest.raises(InvalidInput, match="2 bought of 1 exposed"):
        HurdleSummary(exposed=1, log_amounts=MeanSummary.from_values([1.0, 2.0]))
    with pytest.raises(InvalidInput, match="negative or NaN: pass 0"):
        HurdleSummary.from_values([1.0, -1.0])
    with pytest.raises(InvalidInput, match="negative or NaN"):
        HurdleSummary.from_values([1.0, np.nan])
