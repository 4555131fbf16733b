"""Work on a real Dask cluster: a scheduler and two workers, processes of their own, on loopback."""

import asyncio
import math
import operator
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import distributed
import numpy as np
import psutil
import pytest
import pytest_asyncio

from app.errors import Unavailable
from app.optimizer.response import Candidates, ResponseInputs, learn_response
from app.runtime.cluster import DaskCompute, compute_of
from app.runtime.compute import ProcessCompute
from app.runtime.settings import Settings
from engine.learning.features import Offers, Purchases, Sends

ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"
pytestmark = pytest.mark.slow


def start(*command: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s"}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def worker(address: str, folder: Path) -> subprocess.Popen[bytes]:
    return start(
        *("distributed.cli.dask_worker", address, "--host", HOST, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
        *("--memory-limit", "1GB", "--local-directory", str(folder), "--death-timeout", "30"),
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    found = f"tcp://{HOST}:{port}"
    running = [
        start("distributed.cli.dask_scheduler", "--host", HOST, "--port", str(port), "--no-dashboard"),
        *(worker(found, tmp_path_factory.mktemp("worker")) for _ in range(2)),
    ]
    try:
        until = time.monotonic() + 60
        while not _answers(port):
            assert time.monotonic() < until, "the scheduler did not start"
            time.sleep(0.1)
        yield found
    finally:
        for process in reversed(running):
            process.kill()  # a worker that is told to stop first waits for what it does
        for process in running:
            process.wait(timeout=30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest_asyncio.fixture
async def compute(address: str) -> AsyncIterator[DaskCompute]:
    compute = DaskCompute(address)
    yield compute
    await compute.close()


async def test_runs_elsewhere_and_returns(compute: DaskCompute) -> None:
    assert await compute.run(math.comb, 10, 3) == 120
    assert await compute.run(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]
    assert await compute.run(os.getpid) != os.getpid()


async def test_raises_what_the_work_raises(compute: DaskCompute) -> None:
    with pytest.raises(ZeroDivisionError):
        await compute.run(operator.truediv, 1, 0)


async def test_the_same_question_is_answered_anew(compute: DaskCompute) -> None:
    first = await compute.run(time.monotonic_ns)
    assert await compute.run(time.monotonic_ns) != first


async def test_two_workers_share_the_work(compute: DaskCompute) -> None:
    async with asyncio.timeout(60):
        seen: set[int] = set()
        while len(seen) < 2:
            seen |= set(await asyncio.gather(*(compute.run(slow_pid, 0.2) for _ in range(4))))
    assert os.getpid() not in seen


def slow_pid(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


async def test_large_arrays_travel_there_and_back(compute: DaskCompute) -> None:
    values = np.arange(3_000_000, dtype=np.float64)
    np.testing.assert_array_equal(await compute.run(np.flip, values), values[::-1])


async def test_who_waits_no_more_does_not_hold_the_cluster(compute: DaskCompute) -> None:
    waiting = [asyncio.create_task(compute.run(slow_pid, 30.0)) for _ in range(6)]
    await asyncio.sleep(1.0)
    for task in waiting[2:]:  # those that wait in the queue
        task.cancel()
    await asyncio.gather(*waiting[2:], return_exceptions=True)
    for task in waiting[:2]:
        task.cancel()
    results = await asyncio.gather(*waiting[:2], return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def test_a_model_is_learned_on_the_cluster_as_it_is_here_trees_by_both_workers(
    compute: DaskCompute, address: str
) -> None:
    inputs = response_inputs(np.random.default_rng(5))
    here = learn_response(inputs, seed=1, threads=1)
    async with asyncio.timeout(180), distributed.Client(address, asynchronous=True, set_as_default=False) as client:
        before = await client.run(tasks_done)
        there = await compute.run(learn_response, inputs, seed=1, threads=-1)
        after = await client.run(tasks_done)
    assert len(after) == 2
    assert all(after[one] - before[one] >= 2 for one in after)
    np.testing.assert_allclose(there.ranked.probabilities, here.ranked.probabilities)
    assert there.scores["active"]["auc"] == pytest.approx(here.scores["active"]["auc"])


def tasks_done(dask_worker: distributed.Worker) -> int:
    return dask_worker.state.executed_count


def response_inputs(rng: np.random.Generator, *, rows: int = 3_000, users: int = 60) -> ResponseInputs:
    days = np.sort(rng.uniform(0.0, 80.0, rows))
    amounts = rng.choice([2.0, 5.0, 9.0], rows)
    offers = Offers(
        users=rng.integers(0, users, rows),
        merchants=rng.integers(1, 4, rows),
        segments=rng.integers(0, 2, rows),
        amounts=amounts,
        days=days,
        hours=rng.integers(0, 24, rows),
    )
    answered = rng.random(rows) < 0.05 + 0.05 * amounts
    sends = Sends(offers=offers, opened=np.full(rows, np.nan), responded=np.where(answered, days + 1.0, np.nan))
    nothing = np.empty(0, dtype=np.int64)
    purchases = Purchases(users=nothing, merchants=nothing, days=np.empty(0), values=np.empty(0))
    whom = Candidates(
        user_ids=np.arange(100, 100 + users),
        segments=np.zeros(users, dtype=np.int64),
        hours=np.full(users, 12),
        campaign_ids=np.array([1, 2]),
        merchants=np.array([1, 2]),
        amounts=np.array([2.0, 9.0]),
        day=83.0,
    )
    return ResponseInputs(sends=sends, purchases=purchases, rows=np.arange(rows), outcome_days=3.0, candidates=whom)


async def test_a_worker_that_is_killed_costs_an_attempt_only(
    compute: DaskCompute, address: str, tmp_path: Path
) -> None:
    third = worker(address, tmp_path)
    try:
        async with asyncio.timeout(90):
            while third.pid not in await asyncio.gather(*(compute.run(slow_pid, 0.2) for _ in range(6))):
                pass
            work = [asyncio.create_task(compute.run(slow_pid, 2.0)) for _ in range(6)]
            await asyncio.sleep(1.0)
            psutil.Process(third.pid).kill()
            seen = await asyncio.gather(*work)
        assert third.pid not in seen[-1:]
        assert len(seen) == 6
    finally:
        third.kill()
        third.wait(timeout=30)


async def test_no_scheduler_is_unavailable_with_what_to_do(free_port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.cluster.CONNECT_SECONDS", 1.0)
    compute = DaskCompute(f"tcp://{HOST}:{free_port()}")
    with pytest.raises(Unavailable, match="No Dask scheduler answers"):
        await compute.run(math.comb, 2, 1)
    await compute.close()


def test_the_settings_choose() -> None:
    assert isinstance(compute_of(Settings()), ProcessCompute)
    assert isinstance(compute_of(Settings(compute_scheduler="tcp://10.0.0.5:8786")), DaskCompute)
