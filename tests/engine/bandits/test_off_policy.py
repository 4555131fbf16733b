import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest, norm

from engine.bandits.off_policy import (
    OffPolicyEstimator,
    doubly_robust,
    effective_sample_size,
    importance_sampling,
    self_normalised,
)
from engine.errors import InvalidInput, NoSupport

OPEN_BANDIT = Path(__file__).parents[4] / "shared/data/open_bandit"
POSITIONS = 3
VALUES = np.array([0.1, 0.2, 0.3])
TARGET = np.array([0.1, 0.2, 0.7])


def prior(campaign: str) -> dict[str, np.ndarray]:
    """Read the production policy's beta priors: a mapping of campaign to two lists, in YAML."""
    lists: dict[str, list[float]] = {}
    inside, current = False, ""
    for line in (OPEN_BANDIT / "prior_bts.yaml").read_text().splitlines():
        text = line.strip()
        if not line.startswith(" "):
            inside = text == f"{campaign}:"
        elif inside and text.endswith(":"):
            current = text[:-1]
        elif inside and text.startswith("- "):
            lists.setdefault(current, []).append(float(text[2:]))
    return {name: np.array(values) for name, values in lists.items()}


def production_policy(campaign: str, *, draws: int) -> np.ndarray:
    """Return P(item at position), shape (items, 3), from Thompson's draws, which fill three places by rank."""
    parameters, generator = prior(campaign), np.random.RandomState(12345)
    counts = np.zeros((len(parameters["alpha"]), POSITIONS))
    for _ in range(draws // 1_000):
        rates = generator.beta(parameters["alpha"], parameters["beta"], (1_000, len(counts)))
        ranked = np.argsort(rates, axis=-1)[:, ::-1][:, :POSITIONS]
        for position in range(POSITIONS):
            counts[:, position] += np.bincount(ranked[:, position], minlength=len(counts))
    return counts / draws


@pytest.mark.skipif(not OPEN_BANDIT.exists(), reason="the Open Bandit sample is not beside the repository")
def test_open_bandit_against_an_independent_recomputation() -> None:
    with tarfile.open(OPEN_BANDIT / "obd_small.tar.gz") as archive:
        member = archive.extractfile("./random/all/all.csv")
        assert member is not None
        log = pd.read_csv(member, usecols=["timestamp", "item_id", "position", "click", "propensity_score"])
    policy = production_policy("all", draws=100_000)
    rank = log["position"].rank(method="dense").astype(int) - 1
    log["target"] = policy[log["item_id"], rank]
    log["weight"] = log["target"] / log["propensity_score"]

    arrays = {name: log[name].to_numpy(np.float64) for name in ("click", "propensity_score", "target")}
    ips = importance_sampling(arrays["click"], propensities=arrays["propensity_score"], target=arrays["target"])
    relative = ips.value.point / float(log["click"].mean())
    assert relative == pytest.approx(1.1981, abs=5e-5)  # st-tech/zr-obp's quickstart prints 1.198126 for this sample
    assert ips.value.point == pytest.approx(float((log["weight"] * log["click"]).sum() / len(log)), rel=1e-12)
    expected_size = float(log["weight"].sum() ** 2 / (log["weight"] ** 2).sum())
    assert ips.effective_sample_size == pytest.approx(expected_size, rel=1e-12)
    deviation = float((log["weight"] * log["click"]).std(ddof=1))
    assert ips.value.high - ips.value.point == pytest.approx(norm.ppf(0.975) * deviation / np.sqrt(len(log)), rel=1e-9)

    normalised = self_normalised(arrays["click"], propensities=arrays["propensity_score"], target=arrays["target"])
    assert normalised.value.point == pytest.approx(float((log["weight"] * log["click"]).sum() / log["weight"].sum()))


def logged(rng: np.random.Generator, *, units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    probabilities = rng.dirichlet([4.0, 3.0, 3.0], units)
    actions = (probabilities.cumsum(axis=-1) < rng.random((units, 1))).sum(axis=-1).clip(max=2)
    rewards = (rng.random(units) < VALUES[actions]).astype(float)
    return actions, rewards, probabilities[np.arange(units), actions]


@pytest.mark.parametrize("estimator", list(OffPolicyEstimator))
def test_intervals_cover_the_value(estimator: OffPolicyEstimator) -> None:
    rng, truth, covered = np.random.default_rng(10), float(VALUES @ TARGET), 0
    for _ in range(1_000):
        actions, rewards, propensities = logged(rng, units=1_500)
        target = np.tile(TARGET, (1_500, 1))
        mine = TARGET[actions]
        if estimator is OffPolicyEstimator.IPS:
            found = importance_sampling(rewards, propensities=propensities, target=mine)
        elif estimator is OffPolicyEstimator.SELF_NORMALISED:
            found = self_normalised(rewards, propensities=propensities, target=mine)
        else:
            found = doubly_robust(
                rewards,
                actions,
                propensities=propensities,
                target=target,
                predictions=np.tile([0.15, 0.15, 0.25], (1_500, 1)),
            )
        covered += found.value.low <= truth <= found.value.high
    assert binomtest(covered, 1_000, 0.94, alternative="less").pvalue > 0.01, covered
    assert binomtest(covered, 1_000, 0.965, alternative="greater").pvalue > 0.01, covered


def test_a_good_model_narrows_the_interval() -> None:
    actions, rewards, propensities = logged(np.random.default_rng(11), units=4_000)
    mine, target = TARGET[actions], np.tile(TARGET, (4_000, 1))
    ips = importance_sampling(rewards, propensities=propensities, target=mine)
    robust = doubly_robust(
        rewards, actions, propensities=propensities, target=target, predictions=np.tile(VALUES, (4_000, 1))
    )
    assert robust.value.high - robust.value.low < 0.9 * (ips.value.high - ips.value.low)


def test_the_logged_policy_itself_is_worth_its_mean() -> None:
    actions, rewards, propensities = logged(np.random.default_rng(12), units=500)
    for estimate in (importance_sampling, self_normalised):
        found = estimate(rewards, propensities=propensities, target=propensities, level=0.9)
        assert found.value.point == pytest.approx(rewards.mean())
        reach = norm.ppf(0.95) * rewards.std(ddof=1) / np.sqrt(500)
        assert found.value.high - found.value.point == pytest.approx(reach)
        assert found.effective_sample_size == pytest.approx(500.0)
        assert found.mean_weight == pytest.approx(1.0)
    assert len(actions) == found.units


def test_doubly_robust_without_a_model_is_ips() -> None:
    actions, rewards, propensities = logged(np.random.default_rng(13), units=500)
    target = np.tile(TARGET, (500, 1))
    ips = importance_sampling(rewards, propensities=propensities, target=TARGET[actions])
    robust = doubly_robust(rewards, actions, propensities=propensities, target=target, predictions=np.zeros((500, 3)))
    assert robust.value == ips.value


def test_effective_sample_size() -> None:
    assert effective_sample_size(np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(2.0)
    assert effective_sample_size(np.array([3.0, 1.0])) == pytest.approx(16.0 / 10.0)
    assert effective_sample_size(np.zeros(3)) == 0.0


def test_no_support() -> None:
    rewards, propensities = np.ones(1_000), np.full(1_000, 0.5)
    with pytest.raises(NoSupport, match=r"0\.0 effective units of 1000"):
        importance_sampling(rewards, propensities=propensities, target=np.zeros(1_000))
    rare = np.concatenate([np.ones(5), np.zeros(995)])
    with pytest.raises(NoSupport, match=r"5\.0 effective units"):
        self_normalised(rewards, propensities=propensities, target=rare)
    assert_allclose(
        self_normalised(rewards, propensities=np.full(1_000, 0.005), target=rare, least_effective_units=4).value.point,
        1.0,
    )
    # The log only ever took the first of two actions, to which the policy asked about gives a third.
    with pytest.raises(NoSupport, match=r"average 0\.333"):
        importance_sampling(rewards, propensities=np.ones(1_000), target=np.full(1_000, 1.0 / 3.0))


def test_refusals() -> None:
    ones, halves = np.ones(3), np.full(3, 0.5)
    with pytest.raises(InvalidInput, match="propensity"):
        importance_sampling(ones, propensities=np.array([0.5, 0.0, 0.5]), target=halves)
    with pytest.raises(InvalidInput, match="one value a unit"):
        importance_sampling(ones, propensities=halves[:2], target=halves)
    with pytest.raises(InvalidInput, match="not finite"):
        self_normalised(np.array([1.0, np.nan, 0.0]), propensities=halves, target=halves)
    with pytest.raises(InvalidInput, match="target probability"):
        self_normalised(ones, propensities=halves, target=ones * 1.5)
    with pytest.raises(InvalidInput, match="does not sum to 1"):
        doubly_robust(
            ones, np.zeros(3, int), propensities=halves, target=np.full((3, 2), 0.4), predictions=np.zeros((3, 2))
        )
    with pytest.raises(InvalidInput, match="An action lies outside"):
        doubly_robust(
            ones, np.full(3, 2), propensities=halves, target=np.full((3, 2), 0.5), predictions=np.zeros((3, 2))
        )
    with pytest.raises(InvalidInput, match="one row a unit"):
        doubly_robust(
            ones, np.zeros(2, int), propensities=halves, target=np.full((3, 2), 0.5), predictions=np.zeros((3, 2))
        )
