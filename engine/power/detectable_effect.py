"""The smallest effect that a test of a given size detects with the power asked for."""

import math
from dataclasses import dataclass

from engine.errors import NotEnoughData
from engine.levels import normal_quantile
from engine.moments import check_counts
from engine.power.baselines import Baseline, ConversionBaseline
from engine.power.sample_size import STANDARD, Design, null_variance

_HALVINGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableEffect:
    """A minimum detectable effect.

    Attributes
    ----------
    absolute : in the metric's unit; its sign is that of the direction asked for
    relative : as a fraction of the baseline; None where that is 0
    """

    absolute: float
    relative: float | None


def minimum_detectable_effect(
    baseline: Baseline, *, per_variant: int, increase: bool = True, design: Design = STANDARD
) -> DetectableEffect:
    """Return the smallest effect that is called with the design's power.

    Parameters
    ----------
    baseline : ConversionBaseline or MeanBaseline of the control
    per_variant : units a variant, at least 1
    increase : look for an increase, or else for a decrease; the two differ for rates
    design : power, level, number of variants, fixed or sequential

    Returns
    -------
    the effect at which ``sample_size`` asks for so many units: in closed form for means, by bisection for rates

    Raises
    ------
    NotEnoughData
        no units, or even a rate of nearly 1 (or 0, for a decrease) would not be detected
    """
    check_counts([per_variant], minimum=1)
    sign = 1.0 if increase else -1.0
    found = sign * (
        _of_rates(baseline, per_variant, sign=sign, design=design)
        if isinstance(baseline, ConversionBaseline)
        else _needed(baseline, sign, per_variant, design)
    )
    return DetectableEffect(absolute=found, relative=found / abs(baseline.value) if baseline.value else None)


def _needed(baseline: Baseline, effect: float, per_variant: int, design: Design) -> float:
    """Return the size of effect that would be detected if units varied as they do at this effect."""
    null = design.multiplier * math.sqrt(null_variance(baseline, effect, design=design))
    alternative = normal_quantile(design.power) * math.sqrt(sum(baseline.variances(effect)))
    return (null + alternative) / math.sqrt(per_variant)


def _of_rates(baseline: ConversionBaseline, per_variant: int, *, sign: float, design: Design) -> float:
    low, high = 0.0, (1.0 - baseline.rate if sign > 0.0 else baseline.rate) * (1.0 - 1e-9)
    if _needed(baseline, sign * high, per_variant, design) > high:
        raise NotEnoughData(f"No rate would be detected with {per_variant} units a variant: plan more units.")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if _needed(baseline, sign * middle, per_variant, design) > middle:
            low = middle
        else:
            high = middle
    return high
