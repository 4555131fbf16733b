from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import binomtest

from engine.arrays import FloatArray
from engine.bandits.policy import ArmTotals, Policy, allocate
from engine.bandits.thompson import BetaThompson, NormalThompson, TopTwo, top_two
from engine.bandits.ucb import KLUCB
from engine.errors import InvalidInput, NotEnoughData

type Choice = Callable[[int, ArmTotals], NDArray[np.intp]]

LADDER = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
CLOSE = np.array([0.05, 0.045, 0.04, 0.035, 0.03])


def conversions(pulls: FloatArray, rewards: FloatArray) -> ArmTotals:
    return ArmTotals(pulls=pulls, rewards=rewards, squared_rewards=rewards)


def regrets(choose: Choice, *, runs: int, pulls: int, rng: np.random.Generator) -> FloatArray:
    """Play one unit at a time, all runs abreast; return each run's regret on the ladder."""
    pulled, earned, rows = np.zeros((runs, 5)), np.zeros((runs, 5)), np.arange(runs)
    for time in range(pulls):
        arms = choose(time, conversions(pulled, earned))
        earned[rows, arms] += rng.random(runs) < LADDER[arms]
        pulled[rows, arms] += 1.0
    return (pulled * (LADDER[0] - LADDER)).sum(axis=-1)


def found(policy: Policy, *, batch: int, batches: int, runs: int, rng: np.random.Generator) -> int:
    """Allocate in batches on the close arms; return in how many runs the best arm has the highest mean at the end."""
    pulls, rewards = np.zeros((runs, 5)), np.zeros((runs, 5))
    for _ in range(batches):
        probabilities = policy.weights(conversions(pulls, rewards))
        new = rng.multinomial(batch, probabilities / probabilities.sum(axis=-1, keepdims=True))
        pulls += new
        rewards += rng.binomial(new, CLOSE)
    return int((np.argmax(rewards / np.maximum(pulls, 1.0), axis=-1) == 0).sum())


def test_regret_of_thompson_beside_others() -> None:
    """Regret over 20,000 pulls: Thompson 29, UCB1 282, KL-UCB 44, uniform 3,999; Lai-Robbins' asymptotic bound 52.5."""
    rng = np.random.default_rng(20_000)
    policy, index = BetaThompson(), KLUCB()

    def ucb1(time: int, totals: ArmTotals) -> NDArray[np.intp]:
        bonus = np.sqrt(2.0 * np.log(max(time, 1)) / np.maximum(totals.pulls, 1e-9))
        return np.argmax(totals.rewards / np.maximum(totals.pulls, 1.0) + bonus, axis=-1)

    def kl_ucb(_: int, totals: ArmTotals) -> NDArray[np.intp]:
        return np.argmax(index.indices(totals), axis=-1)

    thompson = regrets(lambda _, totals: policy.draw_best(totals, rng), runs=400, pulls=20_000, rng=rng)
    error = thompson.std(ddof=1) / np.sqrt(thompson.size)
    assert abs(thompson.mean() - 29.0) <= 2.0 * error, (thompson.mean(), error)
    first = regrets(ucb1, runs=60, pulls=20_000, rng=rng)
    assert abs(first.mean() - 282.0) <= 3.0 * first.std(ddof=1) / np.sqrt(first.size), first.mean()
    divergence = regrets(kl_ucb, runs=100, pulls=20_000, rng=rng)
    assert abs(divergence.mean() - 44.0) <= 3.0 * divergence.std(ddof=1) / np.sqrt(divergence.size), divergence.mean()
    uniform = regrets(lambda _, totals: rng.integers(0, 5, len(totals.pulls)), runs=60, pulls=20_000, rng=rng)
    assert abs(uniform.mean() - 3_999.0) <= 3.0 * uniform.std(ddof=1) / np.sqrt(uniform.size), uniform.mean()


def test_the_bound_beside_which_regret_is_read() -> None:
    gaps, means = LADDER[0] - LADDER[1:], LADDER[1:]
    divergences = means * np.log(means / LADDER[0]) + (1.0 - means) * np.log((1.0 - means) / (1.0 - LADDER[0]))
    assert float((gaps / divergences).sum() * np.log(20_000)) == pytest.approx(52.5, abs=0.05)


def test_top_two_finds_the_best_arm() -> None:
    """How often, against the most that 20,000 pulls allow: 95.2 % when the three worst arms are known and left out."""
    rng = np.random.default_rng(97)
    policy = TopTwo(thompson=BetaThompson())
    short = found(policy, batch=400, batches=50, runs=400, rng=rng)
    assert binomtest(short, 400, 0.93, alternative="less").pvalue > 0.01, short
    long = found(policy, batch=800, batches=50, runs=400, rng=rng)
    assert binomtest(long, 400, 0.97, alternative="less").pvalue > 0.01, long


