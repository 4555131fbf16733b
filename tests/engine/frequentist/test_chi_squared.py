import numpy as np
import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.chi_squared import chi_squared_batch, chi_squared_tail, chi_squared_test, smallest_expected
from engine.frequentist.results import FrequentistTest
from engine.summaries import ProportionSummary


def summaries(*counts: tuple[int, int]) -> list[ProportionSummary]:
    return [ProportionSummary(converted=converted, exposed=exposed) for converted, exposed in counts]


# Cookie Cats, day-7 retention: scipy 1.18.1, scipy.stats.chi2_contingency(table, correction=False).
# Smokers: R's ?prop.test, "X-squared = 12.6, df = 3, p-value = 0.005585"; digits by SciPy 1.18.1.
# Third: SciPy 1.18.1.
@pytest.mark.parametrize(
    ("counts", "statistic", "freedom", "p_value"),
    [
        ([(8502, 44700), (8279, 45489)], 10.013167328688969, 1, 0.0015542499756142805),
        ([(83, 86), (90, 93), (129, 136), (70, 82)], 12.600411297127632, 3, 0.005585476661627042),
        ([(120, 1000), (150, 1050), (138, 1150)], 3.3131877392790927, 2, 0.19078772247769107),
    ],
)
def test_references(counts: list[tuple[int, int]], statistic: float, freedom: int, p_value: float):
    result = chi_squared_test(summaries(*counts))
    assert result.test is FrequentistTest.CHI_SQUARED
    assert result.statistic == pytest.approx(statistic, rel=1e-12)
    assert result.degrees_of_freedom == freedom
    assert result.p_value == pytest.approx(p_value, rel=1e-11)


def test_the_far_tail_keeps_its_digits():
    # SciPy 1.18.1: scipy.stats.chi2.sf(400, 1), scipy.stats.chi2.sf(400, 4)
    assert chi_squared_tail(400.0, 1) == pytest.approx(5.507248237212467e-89, rel=1e-12)
    assert chi_squared_tail(400.0, 4) == pytest.approx(2.781805083823955e-85, rel=1e-11)


def test_batch_agrees_with_one_by_one():
    rng = np.random.default_rng(11)
    exposed = rng.integers(100, 10_000, (200, 4))
    converted = rng.binomial(exposed, 0.1)
    statistic, p_value = chi_squared_batch(converted, exposed)
    for row in range(200):
        one = chi_squared_test(summaries(*zip(converted[row], exposed[row], strict=True)))
        assert statistic[row] == pytest.approx(one.statistic, rel=1e-9)
        assert p_value[row] == pytest.approx(one.p_value, rel=1e-9)


def test_batch_says_nothing_where_nothing_can_be_said():
    converted, exposed = np.array([[0, 0], [5, 5], [0, 1], [1, 2]]), np.array([[5, 5], [5, 5], [0, 5], [5, 5]])
    assert np.isnan(chi_squared_batch(converted, exposed)[1]).tolist() == [True, True, True, False]


def test_smallest_expected():
    assert smallest_expected(summaries((2, 100), (6, 300))) == 2.0
    assert smallest_expected(summaries((98, 100), (294, 300))) == 2.0


@pytest.mark.parametrize(
    ("counts", "error", "says"),
    [
        ([(1, 2)], InvalidInput, "at least one treatment"),
        ([(0, 10), (0, 10)], NotEnoughData, "wait for conversions"),
        ([(10, 10), (12, 12)], NotEnoughData, "choose a metric that not all units fulfil"),
        ([(1, 10), (0, 0)], NotEnoughData, "wait for more exposures"),
    ],
)
def test_degenerate_tables(counts: list[tuple[int, int]], error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        chi_squared_test(summaries(*counts))
