from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput, NotEnoughData
from engine.summaries import CovariateSummary, MeanSummary, ProportionSummary, RatioSummary, pooled

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
pairs = st.lists(st.tuples(finite, finite), max_size=30)


def columns(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows]


class TestProportions:
    def test_rate_and_count(self):
        summary = ProportionSummary(converted=3, exposed=12)
        assert (summary.rate, summary.count) == (0.25, 12)

    def test_from_zeros_and_ones(self):
        assert ProportionSummary.from_values([True, False, True]) == ProportionSummary(converted=2, exposed=3)

    def test_numpy_counts_become_whole_numbers(self):
        summary = ProportionSummary(converted=np.int32(2_000_000_000), exposed=np.int32(2_000_000_000))
        assert (summary + summary).exposed == 4_000_000_000

    @given(st.lists(st.tuples(st.integers(0, 50), st.integers(50, 99)), min_size=1))
    def test_merging_equals_adding_counts(self, counts: list[tuple[int, int]]):
        merged = pooled(ProportionSummary(converted=c, exposed=e) for c, e in counts)
        assert merged == ProportionSummary(converted=sum(c for c, _ in counts), exposed=sum(e for _, e in counts))

    @pytest.mark.parametrize(
        ("converted", "exposed", "says"),
        [
            (-1, 5, "pass 0 or more"),
            (6, 5, "count each unit once"),
            (float("nan"), 5, "pass a whole number"),
            (2.0, 5, "pass a whole number"),
        ],
    )
    def test_impossible_counts_are_refused(self, converted: int, exposed: int, says: str):
        with pytest.raises(InvalidInput, match=says):
            ProportionSummary(converted=converted, exposed=exposed)

    def test_other_values_are_refused(self):
        with pytest.raises(InvalidInput, match="use MeanSummary"):
            ProportionSummary.from_values([0, 1, 2])

    def test_no_rate_without_units(self):
        with pytest.raises(NotEnoughData, match="wait for the first exposure"):
            _ = ProportionSummary(converted=0, exposed=0).rate


class TestMeans:
    # numpy 2.5: np.mean, np.var(ddof=1) of [1.5, 2.25, 8.0, -3.0]
    def test_moments(self):
        summary = MeanSummary.from_values([1.5, 2.25, 8.0, -3.0])
        assert summary.mean == pytest.approx(2.1875, rel=1e-15)
        assert summary.variance == pytest.approx(20.390625, rel=1e-15)
        assert summary.standard_deviation == pytest.approx(4.5155979670471105, rel=1e-15)

    def test_totals_in_micro_units(self):
        cents = [199, 2_050, 0, 12_345]
        summary = MeanSummary(
            count=4,
            total=sum(c * 10_000 for c in cents),
            total_of_squares=sum((c * 10_000) ** 2 for c in cents),
            scale=1_000_000,
        )
        assert summary.mean == 36.485
        assert summary.variance == pytest.approx(np.var([c / 100 for c in cents], ddof=1), rel=1e-13)

    def test_a_large_mean_costs_no_digit(self):
        # NIST StRD, "NumAcc4": mean 10000000.2, standard deviation 0.1 (certified, in decimal)
        values = [10_000_000.2] + [10_000_000.1, 10_000_000.3] * 500
        scaled = [round(value * 10) for value in values]
        summary = MeanSummary(
            count=len(scaled), total=sum(scaled), total_of_squares=sum(v * v for v in scaled), scale=10
        )
        assert summary.mean == 10_000_000.2
        assert summary.standard_deviation == pytest.approx(0.1, rel=1e-15)

    @given(pairs, pairs, pairs)
    def test_merging_equals_pooling_in_any_order(self, first, second, third):
        parts = [MeanSummary.from_values(columns(rows)[0]) for rows in (first, second, third)]
        whole = MeanSummary.from_values(columns(first + second + third)[0])
        assert parts[0] + (parts[1] + parts[2]) == (parts[0] + parts[1]) + parts[2]
        for left, right in pairwise([parts[2] + parts[0] + parts[1], whole]):
            assert Fraction(left.total, left.scale) == Fraction(right.total, right.scale)
            assert Fraction(left.total_of_squares, left.scale**2) == Fraction(right.total_of_squares, right.scale**2)

    def test_merging_scales(self):
        micro = MeanSummary(count=1, total=1_500_000, total_of_squares=1_500_000**2, scale=1_000_000)
        halves = MeanSummary(count=1, total=3, total_of_squares=9, scale=2)
        merged = micro + halves
        assert (merged.mean, merged.variance) == (1.5, 0.0)

    @given(
        st.integers(2, 10_000),
        st.floats(-1e6, 1e6, allow_subnormal=False),
        st.floats(0, 1e6, allow_subnormal=False),
    )
    def test_from_moments_gives_them_back(self, count: int, mean: float, variance: float):
        summary = MeanSummary.from_moments(count=count, mean=mean, variance=variance)
        assert (summary.mean, summary.variance) == (mean, variance)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"count": -1, "total": 0, "total_of_squares": 0}, "pass 0 or more"),
            ({"count": 2, "total": 10, "total_of_squares": 1}, "same units and scale"),
            ({"count": 0, "total": 1, "total_of_squares": 1}, "same units and scale"),
            ({"count": 1, "total": 1, "total_of_squares": 1, "scale": 0}, "at least 1"),
            ({"count": 1, "total": float("nan"), "total_of_squares": 1}, "pass a whole number"),
        ],
    )
    def test_impossible_sums_are_refused(self, fields: dict[str, int], says: str):
        with pytest.raises(InvalidInput, match=says):
            MeanSummary(**fields)

    @pytest.mark.parametrize("values", [[1.0, float("nan")], [float("inf")]])
    def test_values_that_are_no_numbers_are_refused(self, values: list[float]):
        with pytest.raises(InvalidInput, match="leave out, or replace"):
            MeanSummary.from_values(values)

    def test_tables_are_refused(self):
        with pytest.raises(InvalidInput, match="pass one flat array"):
            MeanSummary.from_values([[1.0], [2.0]])

    @pytest.mark.parametrize(("count", "mean", "variance"), [(1, 0.0, 1.0), (5, float("nan"), 1.0), (5, 0.0, -1.0)])
    def test_impossible_moments_are_refused(self, count: int, mean: float, variance: float):
        with pytest.raises(InvalidInput, match="2 units or more"):
            MeanSummary.from_moments(count=count, mean=mean, variance=variance)

    def test_too_few_units(self):
        with pytest.raises(NotEnoughData, match="wait for the first exposure"):
            _ = MeanSummary.from_values([]).mean
        with pytest.raises(NotEnoughData, match="wait for more exposures"):
            _ = MeanSummary.from_values([1.0]).variance


