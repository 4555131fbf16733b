from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from engine.errors import NotEnoughData
from engine.frequentist import fisher
from engine.frequentist.fisher import enumerated_p, fisher_exact_test, pair_p, sampled_p
from engine.frequentist.results import FrequentistTest
from engine.summaries import ProportionSummary


def summaries(*counts: tuple[int, int]) -> list[ProportionSummary]:
    return [ProportionSummary(converted=converted, exposed=exposed) for converted, exposed in counts]


# First: R's ?fisher.test, "Convictions", p-value = 0.0005367. Digits and the others: SciPy 1.18.1, fisher_exact
@pytest.mark.parametrize(
    ("first", "second", "p_value"),
    [
        ((2, 12), (15, 18), 0.0005367241191434357),
        ((3, 4), (97, 296), 0.10961968680089486),
        ((0, 12), (5, 12), 0.03726708074534161),
        ((7, 9), (9993, 109_991), 1.5625285949077625e-06),
    ],
)
def test_two_variants(first: tuple[int, int], second: tuple[int, int], p_value: float):
    result = fisher_exact_test(summaries(first, second))
    assert result.test is FrequentistTest.FISHER_EXACT
    assert "exact" in result.method
    assert result.p_value == pytest.approx(p_value, rel=1e-9)


def by_whole_numbers(exposed: tuple[int, ...], counts: tuple[int, ...]) -> float:
    """Return the Freeman-Halton p-value by going through all tables in whole numbers."""

    def ways(table: tuple[int, ...]) -> int:
        total = 1
        for units, count in zip(exposed, table, strict=True):
            total *= comb(units, count)
        return total

    tables = [t for t in product(*(range(n + 1) for n in exposed)) if sum(t) == sum(counts)]
    return sum(ways(t) for t in tables if ways(t) <= ways(counts)) / sum(map(ways, tables))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=4).flatmap(
        lambda exposed: st.tuples(st.just(exposed), st.tuples(*(st.integers(0, n) for n in exposed)))
    )
)
def test_any_number_of_variants_against_whole_numbers(table: tuple[list[int], tuple[int, ...]]):
    exposed, counts = table
    expected = by_whole_numbers(tuple(exposed), counts)
    assert enumerated_p(np.array(exposed), np.array(counts)) == pytest.approx(expected, rel=1e-9)


def test_four_variants_against_permutations():
    # SciPy 1.18.1: fisher_exact(table, method=PermutationMethod(n_resamples=400000, rng=1)): 0.30000, s.e. 0.0007
    result = fisher_exact_test(summaries((2, 100), (6, 90), (3, 50), (1, 15)))
    assert "Freeman-Halton" in result.method
    assert result.p_value == pytest.approx(0.3000, abs=0.0022)


def test_swapping_outcomes_changes_nothing():
    kept = fisher_exact_test(summaries((2, 100), (6, 90), (3, 50)))
    turned = fisher_exact_test(summaries((98, 100), (84, 90), (47, 50)))
    assert turned.p_value == pytest.approx(kept.p_value, rel=1e-12)


def test_too_many_tables_are_sampled_and_said_so(monkeypatch: pytest.MonkeyPatch):
    table = summaries((2, 100), (6, 90), (3, 50), (1, 15))
    exact = fisher_exact_test(table).p_value
    monkeypatch.setattr(fisher, "MAXIMUM_TABLES", 100)
    sampled = fisher_exact_test(table)
    assert "10000 drawn tables (Monte Carlo)" in sampled.method
    assert sampled.p_value == fisher_exact_test(table).p_value
    assert sampled.p_value == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 10_000) ** 0.5)


def test_a_large_table_is_sampled_without_enumerating():
    result = fisher_exact_test(summaries(*[(300, 1000)] * 5, (4, 6)))
    assert "Monte Carlo" in result.method
    assert 0.0 < result.p_value < 1.0


def test_large_variants_beside_a_tiny_one():
    # 120,000 tables, which the wrong order would reach by way of 3,600,000,000
    result = fisher_exact_test(summaries((30_000, 100_000), (30_300, 100_000), (1, 1)))
    assert "exact" in result.method
    # SciPy 1.18.1: the tiny variant's unit is hypergeometric, and given it the first variant is
    total, first = 60_301, np.arange(60_302)
    likelihoods = np.concatenate(
        [hypergeom.pmf(own, 200_001, 1, total) * hypergeom.pmf(first, 200_000, 100_000, total - own) for own in (0, 1)]
    )
    observed = hypergeom.pmf(1, 200_001, 1, total) * hypergeom.pmf(30_000, 200_000, 100_000, total - 1)
    assert result.p_value == pytest.approx(likelihoods[likelihoods <= observed * (1 + 1e-7)].sum(), rel=1e-6)


def test_more_conversions_than_could_be_tabulated():
    result = fisher_exact_test(summaries(*[(300_000, 1_000_000)] * 3, (2, 4)))
    assert "Monte Carlo" in result.method


def test_very_many_variants():
    result = fisher_exact_test(summaries(*[(3, 10)] * 80))
    assert "Monte Carlo" in result.method
    assert result.p_value > 0.99


def test_sampled_p_is_never_zero():
    exposed, counts = np.array([1000, 1000, 1000]), np.array([300, 0, 0])
    assert sampled_p(exposed, counts, rng=np.random.default_rng(5)) == 1 / 10_001


def test_a_pair_with_a_single_possible_table():
    assert pair_p(*summaries((0, 50), (0, 60))) == 1.0


def test_degenerate_tables():
    with pytest.raises(NotEnoughData, match="wait for conversions"):
        fisher_exact_test(summaries((0, 3), (0, 4)))
