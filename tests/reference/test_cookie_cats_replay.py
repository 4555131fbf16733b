"""Cookie Cats, 90,189 players, replayed through the doors: the graph answers what was published."""

import asyncio
import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
import websockets

DATA = Path(__file__).parents[3] / "shared/data/cookie_cats/cookie_cats.csv.gz"
STARTED = "2026-01-01T00:00:00Z"
CREATE = """
mutation ($input: CreateTestInput!) { createTest(input: $input) { test { id } errors { code message path } } }
"""
RESULTS = """
{ test(id: "cookie-cats") {
    status
    results { totals { variant { key } exposed converted mean }
      sampleRatio { pValue mismatch caution }
      frequentist { test statistic degreesOfFreedom pValue significant
        comparisons { variant { key } difference { point low high } pValue } }
      sequential { significant comparisons { pValue } }
      bayesian { model variants { variant { key } probabilityBest probabilityBeatsControl expectedLoss } }
      verdict { decision winner { key } agreed reasons } }
    day1: results(metricKey: "day-1", confidenceLevel: 0.9) { frequentist { pValue significant } }
} }
"""
FOLLOW = """
subscription {
  testResults(testId: "cookie-cats", maxPerSecond: 10) { totals { exposed converted } verdict { decision } }
}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="the Cookie Cats data set is not beside the repository"),
]


def metric(key: str) -> dict[str, object]:
    event = {"day-7": "CONVERTED", "day-1": "ACTIVATED"}[key]
    return {"key": key, "kind": "CONVERSION", "event": event, "windowHours": 24 * 8}


def players() -> Iterator[dict[str, str]]:
    with gzip.open(DATA, "rt") as lines:
        yield from csv.DictReader(lines)


def events() -> Iterator[dict[str, object]]:
    for player in players():
        user = player["userid"]
        yield {
            "id": f"x{user}",
            "type": "EXPOSED",
            "occurredAt": STARTED,
            "userId": user,
            "testId": "cookie-cats",
            "variantKey": player["version"],
        }
        for key, kind, day in (("retention_1", "ACTIVATED", "02"), ("retention_7", "CONVERTED", "08")):
            if player[key].lower() == "true":
                at = f"2026-01-{day}T12:00:00Z"
                yield {"id": f"{kind}{user}", "type": kind, "occurredAt": at, "userId": user}


async def follow(url: str, key: str, states: list[dict[str, object]], told: asyncio.Event) -> None:
    async with websockets.connect(url, subprotocols=["graphql-transport-ws"]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}}))
        async for message in socket:
            states.append(json.loads(message)["payload"]["data"]["testResults"])
            told.set()


async def ask(client: httpx.AsyncClient, query: str, **variables: object) -> dict[str, object]:
    answer = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def test_the_graph_answers_what_was_published_and_a_subscriber_sees_it_grow(server) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=120) as client:
        test = {
            "key": "cookie-cats",
            "name": "Gate at level 30 or 40",
            "variants": [
                {"key": "gate_30", "weight": 0.5, "isControl": True},
                {"key": "gate_40", "weight": 0.5},
            ],
            "metric": metric("day-7"),
            "guardrails": [metric("day-1")],
            "targetSampleSize": 45000,
        }
        created = await ask(client, CREATE, input=test)
        assert created["createTest"]["errors"] == []
        started = await ask(
            client, f'mutation {{ startTest(id: "cookie-cats", at: "{STARTED}") {{ errors {{ message }} }} }}'
        )
        assert started["startTest"]["errors"] == []

        states: list[dict[str, object]] = []
        told = asyncio.Event()
        url = server.url.replace("http", "ws") + "/graphql"
        follower = asyncio.create_task(follow(url, server.key, states, told))
        await asyncio.wait_for(told.wait(), 20)
        assert [total["exposed"] for total in states[0]["totals"]] == [0, 0]

        lines = [orjson.dumps(event) for event in events()]
        sent = [lines[start : start + 20_000] for start in range(0, len(lines), 20_000)]
        for chunk in sent:
            receipt = (await client.post("/v1/events", content=b"\n".join(chunk))).json()
            assert receipt == {"accepted": len(chunk), "duplicates": 0, "rejected": []}
        again = (await client.post("/v1/events", content=b"\n".join(sent[0]))).json()
        assert again == {"accepted": 0, "duplicates": len(sent[0]), "rejected": []}

        data = (await ask(client, RESULTS))["test"]
        results = data["results"]
        assert [(one["exposed"], one["converted"]) for one in results["totals"]] == [(44_700, 8_502), (45_489, 8_279)]
        assert results["sampleRatio"]["pValue"] == pytest.approx(0.0086, abs=5e-5)
        assert (results["sampleRatio"]["mismatch"], results["sampleRatio"]["caution"]) == (False, True)
        fixed = results["frequentist"]
        assert fixed["test"] == "CHI_SQUARED"
        assert fixed["statistic"] == pytest.approx(10.0132, abs=5e-5)
        assert fixed["pValue"] == pytest.approx(0.00155425, abs=5e-9)
        assert fixed["comparisons"][0]["difference"]["point"] == pytest.approx(-0.00820, abs=5e-6)
        assert data["day1"]["frequentist"]["pValue"] == pytest.approx(0.0744, abs=5e-5)
        beats = results["bayesian"]["variants"][1]["probabilityBeatsControl"]
        assert beats == pytest.approx(0.0008, abs=1e-4)
        verdict = results["verdict"]
        assert (verdict["decision"], verdict["winner"]["key"], verdict["agreed"]) == ("WINNER", "gate_30", True)
        assert any("Caution" in reason for reason in verdict["reasons"])

        async with asyncio.timeout(10):
            while states[-1]["totals"][0]["converted"] != 8_502:
                told.clear()
                await told.wait()
        exposed = [sum(total["exposed"] for total in state["totals"]) for state in states]
        assert exposed == sorted(exposed)
        assert len(set(exposed)) >= 4
        follower.cancel()
