import pytest

from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.guardrail import GuardrailStatus, guardrail_check, non_inferiority_p
from engine.moments import UnitMoments, proportion_moments
from engine.summaries import ProportionSummary


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


# SciPy 1.18.1: norm.sf((0.85 - 0.86 + 0.05) / sqrt(0.86 * 0.14 / 400 + 0.85 * 0.15 / 400))
def test_non_inferiority():
    control, treatment = (
        proportion_moments(ProportionSummary(converted=converted, exposed=400)) for converted in (344, 340)
    )
    assert non_inferiority_p(control, treatment, margin=0.05) == pytest.approx(0.05405322391897795, rel=1e-11)
    # for a metric that should be low, a fall is a gain of as much
    assert non_inferiority_p(control, treatment, margin=0.0, higher_is_better=False) == pytest.approx(
        1 - non_inferiority_p(control, treatment, margin=0.0), rel=1e-12
    )


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_margins_out_of_range(margin: float):
    with pytest.raises(InvalidInput, match="tolerated loss"):
        guardrail_check(interval(-1, 0, 1), margin=margin)


def test_nothing_varies():
    constant = UnitMoments(count=5, mean=1.0, variance=0.0)
    with pytest.raises(NotEnoughData, match="wait until the metric varies"):
        non_inferiority_p(constant, constant, margin=0.1)
