"""What a subscriber may rely on: one and several processes, slow readers, lost connections, restarts."""

import asyncio
import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
import websockets

from app.store.embedded.server import EmbeddedPostgres
from graph.live.followers import News

ROOT = Path(__file__).parents[3]
NODE_MODULES = ROOT / ".winnow/bench/graphql-ws/node_modules"
FOLLOW = "subscription ($id: ID!) { testResults(testId: $id, maxPerSecond: 20) { totals { exposed } } }"
DEFAULT = "subscription ($id: ID!) { testResults(testId: $id) { totals { exposed } } }"
SHARES = "subscription ($id: ID!) { allocation(testId: $id) { policyVersion shares { variant { key } probability } } }"


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A cluster of the test's own, which it may stop."""
    with tempfile.TemporaryDirectory(prefix="winnow-live-") as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder), durable=False)
        postgres.start()
        yield postgres
        postgres.stop()


async def test_first_the_present_then_changes_at_most_once_a_second(connect, live, test_key: str, expose) -> None:
    async with connect() as socket:
        await socket.subscribe(DEFAULT, id=test_key)
        states, times = [live.count(await socket.data())], [time.monotonic()]

        async def read() -> None:
            while states[-1] < 12:
                states.append(live.count(await socket.data()))
                times.append(time.monotonic())

        reading = asyncio.create_task(read())
        for number in range(12):
            await expose(f"u{number}")
            await asyncio.sleep(0.2)
        await reading
        assert states[0] == 0
        assert states == sorted(states)
        assert 3 <= len(states) <= 6
        assert min(after - before for before, after in pairwise(times)) > 0.9
        await socket.nothing(1.3)


async def test_a_repeated_event_tells_nobody_anything_new(connect, live, test_key: str, expose) -> None:
    async with connect() as socket:
        await socket.subscribe(FOLLOW, id=test_key)
        await socket.data()
        await expose("u1")
        assert live.count(await socket.data()) == 1
        await expose("u1")
        await socket.nothing(0.7)


async def test_many_connections_under_many_ids_are_told_the_same_by_one_execution(local, live) -> None:
    test = await live.running(local)
    sockets = [live.dialled(local.url, key=local.key) for _ in range(20)]
    opened = [await one.__aenter__() for one in sockets]
    for number, socket in enumerate(opened):
        await socket.subscribe(FOLLOW, str(number % 3) * (1 + number), id=test)
    for socket in opened:
        assert live.count(await socket.data()) == 0
    assert len(local.feeds) == 1
    await live.exposed(local, test, "u1")
    for number, socket in enumerate(opened):
        message = await socket.receive()
        assert message["id"] == str(number % 3) * (1 + number)
        assert live.count(message["payload"]["data"]) == 1
    for one in sockets:
        await one.__aexit__(None, None, None)
    await live.eventually(lambda: len(local.feeds) == 0)


async def test_no_task_outlives_its_connection(local, live) -> None:
    test = await live.running(local)
    before = asyncio.all_tasks()
    for leave in ("close", "abort"):
        async with live.dialled(local.url, key=local.key) as socket:
            for number in range(10):
                await socket.subscribe(FOLLOW + " " * number, str(number), id=test)
            for _ in range(10):
                await socket.data()
            if leave == "abort":
                socket.connection.transport.abort()
        await live.eventually(lambda: len(local.feeds) == 0)
    await live.eventually(lambda: asyncio.all_tasks() <= before)


