import asyncio
import math
import operator
import os
import subprocess
import sys
import time

import psutil
import pytest

from app.errors import RateLimited, Unavailable
from app.runtime.compute import Compute, InlineCompute, ProcessCompute


@pytest.fixture(params=[InlineCompute, ProcessCompute])
async def compute(request: pytest.FixtureRequest):
    compute = request.param()
    yield compute
    await compute.close()


async def test_runs_and_returns(compute: Compute):
    assert await compute.run(math.comb, 10, 3) == 120
    assert await compute.run(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]


async def test_raises_what_the_work_raises(compute: Compute):
    with pytest.raises(ZeroDivisionError):
        await compute.run(operator.truediv, 1, 0)


async def test_the_loop_stays_free():
    compute = ProcessCompute()
    await compute.run(os.getpid)
    work = asyncio.create_task(compute.run(time.sleep, 0.5))
    ticks = 0
    while not work.done():
        await asyncio.sleep(0.01)
        ticks += 1
    await compute.close()
    assert ticks > 10


async def test_more_than_may_wait_is_turned_away_and_may_come_again():
    compute = ProcessCompute(most=2)
    try:
        first, second = (asyncio.create_task(compute.run(time.sleep, 0.2)) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(RateLimited, match="come back") as refused:
            await compute.run(os.getpid)
        assert refused.value.retry_after > 0
        await asyncio.gather(first, second)
        assert await compute.run(math.comb, 5, 2) == 10
        with pytest.raises(ZeroDivisionError):
            await compute.run(operator.truediv, 1, 0)
        assert await asyncio.gather(*(compute.run(math.comb, 5, 2) for _ in range(2))) == [10, 10]
    finally:
        await compute.close()


async def test_a_worker_is_warm_and_another_process():
    compute = ProcessCompute(preload=("decimal",))
    try:
        first = await compute.run(os.getpid)
        assert first == await compute.run(os.getpid)
        assert first != os.getpid()
    finally:
        await compute.close()


async def test_a_killed_worker_is_unavailable_once_and_then_replaced():
    compute = ProcessCompute()
    try:
        with pytest.raises(Unavailable, match="try again"):
            await compute.run(os._exit, 1)
        assert await compute.run(math.comb, 5, 2) == 10
    finally:
        await compute.close()


PARENT = """
import asyncio, os, time
from app.runtime.compute import ProcessCompute
async def main():
    compute = ProcessCompute()
    print(await compute.run(os.getpid), flush=True)
    time.sleep(60)
if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([worker], timeout=10)
    assert gone == [worker] or alive[0].status() == psutil.STATUS_ZOMBIE
