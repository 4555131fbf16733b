"""Sufficient statistics: all that the engine needs to know about the units of a variant.

Every sum is a whole number of ``1 / scale`` (of ``1 / scale**2`` for squares), so nothing is ever rounded: summaries
merge exactly, in any order, and a large mean costs the variance no digit. A database's totals in micro-units go in as
they are, with ``scale=1_000_000``.
"""

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray
from engine.errors import InvalidInput, NotEnoughData
from engine.exact_sums import binary_places, exact_dot, exact_sum


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionSummary:
    """How many of the exposed units converted.

    Attributes
    ----------
    converted : units that converted, 0 <= converted <= exposed
    exposed : units exposed, at least 0

    Raises
    ------
    InvalidInput
        a count is not a whole number, is negative, or more units converted than were exposed
    """

    converted: int
    exposed: int

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        _whole(self, "converted", "exposed")
        if self.converted < 0:
            raise InvalidInput(f"converted is {self.converted}: a count cannot be negative; pass 0 or more.")
        if self.converted > self.exposed:
            raise InvalidInput(
                f"{self.converted} converted of {self.exposed} exposed: count each unit once, among those exposed."
            )

    @classmethod
    def from_values(cls, values: ArrayLike) -> Self:
        """Return the summary of zeros and ones (or booleans), shape (n,)."""
        array = _values(values)
        if not np.isin(array, (0.0, 1.0)).all():
            raise InvalidInput("A conversion is 0 or 1: pass only these, or use MeanSummary for other values.")
        return cls(converted=int(array.sum()), exposed=array.size)

    @property
    def count(self) -> int:
        """The number of units, as in every summary."""
        return self.exposed

    @property
    def rate(self) -> float:
        """Converted over exposed, in [0, 1]; NotEnoughData where nobody was exposed."""
        if self.exposed == 0:
            raise NotEnoughData("Nobody is exposed, so there is no rate: wait for the first exposure.")
        return self.converted / self.exposed

    def merge(self, other: Self) -> Self:
        """Return the summary of both sets of units."""
        return type(self)(converted=self.converted + other.converted, exposed=self.exposed + other.exposed)

    __add__ = merge


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSummary:
    """Count, sum and sum of squares of one number a unit, kept exactly.

    Attributes
    ----------
    count : units, at least 0
    total : sum of the values, in units of 1 / scale
    total_of_squares : sum of the squared values, in units of 1 / scale**2
    scale : how many of the counted units make 1 of the metric's unit; 1_000_000 for totals in micro-units

    Raises
    ------
    InvalidInput
        a field is not a whole number or negative where it cannot be, or no set of values has these three sums
    """

    count: int
    total: int
    total_of_squares: int
    scale: int = 1

    def __post_init__(self) -> None:
        """Refuse sums that no set of values has."""
        _whole(self, "count", "total", "total_of_squares", "scale")
        if self.count < 0:
            raise InvalidInput(f"count is {self.count}: a count cannot be negative; pass 0 or more.")
        if self.scale < 1:
            raise InvalidInput(f"scale is {self.scale}: pass how many counted units make 1, at least 1.")
        if self.scatter < 0 or (self.count == 0 and (self.total or self.total_of_squares)):
            raise InvalidInput(
                "No values have this count, sum and sum of squares: take all three from the same units and scale."
            )

    @classmethod
    def from_values(cls, values: ArrayLike) -> Self:
        """Return the exact summary of finite numbers, shape (n,), in the metric's unit."""
        array = _values(values)
        places = binary_places(array)
        total, squares = exact_sum(array, places), exact_dot(array, array, first_places=places, second_places=places)
        return cls(count=array.size, total=total, total_of_squares=squares, scale=1 << places)

    @classmethod
    def from_moments(cls, *, count: int, mean: float, variance: float) -> Self:
        """Return the summary with this mean and unbiased variance, as a publication states them.

        Parameters
        ----------
        count : units, at least 2
        mean, variance : finite, variance at least 0
        """
        if count < 2 or not (math.isfinite(mean) and 0 <= variance < math.inf):
            raise InvalidInput("Moments need 2 units or more, a finite mean and a finite variance of at least 0.")
        total = Fraction(mean) * count
        squares = Fraction(variance) * (count - 1) + total * total / count
        scale = math.lcm(total.denominator, squares.denominator)
        return cls(count=count, total=int(total * scale), total_of_squares=int(squares * scale * scale), scale=scale)

    @property
    def scatter(self) -> int:
        """The count times the sum of squared deviations from the mean, in units of 1 / scale**2: exact."""
        return self.count * self.total_of_squares - self.total * self.total

    @property
    def mean(self) -> float:
        """The mean, in the metric's unit; NotEnoughData without units."""
        if self.count == 0:
            raise NotEnoughData("There are no units, so there is no mean: wait for the first exposure.")
        return self.total / (self.count * self.scale)

    @property
    def variance(self) -> float:
        """The unbiased variance of the values, in the metric's unit squared; NotEnoughData below 2 units."""
        return self.scatter / (pair_count(self.count) * self.scale * self.scale)

    @property
    def standard_deviation(self) -> float:
        """The square root of the unbiased variance, in the metric's unit."""
        return math.sqrt(self.variance)

    def merge(self, other: Self) -> Self:
        """Return the summary of both sets of units, exactly; scales may differ."""
        scale = math.lcm(self.scale, other.scale)
        mine, theirs = scale // self.scale, scale // other.scale
        return type(self)(
            count=self.count + other.count,
            total=self.total * mine + other.total * theirs,
            total_of_squares=self.total_of_squares * mine * mine + other.total_of_squares * theirs * theirs,
            scale=scale,
        )

    __add__ = merge


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioSummary:
    """A ratio of two sums over the same units: count and five sums.

    Attributes
    ----------
    numerator, denominator : the sums of each, over the same units
    total_of_products : sum of numerator times denominator, in units of 1 / (numerator.scale * denominator.scale)

    Raises
    ------
    InvalidInput
        the two counts differ, or the sum of products cannot belong to the other sums
    """

    numerator: MeanSummary
    denominator: MeanSummary
    total_of_products: int

    def __post_init__(self) -> None:
        """Refuse sums that no pairs of values have."""
        _whole(self, "total_of_products")
        _check_pair(self.numerator, self.denominator, self.total_of_products)

    @classmethod
    def from_values(cls, numerators: ArrayLike, denominators: ArrayLike) -> Self:
        """Return the exact summary of pairs of finite numbers, shape (n,) each, one pair a unit."""
        numerator, denominator = MeanSummary.from_values(numerators), MeanSummary.from_values(denominators)
        return cls(numerator=numerator, denominator=denominator, total_of_products=_products(numerators, denominators))

    @property
    def count(self) -> int:
        """The number of units."""
        return self.numerator.count

    @property
    def ratio(self) -> float:
        """Sum of numerators over sum of denominators; NotEnoughData where the denominators sum to 0."""
        if self.denominator.total == 0:
            raise NotEnoughData("The denominators sum to 0, so there is no ratio: wait until units have some.")
        return self.numerator.mean / self.denominator.mean

    @property
    def cross_scatter(self) -> int:
        """The count times the sum of products of deviations, in units of 1 / (numerator.scale * denominator.scale)."""
        return self.count * self.total_of_products - self.numerator.total * self.denominator.total

    @property
    def covariance(self) -> float:
        """The unbiased covariance of numerator and denominator; NotEnoughData below 2 units."""
        return _covariance(self.numerator, self.denominator, self.cross_scatter)

    def merge(self, other: Self) -> Self:
        """Return the summary of both sets of units, exactly."""
        numerator, denominator = self.numerator + other.numerator, self.denominator + other.denominator
        scale = numerator.scale * denominator.scale
        mine = scale // (self.numerator.scale * self.denominator.scale) * self.total_of_products
        theirs = scale // (other.numerator.scale * other.denominator.scale) * other.total_of_products
        return type(self)(numerator=numerator, denominator=denominator, total_of_products=mine + theirs)

    __add__ = merge


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateSummary:
    """A metric with a covariate measured before exposure, for CUPED: count and five sums.

    Attributes
    ----------
    metric, covariate : the sums of each, over the same units
    total_of_products : sum of metric times covariate, in units of 1 / (metric.scale * covariate.scale)

    Raises
    ------
    InvalidInput
        the two counts differ, or the sum of products cannot belong to the other sums
    """

    metric: MeanSummary
    covariate: MeanSummary
    total_of_products: int

    def __post_init__(self) -> None:
        """Refuse sums that no pairs of values have."""
        _whole(self, "total_of_products")
        _check_pair(self.metric, self.covariate, self.total_of_products)

    @classmethod
    def from_values(cls, metrics: ArrayLike, covariates: ArrayLike) -> Self:
        """Return the exact summary of pairs of finite numbers, shape (n,) each, one pair a unit."""
        metric, covariate = MeanSummary.from_values(metrics), MeanSummary.from_values(covariates)
        return cls(metric=metric, covariate=covariate, total_of_products=_products(metrics, covariates))

    @property
    def count(self) -> int:
        """The number of units."""
        return self.metric.count

    @property
    def cross_scatter(self) -> int:
        """The count times the sum of products of deviations, in units of 1 / (metric.scale * covariate.scale)."""
        return self.count * self.total_of_products - self.metric.total * self.covariate.total

    @property
    def covariance(self) -> float:
        """The unbiased covariance of metric and covariate; NotEnoughData below 2 units."""
        return _covariance(self.metric, self.covariate, self.cross_scatter)

    def merge(self, other: Self) -> Self:
        """Return the summary of both sets of units, exactly."""
        metric, covariate = self.metric + other.metric, self.covariate + other.covariate
        scale = metric.scale * covariate.scale
        mine = scale // (self.metric.scale * self.covariate.scale) * self.total_of_products
        theirs = scale // (other.metric.scale * other.covariate.scale) * other.total_of_products
        return type(self)(metric=metric, covariate=covariate, total_of_products=mine + theirs)

    __add__ = merge


