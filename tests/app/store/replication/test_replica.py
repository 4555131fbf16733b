"""A standby is used while it is young enough, left when it is not or gone, and used again: said once each."""

import asyncio
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from app.store import replica as module
from app.store.replica import Replica

WRITE = "INSERT INTO merchant (key, name, category) VALUES (gen_random_uuid()::text, 'M', 'Food')"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)


async def until(holds: Callable[[], bool]) -> float:
    started = time.monotonic()
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110  # what a watch of seconds sees has no event
            await asyncio.sleep(0.02)
    return time.monotonic() - started


def is_used(replica: Replica) -> Callable[[], bool]:
    return lambda: replica.choose() is not None


def is_left(replica: Replica) -> Callable[[], bool]:
    return lambda: replica.choose() is None


async def test_a_standby_that_follows_is_used_and_its_lag_is_known(servers, open_replicated, gauge) -> None:
    async with open_replicated() as database:
        replica = database.replica
        await until(is_used(replica))
        for _ in range(5):
            await servers.on_primary(WRITE)
            await asyncio.sleep(0.1)
        assert replica.lag_seconds < 1
        assert replica.state["used"] is True
        assert gauge("winnow_replica_lag_seconds", replica) < 1
        assert gauge("winnow_replica_used", replica) == 1


async def test_nothing_to_replay_is_no_lag(servers, open_replicated) -> None:
    async with open_replicated(max_lag_seconds=1.0) as database:
        await until(is_used(database.replica))
        nothing_written = False
        while not nothing_written:  # PostgreSQL writes of itself every 15 s where something was written before
            position = await servers.caught_up()
            await servers.pause()
            try:
                await asyncio.sleep(1.5)
                chosen = database.replica.choose()
                nothing_written = await servers.position() == position
            finally:
                await servers.resume()
        assert chosen is not None


async def test_one_that_lags_is_left_said_once_and_used_again(servers, open_replicated, gauge) -> None:
    with capture_logs() as logs:
        async with open_replicated(max_lag_seconds=1.0) as database:
            replica = database.replica
            await until(is_used(replica))
            await servers.pause()
            try:
                await servers.on_primary(WRITE)
                assert 0.5 < await until(is_left(replica)) < 3
                await asyncio.sleep(0.5)
                assert replica.state["used"] is False
                assert "lags by" in replica.state["reason"]
                assert gauge("winnow_replica_lag_seconds", replica) > 1
                assert gauge("winnow_replica_used", replica) == 0
            finally:
                await servers.resume()
            await until(is_used(replica))
    told = [entry["event"] for entry in logs if entry["event"].startswith("replica_")]
    assert told == ["replica_used", "replica_not_used", "replica_used"]


async def test_one_that_is_stopped_is_left_and_used_again_once_it_is_back(servers, open_replicated) -> None:
    with capture_logs() as logs:
        async with open_replicated() as database:
            replica = database.replica
            await until(is_used(replica))
            servers.standby.stop()
            await until(lambda: replica.state["used"] is False)
            await asyncio.sleep(0.3)
            servers.standby.start()
            await until(is_used(replica))
    told = [entry["event"] for entry in logs if entry["event"].startswith("replica_")]
    assert told == ["replica_used", "replica_not_used", "replica_used"]


async def test_one_that_is_gone_at_the_start_keeps_nobody_from_starting(servers, open_replicated) -> None:
    servers.standby.stop()
    try:
        async with open_replicated() as database:
            assert database.replica.choose() is None
            assert database.replica.state["lagSeconds"] is None
            assert "does not answer" in database.replica.state["reason"]
            await asyncio.sleep(0.2)
    finally:
        servers.standby.start()


async def test_one_that_hangs_is_left(servers, open_replicated, stopped) -> None:
    async with open_replicated() as database:
        await until(is_used(database.replica))
        with stopped(servers.standby.process_id):
            assert await until(is_left(database.replica)) < 5
            assert "did not answer" in database.replica.state["reason"]
        await until(is_used(database.replica))


async def test_while_the_primary_is_away_it_answers_until_it_is_too_old(servers, open_replicated, stopped) -> None:
    async with open_replicated(max_lag_seconds=1.0) as database:
        await until(is_used(database.replica))
        with stopped(servers.primary.process_id):
            assert 0.3 < await until(is_left(database.replica)) < 3
        await until(is_used(database.replica))


async def test_the_primary_is_no_standby(servers, open_replicated) -> None:
    async with open_replicated(servers.primary.url) as database:
        assert "no standby" in database.replica.state["reason"]


async def test_another_database_of_the_standby_is_refused(servers, open_replicated) -> None:
    async with open_replicated(servers.other_database("postgres")) as database:
        assert "another of its databases" in database.replica.state["reason"]
