"""Worlds of known truth: what units do, looked at again and again, many tests at once."""

import math
from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray, IntArray
from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LookedAt:
    """Cumulative counts of many tests at each look.

    Attributes
    ----------
    converted, exposed : shape (n_tests, looks, k)
    """

    converted: IntArray
    exposed: IntArray

    def at_each_look(self) -> tuple[IntArray, IntArray]:
        """Return converted and exposed with every look a row of its own: shape (n_tests * looks, k)."""
        variants = self.converted.shape[-1]
        return self.converted.reshape(-1, variants), self.exposed.reshape(-1, variants)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConversionWorld:
    """Units that convert or not, each variant at its own rate, in equal daily numbers.

    Attributes
    ----------
    rates : shape (k,) for all tests alike, or (n_tests, k); in [0, 1]
    daily_units : units a variant a day, at least 1
    """

    rates: FloatArray
    daily_units: int

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not ((self.rates >= 0.0) & (self.rates <= 1.0)).all() or self.rates.shape[-1] < 2:
            raise InvalidInput("Rates are fractions of two variants or more: pass numbers from 0 to 1.")
        if self.daily_units < 1:
            raise InvalidInput(f"{self.daily_units} units a day: pass at least 1.")

    def looks(self, rng: np.random.Generator, *, tests: int, looks: int) -> LookedAt:
        """Return tests looked at after each of so many days."""
        shape = (tests, looks, self.rates.shape[-1])
        rates = self.rates[:, None, :] if self.rates.ndim == 2 else self.rates
        daily = rng.binomial(self.daily_units, rates, size=shape)
        exposed = np.broadcast_to(self.daily_units * np.arange(1, looks + 1)[:, None], shape)
        return LookedAt(converted=np.cumsum(daily, axis=1), exposed=exposed.astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueWorld:
    """Units of which a share buys, for log-normal amounts.

    Attributes
    ----------
    share : that buys, in (0, 1]
    log_mean, log_deviation : of the log amounts; the deviation is positive
    """

    share: float
    log_mean: float
    log_deviation: float

    @property
    def mean(self) -> float:
        """The true revenue a unit."""
        return self.share * math.exp(self.log_mean + 0.5 * self.log_deviation**2)

    def values(self, rng: np.random.Generator, *, units: int) -> FloatArray:
        """Return what each unit spent: shape (units,)."""
        bought = rng.random(units) < self.share
        return np.where(bought, rng.lognormal(self.log_mean, self.log_deviation, units), 0.0)
