"""What an entered reading asks goes to the standby, all else to the primary, and there too what the standby fails."""

import asyncio

import asyncpg
import pytest

from app.store import replica as module
from app.store.reading import Reading, Source

WHERE = "SELECT pg_is_in_recovery()"
SLOW_AT_STANDBY = """
SELECT pg_is_in_recovery() FROM (SELECT count(*), pg_sleep(CASE WHEN pg_is_in_recovery() THEN 30 ELSE 0 END)
                                 FROM merchant) AS counted
"""
WRITE = "INSERT INTO merchant (key, name, category) VALUES (gen_random_uuid()::text, 'M', 'Food')"


@pytest.fixture
async def replicated(servers, open_replicated):
    async with open_replicated(max_lag_seconds=5.0) as database:
        async with asyncio.timeout(5):
            while database.replica.choose() is None:  # noqa: ASYNC110  # see test_replica
                await asyncio.sleep(0.02)
        yield database


async def places(database) -> list[bool]:
    async with database.transaction(readonly=True) as connection:
        by_transaction = await connection.fetchval(WHERE)
    return [
        (await database.fetch(WHERE))[0][0],
        (await database.fetchrow(WHERE))[0],
        await database.fetchval(WHERE),
        by_transaction,
    ]


async def test_reads_go_to_the_standby_only_inside(replicated) -> None:
    assert await places(replicated) == [False] * 4
    with Reading(replicated.replica) as reading:
        assert await places(replicated) == [True] * 4
        assert await asyncio.gather(*(replicated.fetchval(WHERE) for _ in range(3))) == [True] * 3
        assert (reading.source, reading.lag_seconds < 5) == (Source.REPLICA, True)
    assert await places(replicated) == [False] * 4


async def test_writes_go_to_the_primary_inside_too(replicated, servers) -> None:
    before = await servers.on_primary("SELECT count(*) FROM merchant")
    with Reading(replicated.replica):
        await replicated.execute(WRITE)
        async with replicated.transaction() as connection:
            await connection.execute(WRITE)
        assert await replicated.fetchval(f"{WRITE} RETURNING true") is True  # refused by the standby, done once
    assert await servers.on_primary("SELECT count(*) FROM merchant") == before + 3


async def test_a_query_that_replaying_cancels_is_asked_at_the_primary(replicated, servers) -> None:
    await servers.on_primary(WRITE)
    await servers.caught_up()
    with Reading(replicated.replica) as reading:
        asked = asyncio.create_task(replicated.fetchval(SLOW_AT_STANDBY))
        await asyncio.sleep(0.2)
        assert not asked.done()
        await servers.on_primary("DELETE FROM merchant")
        await servers.on_primary("VACUUM merchant")
        assert await asyncio.wait_for(asked, 15) is False
        assert reading.source is Source.PRIMARY
        assert await replicated.fetchval(WHERE) is False  # nothing read later is older
    assert replicated.replica.choose() is not None  # one conflict is no reason to leave it
    with Reading(replicated.replica):
        assert await replicated.fetchval(WHERE) is True


async def test_a_query_whose_standby_ends_is_asked_at_the_primary(replicated, servers) -> None:
    await servers.on_primary(WRITE)
    await servers.caught_up()
    with Reading(replicated.replica) as reading:
        asked = asyncio.create_task(replicated.fetchval(SLOW_AT_STANDBY))
        await asyncio.sleep(0.2)
        servers.standby.stop()
        try:
            assert await asyncio.wait_for(asked, 15) is False
            assert reading.source is Source.PRIMARY
            assert replicated.replica.choose() is None  # doubted at once, before anybody looked
        finally:
            servers.standby.start()


async def test_queries_of_a_standby_that_hangs_are_asked_at_the_primary(
    replicated, servers, stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(replicated.replica, "answer_seconds", 3.0)
    with Reading(replicated.replica) as reading, stopped(servers.standby.process_id):
        asked = [replicated.fetchval(WHERE) for _ in range(15)]  # more than the pool has connections
        assert await asyncio.wait_for(asyncio.gather(*asked), 10) == [False] * 15
        assert reading.source is Source.PRIMARY


async def test_a_query_that_is_wrong_is_wrong_at_once(replicated) -> None:
    with Reading(replicated.replica) as reading:
        with pytest.raises(asyncpg.UndefinedTableError):
            await replicated.fetch("SELECT * FROM nowhere")
        assert reading.source is Source.REPLICA
