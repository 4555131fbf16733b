"""Guardrails: a metric that may not get worse by more than a margin (non-inferiority)."""

from dataclasses import dataclass
from enum import StrEnum

from engine.effects import IntervalEstimate
from engine.errors import InvalidInput


class GuardrailStatus(StrEnum):
    """What the interval says about the margin."""

    SAFE = "safe"
    BREACHED = "breached"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailCheck:
    """A guardrail metric's difference against its margin.

    Attributes
    ----------
    variant : index of the treatment
    difference : treatment minus control, in the metric's unit
    margin : the loss that is still tolerated, in the metric's unit, at least 0
    status : SAFE where the whole interval is better than the margin, BREACHED where it shows harm: the whole of it is
        on the wrong side of 0 and the estimate is beyond the margin; else UNDECIDED
    """

    variant: int
    difference: IntervalEstimate
    margin: float
    status: GuardrailStatus


def guardrail_check(
    difference: IntervalEstimate, *, margin: float, variant: int = 1, higher_is_better: bool = True
) -> GuardrailCheck:
    """Return whether a difference keeps within its margin.

    Parameters
    ----------
    difference : treatment minus control with its interval: of a fixed horizon where that is reached, of a confidence
        sequence where the test is being watched
    margin : the loss that is still tolerated, in the metric's unit, at least 0
    variant : index of the treatment
    higher_is_better : the metric's direction

    Returns
    -------
    SAFE is a non-inferiority claim at a one-sided error of half of (1 - level). FDA (2016), "Non-inferiority clinical
    trials to establish effectiveness", section IV; Schultzberg, Ankargren and Frånberg (2024), "Risk-aware product
    decisions in A/B tests with multiple metrics", on guardrails.

    Raises
    ------
    InvalidInput
        the margin is negative, NaN or infinite
    """
    _check_margin(margin)
    gain = difference if higher_is_better else _negated(difference)
    return GuardrailCheck(variant=variant, difference=difference, margin=margin, status=_status(gain, margin))


def _status(gain: IntervalEstimate, margin: float) -> GuardrailStatus:
    if gain.low > -margin:
        return GuardrailStatus.SAFE
    if gain.high < 0.0 and gain.point < -margin:
        return GuardrailStatus.BREACHED
    return GuardrailStatus.UNDECIDED


def _negated(estimate: IntervalEstimate) -> IntervalEstimate:
    return IntervalEstimate(point=-estimate.point, low=-estimate.high, high=-estimate.low)


def _check_margin(margin: float) -> None:
    if not 0.0 <= margin < float("inf"):
        raise InvalidInput(f"The margin is {margin}: pass the tolerated loss as a finite number of at least 0.")
