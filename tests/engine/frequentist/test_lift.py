import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.frequentist.lift import linear_interval, log_ratio_interval, proportion_lift
from engine.moments import UnitMoments

positive = st.builds(UnitMoments, count=st.integers(2, 10_000), mean=st.floats(0.1, 1e3), variance=st.floats(0.01, 1e4))


def moments(count: int, mean: float, variance: float) -> UnitMoments:
    return UnitMoments(count=count, mean=mean, variance=variance)


@given(positive, positive)
def test_the_interval_is_symmetric_in_logs(control: UnitMoments, treatment: UnitMoments):
    lift = log_ratio_interval(control, treatment, multiplier=1.0)
    back = log_ratio_interval(treatment, control, multiplier=1.0)
    assert lift is not None
    assert back is not None
    assert math.log1p(lift.point) == pytest.approx(-math.log1p(back.point), abs=1e-12)
    if math.isfinite(lift.high) and back.low > -1 + 1e-9:
        assert (1 + lift.high) * (1 + back.low) == pytest.approx(1.0, rel=1e-6)


def test_large_samples_agree_with_the_linear_interval():
    control, treatment = moments(10**8, 10.0, 4.0), moments(10**8, 11.0, 5.0)
    curved, straight = (f(control, treatment, multiplier=1.96) for f in (log_ratio_interval, linear_interval))
    assert curved is not None
    assert (curved.point, curved.low, curved.high) == pytest.approx(
        (straight.point, straight.low, straight.high), rel=1e-3
    )


@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_no_lift_over_a_control_that_is_not_positive(mean: float):
    assert log_ratio_interval(moments(10, mean, 1.0), moments(10, 1.0, 1.0), multiplier=2.0) is None


def test_a_loss_beyond_the_whole():
    lift = log_ratio_interval(moments(100, 10.0, 1.0), moments(100, -2.0, 1.0), multiplier=2.0)
    assert lift is not None
    # by hand: ratio -0.2, se = sqrt(0.01 + 0.04 * 0.01) / 10
    assert lift.point == pytest.approx(-1.2)
    assert lift.high - lift.point == pytest.approx(2 * math.sqrt(0.0104) / 10)


def test_no_interval_of_width_zero():
    assert log_ratio_interval(moments(100, 10.0, 1.0), moments(100, 0.0, 0.0), multiplier=2.0) is None
    filled = proportion_lift(moments(100, 0.5, 0.25), moments(100, 0.0, 0.0), multiplier=2.0)
    assert filled is not None
    assert filled.low == -1.0 < filled.high


def test_an_end_beyond_all_numbers_is_infinite():
    lift = log_ratio_interval(moments(2, 1e-3, 1e6), moments(2, 1.0, 1.0), multiplier=10.0)
    assert lift is not None
    assert lift.high == math.inf
