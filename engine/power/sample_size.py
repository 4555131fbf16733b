"""How many units, and how many days, a test needs to detect an effect."""

import math
from dataclasses import dataclass

from engine.errors import InvalidInput
from engine.levels import error_rate, normal_quantile, two_sided_quantile
from engine.power.baselines import Baseline, absolute_effect
from engine.sequential.boundary import boundary, target_information


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """What a test needs.

    Attributes
    ----------
    per_variant : units a variant
    total : units of all variants
    days : total over daily units; None where these are not known
    """

    per_variant: int
    total: int
    days: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is demanded of a test.

    Attributes
    ----------
    power : chance of calling the effect when it is there, in (0, 1)
    level : confidence level over all comparisons, in (0, 1)
    variants : their number, control included, at least 2; each comparison takes its share of the error (Bonferroni)
    sequential : judged by a confidence sequence tuned to the planned size, rather than once at the end

    Raises
    ------
    InvalidInput
        power or level outside (0, 1), or fewer than two variants
    """

    power: float = 0.8
    level: float = 0.95
    variants: int = 2
    sequential: bool = False

    def __post_init__(self) -> None:
        """Refuse demands that cannot be met."""
        if not 0.0 < self.power < 1.0:
            raise InvalidInput(f"The power is {self.power}: pass a fraction between 0 and 1, such as 0.8.")
        error_rate(self.level, comparisons=self.variants - 1)

    @property
    def alpha(self) -> float:
        """The error rate of each comparison."""
        return error_rate(self.level, comparisons=self.variants - 1)

    @property
    def multiplier(self) -> float:
        """How many standard errors of the null an effect must reach at the planned size.

        A confidence sequence at its target is sqrt(r* + 1) wide, since there r* = log((r* + 1) / alpha**2).
        """
        if self.sequential:
            return boundary(target_information(self.alpha), alpha=self.alpha)
        return two_sided_quantile(self.alpha)


STANDARD = Design()


MOST_UNITS = 1e15
"""More than this, per variant, is no answer; past 2**53 units could not be counted one by one."""


def sample_size(
    baseline: Baseline,
    effect: float,
    *,
    relative: bool = True,
    design: Design = STANDARD,
    daily_units: float | None = None,
) -> SampleSize:
    """Return the units with which the effect is called with the power asked for.

    Parameters
    ----------
    baseline : ConversionBaseline or MeanBaseline of the control
    effect : the smallest one that matters, not 0: a fraction of the baseline, or with ``relative=False`` in its unit
    relative : whether the effect is a fraction of the baseline
    design : power, level, number of variants, fixed or sequential
    daily_units : units exposed a day over all variants, above 0

    Returns
    -------
    n = (z sqrt(2 v_0) + z_power sqrt(v_c + v_t))**2 / effect**2 rounded up, with v_0 the variance under the null and
    v_c, v_t those under the effect: Fleiss, Levin and Paik (2003), "Statistical methods for rates and proportions",
    eq. 4.14 (without continuity correction); for means it is 2 sigma**2 (z + z_power)**2 / effect**2, Chow, Shao and
    Wang (2008), "Sample size calculations in clinical research", section 3.2. A sequential design takes the confidence
    sequence's half-width at its target for z, and v_c + v_t under the null too.

    Raises
    ------
    InvalidInput
        the effect is 0, takes a rate out of (0, 1) or takes more than MOST_UNITS, or daily units are not above 0
    """
    absolute = absolute_effect(baseline, effect, relative=relative)
    exact = _exact_size(baseline, absolute, design)
    if exact > MOST_UNITS:
        raise InvalidInput(f"An effect of {absolute:.3g} takes more units than there can be: pass a larger one.")
    per_variant = math.ceil(exact - 1e-9)
    total = per_variant * design.variants
    return SampleSize(per_variant=per_variant, total=total, days=days_for(total, daily_units=daily_units))


def days_for(units: float, *, daily_units: float | None) -> float | None:
    """Return how many days so many units take; None where the daily units are not known.

    Raises
    ------
    InvalidInput
        daily units are not above 0
    """
    if daily_units is None:
        return None
    if not 0.0 < daily_units < math.inf:
        raise InvalidInput(f"There are {daily_units} units a day: pass how many are exposed daily, above 0.")
    return units / daily_units


def null_variance(baseline: Baseline, effect: float, *, design: Design) -> float:
    """Return the summed variance of a unit of each variant, as the test takes it under the null."""
    return sum(baseline.variances(effect)) if design.sequential else 2.0 * baseline.null_variance(effect)


def _exact_size(baseline: Baseline, effect: float, design: Design) -> float:
    null = design.multiplier * math.sqrt(null_variance(baseline, effect, design=design))
    alternative = normal_quantile(design.power) * math.sqrt(sum(baseline.variances(effect)))
    spread = null + alternative
    if spread <= 0.0:
        return 1.0
    # squared only where a float holds it
    return (spread / effect) ** 2 if spread < abs(effect) * 1e150 else math.inf
