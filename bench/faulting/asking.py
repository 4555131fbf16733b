"""Those who ask while a fault occurs: queries, flags and health by HTTP, and followers of a live test."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import httpx
import websockets

from bench.faulting.running import KEY
from bench.faulting.sending import HEADERS, LIMITS, PATIENCE_SECONDS, Diary, shown
from bench.faulting.world import TOLD

QUERY = """{ campaigns(first: 10) { nodes { key metrics { sent converted revenue conversionRate } merchant { name }
  trend(interval: DAY) { startsAt metrics { sent } } } }
  test(id: "told") { results { totals { variant { key } exposed converted } verdict { decision } } } }"""
SUBSCRIPTION = 'subscription { testResults(testId: "%s", maxPerSecond: 5) { totals { exposed } } }'
FLAGS = "/ofrep/v1/evaluate/flags"
PAUSE_SECONDS = 0.25


class Askers:
    """One loop for each kind of question, one question in the air each, and two followers."""

    def __init__(self, address: str, diary: Diary) -> None:
        self._diary = diary
        self._stopped = False
        self._address = address
        self._client = httpx.AsyncClient(base_url=address, headers=HEADERS, timeout=PATIENCE_SECONDS, limits=LIMITS)
        self._tasks: list[asyncio.Task[None]] = []
        self.followers = [Follower(address) for _ in range(2)]
        self.streamed = StreamFollower(address)

    def start(self) -> None:
        asked = {"query": self._query, "flags": self._flags, "ready": self._ready}
        self._tasks = [asyncio.create_task(self._ask(kind, ask)) for kind, ask in asked.items()]
        self._tasks += [asyncio.create_task(one.run()) for one in (*self.followers, self.streamed)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        await self._client.aclose()

    async def _ask(self, kind: str, ask: Callable[[], Awaitable[str]]) -> None:
        while True:
            began = time.monotonic()
            try:
                outcome = await ask()
            except httpx.HTTPError as error:
                outcome = f"{kind}: {type(error).__name__}"
            self._diary.note(kind, began, outcome)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _query(self) -> str:
        answer = await self._client.post("/graphql", json={"query": QUERY})
        if answer.status_code != httpx.codes.OK:
            return self._refused("query", answer)
        errors = answer.json().get("errors")
        if not errors:
            return "good"
        codes = {error["extensions"]["code"] for error in errors}
        if codes - {"UNAVAILABLE", "RATE_LIMITED"}:
            self._diary.unclear[f"query: {shown(json.dumps(errors))}"] += 1
        return f"query: {' '.join(sorted(codes))}"

    async def _flags(self) -> str:
        answer = await self._client.post(FLAGS, json={"context": {"targetingKey": "somebody"}})
        return "good" if answer.status_code == httpx.codes.OK else self._refused("flags", answer)

    async def _ready(self) -> str:
        answer = await self._client.get("/readyz")
        return "good" if answer.status_code == httpx.codes.OK else f"ready: {answer.status_code}"

    def _refused(self, kind: str, answer: httpx.Response) -> str:
        if answer.status_code not in (429, 503) or not answer.headers.get("retry-after", "").isdigit():
            self._diary.unclear[f"{kind}: {answer.status_code} {shown(answer.text)}"] += 1
        return f"{kind}: {answer.status_code}"


class Following:
    """Follows a test. `states` are when which number of exposed units was told; `told` the endings that were told."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.states: list[tuple[float, int]] = []
        self.told: list[str] = []
        self.connections = 0

    async def run(self) -> None:
        """Follow, and come back where it ends."""
        while True:
            try:
                await self.follow()
            except (OSError, httpx.HTTPError, websockets.WebSocketException, TimeoutError) as error:
                self.told.append(_ending(error))
            await asyncio.sleep(0.1)

    async def follow(self) -> None:
        raise NotImplementedError

    def take(self, payload: dict[str, Any]) -> None:
        data = payload.get("data")
        if data is None:
            self.told.append(f"error {payload['errors'][0]['extensions']['code']}")
            return
        self.states.append((time.monotonic(), sum(one["exposed"] for one in data["testResults"]["totals"])))

    def live_again(self, since: float) -> float | None:
        """Return the seconds from then until it has been told of two numbers: of a change after the present state."""
        later = [(at, number) for at, number in self.states if at >= since]
        changed = (at - since for (_, before), (at, number) in pairwise(later) if number != before)
        return min(changed, default=None)


class Follower(Following):
    """By graphql-transport-ws."""

    async def follow(self) -> None:
        url = self.address.replace("http", "ws") + "/graphql"
        async with websockets.connect(
            url, subprotocols=["graphql-transport-ws"], open_timeout=PATIENCE_SECONDS, ping_interval=None
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {KEY}"}}))
            await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS)
            asked = {"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION % TOLD}}
            await socket.send(json.dumps(asked))
            self.connections += 1
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "next":
                    self.take(message["payload"])
                elif message["type"] in ("error", "complete"):
                    self.told.append(shown(f"{message['type']} {message.get('payload', '')}"))
                    return
        self.told.append(f"closed {socket.close_code}")


class StreamFollower(Following):
    """By server-sent events."""

    async def follow(self) -> None:
        timeout = httpx.Timeout(PATIENCE_SECONDS, read=60)
        headers = HEADERS | {"Accept": "text/event-stream"}
        async with httpx.AsyncClient(base_url=self.address, headers=headers, timeout=timeout) as client:
            asked = {"query": SUBSCRIPTION % TOLD}
            async with client.stream("POST", "/graphql/stream", json=asked) as answer:
                self.connections += 1
                if answer.status_code != httpx.codes.OK:
                    self.told.append(f"status {answer.status_code}")
                    await asyncio.sleep(0.5)
                    return
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        self.take(json.loads(line[6:]))
        self.told.append("ended")


def _ending(error: BaseException) -> str:
    with suppress(AttributeError):
        return f"closed {error.rcvd.code}"
    return type(error).__name__
