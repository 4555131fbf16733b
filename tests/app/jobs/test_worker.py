"""A worker's own connection for announcements: listened to before it is tried, and missed where it is lost."""

import asyncio
from functools import partial

import asyncpg
import pytest
from pgqueuer.domain.errors import FailingListenerError
from pydantic import SecretStr

from app.errors import DatabaseUnavailable
from app.jobs.running import JobRunner
from app.jobs.worker import Worker
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.database import Database, is_unavailable
from app.store.queue import JobQueue, pool_driver
from app.worker import keep_working


async def test_nothing_is_announced_to_oneself_before_one_listens(clean_database: Database) -> None:
    driver, heard = pool_driver(clean_database), asyncio.Event()
    async with driver:
        announced = asyncio.create_task(driver.notify("test_channel", "hello"))
        await asyncio.sleep(0.1)
        assert not announced.done()
        await driver.add_listener("test_channel", lambda _payload: heard.set())
        await announced
        await asyncio.wait_for(heard.wait(), 5)


async def test_a_worker_that_hears_nothing_asks_to_be_begun_anew(
    clean_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(*_: object, **__: object) -> None:
        raise FailingListenerError

    runner = JobRunner(JobQueue(clean_database, LocalBroadcast()), {}, broadcast=LocalBroadcast(), clock=SystemClock())
    worker = Worker(clean_database, runner, kinds=(), appointments=(), heartbeat_seconds=1.0)
    monkeypatch.setattr("pgqueuer.PgQueuer.run", deaf)
    with pytest.raises(DatabaseUnavailable, match="announcements") as lost:
        await worker.run()
    assert is_unavailable(lost.value)  # so that `winnow worker` goes on


async def test_a_worker_whose_database_goes_while_it_begins_can_be_stopped(
    settings: Settings, new_database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping, refused = asyncio.Event(), asyncio.Event()

    async def gone(*_: object, **__: object) -> None:
        refused.set()
        raise FileNotFoundError("no such socket")

    url = SecretStr(await new_database())
    with monkeypatch.context() as patched:
        patched.setattr(Database, "open", partial(Database.open, default=False))
        patched.setattr(asyncpg, "connect", gone)  # its pool is open by then
        working = asyncio.create_task(keep_working(settings.model_copy(update={"database_url": url}), stopping))
        await asyncio.wait_for(refused.wait(), 10)
        stopping.set()
        await asyncio.wait_for(working, 10)