async def test_one_who_does_not_read_skips_to_the_newest(local, live) -> None:
    test = await live.running(local)
    wide = "subscription ($id: ID!) { testResults(testId: $id, maxPerSecond: 20) { asOf totals { exposed } "
    wide += " ".join(f"v{number}: verdict {{ decision reasons }}" for number in range(45)) + "} }"
    host, _, port = local.url.removeprefix("http://").partition(":")
    async with (
        live.dialled(local.url, key=local.key, max_queue=1, host=host, port=int(port)) as slow,
        live.dialled(local.url, key=local.key) as quick,
    ):
        await slow.subscribe(wide, id=test)
        await quick.subscribe(FOLLOW, id=test)
        await quick.data()
        # nothing is read: the socket's buffers fill, then the server keeps one answer
        slow.connection.transport.pause_reading()
        (feed,) = [one for key, one in local.feeds._feeds.items() if key.query == wide]
        await live.eventually(lambda: feed._newest is not None)
        present = feed._newest.text
        (follower,) = feed.followers
        told = 0
        async with asyncio.timeout(60):
            while follower._news is None:
                await feed.tell(News(present + b" " * 100_000))
                told += 1
                await asyncio.sleep(0.001)
        for _ in range(50):
            await feed.tell(News(present))
        await live.exposed(local, test, "u1")
        assert live.count(await quick.data()) == 1  # not held up by the other
        await live.eventually(lambda: b'"exposed":1' in (follower._news.text if follower._news else b""))
        slow.connection.transport.resume_reading()
        received = 0
        async for text in slow.connection:
            received += 1
            if live.count(json.loads(text)["payload"]["data"]) == 1:
                break
        assert received <= told + 2


async def test_shares_are_followed(connect, live, server, test_key: str) -> None:
    async with connect() as socket:
        await socket.subscribe(SHARES, id=test_key)
        first = (await socket.data())["allocation"]
        assert [share["probability"] for share in first["shares"]] == [0.5, 0.5]
        mutation = (
            "mutation ($id: ID!) { setWeights(id: $id, weights: "
            '[{key: "a", weight: 0.2}, {key: "b", weight: 0.8}]) { errors { message } } }'
        )
        answer = await live.post(server, mutation, id=test_key)
        assert answer["setWeights"]["errors"] == []
        second = (await socket.data())["allocation"]
        assert [share["probability"] for share in second["shares"]] == [0.2, 0.8]
        assert second["policyVersion"] > first["policyVersion"]


# ------------------------------------------------------------------------------------------------ what breaks


async def test_several_processes_tell_of_what_one_of_them_took(new_database, serve, live) -> None:
    with serve(await new_database(), WINNOW_WORKERS="2") as server:
        test = await live.running(server)
        sockets = [live.dialled(server.url, key=server.key) for _ in range(24)]
        opened = [await one.__aenter__() for one in sockets]
        for socket in opened:
            await socket.subscribe(FOLLOW, id=test)
        for socket in opened:
            assert live.count(await socket.data()) == 0
        port = int(server.url.rpartition(":")[2])
        assert sum(holds(child, port) for child in psutil.Process(server.process.pid).children()) == 2
        await live.exposed(server, test, "u1")
        for socket in opened:
            assert live.count(await socket.data()) == 1
        for one in sockets:
            await one.__aexit__(None, None, None)


def holds(process: psutil.Process, port: int) -> bool:
    return any(one.laddr.port == port and one.status == "ESTABLISHED" for one in process.net_connections("tcp"))


async def test_a_killed_listener_listens_again_and_reads_anew(connect, live, server, test_key: str, expose) -> None:
    async with connect() as socket:
        await socket.subscribe(FOLLOW, id=test_key)
        await socket.data()
        connection = await asyncpg.connect(server.database_url)
        killed = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'winnow listener' AND datname = current_database()"
        )
        assert killed >= 1
        await expose("u1")
        assert live.count(await socket.data()) == 1
        await expose("u2")
        assert live.count(await socket.data()) == 2
        await connection.close()