class TestRatios:
    def test_ratio_and_covariance(self):
        summary = RatioSummary.from_values([12.0, 0.0, 30.0, 7.0], [3.0, 1.0, 5.0, 2.0])
        assert summary.ratio == pytest.approx(49 / 11, rel=1e-15)
        # numpy 2.5: np.cov([12, 0, 30, 7], [3, 1, 5, 2])[0, 1]
        assert summary.covariance == pytest.approx(21.75, rel=1e-15)
        assert summary.count == 4

    @given(pairs, pairs)
    def test_merging_equals_pooling(self, first, second):
        merged = RatioSummary.from_values(*columns(first)) + RatioSummary.from_values(*columns(second))
        whole = RatioSummary.from_values(*columns(first + second))
        scales = [s.numerator.scale * s.denominator.scale for s in (merged, whole)]
        assert Fraction(merged.total_of_products, scales[0]) == Fraction(whole.total_of_products, scales[1])
        assert merged.cross_scatter * scales[1] == whole.cross_scatter * scales[0]

    def test_sums_of_other_units_are_refused(self):
        one, two = MeanSummary.from_values([1.0, 2.0]), MeanSummary.from_values([1.0, 2.0, 3.0])
        with pytest.raises(InvalidInput, match="over the same units"):
            RatioSummary(numerator=one, denominator=two, total_of_products=1)
        with pytest.raises(InvalidInput, match="same units and scale"):
            RatioSummary(numerator=one, denominator=one, total_of_products=100)
        with pytest.raises(InvalidInput, match="one of each a unit"):
            RatioSummary.from_values([1.0, 1.0], [1.0, 1.0]).merge(RatioSummary.from_values([1.0], [1.0, 2.0]))

    def test_no_ratio_without_denominators(self):
        with pytest.raises(NotEnoughData, match="wait until units have some"):
            _ = RatioSummary.from_values([1.0, 2.0], [0.0, 0.0]).ratio


class TestCovariates:
    @given(pairs, pairs)
    def test_merging_equals_pooling(self, first, second):
        merged = CovariateSummary.from_values(*columns(first)) + CovariateSummary.from_values(*columns(second))
        whole = CovariateSummary.from_values(*columns(first + second))
        scales = [s.metric.scale * s.covariate.scale for s in (merged, whole)]
        assert merged.cross_scatter * scales[1] == whole.cross_scatter * scales[0]
        assert merged.count == whole.count

    def test_covariance(self):
        # numpy 2.5: np.cov([2, 3.5, 7, 5], [1, 2, 4, 3])[0, 1]
        assert CovariateSummary.from_values([2, 3.5, 7, 5], [1, 2, 4, 3]).covariance == pytest.approx(2.75, rel=1e-14)


def test_nothing_to_pool():
    with pytest.raises(NotEnoughData, match="pass at least one"):
        pooled(iter(()))
