import numpy as np
import pytest

from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import ArmTotals
from engine.errors import InvalidInput


def totals(pulls: list[float], rewards: list[float]) -> ArmTotals:
    return ArmTotals(pulls=np.array(pulls), rewards=np.array(rewards), squared_rewards=np.array(rewards))


def test_the_best_mean_gets_the_rest() -> None:
    assert EpsilonGreedy(epsilon=0.3).weights(totals([10, 20, 10], [1, 8, 3])) == pytest.approx([0.1, 0.8, 0.1])


def test_equal_means_share() -> None:
    assert EpsilonGreedy(epsilon=0.0).weights(totals([10, 20, 10], [5, 10, 1])) == pytest.approx([0.5, 0.5, 0.0])


def test_an_arm_without_pulls_is_tried() -> None:
    assert EpsilonGreedy(epsilon=0.0).weights(totals([10, 0], [10, 0])) == pytest.approx([0.0, 1.0])


def test_refusal() -> None:
    with pytest.raises(InvalidInput, match="Epsilon"):
        EpsilonGreedy(epsilon=1.2)
