import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.frequentist.multiplicity import benjamini_hochberg, holm, holm_batch

p_lists = st.lists(st.floats(0, 1), max_size=12)
RAW = [0.01, 0.04, 0.03, 0.005, 0.2, 0.04]


# statsmodels 0.15.0: statsmodels.stats.multitest.multipletests(RAW, method="holm" / "fdr_bh")
def test_references():
    assert holm(RAW) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.2, 0.12], rel=1e-13)
    assert benjamini_hochberg(RAW) == pytest.approx([0.03, 0.048, 0.048, 0.03, 0.2, 0.048], rel=1e-13)


@given(p_lists)
def test_holm_is_never_below_raw_and_keeps_the_order(p_values: list[float]):
    adjusted = holm(p_values)
    assert all(raw <= one <= 1.0 for raw, one in zip(p_values, adjusted, strict=True))
    ordered = [adjusted[index] for index in np.argsort(p_values, kind="stable")]
    assert ordered == sorted(ordered)


@given(p_lists)
def test_benjamini_hochberg_lies_between_raw_and_holm(p_values: list[float]):
    for raw, one, strict in zip(p_values, benjamini_hochberg(p_values), holm(p_values), strict=True):
        assert raw - 1e-15 <= one <= strict + 1e-15


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_batch_agrees_with_one_by_one(rows: list[list[float]]):
    assert holm_batch(np.array(rows)) == pytest.approx(np.array([holm(row) for row in rows]), rel=1e-14)


def test_batch_keeps_what_was_not_computed():
    rows = np.array([[0.01, np.nan], [0.01, 0.02]])
    assert np.isnan(holm_batch(rows)).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1])
def test_what_is_no_p_value_is_refused(wrong: float):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        holm([0.5, wrong])
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        benjamini_hochberg([0.5, wrong])
