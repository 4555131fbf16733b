import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.assignment import hashing
from engine.assignment.hashing import POSITIONS, fnv1a, hash_fraction, outcome_of_unit, positions
from engine.errors import InvalidInput

# (seed, unit, version, fraction): tests/cases.json of growthbook-python, specVersion 0.7.1, "hash".
PUBLISHED = [
    ("", "a", 1, 0.22),
    ("", "b", 1, 0.077),
    ("b", "a", 1, 0.946),
    ("ef", "d", 1, 0.652),
    ("asdf", "8952klfjas09ujk", 1, 0.549),
    ("", "123", 1, 0.011),
    ("", '___)((*":&', 1, 0.563),
    ("seed", "a", 2, 0.0505),
    ("seed", "b", 2, 0.2696),
    ("foo", "ab", 2, 0.2575),
    ("foo", "def", 2, 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 2, 0.124),
    ("90850943850283058242805", "123", 2, 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', 2, 0.0128),
]
# (seed, unit, fnv1a(seed + unit), version 1, version 2): output of growthbook 4.0.0 from PyPI, fnv1a32 and gbhash.
COMPUTED = [
    ("", "é", 1812687940, 0.94, 0.8917),
    ("", "naïve-ключ", 781775911, 0.911, 0.1911),
    ("", "日本語", 1409693518, 0.518, 0.1203),
    ("", "😀", 3409036472, 0.472, 0.4971),
    ("", "a😀b", 2412414209, 0.209, 0.5994),
    ("", "👨\u200d👩", 203012405, 0.405, 0.501),
    ("", "", 2166136261, 0.261, 0.2305),
    ("seed", "日本語", 1710063553, 0.215, 0.4482),
    ("welcome-offer", "user-1", 3604977525, 0.339, 0.0261),
    ("welcome-offer", "naïve-ключ", 3868134546, 0.398, 0.8913),
    ("сид😀", "👨\u200d👩", 2014128349, 0.533, 0.2303),
    ("сид😀", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 2825566317, 0.741, 0.6606),
]
TEXT = st.text(st.characters(codec=None), max_size=30) | st.text("0123456789abc-é日😀", max_size=12)


@pytest.mark.parametrize(("seed", "unit", "version", "fraction"), PUBLISHED)
def test_published_vectors(seed: str, unit: str, version: int, fraction: float) -> None:
    assert hash_fraction(unit, seed=seed, version=version) == fraction


@pytest.mark.parametrize(("seed", "unit", "hashed", "first", "second"), COMPUTED)
def test_code_units_are_those_of_javascript(seed: str, unit: str, hashed: int, first: float, second: float) -> None:
    assert fnv1a(seed + unit) == hashed
    assert hash_fraction(unit, seed=seed, version=1) == first
    assert hash_fraction(unit, seed=seed) == second


def test_reference_values_of_fnv() -> None:
    # IETF draft-eastlake-fnv-17, appendix C, FNV-1a 32 bit: "", "a", "foobar".
    assert [fnv1a(text) for text in ("", "a", "foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


@given(st.lists(TEXT, max_size=20), TEXT)
def test_every_form_agrees(units: list[str], seed: str) -> None:
    expected = [round(hash_fraction(unit, seed=seed) * POSITIONS) for unit in units]
    one = outcome_of_unit(range(POSITIONS), seed=seed)
    assert positions(units, seed=seed).tolist() == expected
    assert [one(unit) for unit in units] == expected
    assert [one(unit) for unit in units] == expected  # from what it remembers


@given(TEXT, TEXT)
def test_hashing_goes_on_from_a_state(first: str, second: str) -> None:
    joined = (first + second).encode("utf-16", "surrogatepass")
    if joined == first.encode("utf-16", "surrogatepass") + second.encode("utf-16", "surrogatepass")[2:]:
        assert fnv1a(second, state=fnv1a(first)) == fnv1a(first + second)


def test_forms_agree_beyond_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_MOST_HEADS", 3)
    monkeypatch.setattr(hashing, "_MOST_TAILS", 0)
    units = [f"unit-{number}" for number in range(20_000)]
    one = outcome_of_unit(range(POSITIONS), seed="s")
    assert [one(unit) for unit in units] == positions(units, seed="s").tolist()


def test_array_and_list_agree() -> None:
    units = ["a", "bb", "é日", "😀x"]
    assert positions(np.array(units), seed="s").tolist() == positions(units, seed="s").tolist()
    assert positions([], seed="s").shape == (0,)


def test_positions_are_uniform() -> None:
    count = 1_000_000
    observed = np.bincount(positions([f"user-{i}" for i in range(count)], seed="uniform") // 100, minlength=100)
    statistic = float(((observed - count / 100) ** 2).sum() / (count / 100))
    assert 60.0 < statistic < 150.0  # chi-squared, 99 degrees of freedom: 0.1 % beyond each end


def test_refusals() -> None:
    with pytest.raises(InvalidInput, match="pass 1 or 2"):
        hash_fraction("def", seed="abc", version=99)
    with pytest.raises(InvalidInput, match="one for each"):
        outcome_of_unit([0, 1], seed="s")
