import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.runtime.clock import ManualClock, SystemClock


def test_system_clock_is_aware():
    assert SystemClock().now().utcoffset() == timedelta(0)
    assert SystemClock().monotonic() <= SystemClock().monotonic()


def test_manual_clock_moves_only_when_told(clock: ManualClock):
    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(timedelta(hours=1))
    clock.advance(30)
    assert clock.now() == datetime(2026, 1, 1, 1, 0, 30, tzinfo=UTC)
    assert clock.monotonic() == 3630


def test_manual_clock_refuses_to_run_backwards_or_be_naive(clock: ManualClock):
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001  # the naive time is the point


async def test_sleepers_wake_in_time_and_not_before(clock: ManualClock):
    woken: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleep("late", 20)), asyncio.create_task(sleep("early", 10))]
    await asyncio.sleep(0)
    clock.advance(9.9)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(0.1)
    await asyncio.wait_for(tasks[1], 1)
    assert woken == ["early"]
    clock.advance(10)
    await asyncio.wait_for(tasks[0], 1)
    assert woken == ["early", "late"]


async def test_a_cancelled_sleeper_does_no_harm(clock: ManualClock):
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    clock.advance(2)
