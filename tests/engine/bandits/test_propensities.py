"""Estimates from units that each had their own probabilities: against the formulas unit by unit, and by simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from engine.bandits.inference import BatchLog, Estimator, moments
from engine.bandits.linear import LinearTotals, contextual_probabilities, fit
from engine.bandits.propensities import InverseSums
from engine.errors import InvalidInput, NoSupport

TRUTH = np.array([[0.30, 0.15], [0.30, -0.15], [0.20, 0.0]])
"""Each arm's rate: a constant, and what a context of -1 or 1 adds."""
BATCHES, UNITS, FLOOR = 8, 150, 0.05


def log_of(
    batches: np.ndarray, arms: np.ndarray, rewards: np.ndarray, vectors: np.ndarray, shares: np.ndarray
) -> BatchLog:
    count, k = shares.shape
    pulls, earned, averages = (np.zeros((count, k)) for _ in range(3))
    np.add.at(pulls, (batches, arms), 1.0)
    np.add.at(earned, (batches, arms), rewards)
    np.add.at(averages, batches, vectors)
    inverse = InverseSums.of_units(
        batches, arms, rewards=rewards, propensities=vectors[np.arange(arms.size), arms], shares=shares
    )
    return BatchLog(
        probabilities=averages / pulls.sum(axis=1, keepdims=True),
        pulls=pulls,
        rewards=earned,
        squared_rewards=earned,
        inverse=inverse,
    )


def simulated(rng: np.random.Generator) -> BatchLog:
    """Return the log of a contextual Thompson that steps after every batch."""
    totals, contexts = LinearTotals.none(3, features=2), np.zeros((0, 2))
    columns: list[tuple[np.ndarray, ...]] = []
    shares = []
    for batch in range(BATCHES):
        new = np.column_stack([np.ones(UNITS), rng.choice([-1.0, 1.0], UNITS)])
        if batch == 0:
            vectors, known = np.full((UNITS, 3), 1 / 3), np.full((1, 3), 1 / 3)
        else:
            posterior = fit(totals)
            vectors = contextual_probabilities(posterior, new, floor=FLOOR)
            known = contextual_probabilities(posterior, contexts, floor=FLOOR)
        shares.append(1.0 / (1.0 / known).mean(axis=0))
        arms = (vectors.cumsum(axis=1) < rng.random((UNITS, 1))).sum(axis=1).clip(max=2)
        rewards = (rng.random(UNITS) < (new * TRUTH[arms]).sum(axis=1)).astype(float)
        totals = totals + LinearTotals.from_units(new, arms, rewards=rewards, count=3)
        contexts = np.concatenate([contexts, new])
        columns.append((np.full(UNITS, batch), arms, rewards, vectors))
    batches, arms, rewards, vectors = (np.concatenate(part) for part in zip(*columns, strict=True))
    return log_of(batches, arms, rewards, vectors, np.array(shares))


@pytest.fixture(scope="module")
def replications() -> list[BatchLog]:
    rng = np.random.default_rng(20)
    return [simulated(rng) for _ in range(400)]


def test_aw_aipw_intervals_cover_each_arms_value_over_all_contexts(replications: list[BatchLog]) -> None:
    found = [moments(log, Estimator.AW_AIPW) for log in replications]
    errors = np.sqrt(np.array([one.variances for one in found]))
    covered = np.abs(np.array([one.values for one in found]) - TRUTH[:, 0]) <= 1.96 * errors
    assert binomtest(int(covered.sum()), covered.size, 0.95).pvalue > 0.001


def test_ipw_is_unbiased(replications: list[BatchLog]) -> None:
    values = np.array([moments(log, Estimator.IPW).values for log in replications])
    assert_allclose(values.mean(axis=0), TRUTH[:, 0], atol=4 * values.std(axis=0).max() / np.sqrt(len(values)))


def test_naive_means_miss_because_each_arm_gets_those_who_like_it(replications: list[BatchLog]) -> None:
    values = np.array([moments(log, Estimator.NAIVE).values for log in replications])
    assert values.mean(axis=0)[0] > TRUTH[0, 0] + 0.05