@pytest.mark.slow
async def test_a_restarted_database_interrupts_nobody(serve, live, postgres: EmbeddedPostgres) -> None:
    with serve(postgres.url) as server:
        test = await live.running(server)
        async with live.dialled(server.url, key=server.key) as socket:
            await socket.subscribe(FOLLOW, id=test)
            assert live.count(await socket.data()) == 0
            postgres.stop()
            await asyncio.sleep(1)
            await socket.subscribe(FOLLOW, "meanwhile", id=test)
            assert (await socket.receive())["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
            postgres.start()
            await eventually_exposed(live, server, test)
            assert live.count(await socket.data(20)) == 1


async def eventually_exposed(live, server, test: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await live.exposed(server, test, "u1")
            except (KeyError, AssertionError, httpx.HTTPError):
                await asyncio.sleep(0.3)
            else:
                return


@pytest.mark.slow
async def test_a_client_comes_back_after_its_process_was_killed(new_database, serve, live) -> None:
    with serve(await new_database()) as server:
        test = await live.running(server)
        following = states_of(server, test)
        assert await asyncio.wait_for(anext(following), 10) == 0
        (web,) = (one for one in psutil.Process(server.process.pid).children() if "app.commands.web" in one.cmdline())
        web.send_signal(signal.SIGKILL)
        assert await asyncio.wait_for(anext(following), 30) == 0  # the present state, first, again
        await eventually_exposed(live, server, test)
        assert await asyncio.wait_for(anext(following), 10) == 1
        await following.aclose()


async def states_of(server, test: str) -> AsyncIterator[int]:
    """Follow as the page of docs says: connect again whenever the connection is lost."""
    url = server.url.replace("http", "ws") + "/graphql"
    async for socket in websockets.connect(url, subprotocols=["graphql-transport-ws"]):
        try:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"X-API-Key": server.key}}))
            subscribe = {"query": FOLLOW, "variables": {"id": test}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": subscribe}))
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "next":
                    totals = message["payload"]["data"]["testResults"]["totals"]
                    yield sum(total["exposed"] for total in totals)
        except websockets.ConnectionClosed:
            continue


async def test_a_server_that_stops_waits_for_no_subscriber(new_database, serve, live) -> None:
    with serve(await new_database()) as server:
        test = await live.running(server)
        body = {"query": FOLLOW, "variables": {"id": test}}
        async with (
            live.dialled(server.url, key=server.key) as socket,
            httpx.AsyncClient(base_url=server.url, headers={**server.headers, "Accept": "text/event-stream"}) as client,
            client.stream("POST", "/graphql/stream", json=body) as response,
        ):
            await socket.subscribe(FOLLOW, id=test)
            await socket.data()
            lines = response.aiter_lines()
            assert await anext(lines) == "event: next"
            started = time.monotonic()
            server.process.terminate()
            assert await socket.closed() == 1012
            assert "event: complete" not in [line async for line in lines]
            await asyncio.to_thread(server.process.wait, 20)
            assert time.monotonic() - started < 6  # of the 10 seconds that requests may take


# ------------------------------------------------------------------------------------------------ a client of npm


SCRIPT = """
const { createClient } = require('graphql-ws');
const [url, key, query, id, most] = process.argv.slice(2);
const client = createClient({
  url, webSocketImpl: require('ws'), connectionParams: { Authorization: `Bearer ${key}` }, retryAttempts: 20,
});
let left = Number(most);
const stop = client.subscribe({ query, variables: { id } }, {
  next: (message) => {
    console.log(JSON.stringify(message));
    if (--left === 0) { stop(); client.dispose(); }
  },
  error: (error) => { console.log(JSON.stringify({ error: String(error) })); process.exit(1); },
  complete: () => console.log('"complete"'),
});
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
@pytest.mark.skipif(not NODE_MODULES.exists(), reason="graphql-ws is not installed: scripts/bench live does it")
async def test_graphql_ws_of_npm_follows(server, live, test_key: str, expose, tmp_path: Path) -> None:
    script = tmp_path / "follow.cjs"
    script.write_text(SCRIPT)
    url = server.url.replace("http", "ws") + "/graphql"
    process = await asyncio.create_subprocess_exec(
        *("node", script, url, server.key, FOLLOW, test_key, "2"),
        env={"NODE_PATH": str(NODE_MODULES), "PATH": "/usr/bin:/bin:/usr/local/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert live.count(first["data"]) == 0
    await expose("u1", "u2")
    second = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert live.count(second["data"]) == 2
    rest, _ = await asyncio.wait_for(process.communicate(), 20)
    assert rest == b'"complete"\n'
    assert process.returncode == 0
