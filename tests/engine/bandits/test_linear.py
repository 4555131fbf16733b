import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from engine.bandits.best_arm import best_arm_probabilities
from engine.bandits.linear import LinearPosterior, LinearTotals, contextual_probabilities, fit
from engine.bayesian.marginals import StudentMarginals
from engine.errors import InvalidInput, NotEnoughData

TRUTH = np.array([[0.2, 0.5, 0.0], [0.3, -0.5, 0.2], [0.1, 0.0, 0.9]])


def served(rng: np.random.Generator, *, units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    contexts = np.column_stack([np.ones(units), rng.normal(size=(units, 2))])
    arms = rng.integers(0, 3, units)
    return contexts, arms, (contexts * TRUTH[arms]).sum(axis=-1) + rng.normal(0.0, 0.5, units)


def totals_of(contexts: np.ndarray, arms: np.ndarray, rewards: np.ndarray) -> LinearTotals:
    return LinearTotals.from_units(contexts, arms, rewards=rewards, count=3)


def test_posterior_against_an_independent_regression() -> None:
    contexts, arms, rewards = served(np.random.default_rng(1), units=600)
    posterior = fit(totals_of(contexts, arms, rewards), ridge=1e-9)
    residual = 0.0
    for arm in range(3):
        expected, squares, _, _ = np.linalg.lstsq(contexts[arms == arm], rewards[arms == arm])
        assert_allclose(posterior.coefficients[arm], expected, atol=1e-8)
        residual += float(squares[0])
    variance = residual / (600 - 9)
    design = contexts[arms == 1]
    assert_allclose(posterior.covariances[1], variance * np.linalg.inv(design.T @ design), rtol=1e-6)


def test_ridge_against_the_augmented_regression() -> None:
    contexts, arms, rewards = served(np.random.default_rng(2), units=60)
    posterior = fit(totals_of(contexts, arms, rewards), ridge=4.0, noise=0.5)
    design = np.vstack([contexts[arms == 0], 2.0 * np.eye(3)])
    expected = np.linalg.lstsq(design, np.concatenate([rewards[arms == 0], np.zeros(3)]))[0]
    assert_allclose(posterior.coefficients[0], expected, rtol=1e-9)
    assert_allclose(posterior.covariances[0], 0.25 * np.linalg.inv(design.T @ design), rtol=1e-9)


def test_a_prior_mean_is_what_an_arm_without_units_is_believed_to_earn() -> None:
    contexts, arms, rewards = served(np.random.default_rng(8), units=60)
    only = arms != 2
    prior = np.array([7.0, 0.0, 0.0])
    posterior = fit(totals_of(contexts[only], arms[only], rewards[only]), ridge=4.0, noise=0.5, prior=prior)
    assert_allclose(posterior.coefficients[2], prior)
    assert_allclose(posterior.covariances[2], 0.25 / 4.0 * np.eye(3))
    design = np.vstack([contexts[arms == 0], 2.0 * np.eye(3)])
    expected = np.linalg.lstsq(design, np.concatenate([rewards[arms == 0], 2.0 * prior]))[0]
    assert_allclose(posterior.coefficients[0], expected, rtol=1e-9)


def test_probabilities_are_how_often_the_draws_say_best() -> None:
    rng = np.random.default_rng(3)
    posterior = fit(totals_of(*served(rng, units=60)))
    contexts = np.array([[1.0, 0.3, -0.4], [1.0, 0.0, 0.2]])
    weights = posterior.weights(contexts)
    draws = np.stack(
        [
            rng.multivariate_normal(mean, covariance, 40_000)
            for mean, covariance in zip(posterior.coefficients, posterior.covariances, strict=True)
        ]
    )
    for row in range(2):
        best = np.bincount(np.argmax(draws @ contexts[row], axis=0), minlength=3)
        for arm in range(3):
            assert binomtest(int(best[arm]), 40_000, float(weights[row, arm])).pvalue > 0.001


def test_two_arms_in_closed_form_agree_with_quadrature() -> None:
    rng = np.random.default_rng(4)
    posterior = LinearPosterior(coefficients=rng.normal(size=(2, 3)), precisions=np.stack([np.eye(3), np.eye(3) / 4]))
    contexts = rng.normal(size=(20, 3))
    means, deviations = posterior.values(contexts)
    normals = StudentMarginals(location=means, scale=deviations, freedom=np.full(means.shape, np.inf))
    assert_allclose(posterior.weights(contexts), best_arm_probabilities(normals), atol=1e-7)


def test_it_learns_who_wants_what() -> None:
    rng = np.random.default_rng(5)
    totals, chosen = LinearTotals.none(3, features=3), np.zeros(0)
    for step in range(20):
        contexts = np.column_stack([np.ones(200), rng.normal(size=(200, 2))])
        uniform = np.full((200, 3), 1.0 / 3.0)
        probabilities = uniform if step == 0 else contextual_probabilities(fit(totals), contexts, floor=0.01)
        arms = (probabilities.cumsum(axis=-1) < rng.random((200, 1))).sum(axis=-1).clip(max=2)
        values = contexts @ TRUTH.T
        chosen = values.max(axis=-1) - values[np.arange(200), arms]
        rewards = values[np.arange(200), arms] + rng.normal(0.0, 0.5, 200)
        totals = totals + totals_of(contexts, arms, rewards)
    best_fixed = (values.max(axis=-1)[:, None] - values).mean(axis=0).min()
    assert chosen.mean() < 0.2 * best_fixed


@given(st.integers(1, 40), st.integers(1, 40))
def test_merging_equals_pooling(first: int, second: int) -> None:
    contexts, arms, rewards = served(np.random.default_rng(first * 100 + second), units=first + second)
    both = totals_of(contexts[:first], arms[:first], rewards[:first]) + totals_of(
        contexts[first:], arms[first:], rewards[first:]
    )
    pooled = totals_of(contexts, arms, rewards)
    assert_allclose(both.squares, pooled.squares, atol=1e-10)
    assert_allclose(both.products, pooled.products, atol=1e-10)
    assert_allclose(both.pulls, pooled.pulls)


def test_floor_and_determinism() -> None:
    posterior = fit(totals_of(*served(np.random.default_rng(6), units=300)))
    contexts = np.array([[1.0, 3.0, -3.0], [1.0, -3.0, 3.0]])
    first, second = (contextual_probabilities(posterior, contexts) for _ in range(2))
    assert (first == second).all()
    assert first.min() >= 0.2 / 3 * (1 - 1e-12)
    assert_allclose(first.sum(axis=-1), 1.0)


def test_discount_widens_the_posterior() -> None:
    totals = totals_of(*served(np.random.default_rng(7), units=300))
    sharp, wide = (fit(kept, noise=0.5).covariances[0, 0, 0] for kept in (totals, totals.discount(0.1)))
    assert wide > 5.0 * sharp


def test_refusals() -> None:
    totals = LinearTotals.none(2, features=2)
    with pytest.raises(InvalidInput, match="pass 2 or more arms"):
        LinearTotals.none(1, features=2)
    with pytest.raises(NotEnoughData, match="no more units"):
        fit(totals)
    with pytest.raises(InvalidInput, match="ridge"):
        fit(totals, ridge=0.0)
    with pytest.raises(InvalidInput, match="discount"):
        totals.discount(2.0)
    posterior = fit(totals, noise=1.0)
    with pytest.raises(InvalidInput, match="Contexts need shape"):
        posterior.weights(np.array([[1.0, np.nan]]))
    with pytest.raises(InvalidInput, match="An arm lies outside"):
        LinearTotals.from_units(np.ones((1, 2)), np.array([2]), rewards=np.ones(1), count=2)
    flat = LinearTotals.from_units(np.ones((9, 1)), np.arange(9) % 2, rewards=np.zeros(9), count=2)
    with pytest.raises(NotEnoughData, match="do not vary"):
        fit(flat)


def test_refusals_of_units() -> None:
    with pytest.raises(InvalidInput, match="one row a unit"):
        LinearTotals.from_units(np.ones((2, 2)), np.zeros(3, int), rewards=np.ones(2), count=2)
    with pytest.raises(InvalidInput, match="not finite"):
        LinearTotals.from_units(np.ones((2, 2)), np.zeros(2, int), rewards=np.array([1.0, np.inf]), count=2)
