import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from engine.errors import InvalidInput
from engine.simulation.promises import CalibrationCurve, CalibrationReport, CalibrationRow, Promise


def row(count: int, trials: int, promise: Promise, promised: float | None) -> CalibrationRow:
    return CalibrationRow(section="s", name="n", count=count, trials=trials, promise=promise, promised=promised)


@pytest.mark.parametrize(("count", "trials"), [(0, 50), (3, 50), (50, 50), (120, 2000)])
def test_interval_and_p_value_are_those_of_binomtest(count: int, trials: int) -> None:
    found = row(count, trials, Promise.AT_MOST, 0.05)
    expected = binomtest(count, trials, 0.05, alternative="greater")
    interval = binomtest(count, trials).proportion_ci(0.95)
    assert_allclose(found.p_value, expected.pvalue, rtol=1e-9)
    assert_allclose(found.interval, (interval.low, interval.high), rtol=1e-9)


def test_both_sides_count_where_about_is_promised() -> None:
    low = binomtest(900, 1000, 0.95, alternative="less").pvalue
    assert_allclose(row(900, 1000, Promise.ABOUT, 0.95).p_value, 2 * low, rtol=1e-9)
    assert row(900, 1000, Promise.ABOUT, 0.95).holds is False
    assert row(1000, 1000, Promise.ABOUT, 0.95).holds is False
    assert row(945, 1000, Promise.ABOUT, 0.95).holds is True
    assert row(900, 1000, Promise.AT_MOST, 0.95).holds is True
    assert row(900, 1000, Promise.NOTHING, None).holds is None


@pytest.mark.parametrize(
    ("count", "trials", "promise", "promised"),
    [(3, 2, Promise.NOTHING, None), (0, 0, Promise.NOTHING, None), (1, 2, Promise.ABOUT, None)],
)
def test_rows_that_cannot_be(count: int, trials: int, promise: Promise, promised: float | None) -> None:
    with pytest.raises(InvalidInput, match="pass"):
        row(count, trials, promise, promised)


def test_curve_by_hand() -> None:
    curve = CalibrationCurve.of(np.array([0.1, 0.3, 0.9, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]), bins=2)
    assert_allclose(curve.predicted, [0.2, 0.95])
    assert_allclose(curve.realised, [0.5, 1.0])
    assert_allclose(curve.expected_error, (0.3 * 2 + 0.05 * 2) / 4)


def test_one_broken_promise_is_a_broken_report() -> None:
    curve = CalibrationCurve.of(np.array([0.5]), np.array([1.0]))
    kept, broken = row(50, 1000, Promise.AT_MOST, 0.05), row(150, 1000, Promise.AT_MOST, 0.05)
    shown = row(900, 1000, Promise.NOTHING, None)
    assert CalibrationReport(rows=(kept, shown), curve=curve, ranks={}).holds
    assert not CalibrationReport(rows=(kept, broken), curve=curve, ranks={}).holds
