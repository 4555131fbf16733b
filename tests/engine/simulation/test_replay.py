import numpy as np
import pytest
from scipy.stats import binomtest

from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import ArmTotals, default_floor
from engine.bandits.thompson import BetaThompson, NormalThompson
from engine.errors import InvalidInput, NoSupport
from engine.simulation.replay import PropensityLog, UnitLog, replay_steps, summarise_replay

RATES = np.array([0.1, 0.3, 0.2])


class Fixed:
    """A policy that never learns."""

    def weights(self, totals: ArmTotals) -> np.ndarray:
        assert totals.arms == 3
        return np.array([0.2, 0.5, 0.3])


def logged(rng: np.random.Generator, *, units: int) -> UnitLog:
    probabilities = rng.dirichlet([5.0, 5.0, 5.0], units)
    actions = (probabilities.cumsum(axis=-1) < rng.random((units, 1))).sum(axis=-1).clip(max=2)
    rewards = (rng.random(units) < RATES[actions]).astype(float)
    return UnitLog(actions=actions, rewards=rewards, probabilities=probabilities)


def test_units_kept_are_as_if_the_policy_had_acted() -> None:
    rng = np.random.default_rng(1)
    log = logged(rng, units=40_000)
    *_, last = replay_steps(Fixed(), log, batch=1_000, rng=rng, floor=0.0)
    for arm, share in enumerate((0.2, 0.5, 0.3)):
        assert binomtest(int(last.after.pulls[arm]), last.kept, share).pvalue > 0.001
        assert binomtest(int(last.after.rewards[arm]), int(last.after.pulls[arm]), RATES[arm]).pvalue > 0.001


def test_all_estimates_cover_the_value_of_a_fixed_policy() -> None:
    truth, covered = float(RATES @ [0.2, 0.5, 0.3]), np.zeros(4, int)
    for run in range(300):
        rng = np.random.default_rng(run)
        log = logged(rng, units=2_000)
        result = summarise_replay(list(replay_steps(Fixed(), log, batch=200, rng=rng, floor=0.0)), log)
        estimates = (result.replayed, result.ips.value, result.self_normalised.value, result.doubly_robust.value)
        covered += [interval.low <= truth <= interval.high for interval in estimates]
    for count in covered:
        assert binomtest(int(count), 300, 0.95).pvalue > 0.001, covered


def without_vectors(log: UnitLog) -> PropensityLog:
    return PropensityLog(actions=log.actions, rewards=log.rewards, propensities=log.propensities, arms=log.arms)


def test_weighted_units_teach_what_the_policy_would_have_seen() -> None:
    """In shares and rates as if it had acted, and for no more units than they are worth."""
    log = without_vectors(logged(np.random.default_rng(11), units=40_000))
    *_, last = replay_steps(Fixed(), log, batch=1_000, rng=np.random.default_rng(0), floor=0.0)
    weights = np.array([0.2, 0.5, 0.3])[log.actions] / log.propensities
    worth = weights.sum() ** 2 / (weights**2).sum()
    assert last.kept == pytest.approx(worth, rel=0.05)
    assert last.kept < 40_000
    shares, rates = last.after.pulls / last.after.pulls.sum(), last.after.rewards / last.after.pulls
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=4 * 0.5 / np.sqrt(worth))
    assert (np.abs(rates - RATES) < 4 * np.sqrt(RATES * (1 - RATES) / last.after.pulls)).all()


def test_where_log_and_policy_are_one_every_unit_counts_once() -> None:
    rng = np.random.default_rng(12)
    actions = rng.choice(3, 500, p=[0.2, 0.5, 0.3])
    propensities = np.array([0.2, 0.5, 0.3])[actions]
    log = PropensityLog(actions=actions, rewards=rng.random(500), propensities=propensities, arms=3)
    *_, last = replay_steps(Fixed(), log, batch=100, rng=rng, floor=0.0)
    assert last.after.pulls == pytest.approx(np.bincount(actions).astype(float))
    assert last.after.rewards == pytest.approx(np.bincount(actions, log.rewards))


@pytest.mark.parametrize("conversions", [True, False])
def test_estimates_from_a_log_without_vectors_cover_too(conversions: bool) -> None:
    truth, covered = float(RATES @ [0.2, 0.5, 0.3]), np.zeros(4, int)
    for run in range(300):
        rng = np.random.default_rng(10_000 + run)
        log = without_vectors(logged(rng, units=2_000))
        steps = list(replay_steps(Fixed(), log, batch=200, rng=rng, floor=0.0))
        result = summarise_replay(steps, log, conversions=conversions)
        estimates = (result.replayed, result.ips.value, result.self_normalised.value, result.doubly_robust.value)
        covered += [interval.low <= truth <= interval.high for interval in estimates]
    for count in covered:
        assert binomtest(int(count), 300, 0.95).pvalue > 0.001, covered


