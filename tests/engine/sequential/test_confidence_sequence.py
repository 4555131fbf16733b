import math

import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.moments import UnitMoments
from engine.sequential.boundary import target_information
from engine.sequential.confidence_sequence import confidence_sequence, sequential_difference


def moments(count: int, mean: float, variance: float) -> UnitMoments:
    return UnitMoments(count=count, mean=mean, variance=variance)


@pytest.mark.parametrize("level", [0.90, 0.95, 0.99])
def test_one_mean_by_the_papers_formula(level: float):
    n, target, alpha = 400, 1000, 1 - level
    rho2 = target_information(alpha) / target
    width = math.sqrt((n * rho2 + 1) / (n**2 * rho2) * math.log((n * rho2 + 1) / alpha**2)) * 3.0
    interval = confidence_sequence(moments(n, 5.0, 9.0), target=target, level=level)
    assert (interval.point, interval.low, interval.high) == pytest.approx((5.0, 5.0 - width, 5.0 + width), rel=1e-12)


def test_a_sequence_is_wider_than_a_fixed_interval_by_half_at_its_target():
    interval = confidence_sequence(moments(1000, 0.0, 1.0), target=1000)
    # sqrt(r* + 1) with r* + 1 = 9.21196806: SciPy 1.18.1's brentq of y - log(y) = 1 - log(0.05**2)
    assert interval.high * math.sqrt(1000) == pytest.approx(3.0351224130285632, rel=1e-12)


def test_the_pooled_variance_serves_where_it_is_larger():
    # a small treatment that happened to vary little
    control, treatment = moments(9000, 1.0, 4.0), moments(1000, 0.9, 1.0)
    pooled = (8999 * 4.0 + 999 * 1.0) / 9998 * (1 / 9000 + 1 / 1000)
    welch = 4.0 / 9000 + 1.0 / 1000
    pair = sequential_difference(control, treatment, target=5000, alpha=0.05)
    assert pair.standard_error == pytest.approx(math.sqrt(pooled))
    assert pair.widening == pytest.approx(math.sqrt(pooled / welch))


def test_welchs_variance_serves_where_it_is_larger():
    pair = sequential_difference(moments(9000, 1.0, 1.0), moments(1000, 0.9, 4.0), target=5000, alpha=0.05)
    assert pair.standard_error == pytest.approx(math.sqrt(1.0 / 9000 + 4.0 / 1000))
    assert pair.widening == 1.0


def test_degenerate_input():
    with pytest.raises(NotEnoughData, match=r"Variant 0 has 50 .* wait for more exposures"):
        confidence_sequence(moments(50, 1.0, 1.0), target=100)
    with pytest.raises(NotEnoughData, match="wait until the metric varies"):
        confidence_sequence(moments(500, 1.0, 0.0), target=100)
    with pytest.raises(NotEnoughData, match="wait until the metric varies"):
        sequential_difference(moments(500, 1.0, 0.0), moments(500, 1.0, 0.0), target=100, alpha=0.05)
    with pytest.raises(InvalidInput, match="planned units a variant"):
        confidence_sequence(moments(500, 1.0, 1.0), target=0)
    with pytest.raises(InvalidInput, match=r"such as 0\.95"):
        confidence_sequence(moments(500, 1.0, 1.0), target=100, level=1.5)
