import pytest

from engine.errors import InvalidInput
from engine.levels import error_rate, normal_cdf, two_sided_p, two_sided_quantile


# SciPy 1.18.1: scipy.stats.norm.isf((1 - level) / 2)
@pytest.mark.parametrize(
    ("level", "quantile"),
    [(0.90, 1.6448536269514722), (0.95, 1.959963984540054), (0.99, 2.5758293035489004)],
)
def test_quantiles(level: float, quantile: float):
    assert two_sided_quantile(error_rate(level)) == pytest.approx(quantile, rel=1e-13)


def test_tails_keep_their_digits():
    # SciPy 1.18.1: 2 * scipy.stats.norm.sf(10), scipy.stats.norm.cdf(-20)
    assert two_sided_p(-10.0) == pytest.approx(1.523970604832094e-23, rel=1e-12)
    assert normal_cdf(-20.0) == pytest.approx(2.7536241186061556e-89, rel=1e-12)


def test_bonferroni():
    assert error_rate(0.95, comparisons=4) == pytest.approx(0.0125)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.1, float("nan")])
def test_levels_out_of_range(level: float):
    with pytest.raises(InvalidInput, match=r"such as 0\.95"):
        error_rate(level)


def test_no_comparison():
    with pytest.raises(InvalidInput, match="at least one treatment"):
        error_rate(0.95, comparisons=0)
