"""Senders that keep count: what was acknowledged, what was refused, and what has an unknown fate and was sent again."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from bench.faulting.running import KEY
from bench.faulting.world import make_event

SENDERS, BATCH, PAUSE_SECONDS = 4, 30, 0.15
PATIENCE_SECONDS = 10.0
"""A sender that has no answer by then takes the fate of its events for unknown, and sends them again."""
LIMITS = httpx.Limits(max_connections=2 * SENDERS, max_keepalive_connections=2 * SENDERS, keepalive_expiry=2.0)
"""A connection is given up before the server does so, after 5 s: else a request may meet its end."""
HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Attempt:
    """One request of any kind: when it was begun, when it ended, and how: "good", or the kind of error."""

    kind: str
    began: float
    ended: float
    outcome: str


@dataclass
class Diary:
    """Every attempt. `unclear` are answers that nobody should get: unforeseen errors, refusals without what to do."""

    attempts: list[Attempt] = field(default_factory=list)
    unclear: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, began: float, outcome: str) -> None:
        self.attempts.append(Attempt(kind, began, time.monotonic(), outcome))

    def errors(self) -> Counter[str]:
        return Counter(one.outcome for one in self.attempts if one.outcome != "good")

    def first_good(self, kind: str, since: float) -> float | None:
        """Return the seconds from then to the end of the first good answer to what was asked after it."""
        good = (one.ended - since for one in self.attempts if _is(one, kind, since) and one.outcome == "good")
        return min(good, default=None)

    def last_bad(self, kind: str, since: float) -> float:
        """Return the seconds from then to the last bad answer to what was asked after it; 0 where there was none."""
        return max(
            (one.ended - since for one in self.attempts if _is(one, kind, since) and one.outcome != "good"), default=0.0
        )


def _is(attempt: Attempt, kind: str, since: float) -> bool:
    return attempt.kind == kind and attempt.began >= since


@dataclass
class Books:
    """The sender's count. Every event made is in `made`; `acknowledged` are the ids some answer said were stored."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)
    told_accepted: int = 0
    told_duplicates: int = 0
    sent_again: int = 0


class Senders:
    """A few senders, each with one request in the air, at a moderate rate."""

    def __init__(
        self,
        address: str,
        diary: Diary,
        *,
        seed: int,
        spread: timedelta = timedelta(minutes=10),
        repeat: float = 0.02,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self.books = Books()
        self._diary = diary
        self._rng = random.Random(seed)
        self._run = f"{self._rng.getrandbits(40):x}"
        self._spread = spread
        self._repeat = repeat
        self._now = now
        self._pause = pause_seconds
        self._stop, self._give_up = asyncio.Event(), asyncio.Event()
        self._client = httpx.AsyncClient(base_url=address, headers=HEADERS, timeout=PATIENCE_SECONDS, limits=LIMITS)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(SENDERS)]

    async def finish(self, seconds: float = 40.0) -> int:
        """Make no new events, deliver what was made, and return how many requests could not be delivered."""
        self._stop.set()
        _, left = await asyncio.wait(self._tasks, timeout=seconds)
        self._give_up.set()
        for task in left:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        await self._client.aclose()
        return len(left)

    async def burst(self, count: int, *, spread: timedelta, size: int = 1_000) -> None:
        """Send many events besides, in large requests one after the other."""
        for first in range(0, count, size):
            names = (f"{self._run}-burst-{number}" for number in range(first, first + size))
            await self._deliver([self._make(name, spread=spread) for name in names])

    def _make(self, name: str, *, spread: timedelta | None = None) -> dict[str, Any]:
        event = self.books.made[name] = make_event(self._rng, name, self._now(), spread=spread or self._spread)
        return event

    async def _send(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            batch = [self._make(f"{self._run}-{number}-{place}") for place in range(count, count + BATCH)]
            count += BATCH
            if self._rng.random() < self._repeat:  # twice at the same time, in another order
                await asyncio.gather(self._deliver(batch), self._deliver(self._rng.sample(batch, len(batch))))
            else:
                await self._deliver(batch)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._pause)

    async def _deliver(self, batch: Sequence[dict[str, Any]]) -> None:
        body = "\n".join(map(json.dumps, batch)).encode()
        while not self._give_up.is_set():
            wait = await self._attempt(batch, body)
            if wait is None:
                return
            self.books.sent_again += 1
            await asyncio.sleep(wait)

    async def _attempt(self, batch: Sequence[dict[str, Any]], body: bytes) -> float | None:
        """Send once; return the seconds until it is to be sent again, None where it is done."""
        began = time.monotonic()
        try:
            answer = await self._client.post("/v1/events", content=body)
        except httpx.HTTPError as error:
            self._diary.note("events", began, f"events: {type(error).__name__}")
            return 0.1
        if answer.status_code == httpx.codes.OK:
            self._diary.note("events", began, "good")
            self._acknowledge(batch, answer.json())
            return None
        self._diary.note("events", began, f"events: {answer.status_code}")
        return _refused(answer, self._diary)

    def _acknowledge(self, batch: Sequence[dict[str, Any]], receipt: dict[str, Any]) -> None:
        refused = {one["id"]: one["code"] for one in receipt["rejected"]}
        self.books.rejected.update(refused)
        self.books.acknowledged |= {event["id"] for event in batch} - refused.keys()
        self.books.told_accepted += receipt["accepted"]
        self.books.told_duplicates += receipt["duplicates"]


def shown(text: str) -> str:
    """Return the beginning of an answer, without what differs from one to the next."""
    return re.sub(r"[0-9a-f]{16}", "ID", text)[:160]


def _refused(answer: httpx.Response, diary: Diary) -> float:
    """See whether a refusal is clear: 503 or 429, with a reason in words and when to come again."""
    later = answer.headers.get("retry-after", "")
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError):
        message = ""
    if answer.status_code not in (429, 503) or not later.isdigit() or not message or "Traceback" in answer.text:
        diary.unclear[f"events: {answer.status_code} {shown(answer.text)}"] += 1
    return min(float(later or 1), 1.0)
