import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.identifiers import Kind, decode, encode


@given(st.sampled_from(Kind), st.integers(min_value=1, max_value=10**18 - 1))
def test_ids_round_trip(kind: Kind, number: int) -> None:
    assert decode(kind, encode(kind, number)) == number


@given(st.sampled_from(Kind), st.sampled_from(Kind), st.integers(min_value=1, max_value=10**9))
def test_an_id_of_something_else_is_no_number(kind: Kind, other: Kind, number: int) -> None:
    assert isinstance(decode(kind, encode(other, number)), int) is (kind is other)


@pytest.mark.parametrize(
    "text", ["spring-sale", "cmp_", "cmp_0", "cmp_01", "cmp_-1", "cmp_1 ", "CMP_1", "cmp_" + "9" * 19, ""]
)
def test_everything_else_is_a_key(text: str) -> None:
    assert decode(Kind.CAMPAIGN, text) == text
