import pytest

from engine.effects import IntervalEstimate
from engine.errors import InvalidInput
from engine.frequentist.guardrail import GuardrailStatus, guardrail_check


def interval(low: float, point: float, high: float) -> IntervalEstimate:
    return IntervalEstimate(point=point, low=low, high=high)


@pytest.mark.parametrize(
    ("difference", "status"),
    [
        (interval(-0.5, 0.1, 0.7), GuardrailStatus.SAFE),
        (interval(-0.9, -0.6, -0.3), GuardrailStatus.SAFE),
        (interval(-2.0, -0.2, 1.6), GuardrailStatus.UNDECIDED),
        (interval(-1.5, -0.8, -0.1), GuardrailStatus.UNDECIDED),
        (interval(-3.0, -1.5, 0.1), GuardrailStatus.UNDECIDED),
        (interval(-3.0, -1.5, -0.1), GuardrailStatus.BREACHED),
        (interval(-3.0, -2.5, -2.0), GuardrailStatus.BREACHED),
    ],
)
def test_status(difference: IntervalEstimate, status: GuardrailStatus):
    assert guardrail_check(difference, margin=1.0).status is status
    turned = interval(-difference.high, -difference.point, -difference.low)
    check = guardrail_check(turned, margin=1.0, variant=2, higher_is_better=False)
    assert (check.status, check.variant, check.difference) == (status, 2, turned)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_margins_out_of_range(margin: float):
    with pytest.raises(InvalidInput, match="tolerated loss"):
        guardrail_check(interval(-1, 0, 1), margin=margin)
