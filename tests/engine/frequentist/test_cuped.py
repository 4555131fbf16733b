import numpy as np
import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.comparing import compare_means
from engine.frequentist.cuped import cuped_adjustment
from engine.summaries import CovariateSummary

CONTROL = CovariateSummary.from_values([2.0, 3.5, 7, 5, 9, 4.2], [1.0, 2, 4, 3, 5, 2])
TREATMENT = CovariateSummary.from_values([11.0, 8.3, 6.4, 9.9, 3.1, 8], [6.0, 4, 3, 5, 1, 4])


# statsmodels 0.15.0: OLS(y, [1, variant, x]).fit().params == [0.43614719, 1.01471862, 1.65194805]: an analysis of
# covariance with one slope has CUPED's coefficient and difference
def test_against_analysis_of_covariance():
    adjustment = cuped_adjustment([CONTROL, TREATMENT])
    assert adjustment.coefficient == pytest.approx(1.6519480519480534, rel=1e-13)
    control, treatment = adjustment.variants
    assert treatment.mean - control.mean == pytest.approx(1.0147186147186158, rel=1e-13)


def test_the_variance_shrinks_by_the_squared_correlation():
    rng = np.random.default_rng(8)
    covariate = rng.normal(10, 2, 40_000)
    metric = 3 * covariate + rng.normal(0, 4, 40_000)
    halves = [CovariateSummary.from_values(metric[i::2], covariate[i::2]) for i in range(2)]
    adjustment = cuped_adjustment(halves)
    # true correlation: 6 / sqrt(36 + 16), squared 0.6923
    assert adjustment.variance_reduction == pytest.approx(36 / 52, abs=0.01)
    shrunk = sum(one.variance for one in adjustment.variants) / sum(half.metric.variance for half in halves)
    assert shrunk == pytest.approx(1 - adjustment.variance_reduction, rel=1e-3)


def test_the_adjusted_moments_fit_the_tests():
    plain = compare_means([CONTROL.metric, TREATMENT.metric])
    adjusted = compare_means(cuped_adjustment([CONTROL, TREATMENT]).variants)
    assert adjusted.p_value < plain.p_value


def test_a_covariate_that_explains_nothing_changes_nothing():
    metric, covariate = [1.0, 2.0, 1.0, 2.0], [0.0, 0.0, 5.0, 5.0]
    adjustment = cuped_adjustment([CovariateSummary.from_values(metric, covariate)] * 2)
    assert adjustment.coefficient == 0.0
    assert adjustment.variance_reduction == 0.0


def test_degenerate_input():
    constant = CovariateSummary.from_values([1.0, 2.0], [3.0, 3.0])
    with pytest.raises(NotEnoughData, match="analyse without it"):
        cuped_adjustment([constant, constant])
    with pytest.raises(InvalidInput, match="measured before exposure"):
        cuped_adjustment([CovariateSummary.from_values([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])] * 2)
    with pytest.raises(NotEnoughData, match="wait for more exposures"):
        cuped_adjustment([CONTROL, CovariateSummary.from_values([1.0], [1.0])])
