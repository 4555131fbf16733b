import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from engine.bandits.inference import BatchLog, Estimator, adaptive_estimates, moments
from engine.bandits.intervals import (
    Intervals,
    Moments,
    difference_intervals,
    difference_p_values,
    value_intervals,
)
from engine.frequentist.proportions import newcombe_interval, wilson_interval
from engine.summaries import ProportionSummary

Z = float(norm.ppf(0.975))
CONTROL, TREATMENT = (
    ProportionSummary(converted=56, exposed=70),
    ProportionSummary(converted=48, exposed=80),
)


def found(values: list[float], covariances: list[list[float]]) -> Moments:
    return Moments(values=np.array(values), covariances=np.array(covariances))


def binomial(*summaries: ProportionSummary) -> Moments:
    """Independent rates with the variances that a binomial has."""
    variances = [one.rate * (1 - one.rate) / one.exposed for one in summaries]
    return Moments(values=np.array([one.rate for one in summaries]), covariances=np.diag(variances))


def ends(intervals: Intervals, arm: int) -> tuple[float, float]:
    return float(intervals.low[arm]), float(intervals.high[arm])


def test_independent_conversions_have_wilsons_interval() -> None:
    intervals = value_intervals(binomial(CONTROL, TREATMENT), z=Z, conversions=True)
    expected = wilson_interval(TREATMENT)
    assert ends(intervals, 1) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_independent_conversions_have_newcombes_difference() -> None:
    """Newcombe (1998), table II, method 10: 56/70 - 48/80 is 0.2, 0.0524 to 0.3339."""
    intervals = difference_intervals(binomial(TREATMENT, CONTROL), control=0, z=Z, conversions=True)
    assert ends(intervals, 1) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    expected = newcombe_interval(TREATMENT, CONTROL)
    assert ends(intervals, 1) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert ends(intervals, 0) == (0.0, 0.0)


def test_other_rewards_have_normal_intervals_with_their_covariance() -> None:
    estimates = found([1.0, 4.0], [[0.25, 0.1], [0.1, 1.0]])
    values = value_intervals(estimates, z=Z, conversions=False)
    assert ends(values, 1) == pytest.approx((4.0 - Z, 4.0 + Z))
    differences = difference_intervals(estimates, control=0, z=Z, conversions=False)
    reach = Z * np.sqrt(1.0 + 0.25 - 0.2)
    assert ends(differences, 1) == pytest.approx((3.0 - reach, 3.0 + reach))


def test_what_moves_together_differs_less() -> None:
    apart, together = (found([0.1, 0.12], [[1e-4, c], [c, 1e-4]]) for c in (-5e-5, 5e-5))
    wide, narrow = (difference_intervals(one, control=0, z=Z, conversions=True) for one in (apart, together))
    assert wide.low[1] < narrow.low[1] < narrow.high[1] < wide.high[1]


def test_an_estimate_outside_its_range_has_a_normal_interval() -> None:
    """Inverse propensities can leave 0 to 1."""
    estimates = found([1.02, 0.5], [[0.01, 0.0], [0.0, 0.01]])
    intervals = value_intervals(estimates, z=Z, conversions=True)
    assert ends(intervals, 0) == pytest.approx((1.02 - 0.1 * Z, 1.02 + 0.1 * Z))
    assert intervals.high[1] - 0.5 < 0.1 * Z


def test_many_logs_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(3)
    values, roots = rng.uniform(0.1, 0.9, (5, 3)), 0.1 * rng.normal(size=(5, 3, 3))
    covariances = roots @ np.swapaxes(roots, -1, -2) + 0.01 * np.eye(3)
    together = difference_intervals(Moments(values=values, covariances=covariances), control=1, z=1.5, conversions=True)
    for run in range(5):
        alone = difference_intervals(
            Moments(values=values[run], covariances=covariances[run]), control=1, z=1.5, conversions=True
        )
        assert_allclose(together.low[run], alone.low, rtol=1e-12)
        assert_allclose(together.high[run], alone.high, rtol=1e-12)


@pytest.mark.parametrize("conversions", [True, False])
def test_a_p_value_is_where_the_interval_begins_at_nothing(conversions: bool) -> None:
    estimates = found([0.1, 0.14, 0.08], [[2e-4, 1e-5, 0.0], [1e-5, 3e-4, 0.0], [0.0, 0.0, 1e-4]])
    p_values = difference_p_values(estimates, control=0, conversions=conversions)
    assert p_values[0] == 1.0
    for arm in (1, 2):
        z = float(norm.isf(p_values[arm] / 2.0))
        low, high = ends(difference_intervals(estimates, control=0, z=z, conversions=conversions), arm)
        assert min(abs(low), abs(high)) == pytest.approx(0.0, abs=1e-9)
    if not conversions:
        assert p_values[1] == pytest.approx(2.0 * norm.sf(0.04 / np.sqrt(4.8e-4)), rel=1e-9)


def test_p_values_at_the_ends() -> None:
    same = found([0.2, 0.2], [[1e-4, 0.0], [0.0, 1e-4]])
    assert difference_p_values(same, control=0, conversions=True)[1] == 1.0
    sure = found([0.2, 0.8], [[1e-9, 0.0], [0.0, 1e-9]])
    assert difference_p_values(sure, control=0, conversions=False)[1] == 0.0


def test_interval_and_p_value_never_disagree() -> None:
    rng = np.random.default_rng(8)
    pulls = np.full((200, 6, 2), 60.0)
    rewards = rng.binomial(60, [0.08, 0.12], pulls.shape).astype(float)
    seen = set[bool]()
    for run in range(200):
        log = BatchLog(
            probabilities=np.full((6, 2), 0.5), pulls=pulls[run], rewards=rewards[run], squared_rewards=rewards[run]
        )
        one = adaptive_estimates(log, Estimator.AW_AIPW, conversions=True).differences[0]
        assert (one.p_value < 0.05) is not (one.difference.low <= 0.0 <= one.difference.high)
        seen.add(one.p_value < 0.05)
    assert seen == {True, False}


def test_shown_estimates_are_these_intervals() -> None:
    rng = np.random.default_rng(9)
    pulls = np.full((5, 3), 80.0)
    rewards = rng.binomial(80, [0.1, 0.2, 0.15], (5, 3)).astype(float)
    log = BatchLog(probabilities=np.full((5, 3), 1 / 3), pulls=pulls, rewards=rewards, squared_rewards=rewards)
    shown = adaptive_estimates(log, Estimator.AW_AIPW, level=0.95, control=1, conversions=True)
    estimates = moments(log, Estimator.AW_AIPW)
    values = value_intervals(estimates, z=Z, conversions=True)
    differences = difference_intervals(estimates, control=1, z=Z, conversions=True)
    for arm, one in enumerate(shown.values):
        assert (one.low, one.high) == pytest.approx(ends(values, arm))
    assert [one.arm for one in shown.differences] == [0, 2]
    for one in shown.differences:
        assert (one.difference.low, one.difference.high) == pytest.approx(ends(differences, one.arm))