def test_weights_are_how_often_the_draws_say_best() -> None:
    rng = np.random.default_rng(3)
    totals = conversions(np.array([100.0, 120.0, 80.0]), np.array([10.0, 15.0, 9.0]))
    many = conversions(np.tile(totals.pulls, (50_000, 1)), np.tile(totals.rewards, (50_000, 1)))
    drawn = np.bincount(BetaThompson().draw_best(many, rng), minlength=3)
    for count, weight in zip(drawn, BetaThompson().weights(totals), strict=True):
        assert binomtest(int(count), 50_000, float(weight)).pvalue > 0.001


def test_normal_weights_are_how_often_the_draws_say_best() -> None:
    rng = np.random.default_rng(4)
    values = [rng.lognormal(1.0, 1.0, size) for size in (40, 60, 25)]
    sums = np.array([[len(v), v.sum(), (v**2).sum()] for v in values]).T
    totals = ArmTotals(pulls=sums[0], rewards=sums[1], squared_rewards=sums[2])
    tiled = [np.tile(row, (50_000, 1)) for row in sums]
    many = ArmTotals(pulls=tiled[0], rewards=tiled[1], squared_rewards=tiled[2])
    drawn = np.bincount(NormalThompson().draw_best(many, rng), minlength=3)
    for count, weight in zip(drawn, NormalThompson().weights(totals), strict=True):
        assert binomtest(int(count), 50_000, float(weight)).pvalue > 0.001


def test_normal_posteriors_are_near_the_means_and_leave_new_arms_open() -> None:
    totals = ArmTotals(
        pulls=np.array([1_000.0, 1_000.0, 0.0]),
        rewards=np.array([5_000.0, 5_200.0, 0.0]),
        squared_rewards=np.array([29_000.0, 31_040.0, 0.0]),
    )
    posteriors = NormalThompson().posteriors(totals)
    assert_allclose(posteriors.location, [5.0, 5.2, 5.1], atol=1e-3)
    assert_allclose(posteriors.scale[:2], [np.sqrt(4.0 / 1_000), np.sqrt(4.0 / 1_000)], rtol=2e-3)
    assert NormalThompson().weights(totals)[2] > 0.3


def test_a_discount_opens_a_decided_bandit_again() -> None:
    totals = conversions(np.array([1_000.0, 1_000.0]), np.array([100.0, 150.0]))
    sure, doubtful = (BetaThompson().weights(arms)[1] for arms in (totals, totals.discount(0.05)))
    assert sure > 0.999
    assert 0.6 < doubtful < 0.95


def test_top_two_against_sampling() -> None:
    rng = np.random.default_rng(8)
    best, share = np.array([0.7, 0.2, 0.1]), 0.6
    leaders = rng.choice(3, 100_000, p=best)
    drawn = leaders.copy()
    for leader in range(3):
        mine = (leaders == leader) & (rng.random(100_000) >= share)
        others = [arm for arm in range(3) if arm != leader]
        drawn[mine] = rng.choice(others, int(mine.sum()), p=_without(best, leader))
    expected = top_two(best, leader_share=share)
    for arm in range(3):
        assert binomtest(int((drawn == arm).sum()), 100_000, float(expected[arm])).pvalue > 0.001


def _without(best: FloatArray, arm: int) -> FloatArray:
    rest = np.delete(best, arm)
    return rest / rest.sum()


def test_top_two_of_a_decided_bandit() -> None:
    weights = top_two(np.array([1.0, 0.0, 0.0]))
    assert_allclose(weights, [0.5, 0.25, 0.25], atol=1e-6)
    two = top_two(np.array([0.9, 0.1]))
    assert_allclose(two, [0.5, 0.5], atol=1e-6)


def test_no_pulls_share_equally() -> None:
    assert allocate(BetaThompson(), ArmTotals.none(4)).probabilities == pytest.approx([0.25] * 4)


def test_refusals() -> None:
    with pytest.raises(InvalidInput, match="two positive"):
        BetaThompson(alpha=0.0)
    with pytest.raises(InvalidInput, match="NormalThompson"):
        BetaThompson().weights(conversions(np.array([1.0, 1.0]), np.array([2.0, 0.0])))
    with pytest.raises(InvalidInput, match="leader"):
        TopTwo(thompson=BetaThompson(), leader_share=1.0)
    with pytest.raises(NotEnoughData, match="fewer than 2"):
        NormalThompson().weights(ArmTotals.none(2))
    with pytest.raises(NotEnoughData, match="equal"):
        NormalThompson().weights(conversions(np.array([5.0, 5.0]), np.array([0.0, 0.0])))
