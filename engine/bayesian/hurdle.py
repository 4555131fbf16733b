"""Revenue with zeros: whether a unit buys (beta), and how much it then spends (lognormal).

The mean revenue of a unit is ``M = p exp(mu + sigma**2 / 2)``, with p the share that buys and mu, sigma**2 the mean and
variance of the log amounts. Under the usual priors the posterior mean of M is infinite, however much data there is,
since an inverse-gamma posterior of sigma**2 has a heavier tail than exp(sigma**2 / 2) can bear (Fabrizi and Trivisano,
2012, "Bayesian estimation of log-normal means with finite quadratic expected loss", Bayesian Analysis 7, section 2).
Here the prior of sigma**2 ends at 25: a log amount's standard deviation is at most 5, where one buyer in six spends 148
times the median. Then the mean is finite; and where the bound has a say in it, the analysis refuses to report one.

The posterior of log M is the convolution of those of log p and of mu + sigma**2 / 2, the latter a mixture of normals
over sigma**2. All variants are tabulated on one even grid of log M, fine enough for the narrowest, on which trapezoidal
sums are exact to rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from engine.arrays import FloatArray
from engine.bayesian.assembling import variant_posteriors
from engine.bayesian.checks import check_exposed, check_question
from engine.bayesian.even_grid import EvenGrid, convolved, even_standing, ratio_heights
from engine.bayesian.lift import LogRate, lift_estimate, log_rates
from engine.bayesian.marginals import BetaMarginals
from engine.bayesian.priors import FLAT, BetaPrior
from engine.bayesian.results import BayesianResult
from engine.bayesian.tabulated import Tabulated
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import MeanSummary

LARGEST_LOG_VARIANCE = 25.0
"""Where the prior of the log amounts' variance ends."""

LEAST_BUYERS = 10
"""Converted units a variant needs before the model is tried."""

SHARE_OF_BOUND = 1e-3
"""Of the mean: where more comes from the upper half of the prior's range, the bound decides."""

_NATS = 30.0
_NEGLIGIBLE = 200.0  # a factor so many times narrower than the other is taken for its mean


@dataclass(frozen=True, slots=True, kw_only=True)
class HurdleSummary:
    """How many of the exposed units bought, and the logarithms of what they spent.

    Attributes
    ----------
    exposed : units exposed, at least the number of log amounts
    log_amounts : of the units that bought, natural logarithms of the metric's unit

    Raises
    ------
    InvalidInput
        more units bought than were exposed
    """

    exposed: int
    log_amounts: MeanSummary

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if self.log_amounts.count > self.exposed:
            raise InvalidInput(
                f"{self.log_amounts.count} bought of {self.exposed} exposed: count each unit once, among those exposed."
            )

    @classmethod
    def from_values(cls, values: ArrayLike) -> Self:
        """Return the summary of each exposed unit's revenue, shape (n,), 0 for those that did not buy."""
        amounts = np.asarray(values, dtype=np.float64)
        if not (amounts >= 0.0).all():
            raise InvalidInput("A unit's revenue is negative or NaN: pass 0 for units that did not buy.")
        return cls(exposed=amounts.size, log_amounts=MeanSummary.from_values(np.log(amounts[amounts > 0.0])))

    @property
    def count(self) -> int:
        """The number of units, as in every summary."""
        return self.exposed

    @property
    def converted(self) -> int:
        """The number of units that bought."""
        return self.log_amounts.count

    def merge(self, other: Self) -> Self:
        """Return the summary of both sets of units."""
        return type(self)(exposed=self.exposed + other.exposed, log_amounts=self.log_amounts + other.log_amounts)

    __add__ = merge


def analyze_revenue(
    summaries: Sequence[HurdleSummary],
    *,
    control: int = 0,
    level: float = 0.95,
    prior: BetaPrior = FLAT,
    higher_is_better: bool = True,
) -> BayesianResult:
    """Return each variant's posterior revenue a unit, lift, probability of being best and expected loss.

    Parameters
    ----------
    summaries : one a variant, two or more
    control : index of the control
    level : mass inside the intervals, in (0, 1)
    prior : of every share that buys; the log amounts' mean and log variance have flat priors, the variance up to 25
    higher_is_better : False where the lowest revenue is best

    Raises
    ------
    InvalidInput
        one variant alone, a control that is none, a level outside (0, 1)
    NotEnoughData
        fewer than 10 buyers in a variant, all of the same amount, or so few of so different amounts that the prior's
        bound decides the mean
    """
    check_question(len(summaries), control=control, level=level)
    factors = _factors(summaries, prior)
    grid, densities = _tabulate(factors)
    tables = [_trimmed(row, grid) for row in densities]
    compared = even_standing(densities, grid, control=control, higher_is_better=higher_is_better)
    means = (densities @ np.exp(grid.points)) * grid.step
    estimates = [_estimate(float(mean), table, level) for mean, table in zip(means, tables, strict=True)]
    lifts = [
        None if i == control else lift_estimate(_ratio(densities, i, control, grid.step), level=level)
        for i in range(len(tables))
    ]
    curves = [table.on_grid for table in tables]
    variants = variant_posteriors(compared, control, estimates, lifts, curves)
    return BayesianResult(model="hurdle", level=level, control=control, variants=variants)


@dataclass(frozen=True, slots=True)
class _LogAmount:
    """The posterior of mu + sigma**2 / 2: normals with these means and deviations, in these shares."""

    means: FloatArray
    deviations: FloatArray
    shares: FloatArray
    spread: float

    @property
    def centre(self) -> float:
        return float(self.shares @ self.means)

    @property
    def limits(self) -> tuple[float, float]:
        far = math.sqrt(2.0 * _NATS)
        return float((self.means - far * self.deviations).min()), float((self.means + far * self.deviations).max())

    def heights(self, points: FloatArray) -> FloatArray:
        distance = (points[:, None] - self.means) / self.deviations
        return np.exp(-0.5 * distance**2) @ (self.shares / self.deviations)


