"""Live visits to the home screen: each asks the server for its picture, and taps on it by the known truth."""

import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx
import numpy as np
import structlog

from app.demo.population import Population
from app.demo.truth import TAPPING
from app.demo.visits import PICTURES, exposure, tap
from app.ingestion.batches import IncomingEvent
from app.runtime.clock import Clock

VISITS_PER_SECOND = 0.4
TAPPED_AFTER = (15.0, 0.6, 240.0)
"""Seconds at the median, spread of their logarithm, and the most: sooner than in the history, so that one can watch."""

TICK_SECONDS = 1.0

log = structlog.get_logger(__name__)

type Send = Callable[[list[IncomingEvent]], Awaitable[bool]]
"""Sends events; says whether they arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the server chose for a visitor, and with what probability."""

    variant: str
    probability: float


type Choose = Callable[[str], Awaitable[Picture | None]]
"""Asks which picture a user sees; None where the server is not there, or the test does not run."""


class Visiting:
    """Visits from now on, by users in any order, each once as long as there are new ones."""

    def __init__(self, population: Population, *, choose: Choose, send: Send, clock: Clock) -> None:
        self._choose = choose
        self._send = send
        self._clock = clock
        self._rng = np.random.default_rng(round(clock.now().timestamp()))
        self._users = self._rng.permutation(population.users.external_id).tolist()
        self._coming: list[tuple[datetime, int, IncomingEvent]] = []
        self._order = count()

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await self.tick()
            await self._clock.sleep(TICK_SECONDS)

    async def tick(self) -> int:
        """Let a moment pass; return how many events were sent. What does not arrive is sent again in the next one."""
        for _ in range(self._rng.poisson(VISITS_PER_SECOND * TICK_SECONDS)):
            await self._visit()
        due = self._take_due()
        if not due or await self._send([event for _, _, event in due]):
            return len(due)
        for entry in due:
            heapq.heappush(self._coming, entry)
        return 0

    async def _visit(self) -> None:
        if not self._users:
            return
        user, now = self._users[-1], self._clock.now()
        picture = await self._choose(user)
        if picture is None:
            return
        self._users.pop()
        self._await(exposure(user, picture.variant, at=now, probability=picture.probability))
        if self._rng.random() < TAPPING[picture.variant]:
            median, spread, most = TAPPED_AFTER
            seconds = min(median * self._rng.lognormal(0.0, spread), most)
            self._await(tap(user, at=now + timedelta(seconds=seconds)))

    def _await(self, event: IncomingEvent) -> None:
        heapq.heappush(self._coming, (event.occurred_at, next(self._order), event))

    def _take_due(self) -> list[tuple[datetime, int, IncomingEvent]]:
        due: list[tuple[datetime, int, IncomingEvent]] = []
        while self._coming and self._coming[0][0] <= self._clock.now():
            due.append(heapq.heappop(self._coming))
        return due


class FlagChooser:
    """Asks `POST /ofrep/v1/evaluate/flags/{key}`, as an app with an OpenFeature client does."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, user: str) -> Picture | None:
        """Return the picture of a user; None where it is not to be had now."""
        context = {"context": {"targetingKey": user}}
        try:
            answer = await self._client.post(f"/ofrep/v1/evaluate/flags/{PICTURES.key}", json=context)
        except httpx.TransportError as error:
            log.warning("visits wait", reason=type(error).__name__)
            return None
        if answer.is_error:
            return None
        flag: dict[str, Any] = answer.json()
        if flag["reason"] != "SPLIT":
            return None
        return Picture(variant=flag["variant"], probability=flag["metadata"]["probability"])
