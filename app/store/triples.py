"""Estimates as JSON keeps them: the point and both ends of the interval."""

from collections.abc import Sequence

from engine.effects import IntervalEstimate


def triple(estimate: IntervalEstimate) -> list[float]:
    """Return an estimate as it is stored."""
    return [estimate.point, estimate.low, estimate.high]


def estimate_of(stored: Sequence[float]) -> IntervalEstimate:
    """Return an estimate that was stored."""
    point, low, high = stored
    return IntervalEstimate(point=point, low=low, high=high)
