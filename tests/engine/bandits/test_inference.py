import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest, norm

from engine.arrays import FloatArray
from engine.bandits.inference import (
    BatchLog,
    Estimator,
    Moments,
    Weighting,
    adaptive_estimates,
    constant_rates,
    moments,
    stick_breaking_weights,
    two_point_rates,
)
from engine.bandits.policy import ArmTotals, apply_floor
from engine.bandits.thompson import BetaThompson
from engine.errors import InvalidInput, NoSupport, NotEnoughData

Z = float(norm.ppf(0.975))
REPLICATIONS = 2_000


def thompson_logs(
    rates: list[float], *, floor: float, runs: int, batches: int, size: int, rng: np.random.Generator
) -> BatchLog:
    """Run Thompson sampling in batches, the first one even, all runs abreast."""
    shape = (runs, batches, len(rates))
    probabilities, pulls, rewards = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for batch in range(batches):
        earned = rewards.sum(axis=1)
        totals = ArmTotals(pulls=pulls.sum(axis=1), rewards=earned, squared_rewards=earned)
        now = apply_floor(BetaThompson().weights(totals), floor=floor)
        now /= now.sum(axis=-1, keepdims=True)
        probabilities[:, batch] = now
        pulls[:, batch] = rng.multinomial(size, now)
        rewards[:, batch] = rng.binomial(pulls[:, batch].astype(int), rates)
    return BatchLog(probabilities=probabilities, pulls=pulls, rewards=rewards, squared_rewards=rewards)


@pytest.fixture(scope="module")
def floored() -> BatchLog:
    rng = np.random.default_rng(2021)
    return thompson_logs([0.1, 0.1], floor=0.1, runs=REPLICATIONS, batches=50, size=100, rng=rng)


def rejections(found: Moments) -> int:
    covariances = found.covariances
    variances = covariances[:, 0, 0] + covariances[:, 1, 1] - 2.0 * covariances[:, 0, 1]
    return int((np.abs(found.values[:, 1] - found.values[:, 0]) > Z * np.sqrt(variances)).sum())


def covered(found: Moments, rates: list[float]) -> FloatArray:
    deviations = np.sqrt(np.diagonal(found.covariances, axis1=-2, axis2=-1))
    return (np.abs(found.values - rates) <= Z * deviations).sum(axis=0)


def assert_between(count: int, of: int, *, low: float, high: float) -> None:
    assert binomtest(count, of, low, alternative="less").pvalue > 0.01, count / of
    assert binomtest(count, of, high, alternative="greater").pvalue > 0.01, count / of


def test_shown_test_after_thompson_with_a_floor(floored: BatchLog) -> None:
    """Two equal arms, p = .10, 5,000 units in 50 batches, floor 10 %: 0.2 / k."""
    found = moments(floored, Estimator.AW_AIPW)
    rejected = rejections(found)
    assert rejected / REPLICATIONS <= 0.07, rejected
    for count in covered(found, [0.1, 0.1]):
        assert_between(int(count), REPLICATIONS, low=0.94, high=0.96)
    unweighted = moments(floored, Estimator.AW_AIPW, weighting=Weighting.UNWEIGHTED)
    assert_between(rejections(unweighted), REPLICATIONS, low=0.04, high=0.06)


def test_naive_test_after_thompson_without_a_floor_worth_the_name() -> None:
    log = thompson_logs([0.1, 0.1], floor=0.01, runs=REPLICATIONS, batches=50, size=100, rng=np.random.default_rng(1))
    naive = moments(log, Estimator.NAIVE)
    rejected = rejections(naive)
    assert rejected / REPLICATIONS > 0.10, rejected
    assert (naive.values.mean(axis=0) < 0.1 - 0.002).all()  # what adaptive stopping does to a mean


def test_inverse_probabilities_add_up_to_the_units(floored: BatchLog) -> None:
    inverse = (floored.pulls / floored.probabilities).sum(axis=1)
    errors = inverse.std(axis=0, ddof=1) / np.sqrt(REPLICATIONS)
    assert (np.abs(inverse.mean(axis=0) - 5_000.0) <= 3.0 * errors).all()


def test_ipw_is_unbiased(floored: BatchLog) -> None:
    values = moments(floored, Estimator.IPW).values
    errors = values.std(axis=0, ddof=1) / np.sqrt(REPLICATIONS)
    assert (np.abs(values.mean(axis=0) - 0.1) <= 3.0 * errors).all()


