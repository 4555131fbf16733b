import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from engine.errors import InvalidInput, NotEnoughData
from engine.estimates import about
from engine.learning.earnings import Earnings, profits_a_message, return_on_cost


def earnings(values: np.ndarray, rewards: np.ndarray) -> Earnings:
    return Earnings(
        conversions=len(values),
        value=float(values.sum()),
        reward=float(rewards.sum()),
        value_squares=float(values @ values),
        value_reward=float(values @ rewards),
        reward_squares=float(rewards @ rewards),
    )


def alike(count: int, value: float = 20.0, reward: float = 5.0) -> Earnings:
    return earnings(np.full(count, value), np.full(count, reward))


def test_sums_add_up() -> None:
    rng = np.random.default_rng(1)
    values, rewards = rng.gamma(2.0, 10.0, 50), rng.uniform(1.0, 5.0, 50)
    whole = earnings(values, rewards)
    assert_allclose(whole.profit, (values - rewards).sum())
    assert_allclose(whole.squares(2.0), ((values - 2.0 * rewards) ** 2).sum())
    parts = earnings(values[:20], rewards[:20]) + earnings(values[20:], rewards[20:])
    assert parts.squares() == pytest.approx(whole.squares())
    assert parts.conversions == 50


def test_profit_a_message_is_that_of_its_messages() -> None:
    [found] = profits_a_message([1_000], [alike(100)], deliveries=[50.0])
    profits = np.concatenate([np.full(100, 15.0), np.zeros(900)])
    assert found.mean == pytest.approx(profits.mean() - 0.05)
    # one conversion more, at a thousandth of them
    assert found.variance == pytest.approx(profits.var() + 15.0**2 / 1_000, rel=1e-3)


def test_a_channel_without_conversions_is_not_known_to_have_none() -> None:
    none, some = profits_a_message([1_000, 1_000], [Earnings(), alike(100)], deliveries=[0.0, 0.0])
    assert none.mean == 0.0
    assert 0.0 < none.variance < some.variance


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="Nothing converted"):
        profits_a_message([100], [Earnings()], deliveries=[0.0])
    with pytest.raises(InvalidInput, match="one a channel"):
        profits_a_message([0], [alike(1)], deliveries=[0.0])
    with pytest.raises(NotEnoughData, match="needs a cost"):
        return_on_cost(Earnings(), delivery=0.0)


def test_a_return_holds_the_truth_as_often_as_it_says() -> None:
    """Conversions come by chance, each with its own value and reward; delivery costs what it costs."""
    rng, held, runs = np.random.default_rng(2), 0, 1_500
    true = 300 * 30.0 / (300 * 5.0 + 500.0) - 1.0
    for _ in range(runs):
        count = int(rng.poisson(300))
        found = return_on_cost(earnings(rng.gamma(2.0, 15.0, count), rng.uniform(2.0, 8.0, count)), delivery=500.0)
        interval = about(found.ratio, found.variance**0.5)
        held += interval.low <= true <= interval.high
    assert binomtest(held, runs, 0.95).pvalue > 1e-3


def test_a_return_known_to_rounding_keeps_a_least_error() -> None:
    found = return_on_cost(alike(100), delivery=0.0)
    assert found.ratio == pytest.approx(3.0)
    assert found.variance == pytest.approx((1e-3 * 4.0) ** 2)
