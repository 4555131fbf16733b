import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from engine.bandits.normal_best import best_of_normals


def exact(means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """P(best) by adaptive quadrature (scipy's QUADPACK) of each arm's own integral."""
    found = []
    for arm, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
        others = [other for other in range(len(means)) if other != arm]

        def integrand(z: float, mean=mean, deviation=deviation, others=others) -> float:
            value = mean + deviation * z
            return float(norm.pdf(z) * np.prod(norm.cdf((value - means[others]) / deviations[others])))

        cuts = {
            float(np.clip((means[o] - mean + c * deviations[o]) / deviation, -9, 9)) for o in others for c in (-3, 0, 3)
        }
        ends = [-9.0, *sorted(cuts), 9.0]
        found.append(sum(quad(integrand, *pair, epsabs=1e-10)[0] for pair in itertools.pairwise(ends)))
    return np.array(found)


@pytest.mark.parametrize("arms", [2, 3, 5, 12])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 2.5])
def test_against_adaptive_quadrature(arms: int, ratio: float) -> None:
    rng = np.random.default_rng(arms)
    means = rng.normal(size=(4, arms)) * [[0.1], [1.0], [3.0], [0.0]]
    deviations = np.exp(rng.normal(size=(4, arms)) * ratio)
    expected = np.array([exact(*row) for row in zip(means, deviations, strict=True)])
    assert_allclose(best_of_normals(means, deviations), expected, atol=1e-4)


def test_many_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    means = rng.normal(size=(700, 5))
    deviations = np.exp(rng.normal(size=(700, 5)) * rng.uniform(0.0, 2.0, (700, 1)))  # of every width of the grid
    alone = np.concatenate([best_of_normals(means[n : n + 1], deviations[n : n + 1]) for n in range(700)])
    assert (best_of_normals(means, deviations) == alone).all()


def test_rows_sum_to_one_and_follow_a_swap_of_arms() -> None:
    rng = np.random.default_rng(2)
    means, deviations = rng.normal(size=(50, 4)), np.exp(rng.normal(size=(50, 4)))
    found = best_of_normals(means, deviations)
    assert_allclose(found.sum(axis=1), 1.0)
    assert_allclose(best_of_normals(means[:, ::-1], deviations[:, ::-1]), found[:, ::-1], atol=1e-10)


def test_arms_beyond_doubt_and_equal_arms() -> None:
    assert_allclose(best_of_normals(np.array([[0.0, 1e6, 0.0]]), np.ones((1, 3))), [[0.0, 1.0, 0.0]], atol=1e-6)
    assert_allclose(best_of_normals(np.zeros((1, 5)), np.full((1, 5), 1e-6)), [[0.2] * 5], atol=1e-6)
    assert_allclose(
        best_of_normals(np.array([[0.0, 0.5, 1.0]]), np.array([[1e4, 1e-4, 1e-4]])), [[0.5, 0.0, 0.5]], atol=1e-4
    )