def test_a_policy_learns_from_a_log_without_vectors() -> None:
    rng = np.random.default_rng(13)
    log = without_vectors(logged(rng, units=20_000))
    steps = list(replay_steps(BetaThompson(), log, batch=500, rng=rng))
    result = summarise_replay(steps, log, conversions=True)
    assert steps[-1].probabilities[1] > 0.8
    assert result.replayed.low > result.logged.high
    assert result.doubly_robust.value.low > result.logged.high
    assert result.kept < result.units


def test_rates_have_intervals_of_rates() -> None:
    rng = np.random.default_rng(14)
    rewards = np.zeros(400)
    rewards[:2] = 1.0
    log = UnitLog(actions=rng.integers(0, 3, 400), rewards=rewards, probabilities=np.full((400, 3), 1 / 3))
    steps = list(replay_steps(EpsilonGreedy(), log, batch=100, rng=rng))
    symmetric, rate = (summarise_replay(steps, log, conversions=conversions) for conversions in (False, True))
    assert symmetric.logged.low < 0.0 < rate.logged.low
    assert rate.logged.point == symmetric.logged.point == 0.005
    assert rate.logged.high - 0.005 > 0.005 - rate.logged.low


def test_a_log_without_vectors_that_hardly_supports_the_policy_is_refused() -> None:
    rng = np.random.default_rng(15)
    actions = np.where(rng.random(2_000) < 0.999, 0, 1)
    propensities = np.where(actions == 0, 0.999, 0.001)
    log = PropensityLog(actions=actions, rewards=rng.random(2_000), propensities=propensities, arms=2)
    with pytest.raises(NoSupport):
        summarise_replay(list(replay_steps(EpsilonGreedy(epsilon=1.0), log, batch=2_000, rng=rng)), log)


def test_a_learning_policy_earns_more_than_the_log() -> None:
    rng = np.random.default_rng(3)
    log = logged(rng, units=20_000)
    steps = list(replay_steps(BetaThompson(), log, batch=500, rng=rng))
    result = summarise_replay(steps, log)
    assert len(steps) == 40
    assert steps[-1].probabilities[1] > 0.8
    assert steps[-1].probabilities.min() >= default_floor(3) * (1.0 - 1e-12)
    assert result.replayed.low > result.logged.high
    assert result.doubly_robust.value.low > result.logged.high
    assert result.kept == steps[-1].kept < result.units == 20_000
    assert result.ips.effective_sample_size < 20_000
    assert steps[-1].mean_reward == result.replayed.point


def test_until_there_is_data_it_allocates_evenly() -> None:
    log = logged(np.random.default_rng(4), units=1_000)
    first, *_ = replay_steps(NormalThompson(), log, batch=100, rng=np.random.default_rng(5))
    assert first.probabilities == pytest.approx([1.0 / 3.0] * 3)


def test_the_same_seed_gives_the_same_replay() -> None:
    log = logged(np.random.default_rng(6), units=2_000)
    first, second = (
        summarise_replay(list(replay_steps(EpsilonGreedy(), log, batch=70, rng=np.random.default_rng(7))), log)
        for _ in range(2)
    )
    assert first == second


def test_refusals() -> None:
    rng = np.random.default_rng(8)
    log = logged(rng, units=300)
    with pytest.raises(InvalidInput, match="at least 1"):
        next(replay_steps(Fixed(), log, batch=0, rng=rng))
    with pytest.raises(InvalidInput, match="do not cover"):
        summarise_replay(list(replay_steps(Fixed(), log, batch=100, rng=rng))[:2], log)
    few = logged(rng, units=20)
    with pytest.raises(NoSupport, match="log more units"):
        summarise_replay(list(replay_steps(Fixed(), few, batch=10, rng=rng)), few)
    never = UnitLog(actions=np.zeros(50, int), rewards=np.ones(50), probabilities=np.tile([1.0, 0.0, 0.0], (50, 1)))
    with pytest.raises(NoSupport, match="no chance"):
        next(replay_steps(Fixed(), never, batch=10, rng=rng))
    with pytest.raises(InvalidInput, match="probability 0"):
        UnitLog(actions=np.ones(2, int), rewards=np.ones(2), probabilities=np.tile([1.0, 0.0], (2, 1)))
    with pytest.raises(InvalidInput, match="indices"):
        UnitLog(actions=np.full(2, 2), rewards=np.ones(2), probabilities=np.full((2, 2), 0.5))
    with pytest.raises(InvalidInput, match="not finite"):
        UnitLog(actions=np.zeros(2, int), rewards=np.array([1.0, np.nan]), probabilities=np.full((2, 2), 0.5))
    with pytest.raises(InvalidInput, match="probability 0"):
        PropensityLog(actions=np.zeros(2, int), rewards=np.ones(2), propensities=np.array([0.5, 0.0]), arms=2)
    with pytest.raises(InvalidInput, match="one propensity"):
        PropensityLog(actions=np.zeros(2, int), rewards=np.ones(2), propensities=np.ones(3), arms=2)
    with pytest.raises(InvalidInput, match="one row"):
        UnitLog(actions=np.zeros(2, int), rewards=np.ones(3), probabilities=np.full((2, 2), 0.5))
