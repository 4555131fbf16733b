from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bandits.encoding import AttributeSummary, Encoding, Feature, FeatureKind, learn_encoding
from engine.errors import InvalidInput

AGE = AttributeSummary(name="age", units=1000, numbers=900, mean=40.0, deviation=10.0)
MEMBER = AttributeSummary(name="member", units=1000, booleans=1000, truths=200)
PLAN = AttributeSummary(
    name="plan", units=1000, texts=980, frequent=(("free", 600), ("pro", 300), ("team", 61), ("odd", 19))
)
ODD: list[Any] = [None, "x" * 9, float("nan"), float("inf"), 10**400, [], {"a": 1}, b"bytes", object()]


def named(encoding: Encoding) -> list[tuple[str, str, str]]:
    return [(feature.attribute, feature.kind.value, feature.value) for feature in encoding.features]


def test_each_attribute_is_encoded_by_the_kind_most_units_have() -> None:
    assert named(learn_encoding([AGE, MEMBER, PLAN])) == [
        ("", "constant", ""),
        ("age", "number", ""),
        ("age", "no_number", ""),
        ("member", "boolean", ""),
        ("plan", "other", ""),
        ("plan", "text", "free"),
        ("plan", "text", "pro"),
        ("plan", "text", "team"),
    ]


def test_a_context_becomes_numbers() -> None:
    encoding = learn_encoding([AGE, MEMBER, PLAN])
    known = encoding.encode({"age": 45, "member": True, "plan": "pro", "more": "than needed"})
    assert known == pytest.approx([1, 0.5, 0, (1 - 0.2) / 0.4, 0, 0, 1, 0])
    assert encoding.encode({"age": 1e9, "member": False, "plan": "rare"}) == pytest.approx(
        [1, 3.0, 0, -0.2 / 0.4, 1, 0, 0, 0]
    )
    assert encoding.encode({}) == pytest.approx([1, 0, 1, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_taken_as_unknown(odd: Any) -> None:
    encoding = learn_encoding([AGE, MEMBER, PLAN])
    assert encoding.encode({"age": odd, "member": odd, "plan": odd}) == encoding.encode({})
    assert encoding.encode({"age": True, "member": 1, "plan": 7}) == encoding.encode({})


def test_an_attribute_that_does_not_vary_has_no_feature() -> None:
    constant = [
        AttributeSummary(name="a", units=50, numbers=50, mean=3.0, deviation=0.0),
        AttributeSummary(name="b", units=50, booleans=50, truths=50),
        AttributeSummary(name="c", units=50, texts=50, frequent=(("only", 50),)),
        AttributeSummary(name="d", units=50),
    ]
    assert named(learn_encoding(constant)) == [("", "constant", "")]


def test_texts_share_what_room_there_is_the_most_frequent_first() -> None:
    attributes = [
        AttributeSummary(
            name=f"t{number}", units=9000, texts=9000, frequent=[(f"v{v}", 900 - 10 * v - number) for v in range(9)]
        )
        for number in range(8)
    ]
    encoding = learn_encoding(attributes)
    assert encoding.size == 50
    kept = {(f.attribute, f.value) for f in encoding.features if f.kind is FeatureKind.TEXT}
    assert {("t0", f"v{v}") for v in range(5)} <= kept
    assert len([f for f in encoding.features if f.kind is FeatureKind.OTHER]) == 8


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.none() | st.booleans() | st.floats() | st.integers() | st.text()
            for name in ("age", "plan", "member")
        },
    )
)
def test_every_context_is_finite_and_the_same_one_by_one(context: dict[str, Any]) -> None:
    encoding = learn_encoding([AGE, MEMBER, PLAN])
    rows = encoding.encode_all([context, {}])
    assert rows.shape == (2, encoding.size)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() <= 3.0
    assert rows[0].tolist() == encoding.encode(context)
    assert rows[0, 4:].sum() == 1.0  # exactly one of a text's features


def test_refusals() -> None:
    with pytest.raises(InvalidInput, match="constant first"):
        Encoding(features=(Feature(kind=FeatureKind.NUMBER, attribute="age"),))
    assert learn_encoding([]).encode_all([]).shape == (0, 1)
