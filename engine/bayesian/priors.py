"""What is believed before a test: nothing (flat), what somebody states, or what past tests showed (empirical Bayes)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, expit, logit

from engine.arrays import FloatArray
from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import ProportionSummary

_LEAST_TESTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaPrior:
    """Belief about a rate, worth ``alpha + beta`` units of which ``alpha`` converted.

    Attributes
    ----------
    alpha, beta : finite, above 0

    Raises
    ------
    InvalidInput
        a parameter outside its range
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        _check_positive("beta", alpha=self.alpha, beta=self.beta)

    @classmethod
    def stated(cls, *, rate: float, units: float) -> "BetaPrior":
        """Return the belief that the rate is about ``rate``, worth as much as having seen so many units.

        Parameters
        ----------
        rate : in (0, 1)
        units : above 0
        """
        if not 0.0 < rate < 1.0:
            raise InvalidInput(f"The stated rate is {rate}: pass a fraction between 0 and 1.")
        _check_positive("beta", units=units)
        return cls(alpha=rate * units, beta=(1.0 - rate) * units)

    @property
    def mean(self) -> float:
        """The expected rate, in (0, 1)."""
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaPrior:
    """Belief about a rate of counts, worth ``shape`` events among ``rate`` units.

    Attributes
    ----------
    shape : finite, above 0
    rate : finite, at least 0; 0 makes the prior improper and the posterior not
    """

    shape: float
    rate: float

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        _check_positive("gamma", shape=self.shape)
        if not 0.0 <= self.rate < math.inf:
            raise InvalidInput(f"The gamma prior's rate is {self.rate}: pass a finite number of at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalPrior:
    """Belief about a mean and a variance: normal-inverse-gamma.

    Attributes
    ----------
    mean : expected mean, the metric's unit
    units : how many units the belief about the mean is worth, above 0
    shape, scale : of the variance's inverse gamma, above 0; twice the shape is how many units it is worth
    """

    mean: float
    units: float
    shape: float
    scale: float

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        _check_positive("normal", units=self.units, shape=self.shape, scale=self.scale)
        if not math.isfinite(self.mean):
            raise InvalidInput(f"The normal prior's mean is {self.mean}: pass a finite number.")


def empirical_bayes(past: Sequence[ProportionSummary], *, most_units: float = 1000.0) -> BetaPrior:
    """Return the beta prior under which past tests were most probable.

    Parameters
    ----------
    past : one summary a past test (its control, say), at least five, each with exposed units
    most_units : the most the prior may be worth; where past rates differ by no more than chance the likelihood has no
        maximum, and this is what it stops at

    Returns
    -------
    BetaPrior that maximises the beta-binomial likelihood, sum of log B(a + x, b + n - x) - log B(a, b): Griffiths
    (1973), "Maximum likelihood estimation for the beta-binomial distribution", Biometrics 29.

    Raises
    ------
    InvalidInput
        most_units is not above 0
    NotEnoughData
        fewer than five tests with exposed units, or no unit converted in any, or every one
    """
    _check_positive("beta", most_units=most_units)
    converted, exposed = _past_counts(past)
    rate, units = _most_probable(converted, exposed, most_units)
    return BetaPrior(alpha=rate * units, beta=(1.0 - rate) * units)


def _past_counts(past: Sequence[ProportionSummary]) -> tuple[FloatArray, FloatArray]:
    seen = [summary for summary in past if summary.exposed > 0]
    if len(seen) < _LEAST_TESTS:
        raise NotEnoughData(
            f"{len(seen)} past tests have exposed units and {_LEAST_TESTS} are needed: use a flat or a stated prior."
        )
    converted = np.array([summary.converted for summary in seen], dtype=np.float64)
    exposed = np.array([summary.exposed for summary in seen], dtype=np.float64)
    if not 0.0 < converted.sum() < exposed.sum():
        raise NotEnoughData("In the past tests nobody or everybody converted: use a flat or a stated prior.")
    return converted, exposed


def _most_probable(converted: FloatArray, exposed: FloatArray, most_units: float) -> tuple[float, float]:
    """Search a shrinking grid over logit rate and log units: the likelihood has one hill on it."""
    missed = exposed - converted
    rate = float(logit(converted.sum() / exposed.sum()))
    lowest, highest = math.log(min(1e-2, most_units)), math.log(most_units)
    worth, wide, far = 0.5 * (lowest + highest), 4.0, 0.5 * (highest - lowest)
    for _ in range(40):
        rates = rate + wide * _GRID
        units = np.exp(np.clip(worth + far * _GRID, lowest, highest))
        alpha, beta = np.multiply.outer(expit(rates), units), np.multiply.outer(expit(-rates), units)
        heights = _likelihood(alpha[..., None], beta[..., None], converted, missed)
        row, column = divmod(int(np.argmax(heights)), _GRID.size)
        rate, worth, wide, far = float(rates[row]), math.log(float(units[column])), 0.5 * wide, 0.5 * far
    return float(expit(rate)), math.exp(worth)


_GRID: FloatArray = np.linspace(-1.0, 1.0, 9)


def _likelihood(
    alpha: FloatArray | float, beta: FloatArray | float, converted: FloatArray, missed: FloatArray
) -> FloatArray:
    return np.asarray((betaln(alpha + converted, beta + missed) - betaln(alpha, beta)).sum(axis=-1))


def _check_positive(kind: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not 0.0 < value < math.inf:
            raise InvalidInput(f"The {kind} prior's {name} is {value}: pass a finite number above 0.")


FLAT = BetaPrior(alpha=1.0, beta=1.0)
"""Every rate alike (Bayes and Laplace)."""

FLAT_COUNTS = GammaPrior(shape=1.0, rate=0.0)
"""Every rate of counts alike."""
