"""Highest-density intervals: the shortest that hold the level, found as roots."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import betaln, expit, gammaln, log_expit, logit

from engine.arrays import FloatArray
from engine.bayesian.marginals import BetaMarginals, GammaMarginals, StudentMarginals

type Interval = tuple[FloatArray, FloatArray]

_STEPS = 12
_BISECTIONS = 60
_SMALL = 1e-6  # a Newton step this small, of the interval's width, leaves an error near its square


def beta_interval(marginals: BetaMarginals, *, level: float) -> Interval:
    """Return the highest-density interval of each rate.

    Parameters
    ----------
    marginals : shape (...)
    level : mass inside, in (0, 1)

    Returns
    -------
    low and high, shape (...), in [0, 1]. Where the density rises towards 0 (alpha <= 1) the interval starts there,
    where it rises towards 1 (beta <= 1) it ends there; where both hold no single interval is densest (or, for the
    uniform, all are), and the central one is returned. Else F(high) - F(low) = level and f(low) = f(high): Box and
    Tiao (1973), "Bayesian inference in statistical analysis", section 2.8.
    """
    alpha, beta = marginals.alpha, marginals.beta
    rising, falling = beta <= 1.0, alpha <= 1.0
    tail = 0.5 * (1.0 - level)
    low_mass = np.where(falling & ~rising, 0.0, np.where(rising & ~falling, 1.0 - level, tail))
    low, high = marginals.quantile(low_mass), marginals.quantile(low_mass + level)
    inside = ~(rising | falling)
    if inside.all():
        return _settled(_Beta(marginals), low, high, level)
    if inside.any():
        part = BetaMarginals(alpha=alpha[inside], beta=beta[inside])
        low[inside], high[inside] = _settled(_Beta(part), low[inside], high[inside], level)
    return low, high


def gamma_interval(marginals: GammaMarginals, *, level: float) -> Interval:
    """Return the highest-density interval of each rate of counts.

    Parameters
    ----------
    marginals : shape (...)
    level : mass inside, in (0, 1)

    Returns
    -------
    low and high, shape (...), at least 0; the interval starts at 0 where the density rises towards it (shape <= 1)
    """
    falling = marginals.shape_ <= 1.0
    low_mass = np.where(falling, 0.0, 0.5 * (1.0 - level))
    low, high = marginals.quantile(low_mass), marginals.quantile(low_mass + level)
    inside = ~falling
    if inside.any():
        part = GammaMarginals(shape_=marginals.shape_[inside], rate=marginals.rate[inside])
        low[inside], high[inside] = _settled(_Gamma(part), low[inside], high[inside], level)
    return low, high


def student_interval(marginals: StudentMarginals, *, level: float) -> Interval:
    """Return the highest-density interval of each mean; symmetric, so it is the central one.

    Parameters
    ----------
    marginals : shape (...)
    level : mass inside, in (0, 1)

    Returns
    -------
    low and high, shape (...), the metric's unit
    """
    reach = marginals.reach(level)
    return marginals.location - reach, marginals.location + reach


class _Unimodal(Protocol):
    """Densities with one inner mode each, seen from a coordinate on the whole real line."""

    def coordinate(self, value: FloatArray) -> FloatArray: ...
    def value(self, coordinate: FloatArray) -> FloatArray: ...
    def cdf(self, value: FloatArray) -> FloatArray: ...
    def quantile(self, probability: FloatArray) -> FloatArray: ...

    def log_density(self, coordinate: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the log density of the value, its derivative by the coordinate, and the density of the coordinate."""
        ...


@dataclass(frozen=True, slots=True)
class _Beta:
    marginals: BetaMarginals

    def coordinate(self, value: FloatArray) -> FloatArray:
        return logit(value)

    def value(self, coordinate: FloatArray) -> FloatArray:
        return expit(coordinate)

    def cdf(self, value: FloatArray) -> FloatArray:
        return self.marginals.cdf(value)

    def quantile(self, probability: FloatArray) -> FloatArray:
        return self.marginals.quantile(probability)

    def log_density(self, coordinate: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        alpha, beta = self.marginals.alpha, self.marginals.beta
        log_value, log_rest = log_expit(coordinate), log_expit(-coordinate)
        log_density = (alpha - 1.0) * log_value + (beta - 1.0) * log_rest
        mass = np.exp(log_density + (log_value + log_rest - betaln(alpha, beta)))
        return log_density, (alpha - 1.0) - (alpha + beta - 2.0) * value, mass


@dataclass(frozen=True, slots=True)
class _Gamma:
    marginals: GammaMarginals

    def coordinate(self, value: FloatArray) -> FloatArray:
        return np.log(value)

    def value(self, coordinate: FloatArray) -> FloatArray:
        return np.exp(coordinate)

    def cdf(self, value: FloatArray) -> FloatArray:
        return self.marginals.cdf(value)

    def quantile(self, probability: FloatArray) -> FloatArray:
        return self.marginals.quantile(probability)

    def log_density(self, coordinate: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        shape, rate = self.marginals.shape_, self.marginals.rate
        log_density = (shape - 1.0) * coordinate - rate * value
        mass = np.exp(log_density + (coordinate + shape * np.log(rate) - gammaln(shape)))
        return log_density, (shape - 1.0) - rate * value, mass


def _settled(density: _Unimodal, low: FloatArray, high: FloatArray, level: float) -> Interval:
    """Move both ends by Newton's method until they hold the level and are equally dense; bisect what it leaves."""
    with np.errstate(all="ignore"):  # a runaway step becomes NaN, which is never settled
        ends, settled = density.coordinate(np.stack([low, high])), np.zeros(low.shape, dtype=np.bool_)
        for _ in range(_STEPS):
            step = _newton(density, ends, level)
            ends = ends - step
            settled = (np.abs(step) < _SMALL * (ends[1] - ends[0])).all(axis=0)
            if settled.all():
                break
        else:
            low, high = _bisected(density, low.shape, level)
            values = density.value(ends)
            return np.where(settled, values[0], low), np.where(settled, values[1], high)
        values = density.value(ends)
        return values[0], values[1]


def _newton(density: _Unimodal, ends: FloatArray, level: float) -> FloatArray:
    values = density.value(ends)
    below = density.cdf(values)
    log_density, gradient, mass = density.log_density(ends, values)
    excess = below[1] - below[0] - level
    denser = log_density[1] - log_density[0]
    determinant = mass[1] * gradient[0] - mass[0] * gradient[1]
    low = (excess * gradient[1] - mass[1] * denser) / determinant
    high = (gradient[0] * excess - mass[0] * denser) / determinant
    return np.stack([low, high])


def _bisected(density: _Unimodal, shape: tuple[int, ...], level: float) -> Interval:
    """Bisect the mass below the interval: the lower end's density minus the upper's rises with it."""
    least, most = np.zeros(shape), np.full(shape, 1.0 - level)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (least + most)
        values = density.quantile(np.stack([middle, middle + level]))
        log_density = density.log_density(density.coordinate(values), values)[0]
        rising = log_density[0] < log_density[1]
        least, most = np.where(rising, middle, least), np.where(rising, most, middle)
    values = density.quantile(np.stack([least, least + level]))
    return values[0], values[1]
