import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.limiting import REMEMBERED_CALLERS, RateLimit
from app.errors import RateLimited
from app.runtime.clock import ManualClock


def make(clock, *, per_second=10.0, burst=3):
    return RateLimit(per_second=per_second, burst=burst, clock=clock)


def test_a_burst_passes_and_the_next_one_waits():
    clock = ManualClock()
    limit = make(clock)
    for _ in range(3):
        limit.take("k")
    with pytest.raises(RateLimited) as refused:
        limit.take("k")
    assert refused.value.retry_after == pytest.approx(0.1)
    clock.advance(refused.value.retry_after)
    limit.take("k")
    with pytest.raises(RateLimited):
        limit.take("k")


def test_a_refusal_takes_nothing():
    clock = ManualClock()
    limit = make(clock)
    limit.take("k", 3)
    for _ in range(50):
        with pytest.raises(RateLimited):
            limit.take("k")
    clock.advance(0.1)
    limit.take("k")


def test_callers_do_not_share():
    limit = make(ManualClock())
    limit.take("k", 3)
    limit.take("l", 3)


def test_more_than_a_burst_passes_once_and_is_owed():
    clock = ManualClock()
    limit = make(clock)
    limit.take("k", 30)
    clock.advance(2.6)  # 26 of the 30 are paid back
    with pytest.raises(RateLimited) as refused:
        limit.take("k")
    assert refused.value.retry_after == pytest.approx(0.2)


def test_memory_is_bounded():
    limit = RateLimit(per_second=1, burst=1, clock=ManualClock())
    for caller in range(REMEMBERED_CALLERS + 10):
        limit.take(caller)
    limit.take(0)  # the oldest was forgotten
    with pytest.raises(RateLimited):
        limit.take(REMEMBERED_CALLERS)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5)), max_size=60))
def test_what_is_let_through_never_exceeds_burst_and_rate(steps):
    clock = ManualClock()
    limit = RateLimit(per_second=7.0, burst=5, clock=clock)
    passed = 0
    for pause, amount in steps:
        clock.advance(pause)
        try:
            limit.take("k", amount)
        except RateLimited:
            continue
        passed += amount
        assert passed <= 5 + 7.0 * clock.monotonic() + 1e-6
