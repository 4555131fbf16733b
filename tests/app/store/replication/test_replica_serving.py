"""A real server with a standby: who answers what, how old it is, and what callers are told of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import httpx
import pytest

MERCHANTS = "{ merchants { edges { node { key } } } }"
FRESHNESS = "{ freshness { source asOf lagSeconds } merchants { edges { node { key } } } }"
CREATE = """
mutation Create($key: String!) {
  createMerchant(input: {key: $key, name: "New", category: "Food"}) { merchant { key } errors { message } }
}
"""
LIMIT = 3.0


@pytest.fixture(scope="module")
def running(servers, serve) -> Iterator:
    variables = {"WINNOW_REPLICA_URL": servers.standby.url, "WINNOW_REPLICA_MAX_LAG_SECONDS": f"{LIMIT:g}"}
    with serve(servers.primary.url, WINNOW_RUN_WORKER="false", **variables) as server:
        yield server


@pytest.fixture
async def client(running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, headers=running.headers, timeout=30) as client:
        await until_source(client, "replica")
        yield client


async def ask(client: httpx.AsyncClient, query: str, **given) -> httpx.Response:
    headers = given.pop("headers", {})
    return await client.post("/graphql", json={"query": query, "variables": given}, headers=headers)


async def until_source(client: httpx.AsyncClient, source: str) -> None:
    async with asyncio.timeout(20):
        while (await ask(client, MERCHANTS)).headers["x-winnow-source"] != source:  # noqa: ASYNC110  # as in test_replica
            await asyncio.sleep(0.05)


def keys(answer: httpx.Response) -> set[str]:
    return {edge["node"]["key"] for edge in answer.json()["data"]["merchants"]["edges"]}


async def test_a_query_is_the_replicas_and_says_how_old_it_is(client) -> None:
    answer = await ask(client, FRESHNESS)
    told = answer.json()["data"]["freshness"]
    as_of = datetime.fromisoformat(answer.headers["x-winnow-as-of"])
    assert (told["source"], answer.headers["x-winnow-source"]) == ("REPLICA", "replica")
    assert 0 <= told["lagSeconds"] < LIMIT
    assert abs((datetime.now(UTC) - as_of).total_seconds() - told["lagSeconds"]) < 2
    assert abs((datetime.fromisoformat(told["asOf"]) - as_of).total_seconds()) < 0.1


async def test_mutations_and_jobs_are_the_primarys_and_the_primary_can_be_asked_for(client) -> None:
    assert "x-winnow-source" not in (await ask(client, CREATE, key="written")).headers
    assert "x-winnow-source" not in (await ask(client, '{ job(id: "job_1") { status } }')).headers
    assert (
        "x-winnow-source"
        not in (await ask(client, f"{{ job(id: 1) {{ id }} ...All }} fragment All on Query {MERCHANTS}")).headers
    )
    answer = await ask(client, FRESHNESS, headers={"X-Winnow-Source": "primary"})
    assert answer.json()["data"]["freshness"]["source"] == "PRIMARY"
    assert "written" in keys(answer)


async def test_past_the_limit_the_primary_answers_and_after_it_the_replica_again(client, servers) -> None:
    await servers.caught_up()
    await servers.pause()
    try:
        created = await ask(client, CREATE, key="unseen")
        assert created.json()["data"]["createMerchant"]["merchant"] == {"key": "unseen"}  # its own change is seen
        old = await ask(client, FRESHNESS)
        assert (old.headers["x-winnow-source"], "unseen" in keys(old)) == ("replica", False)
        await until_source(client, "primary")
        assert "unseen" in keys(await ask(client, MERCHANTS))
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["replica"]["used"]) == (200, False)
        assert "lags by" in ready.json()["replica"]["reason"]
        assert "winnow_replica_used{" in (await client.get("/metrics")).text
    finally:
        await servers.resume()
    await until_source(client, "replica")
    async with asyncio.timeout(5):
        while "unseen" not in keys(await ask(client, MERCHANTS)):  # noqa: ASYNC110  # as in test_replica
            await asyncio.sleep(0.05)
    assert (await client.get("/readyz")).json()["replica"]["used"] is True


async def test_a_replica_that_ends_while_it_is_asked_costs_no_answer(client, servers) -> None:
    asking = asyncio.create_task(ask_for(client, seconds=2.0))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(servers.standby.stop)
    try:
        answers = await asking
    finally:
        servers.standby.start()
    assert all("errors" not in answer.json() for answer in answers)
    assert {answer.headers["x-winnow-source"] for answer in answers} == {"replica", "primary"}


async def ask_for(client: httpx.AsyncClient, *, seconds: float) -> list[httpx.Response]:
    answers: list[httpx.Response] = []
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        answers += await asyncio.gather(*(ask(client, MERCHANTS) for _ in range(4)))
    return answers


async def test_server_sent_events_of_a_query_are_the_replicas(client) -> None:
    headers = {"Accept": "text/event-stream"}
    answer = await client.post("/graphql/stream", json={"query": FRESHNESS}, headers=headers)
    assert '"source":"REPLICA"' in answer.text


async def test_an_export_is_the_replicas(client, servers) -> None:
    await servers.on_primary("INSERT INTO ab_test (key, name, status, seed) VALUES ('t', 'T', 'DRAFT', 't')")
    await servers.caught_up()
    answer = await client.get("/v1/export/tests/t/assignments.csv")
    assert (answer.status_code, answer.headers["x-winnow-source"]) == (200, "replica")
    assert answer.text.startswith('"user_id",')
