import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from app.errors import DatabaseUnavailable
from app.store import standby as standby_module
from app.store.standby import Standby


@pytest_asyncio.fixture
async def pool(database) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database.url, min_size=0, max_size=3) as pool:
        yield pool


@pytest_asyncio.fixture
async def standby(pool: asyncpg.Pool) -> AsyncIterator[Standby]:
    standby = Standby(pool, most=1)
    yield standby
    await standby.close()


async def test_one_connection_serves_one_statement_after_another(pool: asyncpg.Pool, standby: Standby) -> None:
    sessions = {await standby.run("fetchval", "SELECT pg_backend_pid()") for _ in range(5)}
    assert len(sessions) == 1
    assert (pool.get_size(), pool.get_idle_size()) == (1, 0)


async def test_no_more_are_kept_than_said(pool: asyncpg.Pool, standby: Standby) -> None:
    await asyncio.gather(*(standby.run("fetch", "SELECT pg_sleep(0.05)") for _ in range(3)))
    assert (pool.get_size(), pool.get_idle_size()) == (3, 2)


async def test_whoever_waits_gets_the_next_one(pool: asyncpg.Pool) -> None:
    greedy = Standby(pool, most=3)
    answers = await asyncio.wait_for(
        asyncio.gather(*(greedy.run("fetchval", "SELECT pg_sleep(0.01) IS NULL") for _ in range(30))), 10
    )
    assert len(answers) == 30
    await greedy.close()
    assert pool.get_idle_size() == pool.get_size()


async def test_after_an_error_the_pool_sees_to_the_connection(pool: asyncpg.Pool, standby: Standby) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await standby.run("fetch", "SELECT 1/0")
    assert pool.get_idle_size() == pool.get_size() == 1
    assert await standby.run("fetchval", "SELECT 1") == 1


async def test_a_statement_given_up_leaves_nothing_behind(pool: asyncpg.Pool, standby: Standby) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(standby.run("fetch", "SELECT pg_sleep(10)"), 0.1)
    assert await standby.run("fetchval", "SELECT 1") == 1
    assert pool.get_size() - pool.get_idle_size() == 1


async def test_one_whose_server_has_gone_is_replaced(pool: asyncpg.Pool, standby: Standby, database) -> None:
    session = await standby.run("fetchval", "SELECT pg_backend_pid()")
    await database.execute("SELECT pg_terminate_backend($1)", session)
    await asyncio.sleep(0.1)
    assert await standby.run("fetchval", "SELECT pg_backend_pid()") != session


async def test_one_that_was_idle_for_long_is_not_used(standby: Standby, monkeypatch) -> None:
    session = await standby.run("fetchval", "SELECT pg_backend_pid()")
    monkeypatch.setattr(standby_module, "KEPT_SECONDS", 0.0)
    assert await standby.run("fetchval", "SELECT pg_backend_pid()") != session


async def test_whoever_waits_for_too_long_is_told_to_come_again(pool: asyncpg.Pool) -> None:
    standby = Standby(pool, most=1, wait_seconds=0.1)
    slow = [asyncio.create_task(standby.run("fetch", "SELECT pg_sleep(1)")) for _ in range(3)]
    await asyncio.sleep(0.05)
    with pytest.raises(DatabaseUnavailable, match=r"within 0.1 s: try again .* WINNOW_POOL_SIZE"):
        await standby.run("fetchval", "SELECT 1")
    await asyncio.gather(*slow)
    assert await standby.run("fetchval", "SELECT 1") == 1
    await standby.close()


async def test_one_goes_straight_to_the_next_that_waits(pool: asyncpg.Pool) -> None:
    standby = Standby(pool, most=0)
    answers = await asyncio.gather(*(standby.run("fetchval", "SELECT pg_sleep(0.01) IS NULL") for _ in range(30)))
    assert answers == [False] * 30
    assert pool.get_idle_size() == pool.get_size() == 3


async def test_what_was_handed_to_one_who_gave_up_goes_on(pool: asyncpg.Pool, standby: Standby) -> None:
    slow = [asyncio.create_task(standby.run("fetch", "SELECT pg_sleep(0.03)")) for _ in range(3)]
    await asyncio.sleep(0.01)
    given_up = [asyncio.create_task(standby.run("fetch", "SELECT 1")) for _ in range(5)]
    await asyncio.sleep(0)
    for one in given_up:
        one.cancel()
    assert await asyncio.wait_for(standby.run("fetchval", "SELECT 1"), 5) == 1
    await asyncio.gather(*slow)
    assert pool.get_size() - pool.get_idle_size() <= 1