def mean_and_deviation(count: int, total: int, *, squares: int, scale: int = 1) -> tuple[float | None, float | None]:
    """Return what a MeanSummary of these sums says, for tables of many: None where there are too few units.

    Parameters
    ----------
    count : units, at least 0
    total, squares : sums of the values and of their squares, in units of 1 / scale and 1 / scale**2
    scale : how many of the counted units make 1 of the metric's unit

    Returns
    -------
    mean and standard deviation, in the metric's unit; None without units, and the second below 2 units or where no
    values have these sums
    """
    scatter = count * squares - total * total
    if count < 1 or scatter < 0:
        return None, None
    mean = total / (count * scale)
    return mean, math.sqrt(scatter / (count * (count - 1) * scale * scale)) if count > 1 else None


def pooled[S: (ProportionSummary, MeanSummary, RatioSummary, CovariateSummary)](summaries: Iterable[S]) -> S:
    """Return the summary of all units together; NotEnoughData without any summary."""
    total: S | None = None
    for summary in summaries:
        total = summary if total is None else total + summary
    if total is None:
        raise NotEnoughData("There is no summary to pool: pass at least one.")
    return total


def _whole(summary: object, *names: str) -> None:
    for name in names:
        value: Any = getattr(summary, name)
        if type(value) is not int:
            object.__setattr__(summary, name, _index(value, name))