def test_differences_use_the_covariance_of_scores(replications: list[BatchLog]) -> None:
    found = [moments(log, Estimator.AW_AIPW) for log in replications]
    errors = [np.sqrt(one.covariances[1, 1] + one.covariances[0, 0] - 2 * one.covariances[0, 1]) for one in found]
    false = sum(abs(one.values[1] - one.values[0]) > 1.96 * error for one, error in zip(found, errors, strict=True))
    assert binomtest(false, len(found), 0.05).pvalue > 0.001  # the two arms are worth the same over all contexts


def test_against_the_scores_unit_by_unit() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.dirichlet([2.0, 2.0, 2.0], 90) * 0.85 + 0.05
    batches, arms = np.arange(90) // 30, np.array([rng.choice(3, p=vector) for vector in vectors])
    rewards = (rng.random(90) < 0.4).astype(float)
    shares = np.array([[0.3, 0.25, 0.3], [0.2, 0.3, 0.25], [0.25, 0.35, 0.15]])
    log = log_of(batches, arms, rewards, vectors, shares)
    own = vectors[np.arange(90), arms]
    means, left, weights = np.zeros((3, 3)), np.ones(3), np.zeros((3, 3))
    for batch in range(3):
        before = batches < batch
        for arm in range(3):
            mine = before & (arms == arm)
            if before.any():
                means[batch, arm] = (rewards / own)[mine].sum() / (1 / own)[mine].sum()
        rate = 1 / (3 - batch)
        weights[batch] = np.sqrt(rate * left * shares[batch] / 30)
        left = left * (1 - rate)
    scores = means[batches] + (arms[:, None] == np.arange(3)) * ((rewards[:, None] - means[batches]) / own[:, None])
    h = weights[batches]
    values = (h * scores).sum(axis=0) / h.sum(axis=0)
    scaled = h * (scores - values) / h.sum(axis=0)
    found = moments(log, Estimator.AW_AIPW)
    assert_allclose(found.values, values, rtol=1e-10)
    assert_allclose(found.covariances, scaled.T @ scaled, rtol=1e-9, atol=1e-15)


def test_where_all_units_of_a_batch_have_its_probabilities_nothing_changes() -> None:
    rng = np.random.default_rng(4)
    shares = np.array([[0.5, 0.5], [0.2, 0.8], [0.1, 0.9]])
    batches = np.arange(300) // 100
    arms = (rng.random(300) < shares[batches, 1]).astype(int)
    rewards = (rng.random(300) < 0.3).astype(float)
    log = log_of(batches, arms, rewards, shares[batches], shares)
    plain = BatchLog(probabilities=shares, pulls=log.pulls, rewards=log.rewards, squared_rewards=log.squared_rewards)
    found, expected = (moments(one, Estimator.IPW) for one in (log, plain))
    assert_allclose(found.values, expected.values)
    assert_allclose(found.covariances, expected.covariances)


def test_refusals() -> None:
    rng = np.random.default_rng(5)
    log = simulated(rng)
    without = np.array([[0.0, 0.5, 0.5]] + [[1 / 3] * 3] * (BATCHES - 1))
    batches, arms = np.arange(40) % BATCHES, np.arange(40) % 3
    vectors = np.full((40, 3), 1 / 3)
    with pytest.raises(NoSupport, match="no chance"):
        moments(log_of(batches, arms, np.ones(40), vectors, without), Estimator.IPW)
    with pytest.raises(InvalidInput, match="another shape"):
        BatchLog(
            probabilities=np.full((1, 2), 0.5),
            pulls=np.ones((1, 2)),
            rewards=np.ones((1, 2)),
            squared_rewards=np.ones((1, 2)),
            inverse=log.inverse,
        )
    with pytest.raises(InvalidInput, match="outside"):
        InverseSums.of_units(batches, arms, rewards=np.ones(40), propensities=np.zeros(40), shares=without)
    with pytest.raises(InvalidInput, match="one value a unit"):
        InverseSums.of_units(batches, arms, rewards=np.ones(39), propensities=np.ones(40), shares=without)
