"""What large-sample procedures ask of a variant: how many units, and the mean and variance of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import ProportionSummary, RatioSummary, pair_count


class Moments(Protocol):
    """Anything with a count, a mean and a variance; a MeanSummary is one."""

    @property
    def count(self) -> int:
        """The number of units."""
        ...

    @property
    def mean(self) -> float:
        """The estimate, in the metric's unit."""
        ...

    @property
    def variance(self) -> float:
        """The variance of one unit's contribution; the estimate's own variance is this over the count."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMoments:
    """Moments held as floats.

    Attributes
    ----------
    count : units
    mean : the estimate, in the metric's unit
    variance : of one unit's contribution, in the metric's unit squared
    """

    count: int
    mean: float
    variance: float


def proportion_moments(summary: ProportionSummary) -> UnitMoments:
    """Return rate and p (1 - p), the variance of one Bernoulli unit; NotEnoughData where nobody was exposed."""
    rate = summary.rate
    return UnitMoments(count=summary.exposed, mean=rate, variance=rate * (1.0 - rate))


def ratio_moments(summary: RatioSummary) -> UnitMoments:
    """Return a ratio R = sum(Y) / sum(D) with the variance of one unit's linearised contribution, (Y - R D) / mean(D).

    Returns
    -------
    mean is R; variance is (var(Y) - 2 R cov(Y, D) + R**2 var(D)) / mean(D)**2, by the delta method.
    Deng, Knoblich and Lu (2018), "Applying the delta method in metric analytics", eq. 5.

    Raises
    ------
    NotEnoughData
        below 2 units, or the denominators sum to 0
    """
    ratio, numerator, denominator = summary.ratio, summary.numerator, summary.denominator
    total, units, count = denominator.total, denominator.scale, summary.count
    # all in whole numbers, with one division at the end, since the three terms may cancel
    spread = (
        total**2 * numerator.scatter
        - 2 * numerator.total * total * summary.cross_scatter
        + numerator.total**2 * denominator.scatter
    )
    variance = spread * (count * units) ** 2 / (total**4 * numerator.scale**2 * pair_count(count))
    return UnitMoments(count=count, mean=ratio, variance=variance)


def check_variants(summaries: Sequence[object], *, control: int) -> None:
    """Raise InvalidInput unless there are two variants or more and the control is one of them."""
    if len(summaries) < 2:
        raise InvalidInput(f"There is {len(summaries)} variant: pass the control and at least one treatment.")
    if not 0 <= control < len(summaries):
        raise InvalidInput(f"The control is variant {control} of {len(summaries)}: pass an index among the summaries.")


def check_counts(counts: Sequence[int], *, minimum: int) -> None:
    """Raise NotEnoughData unless every variant has at least the minimum of units."""
    for variant, count in enumerate(counts):
        if count < minimum:
            raise NotEnoughData(
                f"Variant {variant} has {count} exposed units and needs at least {minimum}: wait for more exposures."
            )
