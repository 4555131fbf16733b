"""Intervals after adaptive allocation cover as often as they say: in a shop with delays, by the very function shown."""

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.inference import BatchLog, Estimator, adaptive_estimates
from engine.bandits.policy import Policy
from engine.bandits.thompson import BetaThompson, TopTwo
from engine.bandits.ucb import KLUCB
from engine.simulation.bandit_worlds import SHOP, BanditWorld

REPLICATIONS = 1_000
POLICIES = {
    "thompson": BetaThompson(),
    "top-two": TopTwo(thompson=BetaThompson()),
    "ucb": KLUCB(),
    "epsilon-greedy": EpsilonGreedy(),
}
LOW_RATES = BanditWorld(
    rates=np.array([0.02, 0.022, 0.025, 0.03]), batch_units=200, batches=60, floor=0.05, delays=SHOP.delays
)
EQUAL = BanditWorld(rates=np.full(4, 0.1), batch_units=100, batches=60, floor=0.05, delays=SHOP.delays)


def covered(world: BanditWorld, policy: Policy, estimator: Estimator, *, seed: int) -> tuple[int, int]:
    """How many intervals of values, and of differences to the first arm, hold the truth: one log after the other."""
    logs = world.run(policy, np.random.default_rng(seed), runs=REPLICATIONS)
    values = differences = 0
    for run in range(REPLICATIONS):
        log = BatchLog(
            probabilities=logs.probabilities[run],
            pulls=logs.pulls[run],
            rewards=logs.rewards[run],
            squared_rewards=logs.squared_rewards[run],
        )
        shown = adaptive_estimates(log, estimator, level=0.95, conversions=True)
        values += sum(one.low <= rate <= one.high for one, rate in zip(shown.values, world.rates, strict=True))
        differences += sum(
            one.difference.low <= world.rates[one.arm] - world.rates[0] <= one.difference.high
            for one in shown.differences
        )
    return values, differences


def assert_covers(count: int, trials: int) -> None:
    """Between 94 and 96 of 100, as counted, and nowhere that chance would not bring 95 to."""
    assert 0.94 <= count / trials <= 0.96, count / trials
    assert binomtest(count, trials, 0.95).pvalue > 0.001


@pytest.mark.parametrize("policy", POLICIES)
def test_aw_aipw_covers_in_the_shop(policy: str) -> None:
    values, differences = covered(SHOP, POLICIES[policy], Estimator.AW_AIPW, seed=20_261_124)
    assert_covers(values, 4 * REPLICATIONS)
    assert_covers(differences, 3 * REPLICATIONS)


@pytest.mark.parametrize("world", [LOW_RATES, EQUAL], ids=["rates of 2 to 3 %", "equal arms"])
def test_aw_aipw_covers_where_it_is_hard(world: BanditWorld) -> None:
    """Few conversions, where normal intervals cover 93.6 %; and arms between which the shares drift to and fro."""
    values, differences = covered(world, BetaThompson(), Estimator.AW_AIPW, seed=7)
    assert_covers(values, 4 * REPLICATIONS)
    least, most = 0.94 * 3 * REPLICATIONS, 0.97 * 3 * REPLICATIONS
    assert least <= differences <= most, differences


def test_the_naive_mean_does_not_where_arms_are_equal_and_floors_low() -> None:
    """The same harness sees what it is for: the mean after Thompson sampling with a floor of 1 %."""
    low = BanditWorld(rates=EQUAL.rates, batch_units=100, batches=60, floor=0.01, delays=EQUAL.delays)
    naive, _ = covered(low, BetaThompson(), Estimator.NAIVE, seed=8)
    weighted, _ = covered(low, BetaThompson(), Estimator.AW_AIPW, seed=8)
    assert binomtest(naive, 4 * REPLICATIONS, 0.95, alternative="less").pvalue < 0.001
    assert weighted > naive
