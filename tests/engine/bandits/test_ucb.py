import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from scipy.special import rel_entr

from engine.bandits.policy import ArmTotals
from engine.bandits.ucb import KLUCB, upper_bounds
from engine.errors import InvalidInput


def divergence(mean: float, bound: float) -> float:
    return float(rel_entr(mean, bound) + rel_entr(1.0 - mean, 1.0 - bound))


@given(st.floats(0.0, 1.0 - 1e-6), st.floats(1e-7, 12.0))
def test_the_bound_is_the_root(mean: float, budget: float) -> None:
    last = 1.0 - 1e-15
    reached = divergence(mean, last) > budget
    exact = brentq(lambda q: divergence(mean, q) - budget, mean, last, xtol=1e-14) if reached else 1.0
    assert float(upper_bounds(np.array(mean), np.array(budget))) == pytest.approx(exact, abs=1e-9)


def test_closed_forms() -> None:
    # kl(0, q) = -log(1 - q); kl(1, q) = -log q, whose largest q is 1.
    budget = np.array([1e-6, 0.1, 3.0])
    assert_allclose(upper_bounds(np.zeros(3), budget), 1.0 - np.exp(-budget), atol=1e-15)
    assert_allclose(upper_bounds(np.ones(3), budget), np.ones(3))


def test_an_arm_without_pulls_comes_first() -> None:
    totals = ArmTotals(
        pulls=np.array([10.0, 0.0, 0.0]), rewards=np.array([10.0, 0.0, 0.0]), squared_rewards=np.array([10.0, 0.0, 0.0])
    )
    assert KLUCB().weights(totals).tolist() == [0.0, 0.5, 0.5]


def test_rewards_are_scaled_by_the_highest() -> None:
    plain = ArmTotals(pulls=np.array([20.0, 30.0]), rewards=np.array([4.0, 9.0]), squared_rewards=np.array([4.0, 9.0]))
    scaled = ArmTotals(pulls=plain.pulls, rewards=plain.rewards * 50.0, squared_rewards=plain.rewards * 2_500.0)
    assert_allclose(KLUCB(highest_reward=50.0).indices(scaled), 50.0 * KLUCB().indices(plain))


def test_refusals() -> None:
    with pytest.raises(InvalidInput, match="cap the metric"):
        KLUCB(highest_reward=0.0)
    totals = ArmTotals(pulls=np.ones(2), rewards=np.array([2.0, 0.0]), squared_rewards=np.array([4.0, 0.0]))
    with pytest.raises(InvalidInput, match="raise highest_reward"):
        KLUCB().weights(totals)
