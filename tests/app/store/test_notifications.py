import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import structlog

from app.errors import DatabaseUnavailable
from app.runtime.broadcast import Change
from app.store.database import Database
from app.store.notifications import LARGEST_PAYLOAD, LONGEST_ID, PostgresBroadcast, payloads

END_LISTENERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'winnow listener' AND datname = current_database()
"""


@pytest.fixture
async def here(database: Database) -> AsyncIterator[PostgresBroadcast]:
    broadcast = await PostgresBroadcast(database, window_seconds=0.01, retry_seconds=(0.05, 0.1)).start()
    yield broadcast
    await broadcast.close()


@pytest.fixture
async def elsewhere(database: Database) -> AsyncIterator[PostgresBroadcast]:
    """As another process would have it: a listener of its own."""
    broadcast = await PostgresBroadcast(database, window_seconds=0.01, retry_seconds=(0.05, 0.1)).start()
    yield broadcast
    await broadcast.close()


async def following(changes: AsyncIterator[Change]) -> Change:
    return await asyncio.wait_for(anext(changes), 5)


async def test_a_change_is_heard_here_and_elsewhere(here: PostgresBroadcast, elsewhere: PostgresBroadcast):
    with here.subscribe("tests") as own, elsewhere.subscribe("tests") as others:
        await here.publish("tests", ["1"])
        assert await following(own) == await following(others) == Change(topic="tests", ids=frozenset("1"))


async def test_many_announcements_become_one_statement(here: PostgresBroadcast, statements):
    with statements.watched(everywhere=True) as seen, here.subscribe("tests") as changes:
        for number in range(500):
            await here.publish("tests", [str(number % 50)])
        assert len((await following(changes)).ids) == 50
    assert sum("pg_notify" in statement for statement in seen) == 1


async def test_a_broken_connection_is_made_anew_and_said(here: PostgresBroadcast, database: Database):
    with here.subscribe("tests") as changes:
        broken = await database.fetchval(END_LISTENERS)
        assert broken >= 1
        assert (await following(changes)).reread
        await here.publish("tests", ["2"])
        assert await following(changes) == Change(topic="tests", ids=frozenset("2"))


async def test_nothing_unforeseen_ends_the_listening(
    here: PostgresBroadcast, database: Database, monkeypatch: pytest.MonkeyPatch
):
    connect, failures = asyncpg.connect, [asyncpg.InternalClientError("ending"), ZeroDivisionError()]

    async def failing(*args: Any, **given: Any) -> Any:
        if failures:
            raise failures.pop()
        return await connect(*args, **given)

    monkeypatch.setattr(asyncpg, "connect", failing)
    with here.subscribe("tests") as changes:
        await database.fetchval(END_LISTENERS)
        assert (await following(changes)).reread
        assert failures == []
        await here.publish("tests", ["3"])
        assert (await following(changes)).ids == {"3"}


async def test_nothing_unforeseen_ends_the_announcing(
    here: PostgresBroadcast, database: Database, monkeypatch: pytest.MonkeyPatch
):
    with here.subscribe("tests") as changes, monkeypatch.context() as patched:
        patched.setattr(database, "execute", lambda *_: 1 / 0)
        await here.publish("tests", ["4"])
        await asyncio.sleep(0.05)
        patched.undo()
        assert (await following(changes)).ids == {"4"}


async def test_a_database_that_stays_away_is_told_less_and_less_often(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    broadcast = await PostgresBroadcast(database, window_seconds=0.0, retry_seconds=(0.01, 10.0)).start()
    with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(database, "execute", lambda *_: 1 / 0)
        await broadcast.publish("tests", ["5"])
        await asyncio.sleep(0.3)
    waits = [line["retry_in_seconds"] for line in logs if line["event"] == "announcing_failed"]
    assert waits[:3] == [0.01, 0.02, 0.04]
    assert len(waits) <= 6
    await broadcast.close()


async def test_what_is_pending_is_announced_on_close(database: Database, elsewhere: PostgresBroadcast):
    closing = await PostgresBroadcast(database, window_seconds=60).start()
    with elsewhere.subscribe("tests") as changes:
        await closing.publish("tests", ["last"])
        await closing.close()
        assert (await following(changes)).ids == {"last"}


async def test_data_is_refused(here: PostgresBroadcast):
    with pytest.raises(ValueError, match="ids, not data"):
        await here.publish("tests", ["x" * (LONGEST_ID + 1)])


def test_payloads_fit_and_lose_nothing():
    ids = {f"{number:040d}" for number in range(5_000)}
    made = list(payloads({"tests": ids, "none": set()}))
    assert all(len(payload.encode()) <= LARGEST_PAYLOAD for payload in made)
    assert sum(payload.count('"') // 2 - 1 for payload in made) == len(ids)


async def test_where_the_server_went_nothing_is_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch):
    async def refused(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("no such socket")

    monkeypatch.setattr(asyncpg, "connect", refused)
    broadcast = PostgresBroadcast(database)
    with pytest.raises(DatabaseUnavailable, match="no such socket"):
        await asyncio.wait_for(broadcast.start(), 5)
    await broadcast.close()
