import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import ArmTotals
from engine.bandits.thompson import BetaThompson
from engine.errors import InvalidInput
from engine.simulation.bandit_worlds import AT_ONCE, SHOP, BanditWorld, Delays


class Watching:
    """Allocates evenly, and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[ArmTotals] = []

    def weights(self, totals: ArmTotals) -> np.ndarray:
        self.seen.append(totals)
        return np.full(totals.pulls.shape, 1.0 / totals.arms)


def test_bandits_log_what_they_did() -> None:
    world = BanditWorld(rates=np.array([0.1, 0.5]), batch_units=100, batches=20, floor=0.05)
    log = world.run(BetaThompson(), np.random.default_rng(3), runs=50)
    assert log.pulls.shape == (50, 20, 2)
    assert_allclose(log.probabilities.sum(axis=-1), 1.0)
    assert_allclose(log.probabilities[:, 0], 0.5)
    assert log.probabilities.min() >= 0.05 - 1e-12
    assert log.pulls[:, -1, 1].mean() > 80
    assert (log.rewards <= log.pulls).all()


def test_at_once_everything_is_known_at_the_next_step() -> None:
    policy = Watching()
    world = BanditWorld(rates=np.array([0.2, 0.4]), batch_units=50, batches=6, floor=0.1, delays=AT_ONCE)
    log = world.run(policy, np.random.default_rng(4), runs=7)
    for batch, totals in enumerate(policy.seen):
        assert_allclose(totals.pulls, log.pulls[:, : batch + 1].sum(axis=1))
        assert_allclose(totals.rewards, log.rewards[:, : batch + 1].sum(axis=1))


def test_units_count_when_they_convert_or_their_window_closes() -> None:
    policy = Watching()
    delays = Delays(converting=np.array([0.0, 1.0]), closing=3)
    world = BanditWorld(rates=np.array([0.3, 0.6]), batch_units=40, batches=8, floor=0.1, delays=delays)
    log = world.run(policy, np.random.default_rng(5), runs=4)
    for step, totals in enumerate(policy.seen):
        rewards = log.rewards[:, :step].sum(axis=1)  # a step later
        closed = (log.pulls - log.rewards)[:, : max(step - 2, 0)].sum(axis=1)  # three steps later
        assert_allclose(totals.rewards, rewards)
        assert_allclose(totals.pulls, rewards + closed)


def test_a_conversion_heard_of_after_its_window_was_none_until_then() -> None:
    policy = Watching()
    delays = Delays(converting=np.array([0.0, 0.0, 1.0]), closing=1)
    world = BanditWorld(rates=np.array([1.0, 1.0]), batch_units=10, batches=4, floor=0.1, delays=delays)
    world.run(policy, np.random.default_rng(6), runs=1)
    assert [float(totals.pulls.sum()) for totals in policy.seen] == [0.0, 10.0, 20.0, 30.0]
    assert [float(totals.rewards.sum()) for totals in policy.seen] == [0.0, 0.0, 10.0, 20.0]


def test_delays_cost_regret() -> None:
    slow = BanditWorld(
        rates=SHOP.rates,
        batch_units=50,
        batches=30,
        floor=0.05,
        delays=Delays(converting=np.eye(15)[14], closing=14),
    )
    quick = BanditWorld(rates=SHOP.rates, batch_units=50, batches=30, floor=0.05)
    missed = [
        world.regret(world.run(EpsilonGreedy(), np.random.default_rng(7), runs=300)).mean() for world in (quick, slow)
    ]
    even = 50 * 30 * float((SHOP.rates.max() - SHOP.rates).mean())
    assert missed[0] < 0.85 * missed[1]
    assert missed[1] < even


def test_regret_is_what_the_best_arm_would_have_added() -> None:
    world = BanditWorld(rates=np.array([0.1, 0.3]), batch_units=10, batches=2, floor=0.5)
    log = world.run(Watching(), np.random.default_rng(8), runs=3)
    assert_allclose(world.regret(log), 0.2 * log.pulls[:, :, 0].sum(axis=1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rates": np.array([0.1])}, "two arms"),
        ({"rates": np.array([0.1, 1.2])}, "two arms"),
        ({"batch_units": 0}, "at least 1"),
        ({"batches": 0}, "at least 1"),
    ],
)
def test_worlds_that_cannot_be(given: dict, message: str) -> None:
    sound = {"rates": np.array([0.1, 0.2]), "batch_units": 10, "batches": 10, "floor": 0.05}
    with pytest.raises(InvalidInput, match=message):
        BanditWorld(**(sound | given))


@pytest.mark.parametrize(("converting", "closing"), [([0.5, 0.4], 1), ([1.5, -0.5], 1), ([1.0], -1)])
def test_delays_that_cannot_be(converting: list[float], closing: int) -> None:
    with pytest.raises(InvalidInput, match="pass"):
        Delays(converting=np.array(converting), closing=closing)
