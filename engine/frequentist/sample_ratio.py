"""Sample ratio mismatch: were units exposed to the variants in the proportions that were set?"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.chi_squared import chi_squared_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatioCheck:
    """Observed exposures against expected ones.

    Attributes
    ----------
    observed : exposed units by variant
    expected : units by variant, had the weights held; 0 for weight 0
    statistic, degrees_of_freedom, p_value : of Pearson's test of fit over the variants with a weight
    mismatch : the p-value is below the threshold: results cannot be trusted
    caution : the p-value is below the cautious threshold: worth a look
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    statistic: float
    degrees_of_freedom: int
    p_value: float
    mismatch: bool
    caution: bool


def sample_ratio_check(
    observed: Sequence[int], weights: Sequence[float], *, threshold: float = 0.001, caution: float = 0.01
) -> SampleRatioCheck:
    """Return whether the exposures fit the weights.

    Parameters
    ----------
    observed : exposed units by variant, at least 0
    weights : what each variant should get, at least 0, in any scale; where weights changed, the sum over units of the
        probability each had. A variant with weight 0 is left out, with its degree of freedom.
    threshold : p-value below which there is a mismatch, in (0, 1)
    caution : p-value below which to be careful, in (0, 1), at least the threshold

    Returns
    -------
    statistic sum (observed - expected)**2 / expected over variants with a weight, on their number less 1 degrees of
    freedom. Fabijan and others (2019), "Diagnosing sample ratio mismatch in online controlled experiments", section 3.

    Raises
    ------
    InvalidInput
        lengths differ, a count or weight is negative or not finite, or fewer than two variants have a weight
    NotEnoughData
        no unit is exposed to a variant that has a weight
    """
    _check(observed, weights)
    if not 0.0 < threshold <= caution < 1.0:
        raise InvalidInput(f"The thresholds are {threshold} and {caution}: pass 0 < threshold <= caution < 1.")
    total, units = sum(weights), sum(count for count, weight in zip(observed, weights, strict=True) if weight > 0.0)
    if units == 0:
        raise NotEnoughData("No unit is exposed, so there is no ratio to check: wait for the first exposure.")
    expected = tuple(units * weight / total for weight in weights)
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True) if e > 0.0)
    freedom = sum(weight > 0.0 for weight in weights) - 1
    p_value = chi_squared_tail(statistic, freedom)
    return SampleRatioCheck(
        observed=tuple(observed),
        expected=expected,
        statistic=statistic,
        degrees_of_freedom=freedom,
        p_value=p_value,
        mismatch=p_value < threshold,
        caution=p_value < caution,
    )


def _check(observed: Sequence[int], weights: Sequence[float]) -> None:
    if len(observed) != len(weights):
        raise InvalidInput(f"{len(observed)} counts go with {len(weights)} weights: pass one of each a variant.")
    if any(count < 0 for count in observed):
        raise InvalidInput("A count of exposed units is negative: pass 0 or more for each variant.")
    if not all(0.0 <= weight < float("inf") for weight in weights):
        raise InvalidInput(
            "A weight is negative, NaN or infinite: pass a finite number of at least 0 for each variant."
        )
    if sum(weight > 0.0 for weight in weights) < 2:
        raise InvalidInput("Fewer than two variants have a weight, so there is no ratio: give two of them a weight.")
