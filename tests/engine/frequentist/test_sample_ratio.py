import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.sample_ratio import sample_ratio_check


# Cookie Cats, 90,189 players. SciPy 1.18.1: scipy.stats.chisquare([44700, 45489])
def test_cookie_cats_gives_a_caution_and_no_mismatch():
    check = sample_ratio_check([44_700, 45_489], [0.5, 0.5])
    assert check.statistic == pytest.approx(6.9024049496058275, rel=1e-12)
    assert check.p_value == pytest.approx(0.008607987810836262, rel=1e-11)
    assert (check.mismatch, check.caution) == (False, True)
    assert check.expected == (45_094.5, 45_094.5)


# SciPy 1.18.1: scipy.stats.chisquare([480, 330, 190], [500, 300, 200])
def test_three_variants():
    check = sample_ratio_check([480, 330, 190], [5, 3, 2])
    assert (check.statistic, check.p_value) == pytest.approx((4.3, 0.11648415777349701), rel=1e-12)
    assert (check.mismatch, check.caution, check.degrees_of_freedom) == (False, False, 2)


def test_a_variant_with_weight_0_is_left_out():
    with_it = sample_ratio_check([480, 7, 520], [1, 0, 1])
    without = sample_ratio_check([480, 520], [1, 1])
    assert (with_it.p_value, with_it.degrees_of_freedom) == (without.p_value, 1)
    assert with_it.expected == (500.0, 0.0, 500.0)


def test_a_mismatch():
    check = sample_ratio_check([5000, 5500], [1, 1])
    assert (check.mismatch, check.caution) == (True, True)
    assert not sample_ratio_check([5000, 5500], [1, 1], threshold=1e-7, caution=1e-7).mismatch


@pytest.mark.parametrize(
    ("observed", "weights", "error", "says"),
    [
        ([0, 0], [1, 1], NotEnoughData, "wait for the first exposure"),
        ([0, 5, 0], [1, 0, 1], NotEnoughData, "wait for the first exposure"),
        ([1, 2], [1, 0], InvalidInput, "give two of them a weight"),
        ([1, 2], [0, 0], InvalidInput, "give two of them a weight"),
        ([5], [1], InvalidInput, "give two of them a weight"),
        ([1, 2], [1, 1, 1], InvalidInput, "one of each a variant"),
        ([-1, 2], [1, 1], InvalidInput, "pass 0 or more"),
        ([1, 2], [float("nan"), 1], InvalidInput, "finite number of at least 0"),
        ([1, 2], [-1, 1], InvalidInput, "finite number of at least 0"),
    ],
)
def test_degenerate_input(observed: list[int], weights: list[float], error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        sample_ratio_check(observed, weights)


@pytest.mark.parametrize(("threshold", "caution"), [(0.0, 0.01), (0.1, 0.01), (0.001, 1.0)])
def test_thresholds_out_of_range(threshold: float, caution: float):
    with pytest.raises(InvalidInput, match="0 < threshold <= caution < 1"):
        sample_ratio_check([1, 2], [1, 1], threshold=threshold, caution=caution)
