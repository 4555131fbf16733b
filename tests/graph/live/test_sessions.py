"""A key that is revoked ends the connections it opened, and no other."""

import asyncio
import secrets

import asyncpg
import httpx
import pytest

from app.auth.keys import digest_of
from app.auth.principals import Principal, Role
from app.errors import DatabaseUnavailable
from graph.live.sessions import Sessions

FOLLOW = "subscription ($id: ID!) { testResults(testId: $id) { totals { exposed } } }"
ANN, BOB = Principal(1, "ann", Role.ANALYST), Principal(2, "bob", Role.ANALYST)


async def test_only_the_revoked_key_s_connections_end():
    ended: list[str] = []

    async def revoked(key_ids):
        asked.append(sorted(key_ids))
        return {1}

    asked: list[list[int]] = []
    sessions = Sessions(revoked)
    await sessions.check()
    with (
        sessions.opened(ANN, lambda: ended.append("first")),
        sessions.opened(ANN, lambda: ended.append("second")),
        sessions.opened(BOB, lambda: ended.append("other")),
    ):
        await sessions.check()
    assert asked == [[1, 2]]
    assert ended == ["first", "second"]
    await sessions.check()
    assert len(asked) == 1  # nobody is connected: nothing is asked


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), asyncpg.QueryCanceledError("too slow")])
async def test_a_database_that_does_not_answer_ends_nobody_and_is_asked_again(failure):
    answers = iter([failure, {1}])
    ended = asyncio.Event()

    async def revoked(_key_ids):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    sessions = Sessions(revoked, check_seconds=0.01)
    with sessions.opened(ANN, ended.set):
        task = asyncio.create_task(sessions.run())
        await asyncio.wait_for(ended.wait(), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def revoke(database_url: str, key: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE api_key SET revoked_at = now() WHERE digest = $1", digest_of(key))
    await connection.close()


@pytest.fixture
async def analyst_key(server) -> str:
    key = "wnw_" + secrets.token_urlsafe(30)
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(
        "INSERT INTO api_key (name, prefix, digest, role, created_at) VALUES ('ann', $1, $2, $3, now())",
        *(key[:8], digest_of(key), Role.ANALYST.value),
    )
    await connection.close()
    return key


async def test_an_open_socket_is_closed_when_its_key_is_revoked(server, connect, test_key, analyst_key):
    async with connect(key=analyst_key) as socket, connect() as other:
        await socket.subscribe(FOLLOW, id=test_key)
        await socket.data()
        await other.subscribe(FOLLOW, id=test_key)
        await other.data()
        await revoke(server.database_url, analyst_key)
        assert await socket.closed() == 4403
        await other.send(type="ping")
        assert await other.receive() == {"type": "pong"}


async def test_an_open_stream_ends_when_its_key_is_revoked(server, test_key, analyst_key):
    headers = {"Authorization": f"Bearer {analyst_key}", "Accept": "text/event-stream"}
    body = {"query": FOLLOW, "variables": {"id": test_key}}
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers) as client,
        client.stream("POST", "/graphql/stream", json=body) as response,
    ):
        lines = response.aiter_lines()
        while not (await asyncio.wait_for(anext(lines), 10)).startswith("data:"):
            pass
        await revoke(server.database_url, analyst_key)
        async with asyncio.timeout(20):
            assert "event: complete" in [line async for line in lines]
