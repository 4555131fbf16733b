import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import isotonic_regression

from engine.errors import InvalidInput
from engine.learning.terms import choose_knots, feature_terms, hat_weights, monotone


@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=9))
def test_monotone_against_scipy(values: list[float]) -> None:
    assert_allclose(monotone(np.array([values]))[0], isotonic_regression(values).x, atol=1e-9)


def test_weights_reproduce_straight_lines() -> None:
    knots = np.array([0.0, 1.0, 4.0, 10.0])
    amounts = np.array([0.0, 0.3, 1.0, 3.9, 7.0, 10.0])
    weights = hat_weights(amounts, knots)
    assert_allclose(weights @ knots, amounts)
    assert_allclose(weights.sum(axis=1), 1.0)


def test_knots_are_few_and_span_the_amounts() -> None:
    assert choose_knots(np.array([2.0, 1.0, 2.0, 5.0])).tolist() == [1.0, 2.0, 5.0]
    many = choose_knots(np.linspace(1.0, 20.0, 500))
    assert many.size == 9
    assert (many[0], many[-1]) == (1.0, 20.0)


def test_terms_are_centred_and_constants_left_out() -> None:
    rng = np.random.default_rng(1)
    terms = feature_terms(np.column_stack([rng.exponential(30.0, 200), np.ones(200)]))
    assert terms.shape == (200, 4)
    assert_allclose(terms.mean(axis=0), 0.0, atol=1e-12)
    assert feature_terms(np.ones((5, 2))).shape == (5, 0)


def test_terms_refuse_what_is_not_finite() -> None:
    with pytest.raises(InvalidInput, match="finite"):
        feature_terms(np.array([[1.0], [np.nan]]))
