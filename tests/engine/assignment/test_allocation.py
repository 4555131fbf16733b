import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from engine.assignment.allocation import (
    Assignment,
    Holdout,
    Namespace,
    Range,
    Reason,
    assign,
    choose,
    moved_fraction,
    parts,
    position_of_unit,
    variant_of_unit,
    variant_probabilities,
    variant_ranges,
    variant_table,
    variants_of_units,
)
from engine.assignment.hashing import hash_fraction
from engine.errors import InvalidInput

UNITS = [f"user-{number}" for number in range(20_000)]
WEIGHTS = st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any).map(lambda w: [x / sum(w) for x in w])

# (weights, coverage, ranges): tests/cases.json of growthbook-python, specVersion 0.7.1, "getBucketRange".
PUBLISHED = [
    ([0.5, 0.5], 1.0, [(0, 0.5), (0.5, 1)]),
    ([0.5, 0.5], 0.5, [(0, 0.25), (0.5, 0.75)]),
    ([0.5, 0.5], 0.0, [(0, 0), (0.5, 0.5)]),
    ([0.25] * 4, 1.0, [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ([0.4, 0.6], 1.0, [(0, 0.4), (0.4, 1)]),
    ([0.2, 0.3, 0.5], 1.0, [(0, 0.2), (0.2, 0.5), (0.5, 1)]),
    ([0.2, 0.3, 0.5], 0.2, [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]),
    ([0.4, 0.5999], 1.0, [(0, 0.4), (0.4, 0.9999)]),
]
# (unit, in 0-0.4 of "namespace1", in 0.4-1 of it, in 0.2-0.7 of "промо"): growthbook 4.0.0 from PyPI, inNamespace.
NAMESPACES = [
    ("a", False, True, False),
    ("b", True, False, False),
    ("user-1", False, True, False),
    ("é", False, True, False),
    ("naïve-ключ", True, False, False),
    ("😀", True, False, True),
    ("👨\u200d👩", True, False, True),
    ("", False, True, False),
]


@pytest.mark.parametrize(("weights", "coverage", "expected"), PUBLISHED)
def test_published_ranges(weights: list[float], coverage: float, expected: list[tuple[float, float]]) -> None:
    ranges = variant_ranges(weights, coverage=coverage)
    assert [(part.start, part.end) for part in ranges] == [pytest.approx(pair, abs=1e-12) for pair in expected]


@pytest.mark.parametrize(("unit", "first", "second", "other"), NAMESPACES)
def test_published_namespaces(unit: str, first: bool, second: bool, other: bool) -> None:
    assert Namespace(name="namespace1", range=Range(start=0.0, end=0.4)).holds(unit) is first
    assert Namespace(name="namespace1", range=Range(start=0.4, end=1.0)).holds(unit) is second
    assert Namespace(name="промо", range=Range(start=0.2, end=0.7)).holds(unit) is other


@given(WEIGHTS, st.floats(0.0, 1.0))
def test_scalar_vectorised_and_ranges_agree(weights: list[float], coverage: float) -> None:
    ranges = variant_ranges(weights, coverage=coverage)
    one = variant_of_unit(weights, seed="s", coverage=coverage)
    for unit, many in zip(UNITS, variants_of_units(UNITS[:50], weights, seed="s", coverage=coverage), strict=False):
        place = hash_fraction(unit, seed="s")
        expected = next((index for index, part in enumerate(ranges) if place in part), None)
        assert one(unit) == expected
        assert (None if many < 0 else int(many)) == expected


@given(WEIGHTS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_coverage_keeps_whoever_is_in(weights: list[float], one: float, other: float) -> None:
    less, more = (variant_table(weights, coverage=value) for value in sorted((one, other)))
    assert (more[less >= 0] == less[less >= 0]).all()


@given(WEIGHTS)
def test_shares_are_the_weights_to_a_ten_thousandth(weights: list[float]) -> None:
    shares = variant_probabilities(variant_table(weights), variants=len(weights))
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.abs(shares - weights).max() <= 1.000001e-4
    assert (shares[np.array(weights) == 0.0] == 0.0).all()


def test_shares_among_units() -> None:
    variants = variants_of_units(UNITS, [0.2, 0.3, 0.5], seed="shares")
    for variant, weight in enumerate((0.2, 0.3, 0.5)):
        assert binomtest(int((variants == variant).sum()), len(UNITS), weight).pvalue > 0.001


def test_an_exposed_unit_keeps_its_variant() -> None:
    before, after = (variant_of_unit(weights, seed="s") for weights in ([0.5, 0.5], [0.0, 1.0]))
    moved = [unit for unit in UNITS[:100] if before(unit) != after(unit)]
    assert moved
    for unit in moved:
        kept = assign(unit, after, exposed=before(unit), holdout=Holdout(seed="h", fraction=0.99))
        assert kept == Assignment(variant=before(unit), reason=Reason.EXPOSED_BEFORE)
        assert assign(unit, after) == Assignment(variant=1, reason=Reason.ALLOCATED)


def test_why_a_unit_takes_no_part() -> None:
    allocated = variant_of_unit([0.5, 0.5], seed="s", coverage=0.5)
    out = next(unit for unit in UNITS if allocated(unit) is None)
    inside = next(unit for unit in UNITS if allocated(unit) is not None)
    nobody = Namespace(name="n", range=Range(start=1.0, end=1.0))
    assert assign(out, allocated).reason is Reason.NOT_COVERED
    assert assign(inside, allocated, namespace=nobody) == Assignment(variant=None, reason=Reason.EXCLUDED)
    held = next(unit for unit in UNITS if Holdout(seed="h", fraction=0.1).holds(unit))
    assert assign(held, allocated, holdout=Holdout(seed="h", fraction=0.1)).reason is Reason.HELD_OUT


def test_tests_of_a_namespace_share_nobody() -> None:
    parts = [Namespace(name="n", range=Range(start=start, end=start + 0.25)) for start in (0.0, 0.25, 0.5, 0.75)]
    assert all(sum(part.holds(unit) for part in parts) == 1 for unit in UNITS[:2_000])


def test_holdout_fraction() -> None:
    held = sum(Holdout(seed="global", fraction=0.05).holds(unit) for unit in UNITS)
    assert binomtest(held, len(UNITS), 0.05).pvalue > 0.001


def test_who_moves_when_weights_change() -> None:
    assert moved_fraction(variant_table([0.5, 0.5]), variant_table([0.4, 0.6])) == pytest.approx(0.1)
    assert moved_fraction(variant_table([0.5, 0.5]), variant_table([0.5, 0.5])) == 0.0


@given(
    st.lists(st.floats(0.001, 1.0), min_size=2, max_size=8),
    st.sampled_from([1.0, 0.5, 0.1]),
    st.sampled_from(["a", "spring", "ümlaut"]),
)
def test_parts_are_the_probabilities_in_ten_thousandths(weights: list[float], coverage: float, unit: str) -> None:
    shares = [weight / math.fsum(weights) for weight in weights]
    (own,) = parts(np.array([shares]), coverage=coverage)
    places = [own.variant_at(position) for position in range(10_000)]
    covered = [place for place in places if place is not None]
    assert len(covered) / 10_000 == pytest.approx(coverage, abs=1e-4 * len(shares))
    counted = [covered.count(variant) / len(covered) for variant in range(len(shares))]
    assert own.probabilities == pytest.approx(counted, abs=1e-12)
    assert own.probabilities == pytest.approx(shares, abs=2e-4 * len(shares) / coverage)
    assert position_of_unit("seed")(unit) == round(hash_fraction(unit, seed="seed") * 10_000)


def test_parts_are_those_of_a_table_where_all_units_have_the_same() -> None:
    weights = [0.04, 0.04, 0.84, 0.04, 0.04]
    table = variant_table(weights)
    own, again = parts(np.array([weights, weights]))
    assert own == again
    assert [own.variant_at(position) for position in range(10_000)] == table.tolist()
    assert own.probabilities == pytest.approx(weights)


@pytest.mark.parametrize("coverage", [1.0, 0.37, 0.0])
@pytest.mark.parametrize("variants", [1, 2, 5, 11])
def test_parts_of_many_units_are_those_of_each_to_the_last_bit(variants: int, coverage: float) -> None:
    shares = np.random.default_rng(7).dirichlet(np.full(variants, 0.4), size=500)
    shares[0] = np.eye(variants)[-1]
    together = parts(shares, coverage=coverage)
    assert together == [parts(own[None], coverage=coverage)[0] for own in shares]
    assert {type(value) for own in together for value in (*own.starts, *own.ends)} == {int}
    for wrong in (np.full((9, variants), np.nan), shares[:9] * 1.5, -shares[:9]):
        with pytest.raises(InvalidInput, match="sum to 1"):
            parts(wrong, coverage=coverage)


def test_raising_coverage_keeps_whoever_is_in() -> None:
    few, many = (parts(np.array([[0.3, 0.7]]), coverage=coverage)[0] for coverage in (0.2, 0.6))
    for position in range(10_000):
        if (variant := few.variant_at(position)) is not None:
            assert many.variant_at(position) == variant
    for wrong in ([0.3, 0.3], [-0.5, 1.5], [math.nan, 0.5]):
        with pytest.raises(InvalidInput, match="sum to 1"):
            parts(np.array([[0.5, 0.5], wrong]))
    with pytest.raises(InvalidInput, match="coverage"):
        parts(np.array([[0.5, 0.5]]), coverage=1.5)


def test_choose_by_each_units_own_probabilities() -> None:
    places = np.array([0.0, 0.49, 0.5, 0.9999, 0.9999])
    probabilities = np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    assert choose(places, probabilities).tolist() == [1, 0, 1, 1, 0]
    tenths = np.full((1, 10), 0.1)  # sums to a little less than 1
    assert choose(np.array([math.nextafter(1.0, 0.0)]), tenths).tolist() == [9]


@pytest.mark.parametrize("weights", [[], [0.5, math.nan], [-0.1, 1.1], [0.7, 0.6], [math.inf, 0.0]])
def test_weights_that_cannot_be(weights: list[float]) -> None:
    with pytest.raises(InvalidInput, match=r"correct them|divide each"):
        variant_ranges(weights)


def test_other_refusals() -> None:
    with pytest.raises(InvalidInput, match="coverage"):
        variant_table([1.0], coverage=1.5)
    with pytest.raises(InvalidInput, match="pass 0 <= start"):
        Range(start=0.5, end=0.4)
    with pytest.raises(InvalidInput, match="holdout"):
        Holdout(seed="h", fraction=1.0)
