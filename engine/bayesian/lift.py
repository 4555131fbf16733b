"""The posterior of the lift over control, x / x_control - 1, by quadrature.

The density of the ratio is the integral of one posterior against the other. It is taken by the trapezoidal rule, which
converges exponentially for smooth densities, over the narrower of the two on its own coordinate, and tabulated on an
even grid: of the logarithm of the ratio where both values are positive, of the ratio itself where they need not be.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import log_expit, ndtr, stdtr

from engine.arrays import FloatArray
from engine.bayesian.marginals import BetaMarginals, GammaMarginals, StudentMarginals
from engine.bayesian.tabulated import MARGIN, Tabulated
from engine.effects import IntervalEstimate

_NATS = np.array([25.0])
_FINER = ((2.0, 6), (4.0, 3), (12.0, 2))  # below this beta the density's edge at 1 asks for a rule so many times finer
_FAR = 600.0
_LEAST_CERTAIN = 0.8  # squared: half-width of the control's mean over the mean itself
_MOST_NODES = 1500
_MOST_POINTS = 1500  # of a grid, beyond which no finer rule is taken


def lift_estimate(ratio: Tabulated, *, level: float) -> IntervalEstimate:
    """Return the lift's posterior median with its highest-density interval, fractions of the control's value.

    The median, not the mean: the ratio's mean does not exist where the control may be 0.
    """
    low, high = ratio.highest_density(level)
    return IntervalEstimate(point=ratio.quantile(0.5) - 1.0, low=low - 1.0, high=high - 1.0)


def beta_ratio(marginals: BetaMarginals, *, treatment: int, control: int) -> Tabulated:
    """Tabulate the ratio of two rates on the logarithm.

    Parameters
    ----------
    marginals : shape (k,)
    treatment, control : indices

    Returns
    -------
    log r has density integral of f(z) g(log x(z) +- log r) dz, z the logit of the narrower rate, g the wider one's
    density by log rate. Its distribution function is right to 1e-7; where nearly every unit of a variant converted the
    density has an edge at rate 1, the rule is up to six times finer, and 1e-3 is what remains with 3 of 3.
    """
    arms = log_rates(marginals, (treatment, control))
    least = min(arm.beta for arm in arms)
    finer = next((times for bound, times in _FINER if least < bound), 1)
    return _log_ratio(arms[0], arms[1], finer)


def gamma_ratio(marginals: GammaMarginals, *, treatment: int, control: int) -> Tabulated:
    """Tabulate the ratio of two rates of counts on the logarithm; as for beta_ratio."""
    arms = [_LogCount.of(float(marginals.shape_[i]), float(marginals.rate[i])) for i in (treatment, control)]
    return _log_ratio(arms[0], arms[1], 1)


def student_ratio(marginals: StudentMarginals, *, treatment: int, control: int, level: float) -> Tabulated | None:
    """Tabulate the ratio of two means, given that the control's is positive.

    Parameters
    ----------
    marginals : shape (k,)
    treatment, control : indices
    level : the largest mass an interval of this ratio will be asked to hold

    Returns
    -------
    r has density integral over y > 0 of y f_control(y) f_treatment(r y) dy, on a grid between the limits of Fieller
    (1954), "Some problems in interval estimation", taken wider than the level; None where they are not finite, since
    then the control's mean is not told from 0 and a lift has no meaning
    """
    reach = 1.5 * marginals.reach(1.0 - (1.0 - level) / 8.0)
    place, scale = marginals.location, marginals.scale
    base, spread = float(place[control]), float(scale[control])
    uncertain = (float(reach[control]) / base) ** 2 if base > 0 else math.inf
    if uncertain > _LEAST_CERTAIN:
        return None
    ratio = float(place[treatment]) / base
    half = math.hypot(float(reach[treatment]) * math.sqrt(1.0 - uncertain), ratio * float(reach[control])) / base
    start, stop = (ratio - half) / (1.0 - uncertain), (ratio + half) / (1.0 - uncertain)
    points = round((stop - start) * base / (0.2 * math.hypot(float(scale[treatment]), ratio * spread)))
    step = (stop - start) / points
    grid = start + step * np.arange(-MARGIN, points + MARGIN + 1)
    nodes, weights = _student_nodes(marginals, control, float(scale[treatment]) / max(abs(start), abs(stop)))
    distance = (grid[:, None] * nodes - place[treatment]) / scale[treatment]
    freedom = float(marginals.freedom[treatment])
    heights = _student_density(distance, freedom) @ (weights * nodes) / scale[treatment]
    first = float(_student_cdf(distance[MARGIN], freedom) @ weights)
    return Tabulated.from_heights(heights, start=start, step=step, logarithmic=False, first=first)


@dataclass(frozen=True, slots=True)
class LogRate:
    """The logarithm of a rate with a beta posterior.

    Attributes
    ----------
    alpha, beta : of the posterior
    limits : of the logit, outside which the density is negligible
    """

    alpha: float
    beta: float
    limits: tuple[float, float]

    @property
    def centre(self) -> float:
        """The logarithm of the mean rate."""
        return math.log(self.alpha / (self.alpha + self.beta))

    @property
    def spread(self) -> float:
        """About the standard deviation."""
        return math.sqrt(self.beta / self.alpha / (self.alpha + self.beta))

    @property
    def limits_of_log(self) -> tuple[float, float]:
        """Where the density of the logarithm is negligible outside."""
        low, high = (-math.log1p(math.exp(-limit)) if limit > -_FAR else limit for limit in self.limits)
        return low, high

    @property
    def reach(self) -> tuple[float, float]:
        """The distances from the centre to these limits."""
        low, high = self.limits_of_log
        return self.centre - low, high - self.centre

    def nodes(self, finer: int) -> tuple[FloatArray, FloatArray]:
        """Return logarithms at even logits, and their weights."""
        logits = _even(self.limits, math.sqrt(1.0 / self.alpha + 1.0 / self.beta), finer)
        log_value, log_rest = log_expit(logits), log_expit(-logits)
        log_weight = self.alpha * log_value + self.beta * log_rest
        return log_value, np.exp(log_weight - log_weight.max())

    def heights(self, log_value: FloatArray) -> FloatArray:
        """Return the density of the logarithm up to a factor."""
        distance = log_value - self.centre
        rest = 1.0 - self.alpha / self.beta * np.expm1(distance)
        inside = rest > 0.0
        power = (self.beta - 1.0) * np.log(np.where(inside, rest, 1.0))
        return np.where(inside, np.exp(self.alpha * distance + power), 0.0)


@dataclass(frozen=True, slots=True)
class _LogCount:
    """The logarithm of a rate of counts with a gamma posterior."""

    shape: float
    centre: float

    @classmethod
    def of(cls, shape: float, rate: float) -> Self:
        return cls(shape, math.log(shape / rate))

    @property
    def spread(self) -> float:
        return 1.0 / math.sqrt(self.shape)

    @property
    def reach(self) -> tuple[float, float]:
        ratio = float(_NATS[0]) / self.shape
        return math.sqrt(2.0 * ratio) + ratio, math.log1p(ratio + math.sqrt(2.0 * ratio))

    def nodes(self, finer: int) -> tuple[FloatArray, FloatArray]:
        below, above = self.reach
        logs = _even((self.centre - below, self.centre + above), self.spread, finer)
        return logs, self.heights(logs)

    def heights(self, log_value: FloatArray) -> FloatArray:
        distance = np.minimum(log_value - self.centre, _FAR)
        return np.exp(self.shape * (distance - np.expm1(distance)))


def log_rates(marginals: BetaMarginals, indices: tuple[int, ...]) -> list[LogRate]:
    """Return the logarithms of some of the rates, from posteriors of shape (k,)."""
    limits = marginals.level_set(_NATS)
    low, high = limits.min(axis=-1), limits.max(axis=-1)
    return [
        LogRate(float(marginals.alpha[i]), float(marginals.beta[i]), (float(low[i]), float(high[i]))) for i in indices
    ]


def _log_ratio(treatment: LogRate | _LogCount, control: LogRate | _LogCount, finer: int) -> Tabulated:
    (below, above), (under, over) = treatment.reach, control.reach
    spread = math.hypot(treatment.spread, control.spread)
    left, right = math.hypot(below, over), math.hypot(above, under)
    step = 0.25 * spread / (1.0 + spread)
    finer = max(1, min(finer, int(_MOST_POINTS * step / (left + right))))
    step /= finer
    start = treatment.centre - control.centre - left
    grid = start + step * np.arange(math.ceil((left + right) / step) + 1)
    if treatment.spread < control.spread:
        logs, weights = treatment.nodes(finer)
        heights = control.heights(logs - grid[:, None]) @ weights
    else:
        logs, weights = control.nodes(finer)
        heights = treatment.heights(logs + grid[:, None]) @ weights
    return Tabulated.from_heights(heights, start=start, step=step, logarithmic=True)


def _even(limits: tuple[float, float], spread: float, finer: int) -> FloatArray:
    step = 0.45 * spread / (1.0 + spread) / finer
    return np.linspace(limits[0], limits[1], math.ceil((limits[1] - limits[0]) / step) + 1)


def _student_nodes(marginals: StudentMarginals, variant: int, other: float) -> tuple[FloatArray, FloatArray]:
    """Return positive nodes of a mean and their weights, fine enough for a factor of scale ``other`` beside it."""
    reached = marginals.level_set(_NATS)[variant]
    low, high = float(reached.min()), float(reached.max())
    scale = float(marginals.scale[variant])
    count = min(_MOST_NODES, math.ceil((high - low) / (0.4 * min(scale, other)))) + 1
    nodes = np.linspace(low, high, count)
    weights = _student_density((nodes - marginals.location[variant]) / scale, float(marginals.freedom[variant]))
    positive = nodes > 0.0
    weights = weights[positive]
    return nodes[positive], weights / weights.sum()


def _student_density(distance: FloatArray, freedom: float) -> FloatArray:
    if math.isinf(freedom):
        return np.exp(-0.5 * distance**2) / math.sqrt(2.0 * math.pi)
    log_scale = math.lgamma(0.5 * (freedom + 1.0)) - math.lgamma(0.5 * freedom) - 0.5 * math.log(freedom * math.pi)
    return np.exp(log_scale - 0.5 * (freedom + 1.0) * np.log1p(distance**2 / freedom))


def _student_cdf(distance: FloatArray, freedom: float) -> FloatArray:
    return ndtr(distance) if math.isinf(freedom) else stdtr(freedom, distance)
