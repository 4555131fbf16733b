"""Contextual Thompson sampling: a Bayesian linear regression of the reward for each arm.

Each arm keeps its own sums over the units it served: X'X, X'y, y'y and their number. They merge, can be discounted,
and suffice for the posterior, so that a context's probabilities come from totals as everything else does.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.bandits.normal_best import best_of_normals
from engine.bandits.policy import apply_floor, default_floor
from engine.errors import InvalidInput, NotEnoughData
from engine.levels import normal_cdf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearTotals:
    """What the arms have earned, by context.

    Attributes
    ----------
    squares : X'X of each arm's contexts: shape (k, d, d)
    products : X'y, contexts times rewards: shape (k, d)
    squared_rewards : y'y: shape (k,)
    pulls : units served: shape (k,)
    """

    squares: FloatArray
    products: FloatArray
    squared_rewards: FloatArray
    pulls: FloatArray

    @classmethod
    def none(cls, arms: int, *, features: int) -> Self:
        """Return the totals of arms that served nobody yet; give the constant 1 as one of the features."""
        if arms < 2 or features < 1:
            raise InvalidInput(f"{arms} arms and {features} features: pass 2 or more arms and 1 or more features.")
        return cls(
            squares=np.zeros((arms, features, features)),
            products=np.zeros((arms, features)),
            squared_rewards=np.zeros(arms),
            pulls=np.zeros(arms),
        )

    @classmethod
    def from_units(cls, contexts: FloatArray, arms: IntArray, *, rewards: FloatArray, count: int) -> Self:
        """Return the totals of units served.

        Parameters
        ----------
        contexts : shape (n, d), finite
        arms : shape (n,), in [0, count)
        rewards : shape (n,), finite, the metric's unit
        count : the number of arms, k
        """
        _check_units(contexts, arms, rewards, count)
        served = [arms == arm for arm in range(count)]
        return cls(
            squares=np.stack([contexts[mine].T @ contexts[mine] for mine in served]),
            products=np.stack([contexts[mine].T @ rewards[mine] for mine in served]),
            squared_rewards=np.array([rewards[mine] @ rewards[mine] for mine in served]),
            pulls=np.bincount(arms, minlength=count).astype(np.float64),
        )

    def merge(self, other: Self) -> Self:
        """Return the totals of both sets of units."""
        return type(self)(
            squares=self.squares + other.squares,
            products=self.products + other.products,
            squared_rewards=self.squared_rewards + other.squared_rewards,
            pulls=self.pulls + other.pulls,
        )

    __add__ = merge

    def discount(self, factor: float) -> Self:
        """Return the totals with every unit counted as this much of one; factor in (0, 1]."""
        if not 0.0 < factor <= 1.0:
            raise InvalidInput(f"The discount is {factor}: pass a factor in (0, 1]; 1 forgets nothing.")
        return type(self)(
            squares=self.squares * factor,
            products=self.products * factor,
            squared_rewards=self.squared_rewards * factor,
            pulls=self.pulls * factor,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearPosterior:
    """What is known of each arm's coefficients; made once a policy version, asked for every context.

    Attributes
    ----------
    coefficients : posterior means: shape (k, d)
    precisions : inverses of the posterior covariances: shape (k, d, d)
    """

    coefficients: FloatArray
    precisions: FloatArray

    @property
    def covariances(self) -> FloatArray:
        """Posterior covariances: shape (k, d, d)."""
        return np.linalg.inv(self.precisions)

    def weights(self, contexts: FloatArray) -> FloatArray:
        """Return P(best) of each arm for each context, before the floor: shape (n, k) for contexts of shape (n, d)."""
        means, deviations = self.values(contexts)
        if means.shape[-1] == 2:
            return _best_of_two(means, deviations)
        return best_of_normals(means, deviations)

    def values(self, contexts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean and standard deviation of each arm's expected reward: shapes (n, k) for (n, d) contexts."""
        arms, features = self.coefficients.shape
        if contexts.ndim != 2 or contexts.shape[1] != features or not np.isfinite(contexts).all():
            raise InvalidInput(f"Contexts need shape (n, {features}) and finite values: correct them.")
        found = contexts @ self._stacked
        roots = found[:, arms:].reshape(len(contexts), arms, features)
        return found[:, :arms], np.sqrt(np.einsum("nkd,nkd->nk", roots, roots))

    @cached_property
    def _stacked(self) -> FloatArray:
        """The means and, under each other, roots of the covariances: one product says all of a context."""
        features = self.coefficients.shape[1]
        roots = np.linalg.cholesky(self.covariances)  # x' C x is the square of (x' root)
        return np.concatenate([self.coefficients.T, roots.transpose(1, 0, 2).reshape(features, -1)], axis=1)


