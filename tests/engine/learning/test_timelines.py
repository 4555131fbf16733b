import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from engine.learning.timelines import Timeline

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.floats(-5.0, 5.0)), max_size=30)
ASKED = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), min_size=1, max_size=10)


@given(EVENTS, ASKED)
def test_sums_before_a_moment_by_brute_force(
    events: list[tuple[int, int, float]], asked: list[tuple[int, int]]
) -> None:
    kinds = np.array([kind for kind, _, _ in events], dtype=np.int64)
    days = np.array([day for _, day, _ in events], dtype=np.float64)
    weights = np.array([weight for _, _, weight in events], dtype=np.float64)
    wanted, when = np.array(asked, dtype=np.int64).T
    line = Timeline.of(kinds, days)
    spans = line.spans(wanted, when.astype(float), since=when - 3.0)
    known = [[e for e in events if e[0] == kind and day - 3 <= e[1] < day] for kind, day in asked]
    assert line.sums(spans).tolist() == [len(each) for each in known]
    assert_allclose(line.sums(spans, weights), [sum(e[2] for e in each) for each in known], atol=1e-9)
    latest = line.latest(spans, otherwise=when - 3.0)
    expected = [max((e[1] for e in each), default=day - 3) for each, (_, day) in zip(known, asked, strict=True)]
    assert latest.tolist() == expected


def test_an_event_at_the_moment_itself_is_not_before_it() -> None:
    line = Timeline.of(np.array([1, 1]), np.array([2.0, 3.0]))
    assert line.sums(line.spans(np.array([1, 1, 0]), np.array([3.0, 3.5, 9.0]))).tolist() == [1.0, 2.0, 0.0]
