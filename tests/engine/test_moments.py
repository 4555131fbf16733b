import pytest

from engine.errors import InvalidInput, NotEnoughData
from engine.moments import check_counts, check_variants, proportion_moments, ratio_moments
from engine.summaries import ProportionSummary, RatioSummary


def test_of_a_proportion():
    moments = proportion_moments(ProportionSummary(converted=3, exposed=12))
    assert (moments.count, moments.mean, moments.variance) == (12, 0.25, 0.1875)


# statsmodels 0.15.0: WLS(y / d, 1, weights=d).fit(cov_type="HC1"): params 4.178571428571427, bse 0.4362874734072481;
# clustering by unit gives the delta method's standard error
def test_of_a_ratio():
    summary = RatioSummary.from_values([12, 0, 30, 7, 18, 0, 9, 22, 5, 14], [3, 1, 5, 2, 4, 1, 2, 6, 1, 3])
    moments = ratio_moments(summary)
    assert moments.mean == pytest.approx(4.178571428571427, rel=1e-14)
    assert (moments.variance / moments.count) ** 0.5 == pytest.approx(0.4362874734072481, rel=1e-12)


def test_a_constant_ratio_does_not_vary_at_all():
    assert ratio_moments(RatioSummary.from_values([0.3, 0.9, 1.5], [0.1, 0.3, 0.5])).variance == pytest.approx(
        0, abs=1e-30
    )
    assert ratio_moments(RatioSummary.from_values([3.0, 9.0, 15.0], [1.0, 3.0, 5.0])).variance == 0.0


def test_variants_are_checked():
    with pytest.raises(InvalidInput, match="at least one treatment"):
        check_variants([object()], control=0)
    with pytest.raises(InvalidInput, match="an index among"):
        check_variants([object(), object()], control=2)


def test_counts_are_checked():
    with pytest.raises(NotEnoughData, match=r"Variant 1 has 3 .* wait for more exposures"):
        check_counts([10, 3], minimum=5)