def fit(
    totals: LinearTotals, *, ridge: float = 1.0, noise: float | None = None, prior: FloatArray | None = None
) -> LinearPosterior:
    """Return the posterior of each arm's coefficients.

    Parameters
    ----------
    totals : of k arms and d features
    ridge : prior precision of each coefficient, in units of the noise's, positive
    noise : standard deviation of a reward around its expectation, positive; from the residuals where not given
    prior : b, prior mean of the coefficients: shape (d,); zeros where not given

    Returns
    -------
    normal with mean (X'X + ridge I)^-1 (X'y + ridge b) and covariance noise**2 (X'X + ridge I)^-1: Agrawal and Goyal
    (2013), "Thompson sampling for contextual bandits with linear payoffs", algorithm 1, one regression an arm

    Raises
    ------
    NotEnoughData
        the noise is to be estimated from no more units than features, or all residuals are 0
    """
    if not 0.0 < ridge < math.inf:
        raise InvalidInput(f"The ridge is {ridge}: pass a positive number.")
    features = totals.squares.shape[-1]
    scatter = totals.squares + ridge * np.eye(features)
    believed = np.zeros(features) if prior is None else ridge * prior
    coefficients = np.linalg.solve(scatter, (totals.products + believed)[..., None])[..., 0]
    variance = _noise_variance(totals, coefficients) if noise is None else noise * noise
    if not 0.0 < variance < math.inf:
        raise NotEnoughData("The rewards do not vary around the fit: allocate evenly until they do, or pass the noise.")
    return LinearPosterior(coefficients=coefficients, precisions=scatter / variance)


def contextual_probabilities(
    posterior: LinearPosterior, contexts: FloatArray, *, floor: float | None = None
) -> FloatArray:
    """Return each context's allocation: shape (n, k), each at least the floor (0.2 / k where not given), rows sum to 1.

    The same posterior and context always give the same probabilities.
    """
    weights = posterior.weights(contexts)
    return apply_floor(weights, floor=default_floor(weights.shape[-1]) if floor is None else floor)


def _noise_variance(totals: LinearTotals, coefficients: FloatArray) -> float:
    """Return the residuals' mean square over all arms, y'y - 2 b'X'y + b'X'X b, less the coefficients fitted."""
    spare = float(totals.pulls.sum()) - np.count_nonzero(totals.pulls) * coefficients.shape[1]
    if spare <= 0.0:
        raise NotEnoughData("There are no more units than coefficients: allocate evenly until there are.")
    fitted = np.einsum("kd,kde,ke->", coefficients, totals.squares, coefficients)
    residual = totals.squared_rewards.sum() - 2.0 * (coefficients * totals.products).sum() + fitted
    return float(residual) / spare


def _best_of_two(means: FloatArray, deviations: FloatArray) -> FloatArray:
    """Return P(best) in closed form: the difference of two normals is normal."""
    distance = (means[:, 0] - means[:, 1]) / np.hypot(deviations[:, 0], deviations[:, 1])
    return np.array([[normal_cdf(value), normal_cdf(-value)] for value in distance.tolist()])


def _check_units(contexts: FloatArray, arms: IntArray, rewards: FloatArray, count: int) -> None:
    if contexts.ndim != 2 or not len(contexts) == len(arms) == len(rewards):
        raise InvalidInput("Contexts need shape (n, d), arms and rewards shape (n,): pass one row a unit.")
    if not (np.isfinite(contexts).all() and np.isfinite(rewards).all()):
        raise InvalidInput("A context or reward is not finite: leave out the unit or correct it.")
    if arms.size and not (int(arms.min()) >= 0 and int(arms.max()) < count):
        raise InvalidInput(f"An arm lies outside 0 to {count - 1}: pass indices of the arms.")
