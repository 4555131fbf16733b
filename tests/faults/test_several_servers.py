"""Two `winnow serve` on one database, as on two machines: three web processes and two workers in all.

What workers do once between them is in test_worker; what processes of one server tell each other, in test_following.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path

import httpx
import pytest_asyncio

from app.auth.keys import REMEMBERED_SECONDS
from tests.conftest import RunningServer, serving

ROOT = Path(__file__).parents[2]
CREATE = """
mutation Create($input: CreateTestInput!) { createTest(input: $input) { test { id key } errors { message path } } }
"""
START = "mutation Start($id: ID!) { startTest(id: $id) { test { status } errors { message } } }"
FOLLOW = "subscription Follow($id: ID!) { testResults(testId: $id, maxPerSecond: 20) { totals { exposed } } }"
USERS = 300
TEST = {
    "key": "spring",
    "name": "Spring",
    "variants": [
        {"key": "control", "name": "Control", "weight": 0.5, "isControl": True},
        {"key": "treatment", "name": "Treatment", "weight": 0.5},
    ],
    "metric": {"key": "bought", "kind": "CONVERSION", "event": "CONVERTED"},
}


@pytest_asyncio.fixture(scope="module")
async def servers(new_database) -> AsyncIterator[tuple[RunningServer, RunningServer]]:
    """Started at the same moment on an empty database: both bring its schema up to date."""
    url = await new_database(empty=True)
    few = {"WINNOW_POOL_SIZE": "4", "WINNOW_ORM_POOL_SIZE": "1"}  # other servers share the PostgreSQL of the tests
    contexts = [serving(url, WINNOW_WORKERS=workers, **few) for workers in ("2", "1")]
    with ExitStack() as stack, ThreadPoolExecutor(2) as starting:
        began = [starting.submit(stack.enter_context, one) for one in contexts]
        yield began[0].result(), began[1].result()


@pytest_asyncio.fixture
async def client(servers) -> AsyncIterator[httpx.AsyncClient]:
    """Of the first server; the second one's address is absolute."""
    async with httpx.AsyncClient(base_url=servers[0].url, headers=servers[0].headers, timeout=30) as client:
        yield client


async def ask(client: httpx.AsyncClient, query: str, *, at: str = "", **variables) -> dict:
    answer = (await client.post(f"{at}/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def test_what_both_are_sent_is_counted_once_and_told_by_both(servers, client) -> None:
    there = servers[1].url
    assert (await ask(client, CREATE, input=TEST))["createTest"]["errors"] == []
    assert (await ask(client, START, id="spring"))["startTest"]["test"] == {"status": "RUNNING"}
    decided = await client.post(f"{there}/ofrep/v1/evaluate/flags/spring", json={"context": {"targetingKey": "ann"}})
    assert decided.status_code == 200  # at once, announced or not

    counts: list[int] = []
    following = asyncio.create_task(follow(client, there, counts))
    batches = ["\n".join(map(json.dumps, some)).encode() for some in batched(events(), 20)]
    sent = [client.post(f"{at}/v1/events", content=batch) for batch in batches for at in ("", there)]
    receipts = [answer.json() for answer in await asyncio.gather(*sent)]
    assert sum(receipt["accepted"] for receipt in receipts) == 2 * USERS
    assert sum(receipt["duplicates"] for receipt in receipts) == 2 * USERS
    assert not any(receipt["rejected"] for receipt in receipts)
    await asyncio.wait_for(following, 15)
    assert counts == sorted(counts)

    totals = '{ test(id: "spring") { results { totals { exposed converted } } } }'
    for at in ("", there):
        found = (await ask(client, totals, at=at))["test"]["results"]["totals"]
        assert [sum(one[name] for one in found) for name in ("exposed", "converted")] == [USERS, USERS]
    assert "Every total is what the events say." in command(servers[0], "rebuild-totals", "--check")


def events() -> Iterator[dict[str, str]]:
    """Each user is exposed, then buys."""
    at = datetime.now(UTC)
    for number in range(USERS):
        user = {"userId": f"u{number}", "occurredAt": at.isoformat()}
        yield {"id": f"e{number}", "type": "EXPOSED", "testId": "spring", **user}
        bought = {"occurredAt": (at + timedelta(milliseconds=1)).isoformat(), "value": "3.50"}
        yield {"id": f"c{number}", "type": "CONVERTED", **user, **bought}


async def follow(client: httpx.AsyncClient, at: str, counts: list[int]) -> None:
    """Note how many units a subscription says were exposed, until it is all of them."""
    body, headers = {"query": FOLLOW, "variables": {"id": "spring"}}, {"Accept": "text/event-stream"}
    async with client.stream("POST", f"{at}/graphql/stream", json=body, headers=headers) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                found = json.loads(line.removeprefix("data: "))["data"]["testResults"]["totals"]
                counts.append(sum(one["exposed"] for one in found))
                if counts[-1] == USERS:
                    return


async def test_a_key_revoked_on_the_command_line_is_refused_by_all(servers) -> None:
    key = command(servers[0], "keys", "create", "app", "--role", "analyst").split()[-1]
    known = {"Authorization": f"Bearer {key}"}
    assert await statuses(servers, known) == {200}
    number = next(line.split()[0] for line in command(servers[0], "keys", "list").splitlines() if " app " in line)
    command(servers[1], "keys", "revoke", number)
    await asyncio.sleep(REMEMBERED_SECONDS)
    assert await statuses(servers, known) == {401}


async def statuses(servers: tuple[RunningServer, ...], headers: dict[str, str]) -> set[int]:
    """What all processes answer: each request has a connection of its own, for any of a server's processes."""
    found: set[int] = set()
    for url in [server.url for server in servers for _ in range(8)]:
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            found.add((await client.post(f"{url}/graphql", json={"query": "{ __typename }"})).status_code)
    return found


def command(server: RunningServer, *arguments: str) -> str:
    environment = {**os.environ, "DATABASE_URL": server.database_url}
    said = [sys.executable, "-m", "app.cli", *arguments]
    done = subprocess.run(said, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