def _factors(summaries: Sequence[HurdleSummary], prior: BetaPrior) -> list[tuple[LogRate, _LogAmount]]:
    exposed = np.array([summary.exposed for summary in summaries], dtype=np.float64)
    check_exposed(exposed)
    amounts = [_log_amount(i, summary.log_amounts) for i, summary in enumerate(summaries)]
    converted = np.array([summary.converted for summary in summaries], dtype=np.float64)
    posterior = BetaMarginals(alpha=prior.alpha + converted, beta=prior.beta + (exposed - converted))
    return list(zip(log_rates(posterior, tuple(range(len(summaries)))), amounts, strict=True))


def _log_amount(variant: int, summary: MeanSummary) -> _LogAmount:
    """Integrate over sigma**2 on the logarithm of the precision, whose posterior is that of a log gamma variable."""
    if summary.count < LEAST_BUYERS:
        raise NotEnoughData(
            f"Variant {variant} has {summary.count} buyers and at least {LEAST_BUYERS} are needed: wait for more."
        )
    if summary.scatter == 0:
        raise NotEnoughData(f"All amounts of variant {variant} are equal: compare conversion instead.")
    shape = 0.5 * (summary.count - 1)
    below = math.sqrt(2.0 * _NATS / shape) + _NATS / shape
    above = math.log1p(_NATS / shape + math.sqrt(2.0 * _NATS / shape))
    step = 0.3 / (1.0 + math.sqrt(shape))
    logs = np.linspace(-below, above, math.ceil((below + above) / step) + 1)
    variances = summary.variance * np.exp(-logs)
    shares = np.where(variances <= LARGEST_LOG_VARIANCE, np.exp(shape * (logs - np.expm1(logs))), 0.0)
    _check_bound(variant, variances, shares, summary.count)
    kept = shares > 0.0
    variances, shares = variances[kept], shares[kept] / shares.sum()
    spread = math.sqrt(summary.variance / summary.count * (1.0 + 0.5 * summary.variance))
    return _LogAmount(summary.mean + 0.5 * variances, np.sqrt(variances / summary.count), shares, spread)


def _check_bound(variant: int, variances: FloatArray, shares: FloatArray, count: int) -> None:
    """Raise NotEnoughData where E[exp(mu + sigma**2 / 2)] owes much to variances near the prior's bound."""
    growth = np.minimum(variances, LARGEST_LOG_VARIANCE) * (0.5 + 0.5 / count)
    parts = shares * np.exp(growth - growth.max())
    if not parts.any() or parts[variances > 0.5 * LARGEST_LOG_VARIANCE].sum() > SHARE_OF_BOUND * parts.sum():
        raise NotEnoughData(
            f"Variant {variant} has {count} buyers of too different amounts, and the mean would rest on the prior: "
            "wait for more buyers, or winsorise and compare means."
        )


def _tabulate(factors: Sequence[tuple[LogRate, _LogAmount]]) -> tuple[EvenGrid, FloatArray]:
    """Return a grid of log M and each variant's density on it, shape (k, n)."""
    grid = _grid(factors)
    rows = [_density(rate, amount, grid) for rate, amount in factors]
    return grid, np.stack(rows)


def _grid(factors: Sequence[tuple[LogRate, _LogAmount]]) -> EvenGrid:
    lows, highs, steps = zip(*(_reach(rate, amount) for rate, amount in factors), strict=True)
    return EvenGrid.over(min(lows), max(highs), step=min(steps))


def _reach(rate: LogRate, amount: _LogAmount) -> tuple[float, float, float]:
    """Return limits of one variant's log M, and the step that resolves its narrower factor."""
    low, high = amount.limits
    below, above = rate.reach
    wide, narrow = max(rate.spread, amount.spread), min(rate.spread, amount.spread)
    resolved = wide if narrow * _NEGLIGIBLE < wide else narrow
    step = 0.25 * resolved / (1.0 + resolved)
    return low + rate.centre - below, high + rate.centre + above, step


def _density(rate: LogRate, amount: _LogAmount, grid: EvenGrid) -> FloatArray:
    if rate.spread * _NEGLIGIBLE < amount.spread:
        heights = amount.heights(grid.points - float(digamma(rate.alpha) - digamma(rate.alpha + rate.beta)))
    elif amount.spread * _NEGLIGIBLE < rate.spread:
        heights = rate.heights(grid.points - amount.centre)
    else:
        heights = convolved(rate.heights, rate.limits_of_log, amount.heights, amount.limits, grid)
    return heights / (heights.sum() * grid.step)


def _trimmed(density: FloatArray, grid: EvenGrid) -> Tabulated:
    """Tabulate one variant without the points where it has no mass."""
    held = np.flatnonzero(density > density.max() * 1e-13)
    first, last = int(held[0]), int(held[-1]) + 1
    start = grid.start + grid.step * first
    return Tabulated.from_heights(density[first:last], start=start, step=grid.step, logarithmic=True)


def _ratio(densities: FloatArray, treatment: int, control: int, step: float) -> Tabulated:
    heights, start = ratio_heights(densities[treatment], densities[control], step)
    return Tabulated.from_heights(heights, start=start, step=step, logarithmic=True)


def _estimate(mean: float, table: Tabulated, level: float) -> IntervalEstimate:
    low, high = table.highest_density(level)
    return IntervalEstimate(point=mean, low=low, high=high)
