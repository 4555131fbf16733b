import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import ArmTotals, Policy, allocate, allocate_many, apply_floor, default_floor
from engine.bandits.thompson import BetaThompson, NormalThompson, TopTwo
from engine.bandits.ucb import KLUCB
from engine.errors import InvalidInput

POLICIES: list[Policy] = [
    BetaThompson(),
    NormalThompson(),
    TopTwo(thompson=BetaThompson()),
    KLUCB(),
    EpsilonGreedy(epsilon=0.2),
]
COUNTS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=2, max_size=6)


def conversions(counts: list[tuple[int, int]]) -> ArmTotals:
    converted, rest = np.array(counts, dtype=np.float64).T
    return ArmTotals(pulls=converted + rest, rewards=converted, squared_rewards=converted)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@given(counts=COUNTS)
def test_allocations_sum_to_one_and_keep_the_floor(policy: Policy, counts: list[tuple[int, int]]) -> None:
    totals = conversions([*counts, (3, 5)])
    result = allocate(policy, totals)
    assert sum(result.probabilities) == pytest.approx(1.0, abs=1e-12)
    assert result.floor == pytest.approx(0.2 / totals.arms)
    assert min(result.probabilities) >= result.floor * (1.0 - 1e-12)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@given(counts=COUNTS)
def test_swapping_arms_swaps_their_shares(policy: Policy, counts: list[tuple[int, int]]) -> None:
    counts = [*counts, (3, 5)]
    forward = policy.weights(conversions(counts))
    backward = policy.weights(conversions(counts[::-1]))
    assert_allclose(forward, backward[::-1], atol=1e-6)


def test_many_bandits_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(11)
    pulls = rng.integers(2, 5_000, (40, 4)).astype(np.float64)
    rewards = rng.binomial(pulls.astype(int), 0.1).astype(np.float64) + 0.0
    rewards[:, 0] += 1.0
    totals = ArmTotals(pulls=pulls + 1.0, rewards=rewards, squared_rewards=rewards)
    for policy in POLICIES:
        many = allocate_many(policy, totals)
        for row in range(40):
            alone = ArmTotals(
                pulls=totals.pulls[row], rewards=totals.rewards[row], squared_rewards=totals.squared_rewards[row]
            )
            assert_allclose(many[row], allocate(policy, alone).probabilities, rtol=1e-9, atol=1e-12)


def test_floor_formula() -> None:
    assert_allclose(apply_floor(np.array([1.0, 0.0, 0.0]), floor=0.1), [0.8, 0.1, 0.1])
    assert_allclose(apply_floor(np.array([0.2, 0.3, 0.5]), floor=1.0 / 3.0), [1.0 / 3.0] * 3)
    assert default_floor(4) == pytest.approx(0.05)


def test_the_policys_own_wish_is_kept_beside() -> None:
    result = allocate(EpsilonGreedy(epsilon=0.0), conversions([(5, 5), (1, 9)]), floor=0.1)
    assert result.weights == (1.0, 0.0)
    assert result.probabilities == pytest.approx((0.9, 0.1))


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-100.0, 100.0)), max_size=30))
def test_observing_is_summing(pulls: list[tuple[int, float]]) -> None:
    totals = ArmTotals.none(5)
    for arm, reward in pulls:
        totals = totals.observe(arm, reward)
    for arm in range(5):
        mine = [reward for pulled, reward in pulls if pulled == arm]
        assert totals.pulls[arm] == len(mine)
        assert totals.rewards[arm] == pytest.approx(sum(mine), abs=1e-9)
        assert totals.squared_rewards[arm] == pytest.approx(sum(reward**2 for reward in mine), abs=1e-6)


def test_merging_equals_pooling_and_discounting_scales() -> None:
    first, second = conversions([(3, 7), (2, 2)]), conversions([(1, 1), (0, 5)])
    pooled = first + second
    assert pooled.pulls.tolist() == [12.0, 9.0]
    assert pooled.rewards.tolist() == [4.0, 2.0]
    assert first.discount(0.5).pulls.tolist() == [5.0, 2.0]


def test_refusals() -> None:
    with pytest.raises(InvalidInput, match="pass one number an arm"):
        ArmTotals(pulls=np.zeros(1), rewards=np.zeros(1), squared_rewards=np.zeros(1))
    with pytest.raises(InvalidInput, match=r"at most 0\.5"):
        apply_floor(np.array([0.5, 0.5]), floor=0.6)
    with pytest.raises(InvalidInput, match="sum to 1"):
        apply_floor(np.array([0.5, 0.6]), floor=0.1)
    with pytest.raises(InvalidInput, match="sum to 1"):
        apply_floor(np.array([np.nan, 0.6]), floor=0.1)
    with pytest.raises(InvalidInput, match="discount"):
        conversions([(1, 1), (1, 1)]).discount(0.0)
