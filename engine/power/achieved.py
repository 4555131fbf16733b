"""The power a test has with the units it has, and what is still needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.levels import normal_cdf, two_sided_quantile
from engine.moments import check_counts, check_variants
from engine.power.baselines import Baseline, absolute_effect
from engine.power.sample_size import STANDARD, Design, days_for, sample_size
from engine.sequential.boundary import boundary, information


@dataclass(frozen=True, slots=True, kw_only=True)
class AchievedPower:
    """Where a running test stands.

    Attributes
    ----------
    at_minimum_detectable_effect : chance of calling that effect with the units so far, in [0, 1], in the comparison
        with the fewest units
    target : units a variant that are needed
    remaining_units : those still to come, over all variants
    days_remaining : None where daily units are not known
    """

    at_minimum_detectable_effect: float
    target: int
    remaining_units: int
    days_remaining: float | None


def power(
    baseline: Baseline,
    effect: float,
    *,
    control_units: int,
    treatment_units: int,
    relative: bool = True,
    design: Design = STANDARD,
    target: int | None = None,
) -> float:
    """Return the chance that one comparison calls the effect when it is there.

    Parameters
    ----------
    baseline : ConversionBaseline or MeanBaseline of the control
    effect : not 0: a fraction of the baseline, or with ``relative=False`` in its unit
    control_units, treatment_units : at least 1 each
    relative : whether the effect is a fraction of the baseline
    design : level, number of variants, fixed or sequential; its power is not used
    target : units a variant a sequential design is tuned to; by default the present mean of both

    Returns
    -------
    P(Z <= (abs(effect) - z se_0) / se_1), the other tail being left out as in R's power.prop.test; in [0, 1].
    Sources as for ``sample_size``. A sequential design's is that of the present look alone.

    Raises
    ------
    InvalidInput
        the effect is 0 or takes a rate out of (0, 1)
    NotEnoughData
        a variant has no units
    """
    check_counts((control_units, treatment_units), minimum=1)
    absolute = absolute_effect(baseline, effect, relative=relative)
    control_variance, treatment_variance = baseline.variances(absolute)
    alternative = math.sqrt(control_variance / control_units + treatment_variance / treatment_units)
    if design.sequential:
        units = control_units + treatment_units
        reached = information(units, target=2 * target if target else units, alpha=design.alpha)
        return normal_cdf(abs(absolute) / alternative - boundary(reached, alpha=design.alpha))
    null = math.sqrt(baseline.null_variance(absolute) * (1.0 / control_units + 1.0 / treatment_units))
    return normal_cdf((abs(absolute) - two_sided_quantile(design.alpha) * null) / alternative)


def achieved_power(
    baseline: Baseline,
    effect: float,
    *,
    counts: Sequence[int],
    control: int = 0,
    relative: bool = True,
    design: Design = STANDARD,
    daily_units: float | None = None,
) -> AchievedPower:
    """Return the power of a running test at the effect that matters, and what is still needed.

    Parameters
    ----------
    baseline : ConversionBaseline or MeanBaseline, best from the control so far
    effect : the smallest one that matters: a fraction of the baseline, or with ``relative=False`` in its unit
    counts : exposed units by variant; their number stands in for the design's
    control : the control's index
    relative : whether the effect is a fraction of the baseline
    design : power, level, fixed or sequential
    daily_units : units exposed a day over all variants, above 0

    Returns
    -------
    the weakest comparison's power; every variant is to reach the sample size of the design

    Raises
    ------
    InvalidInput
        the effect is 0 or takes a rate out of (0, 1), fewer than two variants, or daily units are not above 0
    NotEnoughData
        a variant has no units
    """
    check_variants(counts, control=control)
    design = Design(power=design.power, level=design.level, variants=len(counts), sequential=design.sequential)
    target = sample_size(baseline, effect, relative=relative, design=design).per_variant
    remaining = sum(max(0, target - count) for count in counts)
    fewest = min(count for variant, count in enumerate(counts) if variant != control)
    return AchievedPower(
        at_minimum_detectable_effect=power(
            baseline,
            effect,
            control_units=counts[control],
            treatment_units=fewest,
            relative=relative,
            design=design,
            target=target,
        ),
        target=target,
        remaining_units=remaining,
        days_remaining=days_for(remaining, daily_units=daily_units),
    )
