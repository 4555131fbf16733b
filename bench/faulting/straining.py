"""Too little of something: connections, room on the disk; and deliveries in disorder."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import httpx

from bench.faulting.asking import QUERY
from bench.faulting.killing import postmaster, until
from bench.faulting.scene import Fault, Scene
from bench.faulting.sending import HEADERS

HELD_SECONDS = 15.0
SERVERS_OWN = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND application_name LIKE 'winnow%'
"""


MUCH_LOG = "SELECT pg_logical_emit_message(true, 'bench', repeat('x', 1000000)) FROM generate_series(1, 200)"


async def take_connections(scene: Scene) -> float:
    """Take every connection that PostgreSQL has, the server's own ones too."""
    url, taken = scene.winnow.database_url, []
    watching = await asyncpg.connect(url)
    end = time.monotonic() + HELD_SECONDS
    while time.monotonic() < end:
        try:
            taken.append(await asyncpg.connect(url, timeout=2))
            if len(taken) % 20 == 0:  # those that the server holds become free, and are taken next
                await watching.execute(SERVERS_OWN)
        except (asyncpg.PostgresError, OSError):
            await watching.execute(SERVERS_OWN)
            await asyncio.sleep(0.02)
    left = await watching.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'winnow%'")
    scene.notes.append(f"{len(taken)} taken, {left} left to the server")
    await asyncio.gather(*(connection.close() for connection in taken))
    await watching.close()
    return time.monotonic()


async def saturate_pool(scene: Scene) -> float:
    """Make queries slow, by a lock, and ask more of them than there are connections."""
    blocking = await asyncpg.connect(scene.winnow.database_url)
    async with httpx.AsyncClient(base_url=scene.winnow.address, headers=HEADERS, timeout=60) as client:
        async with blocking.transaction():
            await blocking.execute("LOCK TABLE campaign_total, campaign_hour IN ACCESS EXCLUSIVE MODE")
            asked = [asyncio.create_task(client.post("/graphql", json={"query": QUERY})) for _ in range(60)]
            await asyncio.sleep(HELD_SECONDS)
        over = time.monotonic()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    good = sum(isinstance(one, httpx.Response) and "errors" not in one.json() for one in answers)
    scene.notes.append(f"60 queries waited, {good} answered well, the last after {time.monotonic() - over:.1f} s")
    await blocking.close()
    return over


async def fill_disk(scene: Scene) -> float:
    """Fill the disk under the data folder, then make room again."""
    async with _full(scene):
        await asyncio.sleep(2 * HELD_SECONDS)
    return time.monotonic()


async def fill_disk_and_log(scene: Scene) -> float:
    """The same, and no room is left in the write-ahead log either: PostgreSQL panics, and cannot even start."""
    before = scene.winnow.postgres().pid
    async with _full(scene):
        with suppress(asyncpg.PostgresError, OSError):
            await scene.fetch(MUCH_LOG)
        await asyncio.sleep(2 * HELD_SECONDS)
    over = time.monotonic()
    scene.require(await until(lambda: postmaster(scene) is not None), "PostgreSQL was not started again")
    scene.notes.append(f"PostgreSQL had ended: {postmaster(scene) != before}")
    return over


@asynccontextmanager
async def _full(scene: Scene) -> AsyncIterator[None]:
    """Keep the disk full: what PostgreSQL gives up is taken at once."""
    filler = scene.winnow.data / "filler"

    async def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            while True:
                for size in (1_000_000, 4096):
                    with suppress(OSError):
                        while True:
                            file.write(bytes(size))
                await asyncio.sleep(0.05)

    filling = asyncio.create_task(fill())
    try:
        yield
    finally:
        filling.cancel()
        filler.unlink()


async def disorder(_scene: Scene) -> float:
    """Let some time pass: the disorder is the senders'."""
    await asyncio.sleep(15)
    return time.monotonic()


FAULTS = (
    Fault(name="all connections taken", happen=take_connections),
    Fault(name="pool full of slow queries", happen=saturate_pool),
    Fault(name="disk full", happen=fill_disk, tmpfs_megabytes=400, embedded_only=True),
    Fault(name="disk full, write-ahead log too", happen=fill_disk_and_log, tmpfs_megabytes=400, embedded_only=True),
    Fault(name="repeated and in disorder", happen=disorder, repeat=0.5, spread=timedelta(days=20)),
)
