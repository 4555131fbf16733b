from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.exact_sums import binary_places, exact_dot, exact_sum

anything = arrays(np.float64, st.integers(0, 12), elements=st.floats(allow_nan=False, allow_infinity=False))


@given(anything)
def test_the_sum_is_exact(values):
    places = binary_places(values)
    assert Fraction(exact_sum(values, places), 2**places) == sum(map(Fraction, values.tolist()))


@given(anything, st.data())
def test_the_sum_of_products_is_exact(first, data):
    second = data.draw(arrays(np.float64, first.size, elements=st.floats(-1e100, 1e100)))
    places = binary_places(first), binary_places(second)
    total = sum(Fraction(x) * Fraction(y) for x, y in zip(first.tolist(), second.tolist(), strict=True))
    assert (
        Fraction(exact_dot(first, second, first_places=places[0], second_places=places[1]), 2 ** sum(places)) == total
    )


def test_places_are_the_fewest():
    assert binary_places(np.array([0.0, 4.0])) == 0
    assert binary_places(np.array([0.5, 3.0])) == 1
    assert binary_places(np.array([5e-324])) == 1074
    assert binary_places(np.array([])) == 0


def test_many_blocks():
    values = np.random.default_rng(7).lognormal(0.0, 2.0, 10_001)
    places = binary_places(values)
    assert Fraction(exact_sum(values, places), 2**places) == sum(map(Fraction, values.tolist()))
    squares = sum(Fraction(value) ** 2 for value in values.tolist())
    assert Fraction(exact_dot(values, values, first_places=places, second_places=places), 4**places) == squares
