"""The worker killed in the middle of what it does, and a rebuild of totals that is killed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from bench.faulting.killing import until
from bench.faulting.running import ROOT
from bench.faulting.scene import Fault, Scene
from bench.faulting.sending import HEADERS
from bench.faulting.world import TEST

BANDITS = 40
JOB_SECONDS = 90.0
ZERO = "sent, delivered, opened, clicked, activated, converted, geofence_entries, revenue_micros, reward_micros"
ZEROS = "7, 0, 0, 0, 0, 0, 0, 0, 0"
VERSIONS = """
    SELECT count(*) AS tests, min(n) AS fewest, max(n) AS most
    FROM (SELECT count(*) AS n FROM allocation JOIN ab_test t ON t.id = test_id WHERE t.key LIKE 'bandit-%'
          GROUP BY test_id) v
"""


@asynccontextmanager
async def locked(scene: Scene, statement: str) -> AsyncIterator[None]:
    """Hold a lock, so that what needs it is in the middle of its work for as long as wanted."""
    connection = await asyncpg.connect(scene.winnow.database_url)
    try:
        async with connection.transaction():
            await connection.execute(statement)
            yield
    finally:
        await connection.close()


async def queue(scene: Scene, kind: str, arguments: dict[str, Any]) -> int:
    """Queue a job, as the schedule does."""
    from app.runtime.broadcast import LocalBroadcast
    from app.store.database import Database
    from app.store.queue import JobQueue

    database = await Database.open(scene.winnow.database_url, default=False)
    try:
        return await JobQueue(database, LocalBroadcast()).add(kind, arguments, once=kind, at=datetime.now(UTC))
    finally:
        await database.close()


async def job(scene: Scene, job_id: int) -> asyncpg.Record:
    return (await scene.fetch("SELECT status, progress, attempts, error FROM job WHERE id = $1", job_id))[0]


async def job_is(scene: Scene, job_id: int, true, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not true(await job(scene, job_id)):
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def kill_worker(scene: Scene) -> float:
    """Kill the worker; what it had started must be gone soon, too."""
    worker = scene.winnow.worker()
    family = worker.children(recursive=True)
    worker.kill()
    over = time.monotonic()
    gone = await until(lambda: not [one for one in family if one.is_running()], 30)
    scene.require(gone, "processes of the killed worker live on")
    return over


async def done_again(scene: Scene, job_id: int, over: float) -> None:
    """Wait until the job has been done by another worker."""
    began = await job_is(scene, job_id, lambda row: row["attempts"] > 1, JOB_SECONDS)
    taken_up = time.monotonic() - over
    ended = await job_is(scene, job_id, lambda row: row["status"] not in ("QUEUED", "RUNNING"), JOB_SECONDS)
    found = await job(scene, job_id)
    scene.require(began and ended and found["status"] == "SUCCEEDED", f"the job ended so: {dict(found)}")
    scene.notes.append(
        f"job taken up again after {taken_up:.1f} s, done after {time.monotonic() - over:.1f} s, "
        f"attempt {found['attempts']}"
    )


async def in_folding(scene: Scene) -> float:
    """Kill it while it folds totals: two tables are done, the third waits."""
    async with locked(scene, "LOCK TABLE merchant_day IN SHARE ROW EXCLUSIVE MODE"):
        job_id = await queue(scene, "fold_totals", {})
        scene.require(await job_is(scene, job_id, lambda row: row["progress"] >= 0.45), "folding did not begin")
        over = await kill_worker(scene)
    await done_again(scene, job_id, over)
    return over


async def in_allocation(scene: Scene) -> float:
    """Kill it while it moves bandits: worked out, and not stored."""
    connection = await asyncpg.connect(scene.winnow.database_url)
    for number in range(BANDITS):
        await connection.execute(TEST.replace("NAME", f"bandit-{number}").replace("POLICY", "THOMPSON"))
    await connection.close()
    async with locked(scene, "LOCK TABLE allocation IN SHARE ROW EXCLUSIVE MODE"):
        job_id = await queue(scene, "reallocate", {})
        scene.require(await job_is(scene, job_id, lambda row: row["status"] == "RUNNING"), "the step did not begin")
        await asyncio.sleep(0.5)
        over = await kill_worker(scene)
    await done_again(scene, job_id, over)
    made = (await scene.fetch(VERSIONS))[0]
    scene.require(tuple(made) == (BANDITS, 2, 2), f"versions of bandits: {dict(made)}")
    return over


async def train(scene: Scene, kinds: str) -> int:
    """Ask for models to be trained, as a person does; return the job's number."""
    async with httpx.AsyncClient(base_url=scene.winnow.address, headers=HEADERS, timeout=30) as client:
        asked = {"query": f"mutation {{ trainModels(kinds: [{kinds}]) {{ job {{ id }} }} }}"}
        answer = (await client.post("/graphql", json=asked)).json()
    return int(answer["data"]["trainModels"]["job"]["id"].rpartition("_")[2])


async def in_training(scene: Scene) -> float:
    """Kill it while models are trained."""
    await scene.senders.burst(30_000, spread=timedelta(days=60))
    job_id = await train(scene, "RESPONSE, SEND_TIME")
    scene.require(await job_is(scene, job_id, lambda row: row["progress"] > 0), "training did not begin")
    await until(lambda: scene.winnow.worker().children(recursive=True), 10)
    over = await kill_worker(scene)
    await done_again(scene, job_id, over)
    versions = await scene.fetch("SELECT kind, count(*) FROM trained_model GROUP BY 1")
    scene.notes.append(f"versions { {row[0]: row[1] for row in versions} }")
    scene.require(all(row[1] == 1 for row in versions), f"versions: {versions}")
    return over


async def in_rebuild(scene: Scene) -> float:
    """Kill `winnow rebuild-totals` after it has put one table right and while it mends another; run it again."""
    await scene.fetch("UPDATE campaign_day SET sent = sent + 7 WHERE campaign_id < 5")
    await scene.fetch(f"INSERT INTO campaign_total (campaign_id, slot, {ZERO}) VALUES (1, 9, {ZEROS})")
    environment = {**scene.winnow.environment, "DATABASE_URL": scene.winnow.database_url}
    command = [sys.executable, "-m", "app.cli", "rebuild-totals"]
    async with locked(scene, "SELECT FROM campaign_total WHERE slot = 9 FOR UPDATE"):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        scene.require(await waits(scene, "DELETE FROM campaign_total%"), "the rebuild did not come so far")
        process.kill()
        await process.wait()
        over = time.monotonic()
    said = await asyncio.to_thread(scene.winnow.command_line, "rebuild-totals")
    scene.notes.append(f"run again it said: {'; '.join(said.strip().splitlines())}")
    return over


async def waits(scene: Scene, statement: str, seconds: float = 30.0) -> bool:
    """Wait until such a statement waits for a lock."""
    end = time.monotonic() + seconds
    while not await scene.fetch(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1", statement
    ):
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


FAULTS = (
    Fault(name="worker killed, folding", happen=in_folding, spread=timedelta(days=20)),
    Fault(name="worker killed, allocation step", happen=in_allocation),
    Fault(name="worker killed, training", happen=in_training),
    Fault(name="rebuild-totals killed", happen=in_rebuild, spread=timedelta(days=20)),
)