def test_intervals_cover_different_arms_too() -> None:
    rates = [0.05, 0.08, 0.06]
    rng = np.random.default_rng(5)
    log = thompson_logs(rates, floor=0.2 / 3, runs=1_000, batches=40, size=250, rng=rng)
    for count in covered(moments(log, Estimator.AW_AIPW), rates):
        assert_between(int(count), 1_000, low=0.94, high=0.96)


def by_unit(
    arms: np.ndarray, rewards: np.ndarray, probabilities: np.ndarray, batch: np.ndarray
) -> tuple[FloatArray, FloatArray]:
    """AW-AIPW one unit at a time, by its formula: scores, weights sqrt(e / T), weighted mean, squared errors."""
    units, count = probabilities.shape
    values, scores, weights = np.zeros(count), np.zeros((units, count)), np.sqrt(probabilities / units)
    for unit in range(units):
        past = batch < batch[unit]
        overall = rewards[past].mean() if past.any() else 0.0
        for arm in range(count):
            mine = past & (arms == arm)
            mean = rewards[mine].mean() if mine.any() else overall
            scores[unit, arm] = mean + (arms[unit] == arm) * (rewards[unit] - mean) / probabilities[unit, arm]
    values = (weights * scores).sum(axis=0) / weights.sum(axis=0)
    errors = weights * (scores - values) / weights.sum(axis=0)
    return values, errors.T @ errors


