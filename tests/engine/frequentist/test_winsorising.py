import numpy as np
import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.frequentist.winsorising import WinsorisingLimits, winsorised, winsorising_limits

VALUES = [3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 100]


# numpy 2.5: np.quantile(VALUES, [0.05, 0.9])
def test_limits_of_all_variants_together():
    limits = winsorising_limits([VALUES[:5], VALUES[5:]], lower=0.05, upper=0.9)
    assert (limits.low, limits.high) == pytest.approx((1.0, 8.7))


# SciPy 1.18.1: scipy.stats.mstats.winsorize(VALUES, limits=(0, 1 / 12))
def test_values_beyond_a_limit_are_set_to_it():
    cut = winsorised(VALUES, WinsorisingLimits(low=-np.inf, high=9.0))
    assert cut.tolist() == [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 9]


def test_quantiles_0_and_1_cut_nothing():
    limits = winsorising_limits([VALUES], lower=0.0, upper=1.0)
    assert limits == WinsorisingLimits(low=-np.inf, high=np.inf)
    assert winsorised(VALUES, limits).tolist() == VALUES


def test_zeros_can_be_left_out_of_the_quantiles():
    limits = winsorising_limits([[0.0] * 999, [1.0, 3.0]], upper=0.5, ignore_zeros=True)
    assert limits.high == 2.0


def test_degenerate_input():
    with pytest.raises(InvalidInput, match="0 <= lower < upper <= 1"):
        winsorising_limits([VALUES], lower=0.9, upper=0.1)
    with pytest.raises(InvalidInput, match="leave out, or replace"):
        winsorising_limits([[1.0, float("nan")]])
    with pytest.raises(NotEnoughData, match="wait for the first observations"):
        winsorising_limits([])
    with pytest.raises(NotEnoughData, match="wait for the first observations"):
        winsorising_limits([[0.0, 0.0]], ignore_zeros=True)
