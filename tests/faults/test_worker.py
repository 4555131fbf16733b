"""Workers as real processes: killed in the middle of a job, stopped, and beside a server."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from app.runtime.broadcast import LocalBroadcast
from app.store.database import Database
from app.store.queue import JobQueue
from tests.conftest import RunningServer, serving

ROOT = Path(__file__).parents[2]
SLOW_WORKER = """
import asyncio, sys
from app import worker
from app.jobs import tasks

async def dig(arguments, told):
    from app.store.database import Database
    database = await Database.open(sys.argv[1], default=False)
    await database.execute("INSERT INTO dug (process) VALUES ($1)", __import__("os").getpid())
    for step in range(arguments["steps"]):
        await told(step / arguments["steps"], f"step {step}")
        await asyncio.sleep(0.1)
    await database.close()
    return {"done": True}

worker.tasks = lambda **_: {"dig": dig}
worker.main()
"""


STEPPING_WORKER = """
import asyncio
from app import worker
from app.abtests.reallocating import Reallocating
from app.store.policies import PolicyStore

store = PolicyStore.add_versions

async def slowly(self, *arguments, **given):
    await asyncio.sleep(0.1)  # what is worked out is not stored yet
    await store(self, *arguments, **given)

PolicyStore.add_versions = slowly
Reallocating.reallocate_due.__kwdefaults__["most"] = 10
worker.main()
"""
BANDITS = (
    """
    INSERT INTO ab_test (key, name, status, allocation_policy, floor, reallocate_every_minutes, seed, started_at)
    SELECT 'bandit-' || n, 'B', 'RUNNING', 'THOMPSON', 0.1, 60, 's', now() - interval '2 hours'
    FROM generate_series(1, 200) n
    """,
    """
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
    SELECT t.id, 'v' || v, 'V' || v, v, v = 0, 0.5 FROM ab_test t, generate_series(0, 1) v
    """,
    """
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, higher_is_better, window_hours)
    SELECT id, 'converted', 'Converted', 0, 'CONVERSION', 6, true, 1 FROM ab_test
    """,
    """
    INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at)
    SELECT id, 1, allocation_policy, floor, '[0.5, 0.5]', started_at FROM ab_test
    """,
)


@contextmanager
def worker(url: str, script: str = SLOW_WORKER) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process whose only task takes its time, or one that takes its time over reallocations."""
    environment = {**os.environ, "DATABASE_URL": url, "WINNOW_JOB_HEARTBEAT_SECONDS": "1", "WINNOW_LOG_FORMAT": "json"}
    process = subprocess.Popen([sys.executable, "-c", script, url], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest_asyncio.fixture
async def empty(new_database: Callable[..., object]) -> AsyncIterator[Database]:
    database = await Database.open(await new_database(), default=False)
    await database.execute("CREATE TABLE dug (process integer, at timestamptz DEFAULT now())")
    yield database
    await database.close()


async def add(database: Database, *, steps: int) -> int:
    queue = JobQueue(database, LocalBroadcast())
    return await queue.add("dig", {"steps": steps}, at=datetime.now(UTC))


async def until(database: Database, query: str, *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await database.fetchval(query):  # noqa: ASYNC110  # another process makes it true
            await asyncio.sleep(0.05)


async def test_a_job_whose_worker_is_killed_is_taken_up_again_once(empty: Database) -> None:
    job_id = await add(empty, steps=50)
    with worker(empty.url) as first:
        await until(empty, "SELECT progress > 0.05 FROM job")
        with worker(empty.url) as second, worker(empty.url) as third:
            await asyncio.sleep(2)  # both are up, and neither touches what is being worked on
            assert await empty.fetchval("SELECT count(*) FROM dug") == 1
            first.kill()
            await until(empty, "SELECT status = 'SUCCEEDED' FROM job")
            dug = [row["process"] for row in await empty.fetch("SELECT process FROM dug ORDER BY at")]
            assert dug[0] == first.pid
            assert dug[1:] in ([second.pid], [third.pid])
            job = await empty.fetchrow("SELECT attempts, result, error FROM job WHERE id = $1", job_id)
            assert tuple(job) == (2, {"done": True}, None)
            await until(empty, "SELECT count(*) = 0 FROM job_queue")


async def test_a_reallocation_that_is_killed_leaves_each_bandit_one_step(empty: Database) -> None:
    """200 bandits in transactions of 10, two workers; the one that works is killed, most likely before it stores."""
    for statement in BANDITS:
        await empty.execute(statement)
    queue = JobQueue(empty, LocalBroadcast())
    await queue.add("reallocate", {}, once="reallocate", at=datetime.now(UTC))
    with worker(empty.url, STEPPING_WORKER) as first:
        await until(empty, "SELECT progress > 0.2 FROM job")
        with worker(empty.url, STEPPING_WORKER):
            first.kill()
            first.wait()
            before = await empty.fetchval("SELECT count(*) FROM allocation WHERE policy_version = 2")
            assert 40 <= before < 200
            await until(empty, "SELECT status = 'SUCCEEDED' FROM job ORDER BY id LIMIT 1")
    made = "SELECT policy_version, count(*) FROM allocation GROUP BY policy_version ORDER BY policy_version"
    assert [tuple(row) for row in await empty.fetch(made)] == [(1, 200), (2, 200)]
    job = await empty.fetchrow("SELECT attempts, result, error FROM job ORDER BY id LIMIT 1")
    assert tuple(job) == (2, {"tests": 200 - before}, None)


async def test_two_workers_make_each_step_once(empty: Database) -> None:
    """Two jobs for the same steps at once, and two workers for them: each bandit is moved by one."""
    for statement in BANDITS:
        await empty.execute(statement)
    queue = JobQueue(empty, LocalBroadcast())
    for _ in range(2):
        await queue.add("reallocate", {}, at=datetime.now(UTC))
    with worker(empty.url, STEPPING_WORKER), worker(empty.url, STEPPING_WORKER):
        await until(empty, "SELECT count(*) FILTER (WHERE status = 'SUCCEEDED') >= 2 FROM job")
    made = "SELECT policy_version, count(*) FROM allocation GROUP BY policy_version ORDER BY policy_version"
    assert [tuple(row) for row in await empty.fetch(made)] == [(1, 200), (2, 200)]
    results = [row["result"]["tests"] for row in await empty.fetch("SELECT result FROM job WHERE result IS NOT NULL")]
    assert sum(results) == 200


async def test_a_worker_that_is_told_to_stop_gives_its_job_back_at_once(empty: Database) -> None:
    await add(empty, steps=20)
    with worker(empty.url) as first:
        await until(empty, "SELECT progress > 0.2 FROM job")
        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 0
    assert await empty.fetchval("SELECT status FROM job") == "QUEUED"
    with worker(empty.url):
        await until(empty, "SELECT status = 'SUCCEEDED' FROM job")
    assert await empty.fetchval("SELECT count(*) FROM dug") == 2


def workers_of(server: RunningServer) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [child for child in children if "app.worker" in child.cmdline()]


def until_there_is_one(server: RunningServer) -> psutil.Process:
    end = time.monotonic() + 20
    while not (found := workers_of(server)) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(found) == 1
    return found[0]


async def test_a_server_has_one_worker_and_starts_it_again(new_database: Callable[..., object]) -> None:
    with serving(await new_database()) as server:
        first = until_there_is_one(server)
        first.kill()
        first.wait(10)
        assert until_there_is_one(server).pid != first.pid


@pytest.mark.parametrize("value", ["false"])
async def test_a_server_can_do_without(new_database: Callable[..., object], value: str) -> None:
    with serving(await new_database(), WINNOW_RUN_WORKER=value) as server:
        assert workers_of(server) == []