def _index(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidInput(f"{name} is {value!r}: pass a whole number.") from None


def _values(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InvalidInput(f"The values have {array.ndim} dimensions: pass one flat array, one value a unit.")
    if not np.isfinite(array).all():
        raise InvalidInput("A value is NaN or infinite: leave out, or replace, what was not measured.")
    return array


def _products(first: ArrayLike, second: ArrayLike) -> int:
    left, right = _values(first), _values(second)
    if left.size != right.size:
        raise InvalidInput(f"{left.size} values go with {right.size} others: pass one of each a unit.")
    return exact_dot(left, right, first_places=binary_places(left), second_places=binary_places(right))


def _check_pair(first: MeanSummary, second: MeanSummary, products: int) -> None:
    if first.count != second.count:
        raise InvalidInput(f"{first.count} units go with {second.count}: take both sums over the same units.")
    cross = first.count * products - first.total * second.total
    if cross * cross > first.scatter * second.scatter:
        raise InvalidInput("No pairs of values have this sum of products: take all sums from the same units and scale.")


def _covariance(first: MeanSummary, second: MeanSummary, cross: int) -> float:
    return cross / (pair_count(first.count) * first.scale * second.scale)


def pair_count(count: int) -> int:
    """Return count * (count - 1), by which a scatter becomes an unbiased variance; NotEnoughData below 2 units."""
    if count < 2:
        raise NotEnoughData(f"A variance needs at least 2 units and there are {count}: wait for more exposures.")
    return count * (count - 1)
