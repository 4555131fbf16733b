import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.qini import Holdout, qini
from engine.learning.segments import SegmentRanking, rank_segments
from engine.summaries import MeanSummary, ProportionSummary

BASE = np.array([0.30, 0.20, 0.12, 0.08, 0.05])
EFFECT = np.array([0.00, 0.01, 0.03, 0.05, 0.08])


def counts(rates: np.ndarray, each: int, rng: np.random.Generator) -> list[ProportionSummary]:
    return [ProportionSummary(converted=int(rng.binomial(each, rate)), exposed=each) for rate in rates]


def ranking(seed: int, *, effects: np.ndarray = EFFECT, each: int = 4_000) -> SegmentRanking:
    rng = np.random.default_rng(seed)
    return rank_segments(counts(BASE + effects, each, rng), counts(BASE, each, rng))


def test_segments_are_ranked_by_effect_not_by_conversion() -> None:
    found = ranking(1, each=40_000)
    assert found.ranked
    assert found.segments[0].segment == 4
    assert found.segments[-1].segment == 0
    assert [each.rank for each in found.segments] == [1, 2, 3, 4, 5]
    assert "Effects differ" in found.reason
    assert "own units" in found.segments[0].reason
    for each in found.segments:
        low, high = sorted((each.observed.point, found.average.point))
        assert low - 0.005 <= each.effect.point <= high + 0.005
        assert 0.0 <= each.kept <= 1.0


def test_without_heterogeneity_there_is_no_ranking() -> None:
    found = ranking(2, effects=np.full(5, 0.03))
    assert not found.ranked
    assert {each.rank for each in found.segments} == {None}
    assert "there is no ranking" in found.reason
    assert [each.segment for each in found.segments] == [0, 1, 2, 3, 4]
    assert found.average.low < 0.03 < found.average.high


def test_rankings_are_called_for_by_chance_as_often_as_is_said() -> None:
    called = sum(ranking(seed, effects=np.full(5, 0.02), each=2_000).ranked for seed in range(600))
    assert binomtest(called, 600, 0.05).pvalue > 1e-3


def test_the_ranking_earns_more_than_that_by_conversion() -> None:
    rng = np.random.default_rng(3)
    found = ranking(3)
    segment = rng.integers(0, 5, 60_000)
    treated = (rng.random(segment.size) < 0.5).astype(float)
    outcomes = (rng.random(segment.size) < BASE[segment] + treated * EFFECT[segment]).astype(float)
    holdout = Holdout.of(outcomes, treated, propensity=0.5)
    by_effect, by_conversion = qini(found.expected(segment.tolist()), holdout), qini(BASE[segment], holdout)
    assert by_effect > 0.005
    assert by_conversion < -0.005


def test_intervals_hold_the_truth() -> None:
    held = 0
    for seed in range(300):
        found = ranking(seed, each=1_500)
        one = found.segments[seed % 5]
        held += one.effect.low <= EFFECT[one.segment] <= one.effect.high
    assert binomtest(held, 300, 0.95).pvalue > 1e-3


def test_money_is_ranked_too() -> None:
    treated = [MeanSummary.from_moments(count=500, mean=mean, variance=4.0) for mean in (1.0, 3.0)]
    control = [MeanSummary.from_moments(count=500, mean=1.0, variance=4.0)] * 2
    found = rank_segments(treated, control)
    assert [each.segment for each in found.segments] == [1, 0]
    assert_allclose(found.segments[0].observed.point, 2.0)


def test_small_segments_are_left_out_and_get_the_average() -> None:
    rng = np.random.default_rng(4)
    found = rank_segments(
        [*counts(BASE + EFFECT, 3_000, rng), ProportionSummary(converted=9, exposed=10)],
        [*counts(BASE, 3_000, rng), ProportionSummary(converted=0, exposed=3_000)],
    )
    assert found.left_out == (5,)
    assert found.expected([5]).tolist() == [found.average.point]


def test_too_little_is_refused() -> None:
    few = [ProportionSummary(converted=2, exposed=99)] * 3
    with pytest.raises(NotEnoughData, match="0 segments"):
        rank_segments(few, few)
    rare = [ProportionSummary(converted=1, exposed=1_000)] * 3
    with pytest.raises(NotEnoughData, match="6 of 6000"):
        rank_segments(rare, rare)


def test_arguments_out_of_range_are_refused() -> None:
    rates = [ProportionSummary(converted=50, exposed=500)] * 2
    with pytest.raises(InvalidInput, match="one of each"):
        rank_segments(rates, rates[:1])
    with pytest.raises(InvalidInput, match="significant"):
        rank_segments(rates, rates, significant=5.0)
    with pytest.raises(InvalidInput, match="kinds"):
        rank_segments(rates, [MeanSummary.from_moments(count=500, mean=1.0, variance=1.0)] * 2)
