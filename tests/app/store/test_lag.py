"""How old a standby's view is, from positions alone."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store import lag
from app.store.lag import Positions


def test_nothing_is_known_before_a_noted_position_is_reached() -> None:
    positions = Positions()
    assert positions.lag(5.0) == inf
    positions.note(1.0, 100)
    positions.reached(99)
    assert positions.lag(5.0) == inf
    positions.reached(100)
    assert positions.lag(5.0) == 4.0


def test_a_standby_that_stands_still_grows_old_from_the_first_write_it_lacks() -> None:
    positions = Positions()
    for moment, position in ((0, 10), (1, 10), (2, 11), (3, 12)):
        positions.note(moment, position)
        positions.reached(10)
    assert positions.lag(3) == 2  # at 1 it still had all


def test_one_that_has_all_stays_young_while_nothing_is_written() -> None:
    positions = Positions()
    for moment in range(100):
        positions.note(moment, 10)
        positions.reached(10)
        assert positions.lag(moment) == 0


def test_who_comes_half_way_is_as_old_as_that() -> None:
    positions = Positions()
    for moment in range(10):
        positions.note(moment, 10 * moment)
    positions.reached(45)
    assert positions.lag(9) == 5


def test_where_nothing_is_noted_any_more_it_grows() -> None:
    positions = Positions()
    positions.note(1, 10)
    positions.reached(10)
    positions.reached(20)
    assert positions.lag(8) == 7


def test_memory_is_bounded_and_what_is_said_then_is_never_too_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "MOST_POSITIONS", 3)
    positions = Positions()
    positions.note(0, 0)
    positions.reached(0)
    for moment in range(1, 3 * 3_600):
        positions.note(moment, moment)
    positions.reached(5)
    assert positions.lag(3 * 3_600) == 3 * 3_600


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_it_never_claims_what_it_does_not_have(steps: list[tuple[int, int]]) -> None:
    positions, written, replayed = Positions(), 0, 0
    history: list[tuple[int, int]] = []
    for moment, (write, replay) in enumerate(steps):
        written += write
        replayed = min(replayed + replay, written)
        history.append((moment, written))
        positions.note(moment, written)
        positions.reached(replayed)
        reached = [at for at, position in history if position <= replayed]
        assert positions.as_of == (max(reached) if reached else None)
