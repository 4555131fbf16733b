"""What is known of a metric before the test: its value, and how much one unit varies."""

import math
from dataclasses import dataclass
from typing import Protocol

from engine.errors import InvalidInput
from engine.moments import ratio_moments
from engine.summaries import MeanSummary, ProportionSummary, RatioSummary


class Baseline(Protocol):
    """A metric as the control has it."""

    @property
    def value(self) -> float:
        """The control's rate, mean or ratio, in the metric's unit."""
        ...

    def variances(self, effect: float) -> tuple[float, float]:
        """Return the variance of one unit in the control, and in a treatment with this absolute effect."""
        ...

    def null_variance(self, effect: float) -> float:
        """Return the variance of one unit if both variants had the value between them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionBaseline:
    """A conversion rate.

    Attributes
    ----------
    rate : the control's rate, in (0, 1)

    Raises
    ------
    InvalidInput
        the rate is outside (0, 1)
    """

    rate: float

    def __post_init__(self) -> None:
        """Refuse a rate at which nothing varies."""
        if not 0.0 < self.rate < 1.0:
            raise InvalidInput(f"The baseline rate is {self.rate}: pass a fraction between 0 and 1, such as 0.05.")

    @classmethod
    def from_summary(cls, summary: ProportionSummary) -> "ConversionBaseline":
        """Return the baseline that a variant shows."""
        return cls(rate=summary.rate)

    @property
    def value(self) -> float:
        """The rate."""
        return self.rate

    def variances(self, effect: float) -> tuple[float, float]:
        """Return p (1 - p) of control and treatment; InvalidInput where the treatment's rate leaves (0, 1)."""
        treated = self.rate + effect
        if not 0.0 < treated < 1.0:
            raise InvalidInput(
                f"The effect takes the rate from {self.rate} to {treated}: choose one that keeps it between 0 and 1."
            )
        return self.rate * (1.0 - self.rate), treated * (1.0 - treated)

    def null_variance(self, effect: float) -> float:
        """Return p (1 - p) at the rate halfway between control and treatment; InvalidInput as for variances."""
        self.variances(effect)
        middle = self.rate + effect / 2.0
        return middle * (1.0 - middle)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanBaseline:
    """A mean (revenue, counts), or a ratio by its linearised values; the treatment is taken to vary alike.

    Attributes
    ----------
    mean : the control's mean or ratio, in the metric's unit, finite
    standard_deviation : of one unit, same unit, above 0; for a ratio, of (Y - R D) / mean(D)

    Raises
    ------
    InvalidInput
        the mean is not finite, or the standard deviation is not above 0
    """

    mean: float
    standard_deviation: float

    def __post_init__(self) -> None:
        """Refuse a metric that does not vary."""
        if not math.isfinite(self.mean):
            raise InvalidInput(f"The baseline mean is {self.mean}: pass a finite number in the metric's unit.")
        if not 0.0 < self.standard_deviation < math.inf:
            raise InvalidInput(
                f"The standard deviation is {self.standard_deviation}: pass that of one unit, above 0, from past data."
            )

    @classmethod
    def from_summary(cls, summary: MeanSummary) -> "MeanBaseline":
        """Return the baseline that a variant's values show; NotEnoughData below 2 units."""
        return cls(mean=summary.mean, standard_deviation=summary.standard_deviation)

    @classmethod
    def from_ratio(cls, summary: RatioSummary) -> "MeanBaseline":
        """Return the baseline that a variant's ratio shows; NotEnoughData below 2 units."""
        moments = ratio_moments(summary)
        return cls(mean=moments.mean, standard_deviation=math.sqrt(moments.variance))

    @property
    def value(self) -> float:
        """The mean."""
        return self.mean

    def variances(self, effect: float) -> tuple[float, float]:
        """Return the same variance twice."""
        return self.null_variance(effect), self.null_variance(effect)

    def null_variance(self, effect: float) -> float:
        """Return the squared standard deviation."""
        return self.standard_deviation**2


def absolute_effect(baseline: Baseline, effect: float, *, relative: bool) -> float:
    """Return an effect in the metric's unit.

    Raises
    ------
    InvalidInput
        the effect is 0, NaN or infinite, or relative to a baseline of 0
    """
    absolute = effect * abs(baseline.value) if relative else effect
    if absolute == 0.0 or not math.isfinite(absolute):
        raise InvalidInput(
            f"The effect is {effect} on a baseline of {baseline.value}: pass one that is finite and not 0, "
            "in the metric's unit (relative=False) where the baseline is 0."
        )
    return absolute
