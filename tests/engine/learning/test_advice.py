import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import binomtest

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.advice import amount_gain, budget_gain, channel_gain, hour_gain, segment_gain
from engine.learning.offers import OfferModel, fit_offers
from engine.learning.segments import rank_segments
from engine.summaries import MeanSummary, ProportionSummary, RatioSummary

SCHEDULE = np.where((np.arange(24) >= 10) & (np.arange(24) <= 12), 0.5 / 3, 0.5 / 21)
AMOUNTS = np.array([1.0, 2.0, 4.0, 6.0, 9.0, 12.0])


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def rates(converted: list[int], sends: int = 10_000) -> list[ProportionSummary]:
    return [ProportionSummary(converted=count, exposed=sends) for count in converted]


def test_a_better_channel_gains_about_its_lead_and_less() -> None:
    found = channel_gain(rates([900, 500, 480]), rng=rng())
    assert found.choice == 0
    lead = 0.09 - np.mean([0.09, 0.05, 0.048])
    assert 0.9 * lead < found.gain.point < lead
    assert found.gain.low < lead < found.gain.high
    assert found.probability > 0.999
    # beside draws of three beta posteriors that lean on nothing
    draws = rng(2).beta(np.array([901, 501, 481]), 10_001 - np.array([900, 500, 480]), size=(20_000, 3))
    alone = draws[:, 0] - draws.mean(axis=1)
    assert_allclose([found.gain.low, found.gain.high], np.quantile(alone, [0.025, 0.975]), atol=1.5e-3)


def test_channels_by_profit() -> None:
    means = [MeanSummary.from_moments(count=2_000, mean=mean, variance=9.0) for mean in (0.2, 0.9)]
    found = channel_gain(means, rng=rng())
    assert found.choice == 1
    assert_allclose(found.gain.point, 0.35, atol=0.06)


def test_channels_that_do_not_differ_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="by more than chance"):
        channel_gain(rates([500, 505, 498]), rng=rng())
    with pytest.raises(NotEnoughData, match="1 channels"):
        channel_gain([*rates([500]), ProportionSummary(converted=3, exposed=10)], rng=rng())
    with pytest.raises(NotEnoughData, match="converted"):
        channel_gain(rates([10, 2]), rng=rng())


def test_channels_alike_are_told_apart_no_more_often_than_is_said() -> None:
    source, told = rng(3), 0
    for _ in range(400):
        counts = source.binomial(2_000, 0.06, size=3).tolist()
        try:
            channel_gain(rates(counts, 2_000), rng=source)
            told += 1
        except NotEnoughData:
            pass
    assert binomtest(told, 400, 0.05).pvalue > 1e-3


def days(profit_for_cost: float, seed: int, count: int = 60) -> RatioSummary:
    source = rng(seed)
    cost = source.uniform(50.0, 150.0, count)
    return RatioSummary.from_values(cost * (profit_for_cost + source.normal(0.0, 0.5, count)), cost)


def test_budget_moves_to_where_cost_earns_more() -> None:
    found = budget_gain([days(0.3, 1), days(1.3, 2), days(0.8, 3)], rng=rng())
    assert (found.choice, found.instead_of) == (1, 0)
    assert found.gain.low < 1.0 < found.gain.high
    assert found.probability > 0.999


def test_budgets_that_earn_alike_stay() -> None:
    with pytest.raises(NotEnoughData, match="by more than chance"):
        budget_gain([days(0.5, 1), days(0.5, 2)], rng=rng())
    with pytest.raises(NotEnoughData, match="1 campaigns"):
        budget_gain([days(0.5, 1), days(0.9, 2, count=5)], rng=rng())


def test_the_best_segment_gains_over_all() -> None:
    ranking = rank_segments(rates([1_600, 1_100, 1_050]), rates([1_000, 1_000, 1_000]))
    found = segment_gain(ranking, [100.0, 100.0, 200.0], rng=rng())
    assert found.choice == 0
    assert_allclose(found.gain.point, 0.06 - (0.06 + 0.01 + 2 * 0.005) / 4, atol=0.004)
    with pytest.raises(InvalidInput, match="Sizes"):
        segment_gain(ranking, [0.0, 0.0, 0.0], rng=rng())
    alike = rank_segments(rates([1_100, 1_110, 1_105]), rates([1_000, 1_000, 1_000]))
    with pytest.raises(NotEnoughData, match="Treat all alike"):
        segment_gain(alike, [1.0, 1.0, 1.0], rng=rng())


def truth(amounts: np.ndarray) -> np.ndarray:
    return 0.03 + 0.3 * expit((amounts - 6.0) / 1.5)


def curves(seed: int) -> OfferModel:
    source = rng(seed)
    ids = np.repeat(np.arange(4), 3_000)
    amounts = source.choice(AMOUNTS, ids.size)
    return fit_offers(ids, amounts, converted=(source.random(ids.size) < truth(amounts)).astype(float))


def test_the_gain_of_an_amount_holds_the_truth() -> None:
    pair = np.array([2.0, 9.0])
    profits = truth(pair) * (30.0 - pair)
    held = 0
    for seed in range(30):
        found = amount_gain(curves(seed), 0, present=2.0, advised=9.0, value=30.0, rng=rng(seed))
        held += found.gain.low <= profits[1] - profits[0] <= found.gain.high
        assert found.probability > 0.99
    assert binomtest(held, 30, 0.95).pvalue > 1e-3


def test_the_gain_of_no_change_is_nothing() -> None:
    found = amount_gain(curves(1), 0, present=4.0, advised=4.0, value=30.0, rng=rng())
    assert (found.gain.point, found.gain.low, found.gain.high) == (0.0, 0.0, 0.0)


def test_amounts_never_sent_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="from 1 to 12"):
        amount_gain(curves(1), 0, present=25.0, advised=9.0, value=30.0, rng=rng())
    with pytest.raises(InvalidInput, match="value"):
        amount_gain(curves(1), 0, present=2.0, advised=9.0, value=0.0, rng=rng())


def hour_counts(seed: int, users: int = 60, sends: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return open rates, opens and sends by hour: half of the users open from 7 to 9, the others from 19 to 21."""
    source, hours = rng(seed), np.arange(24)
    peaks = np.where(np.arange(users) % 2 == 0, 8, 20)
    true = np.where(np.abs(hours - peaks[:, None]) <= 1, 0.4, 0.05)
    sent = source.multinomial(sends, SCHEDULE, size=users)
    return true, source.binomial(sent, true).astype(float), sent.astype(float)


def test_the_gain_of_own_hours_holds_the_truth() -> None:
    held = 0
    for seed in range(25):
        true, opened, sent = hour_counts(seed)
        found = hour_gain(opened, sent, rng=rng(seed))
        held += found.gain.low <= 0.4 - (true @ SCHEDULE).mean() <= found.gain.high
        assert found.gain.high - found.gain.low < 0.15
        assert found.probability > 0.99
    assert binomtest(held, 25, 0.95).pvalue > 1e-3


def test_where_hours_do_not_matter_nothing_is_gained() -> None:
    _, _, sent = hour_counts(1)
    held = 0
    for seed in range(25):
        opened = rng(seed).binomial(sent.astype(int), 0.2).astype(float)
        found = hour_gain(opened, sent, rng=rng(seed)).gain
        held += found.low <= 0.0 <= found.high
    assert binomtest(held, 25, 0.95).pvalue > 1e-3


def test_too_few_sends_at_advised_hours_are_refused() -> None:
    _, opened, sent = hour_counts(1, users=10, sends=60)
    with pytest.raises(NotEnoughData, match="at random hours"):
        hour_gain(opened, sent, rng=rng())
