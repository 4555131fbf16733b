"""Effects of several segments, each leaning on the others as far as they are alike.

    d_s ~ Normal(delta_s, v_s)    delta_s ~ Normal(mu, t**2)    mu flat    s0**2 / (s0**2 + t**2) uniform on (0, 1)

s0**2 is the harmonic mean of the v_s, so that the prior of t says: any share of shrinkage is as likely as any other
(Daniels, 1999, "A prior for the variance in hierarchical models", Canadian Journal of Statistics 27). Given t all is
normal and in closed form: Gelman and others (2013), "Bayesian data analysis", equations 5.17 and 5.20; t itself is
summed over 400 values by equation 5.21. Whether segments differ at all is Cochran's (1954) Q.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, ndtr

from engine.arrays import FloatArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.levels import error_rate

GRID = 400
BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """Whether effects differ by more than chance.

    Attributes
    ----------
    q : Cochran's statistic
    degrees_of_freedom : segments less one
    p_value : of no difference between the segments' true effects
    between : standard deviation of the true effects, by DerSimonian and Laird (1986), equation 8; 0 or more
    share : of the effects' variance that is not chance: Higgins and Thompson's (2002) I squared, in [0, 1)
    """

    q: float
    degrees_of_freedom: int
    p_value: float
    between: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledEffects:
    """The posterior of all segments' effects: a mixture of normals over how much they differ.

    Attributes
    ----------
    effects, variances : as observed, shape (k,)
    between : values of t, shape (g,)
    weights : their posterior probabilities, shape (g,)
    means, mean_variances : of mu given t, shape (g,)
    """

    effects: FloatArray
    variances: FloatArray
    between: FloatArray
    weights: FloatArray
    means: FloatArray
    mean_variances: FloatArray

    def estimates(self, *, level: float = 0.95) -> list[IntervalEstimate]:
        """Return each segment's effect: posterior mean and equal-tailed interval."""
        shrunk, spread = self._given_between()
        return _mixture(shrunk, spread, self.weights, level)

    def average(self, *, level: float = 0.95) -> IntervalEstimate:
        """Return the mean of the effects that segments are drawn from."""
        return _mixture(self.means[None], np.sqrt(self.mean_variances)[None], self.weights, level)[0]

    def draws(self, count: int, *, rng: np.random.Generator) -> FloatArray:
        """Return joint draws of all segments' effects: shape (count, k)."""
        place = rng.choice(self.weights.size, size=count, p=self.weights)
        centre = self.means[place] + rng.standard_normal(count) * np.sqrt(self.mean_variances[place])
        kept = self._kept()[:, place].T
        given = kept * self.effects + (1.0 - kept) * centre[:, None]
        return given + rng.standard_normal(given.shape) * np.sqrt(kept * self.variances)

    def _kept(self) -> FloatArray:
        """Return what share of its own departure a segment keeps, given t: shape (k, g)."""
        return self.between**2 / (self.variances[:, None] + self.between**2)

    def _given_between(self) -> tuple[FloatArray, FloatArray]:
        kept = self._kept()
        shrunk = kept * self.effects[:, None] + (1.0 - kept) * self.means
        return shrunk, np.sqrt(kept * self.variances[:, None] + (1.0 - kept) ** 2 * self.mean_variances)


def pool_effects(effects: ArrayLike, variances: ArrayLike) -> PooledEffects:
    """Return what is known of segments' effects.

    Parameters
    ----------
    effects : observed without bias, finite, shape (k,)
    variances : of those, positive, shape (k,)

    Raises
    ------
    NotEnoughData
        fewer than two segments
    """
    seen, spread = _checked(effects, variances)
    place = (np.arange(GRID) + 0.5) / GRID
    shrinkage = place**3  # dense towards 0, where segments that differ a lot lean on nothing
    between = np.sqrt((1.0 - shrinkage) / shrinkage / (1.0 / spread).mean())
    total = spread[:, None] + between**2
    precision = (1.0 / total).sum(axis=0)
    means = (seen[:, None] / total).sum(axis=0) / precision
    heights = -0.5 * (np.log(total) + (seen[:, None] - means) ** 2 / total).sum(axis=0) - 0.5 * np.log(precision)
    heights += 2.0 * np.log(place)
    weights = np.exp(heights - heights.max())
    return PooledEffects(
        effects=seen,
        variances=spread,
        between=between,
        weights=weights / weights.sum(),
        means=means,
        mean_variances=1.0 / precision,
    )


def heterogeneity(effects: ArrayLike, variances: ArrayLike) -> Heterogeneity:
    """Return whether segments' effects differ by more than chance.

    Parameters
    ----------
    effects : finite, shape (k,)
    variances : of those, positive, shape (k,)

    Raises
    ------
    NotEnoughData
        fewer than two segments
    """
    seen, spread = _checked(effects, variances)
    weights = 1.0 / spread
    q = float(weights @ (seen - (weights @ seen) / weights.sum()) ** 2)
    freedom = seen.size - 1
    scale = weights.sum() - (weights @ weights) / weights.sum()
    return Heterogeneity(
        q=q,
        degrees_of_freedom=freedom,
        p_value=float(chdtrc(freedom, q)),
        between=math.sqrt(max(0.0, (q - freedom) / float(scale))),
        share=max(0.0, 1.0 - freedom / q) if q > 0.0 else 0.0,
    )


def _checked(effects: ArrayLike, variances: ArrayLike) -> tuple[FloatArray, FloatArray]:
    seen, spread = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if seen.ndim != 1 or seen.shape != spread.shape:
        raise InvalidInput("Effects and variances need one length: pass one of each a segment.")
    if not (np.isfinite(seen).all() and np.isfinite(spread).all() and (spread > 0.0).all()):
        raise InvalidInput("Effects are finite, variances finite and positive: leave out segments that have none.")
    if seen.size < 2:
        raise NotEnoughData(f"There are {seen.size} segments: compare two or more.")
    return seen, spread


def _mixture(means: FloatArray, spreads: FloatArray, weights: FloatArray, level: float) -> list[IntervalEstimate]:
    """Return mean and equal-tailed interval of each row's mixture of normals, by bisection."""
    tail = error_rate(level) / 2.0
    points = means @ weights
    low, high = (_quantile(means, spreads, weights, chance) for chance in (tail, 1.0 - tail))
    return [
        IntervalEstimate(point=float(point), low=float(least), high=float(most))
        for point, least, most in zip(points, low, high, strict=True)
    ]


def _quantile(means: FloatArray, spreads: FloatArray, weights: FloatArray, chance: float) -> FloatArray:
    low, high = (means - 12.0 * spreads).min(axis=1), (means + 12.0 * spreads).max(axis=1)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        below = ndtr((middle[:, None] - means) / spreads) @ weights < chance
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)