def example(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    batch = np.repeat(np.arange(6), [30, 10, 25, 5, 40, 20])
    vectors = rng.dirichlet([3.0, 3.0, 3.0], 6)[batch]
    arms = np.array([rng.choice(3, p=row) for row in vectors])
    return arms, rng.normal(1.0 + arms, 2.0), vectors, batch


def batched(arms: np.ndarray, rewards: np.ndarray, vectors: np.ndarray, batch: np.ndarray) -> BatchLog:
    onehot = arms[:, None] == np.arange(3)
    sums = [
        np.stack([(onehot * power[:, None])[batch == b].sum(axis=0) for b in range(6)])
        for power in (
            np.ones(len(arms)),
            rewards,
            rewards**2,
        )
    ]
    probabilities = np.stack([vectors[batch == b][0] for b in range(6)])
    return BatchLog(probabilities=probabilities, pulls=sums[0], rewards=sums[1], squared_rewards=sums[2])


def test_batch_totals_give_what_the_units_give() -> None:
    arms, rewards, vectors, batch = example(np.random.default_rng(12))
    found = moments(batched(arms, rewards, vectors, batch), Estimator.AW_AIPW)
    values, covariances = by_unit(arms, rewards, vectors, batch)
    assert_allclose(found.values, values, rtol=1e-10)
    assert_allclose(found.covariances, covariances, rtol=1e-9, atol=1e-14)


def test_a_log_of_units_is_a_log_of_batches_of_one() -> None:
    arms, rewards, vectors, _ = example(np.random.default_rng(13))
    found = moments(BatchLog.from_units(arms, rewards, probabilities=vectors), Estimator.AW_AIPW)
    values, covariances = by_unit(arms, rewards, vectors, np.arange(len(arms)))
    assert_allclose(found.values, values, rtol=1e-10)
    assert_allclose(found.covariances, covariances, rtol=1e-9, atol=1e-14)


def test_ipw_by_its_formula() -> None:
    arms, rewards, vectors, batch = example(np.random.default_rng(14))
    found = adaptive_estimates(batched(arms, rewards, vectors, batch), Estimator.IPW, level=0.9)
    for arm in range(3):
        terms = (arms == arm) * rewards / vectors[:, arm]
        reach = norm.ppf(0.95) * terms.std() / np.sqrt(len(terms))
        assert found.values[arm].point == pytest.approx(terms.mean())
        assert found.values[arm].high == pytest.approx(terms.mean() + reach)
    first = found.differences[0]
    assert first.difference.point == pytest.approx(found.values[1].point - found.values[0].point)
    assert first.p_value == pytest.approx(
        2.0 * norm.sf(abs(first.difference.point) / ((first.difference.high - first.difference.point) / norm.ppf(0.95)))
    )


def test_constant_rates_weigh_by_the_root_of_the_probability() -> None:
    arms, rewards, vectors, batch = example(np.random.default_rng(15))
    log = batched(arms, rewards, vectors, batch)
    weights = stick_breaking_weights(log, constant_rates(log))
    assert_allclose(weights, np.sqrt(log.probabilities / len(arms)), rtol=1e-9)
    assert_allclose((weights**2 * log.pulls.sum(axis=-1, keepdims=True) / log.probabilities).sum(axis=0), np.ones(3))


def test_two_point_rates_know_the_floors_path() -> None:
    arms, rewards, vectors, batch = example(np.random.default_rng(16))
    log = batched(arms, rewards, vectors, batch)
    assert_allclose(two_point_rates(log, np.full(6, 0.05)), np.broadcast_to(constant_rates(log), (6, 3)), rtol=1e-12)
    falling = 0.3 / np.arange(1.0, 7.0)
    rates = two_point_rates(log, falling)
    units, best = log.pulls.sum(axis=-1), 1.0 - 2.0 * falling
    expected = log.probabilities[2, 1] * units[2] * best[2] / (units * best)[2:].sum()
    expected += (1.0 - log.probabilities[2, 1]) * units[2] * falling[2] / (units * falling)[2:].sum()
    assert rates[2, 1] == pytest.approx(expected)
    found = moments(log, Estimator.AW_AIPW, weighting=Weighting.TWO_POINT, floors=falling)
    assert np.isfinite(found.values).all()


def test_without_adaptation_all_estimators_agree() -> None:
    rng = np.random.default_rng(17)
    pulls = np.full((20, 2), 500.0)
    rewards = rng.binomial(500, [0.1, 0.2], (20, 2)).astype(float)
    log = BatchLog(probabilities=np.full((20, 2), 0.5), pulls=pulls, rewards=rewards, squared_rewards=rewards)
    naive, ipw, weighted = (moments(log, estimator) for estimator in Estimator)
    assert_allclose(ipw.values, naive.values, rtol=1e-12)
    assert_allclose(weighted.values, naive.values, atol=2e-3)
    assert_allclose(np.diag(weighted.covariances), np.diag(naive.covariances), rtol=0.1)


def test_refusals() -> None:
    half, none = np.full((2, 2), 0.5), np.zeros((2, 2))
    ones = np.ones((2, 2))
    with pytest.raises(NotEnoughData, match="fewer than 2"):
        moments(BatchLog(probabilities=half, pulls=none, rewards=none, squared_rewards=none), Estimator.NAIVE)
    one_arm = np.array([[5.0, 0.0], [5.0, 0.0]])
    log = BatchLog(probabilities=half, pulls=one_arm, rewards=one_arm / 5, squared_rewards=one_arm / 5)
    with pytest.raises(NotEnoughData, match="never pulled"):
        moments(log, Estimator.AW_AIPW)
    silent = np.array([[1.0, 0.0], [0.5, 0.5]])
    log = BatchLog(probabilities=silent, pulls=np.array([[5.0, 0.0], [5.0, 5.0]]), rewards=ones, squared_rewards=ones)
    with pytest.raises(NoSupport, match="raise the floor"):
        moments(log, Estimator.IPW)
    assert np.isfinite(moments(log, Estimator.AW_AIPW).values).all()
    constant = BatchLog(probabilities=half, pulls=ones * 5, rewards=none, squared_rewards=none)
    with pytest.raises(NotEnoughData, match="do not vary"):
        adaptive_estimates(constant, Estimator.AW_AIPW)
    with pytest.raises(InvalidInput, match="pass floors"):
        moments(constant, Estimator.AW_AIPW, weighting=Weighting.TWO_POINT)


@pytest.mark.parametrize(
    ("probabilities", "pulls", "message"),
    [
        ([[0.5, 0.4]], [[1.0, 1.0]], "sum to 1"),
        ([[1.0, 0.0]], [[1.0, 1.0]], "probability 0"),
        ([[0.5, 0.5]], [[-1.0, 1.0]], "counts"),
        ([[1.0]], [[1.0]], "one row a batch"),
    ],
)
def test_logs_that_cannot_be(probabilities: list[list[float]], pulls: list[list[float]], message: str) -> None:
    counts = np.array(pulls)
    with pytest.raises(InvalidInput, match=message):
        BatchLog(probabilities=np.array(probabilities), pulls=counts, rewards=counts, squared_rewards=counts)


def test_refusals_of_logs_and_questions() -> None:
    with pytest.raises(InvalidInput, match="one row of probabilities a unit"):
        BatchLog.from_units(np.zeros(2, int), np.zeros(3), probabilities=np.full((2, 2), 0.5))
    many = np.full((3, 4, 2), 0.5)
    log = BatchLog(probabilities=many, pulls=many * 20, rewards=many * 8, squared_rewards=many * 8)
    with pytest.raises(InvalidInput, match="once a test"):
        adaptive_estimates(log, Estimator.NAIVE)
    never = np.tile([1.0, 0.0], (2, 1))
    log = BatchLog(probabilities=never, pulls=never * 9, rewards=never * 4, squared_rewards=never * 4)
    with pytest.raises(NotEnoughData, match="never pulled"):
        adaptive_estimates(log, Estimator.IPW)
