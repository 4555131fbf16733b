"""The result types that every procedure shares."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEstimate:
    """A point estimate with its interval, in the unit of what is estimated.

    Attributes
    ----------
    point : the estimate
    low, high : the ends of the interval at the level the procedure was asked for; may be infinite
    """

    point: float
    low: float
    high: float

    @classmethod
    def around(cls, point: float, reach: float) -> Self:
        """Return the interval that reaches as far to either side."""
        return cls(point=point, low=point - reach, high=point + reach)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One treatment against the control.

    Attributes
    ----------
    variant : index of the treatment among the summaries given, control included
    difference : treatment minus control, in the metric's unit
    lift : difference relative to the control's value, a fraction; None where the control's value is not positive
    p_value : two-sided, of this comparison alone, in [0, 1]
    adjusted_p_value : adjusted for the number of comparisons, in [0, 1]
    """

    variant: int
    difference: IntervalEstimate
    lift: IntervalEstimate | None
    p_value: float
    adjusted_p_value: float
