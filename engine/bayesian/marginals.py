"""The posterior families, as arrays: what quadrature and intervals ask of them.

Each lives on its own coordinate, on which its density is smooth and has one mode: the logit of a rate, the logarithm of
a count's rate, the mean itself. On it, ``fall`` is how many nats the log density lies below its mode; it is computed
from the distance to the mode, so that ten million units cost no digits.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from scipy.special import (
    betainc,
    betaincinv,
    betaln,
    expit,
    gammainc,
    gammaincinv,
    gammaln,
    ndtr,
    ndtri,
    stdtr,
    stdtrit,
)

from engine.arrays import FloatArray
from engine.levels import normal_quantile

_FURTHEST = 700.0  # exp of more overflows


class Marginals(Protocol):
    """Independent posteriors of the variants of one test, shape (k,), or of many tests, shape (n, k)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameters."""
        ...

    @property
    def mean(self) -> FloatArray:
        """Posterior means, in the metric's unit."""
        ...

    @property
    def longest_piece(self) -> float:
        """Over how much of the coordinate a polynomial of degree 23 still follows the metric's slope."""
        ...

    def __getitem__(self, index: slice) -> Self:
        """The posteriors of some of the tests."""
        ...

    def value(self, coordinate: FloatArray) -> FloatArray:
        """The metric at a coordinate."""
        ...

    def slope(self, coordinate: FloatArray) -> FloatArray:
        """The metric's derivative by the coordinate, positive."""
        ...

    def fall(self, coordinate: FloatArray) -> FloatArray:
        """Nats below the mode, on the coordinate; the last axis of the coordinate is broadcast against (..., k, 1)."""
        ...

    def quantile(self, probability: FloatArray) -> FloatArray:
        """The value with that probability below it; broadcast against the parameters."""
        ...

    def density(self, value: FloatArray) -> FloatArray:
        """The density of the metric at a value; broadcast against the parameters."""
        ...

    def level_set(self, nats: FloatArray) -> FloatArray:
        """Coordinates at or beyond which the density has fallen by so many nats: shape (..., k, 2 * nats.size + 1)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BetaMarginals:
    """Rates with beta posteriors; the coordinate is the logit.

    Attributes
    ----------
    alpha, beta : positive, shape (k,) or (n, k)
    """

    alpha: FloatArray
    beta: FloatArray

    def __getitem__(self, index: slice) -> Self:
        """Return the posteriors of some of the tests."""
        return type(self)(alpha=self.alpha[index], beta=self.beta[index])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameters."""
        return self.alpha.shape

    @property
    def longest_piece(self) -> float:
        """The slope p (1 - p) has poles at logits of -+ pi i."""
        return 4.0

    @property
    def mean(self) -> FloatArray:
        """Posterior means, in (0, 1)."""
        return self.alpha / (self.alpha + self.beta)

    def value(self, coordinate: FloatArray) -> FloatArray:
        """Return the rate at a logit."""
        return expit(coordinate)

    def slope(self, coordinate: FloatArray) -> FloatArray:
        """Return d rate / d logit = rate (1 - rate)."""
        return expit(coordinate) * expit(-coordinate)

    def fall(self, coordinate: FloatArray) -> FloatArray:
        """Return (a + b) (log(1 + p (e^d - 1)) - p d), d the distance from the mode's logit and p = a / (a + b)."""
        side = np.where(self.alpha <= self.beta, 1.0, -1.0)[..., None]
        distance = (coordinate - self._mode[..., None]) * side
        return self._fall(distance, self._lesser[..., None], (self.alpha + self.beta)[..., None])[0]

    def level_set(self, nats: FloatArray) -> FloatArray:
        """Return the logits where the density has fallen by so many nats, by Newton's method from beyond the root."""
        lesser, total = self._lesser[..., None], (self.alpha + self.beta)[..., None]
        near, far = lesser * total, (1.0 - lesser) * total
        spread = np.sqrt(2.0 * nats * (1.0 / near + 1.0 / far))
        ratio = nats / near
        below = -(spread + ratio)
        above = np.log1p(ratio + np.sqrt(2.0 * ratio)) + nats / far
        distance = np.concatenate([below, above], axis=-1)
        target = np.concatenate([nats, nats])
        for _ in range(2):
            fall, slope = self._fall(distance, lesser, total)
            distance = distance - (fall - target) / slope
        side = np.where(self.alpha <= self.beta, 1.0, -1.0)[..., None]
        mode = self._mode[..., None]
        return np.concatenate([mode, mode + side * distance], axis=-1)

    def cdf(self, value: FloatArray) -> FloatArray:
        """Return P(rate <= value); the value is broadcast against the parameters."""
        return betainc(self.alpha, self.beta, value)

    def density(self, value: FloatArray) -> FloatArray:
        """Return the density of the rate at a value inside (0, 1); broadcast against the parameters."""
        powers = (self.alpha - 1.0) * np.log(value) + (self.beta - 1.0) * np.log1p(-value)
        return np.exp(powers - betaln(self.alpha, self.beta))

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Return the value with that probability below it."""
        return betaincinv(self.alpha, self.beta, probability)

    @property
    def _mode(self) -> FloatArray:
        return np.log(self.alpha / self.beta)

    @property
    def _lesser(self) -> FloatArray:
        return np.minimum(self.alpha, self.beta) / (self.alpha + self.beta)

    @staticmethod
    def _fall(distance: FloatArray, lesser: FloatArray, total: FloatArray) -> tuple[FloatArray, FloatArray]:
        near = np.minimum(distance, _FURTHEST)
        growth = lesser * np.expm1(near)
        fall = total * (np.log1p(growth) + (distance - near) - lesser * distance)
        return fall, total * (growth + lesser) / (1.0 + growth) - total * lesser


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GammaMarginals:
    """Rates of counts with gamma posteriors; the coordinate is the logarithm.

    Attributes
    ----------
    shape_, rate : positive, shape (k,) or (n, k); the mean is shape_ / rate
    """

    shape_: FloatArray
    rate: FloatArray

    def __getitem__(self, index: slice) -> Self:
        """Return the posteriors of some of the tests."""
        return type(self)(shape_=self.shape_[index], rate=self.rate[index])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameters."""
        return self.shape_.shape

    @property
    def longest_piece(self) -> float:
        """The slope is an exponential."""
        return 4.0

    @property
    def mean(self) -> FloatArray:
        """Posterior means, positive."""
        return self.shape_ / self.rate

    def value(self, coordinate: FloatArray) -> FloatArray:
        """Return the rate at a logarithm."""
        return np.exp(coordinate)

    def slope(self, coordinate: FloatArray) -> FloatArray:
        """Return d rate / d log rate, the rate itself."""
        return np.exp(coordinate)

    def fall(self, coordinate: FloatArray) -> FloatArray:
        """Return a (e^d - 1 - d), d the distance from the mode's logarithm."""
        distance = np.minimum(coordinate - np.log(self.mean)[..., None], 600.0)
        return self.shape_[..., None] * (np.expm1(distance) - distance)

    def level_set(self, nats: FloatArray) -> FloatArray:
        """Return logarithms at or beyond which the density has fallen by so many nats."""
        ratio = nats / self.shape_[..., None]
        root = np.sqrt(2.0 * ratio)
        mode = np.log(self.mean)[..., None]
        return np.concatenate([mode, mode - root - ratio, mode + np.log1p(ratio + root)], axis=-1)

    def cdf(self, value: FloatArray) -> FloatArray:
        """Return P(rate <= value); the value is broadcast against the parameters."""
        return gammainc(self.shape_, self.rate * value)

    def density(self, value: FloatArray) -> FloatArray:
        """Return the density of the rate at a positive value; broadcast against the parameters."""
        powers = self.shape_ * np.log(self.rate) + (self.shape_ - 1.0) * np.log(value)
        return np.exp(powers - self.rate * value - gammaln(self.shape_))

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Return the value with that probability below it."""
        return gammaincinv(self.shape_, probability) / self.rate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudentMarginals:
    """Means with Student's t posteriors; the coordinate is the mean itself.

    Attributes
    ----------
    location, scale : shape (k,) or (n, k), the metric's unit; scale is positive
    freedom : degrees of freedom, above 1; infinite for a normal posterior
    """

    location: FloatArray
    scale: FloatArray
    freedom: FloatArray

    def __getitem__(self, index: slice) -> Self:
        """Return the posteriors of some of the tests."""
        return type(self)(location=self.location[index], scale=self.scale[index], freedom=self.freedom[index])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameters."""
        return self.location.shape

    @property
    def longest_piece(self) -> float:
        """The slope is constant."""
        return np.inf

    @property
    def mean(self) -> FloatArray:
        """Posterior means, in the metric's unit."""
        return self.location

    def value(self, coordinate: FloatArray) -> FloatArray:
        """Return the coordinate: it is the mean."""
        return coordinate

    def slope(self, coordinate: FloatArray) -> FloatArray:
        """Return ones."""
        return np.ones_like(coordinate)

    def fall(self, coordinate: FloatArray) -> FloatArray:
        """Return (v + 1) / 2 log(1 + t**2 / v), or t**2 / 2 where v is infinite."""
        squared = ((coordinate - self.location[..., None]) / self.scale[..., None]) ** 2
        if np.isinf(self.freedom).all():
            return 0.5 * squared
        freedom = np.minimum(self.freedom, _NORMAL_FREEDOM)[..., None]
        return 0.5 * (freedom + 1.0) * np.log1p(squared / freedom)

    def level_set(self, nats: FloatArray) -> FloatArray:
        """Return means where the density has fallen by so many nats."""
        freedom = np.minimum(self.freedom, _NORMAL_FREEDOM)[..., None]
        distance = np.sqrt(freedom * np.expm1(2.0 * nats / (freedom + 1.0))) * self.scale[..., None]
        mode = self.location[..., None]
        return np.concatenate([mode, mode - distance, mode + distance], axis=-1)

    def cdf(self, value: FloatArray) -> FloatArray:
        """Return P(mean <= value); the value is broadcast against the parameters."""
        distance = (value - self.location) / self.scale
        return np.where(np.isinf(self.freedom), ndtr(distance), stdtr(self._finite, distance))

    def density(self, value: FloatArray) -> FloatArray:
        """Return the density of the mean at a value; broadcast against the parameters."""
        squared = ((value - self.location) / self.scale) ** 2
        freedom = self._finite
        log_scale = gammaln(0.5 * freedom + 0.5) - gammaln(0.5 * freedom) - 0.5 * np.log(freedom * np.pi)
        student = np.exp(log_scale - 0.5 * (freedom + 1.0) * np.log1p(squared / freedom))
        normal = np.exp(-0.5 * squared) / np.sqrt(2.0 * np.pi)
        return np.where(np.isinf(self.freedom), normal, student) / self.scale

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Return the value with that probability below it."""
        distance = np.where(np.isinf(self.freedom), ndtri(probability), stdtrit(self._finite, probability))
        return self.location + self.scale * distance

    def reach(self, level: float) -> FloatArray:
        """Return half the width of the central interval that holds the level."""
        if np.isinf(self.freedom).all():
            return self.scale * normal_quantile(0.5 * (1.0 + level))
        return self.quantile(np.full(self.shape, 0.5 * (1.0 + level))) - self.location

    @property
    def _finite(self) -> FloatArray:
        return np.minimum(self.freedom, _NORMAL_FREEDOM)


_NORMAL_FREEDOM = 1e12  # beyond it Student's t and the normal agree to the last digit
