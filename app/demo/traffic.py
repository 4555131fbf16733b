"""Live traffic from the simulated world, sent to a running server as an app would send it.

    python -m app.demo.traffic SIZE

`winnow demo` runs it beside the web processes: it takes the server's address and key from the settings, asks the
database for the world that was loaded, and goes on until it is stopped.
"""

import asyncio
import heapq
import logging
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime

import httpx
import msgspec
import numpy as np
import structlog
from pydantic import SecretStr

from app.demo.loading import begin
from app.demo.visiting import FlagChooser, Visiting
from app.demo.wording import Wording
from app.demo.world import World
from app.ingestion.batches import IncomingEvent
from app.runtime.clock import Clock, SystemClock
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
from app.store.database import Database
from app.store.imports import ImportStore

SENDS_PER_SECOND = 1.2
"""A send leads to two and a half events."""

HASTE = 400.0
"""How many times sooner than in the history things follow: an opening after seconds, an order after minutes."""

TICK_SECONDS = 1.0
MOST_WAITING = 20_000

log = structlog.get_logger(__name__)

type Send = Callable[[list[IncomingEvent]], Awaitable[bool]]
"""Sends events; says whether they arrived."""


class Traffic:
    """What happens in the world from now on, sent when it happens."""

    def __init__(self, world: World, *, send: Send, clock: Clock, per_second: float = SENDS_PER_SECOND) -> None:
        self._world = world
        self._wording = Wording(world.population)
        self._send = send
        self._clock = clock
        self._per_second = per_second
        self._began = clock.now()
        self._rng = np.random.default_rng(round(self._began.timestamp()))
        self._ticks = 0
        self._coming: list[tuple[datetime, str, IncomingEvent]] = []
        self._exposed: set[str] = set()

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await self.tick()
            await self._clock.sleep(TICK_SECONDS)

    async def tick(self) -> int:
        """Let a moment pass; return how many events were sent. What does not arrive is sent again in the next one."""
        self._happen(self._rng.poisson(self._per_second * TICK_SECONDS))
        due = self._take_due()
        if not due or await self._send([event for _, _, event in due]):
            return len(due)
        for entry in due:
            heapq.heappush(self._coming, entry)
        return 0

    def _happen(self, count: int) -> None:
        if count == 0 or len(self._coming) > MOST_WAITING:
            return
        self._ticks += 1
        events = self._world.happen(self._rng, count, at=self._clock.now(), haste=HASTE)
        prefix = f"live-{self._began:%Y%m%d%H%M%S}-{self._ticks}"
        for event in map(_undecided, self._wording.word(events, prefix=prefix)):
            if self._is_new(event):
                heapq.heappush(self._coming, (event.occurred_at, event.id, event))

    def _is_new(self, event: IncomingEvent) -> bool:
        """Say whether an event is to be sent: of a user's exposures to one test only the first."""
        if event.type != "EXPOSED":
            return True
        known = event.id in self._exposed
        self._exposed.add(event.id)
        return not known

    def _take_due(self) -> list[tuple[datetime, str, IncomingEvent]]:
        due: list[tuple[datetime, str, IncomingEvent]] = []
        while self._coming and self._coming[0][0] <= self._clock.now():
            due.append(heapq.heappop(self._coming))
        return due


def _undecided(event: IncomingEvent) -> IncomingEvent:
    """Leave the variant of an exposure to the server: once a test is paused or ended, it exposes nobody."""
    if event.type != "EXPOSED":
        return event
    return msgspec.structs.replace(event, variant_key=None, probability=None)


class HttpSender:
    """Sends events to `POST /v1/events`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, events: list[IncomingEvent]) -> bool:
        """Send events; False where the server is not there, or wants to be asked later."""
        body = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
        try:
            answer = await self._client.post("/v1/events", content=body)
        except httpx.TransportError as error:
            log.warning("traffic waits", reason=type(error).__name__)
            return False
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            log.warning("traffic waits", status=answer.status_code)
        return answer.status_code < httpx.codes.BAD_REQUEST


async def run(settings: Settings, *, size: float) -> None:
    """Send traffic of the world of this size to the server that the settings describe, for ever."""
    clock = SystemClock()
    world = await _loaded_world(settings, clock, size=size)
    headers = {"X-API-Key": _secret(settings.bootstrap_key), "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(base_url=server_address(settings), headers=headers, timeout=10) as client:
        send = HttpSender(client)
        visiting = Visiting(world.population, choose=FlagChooser(client), send=send, clock=clock)
        await asyncio.gather(Traffic(world, send=send, clock=clock).run(), visiting.run())


def server_address(settings: Settings) -> str:
    """Return the address at which the settings' server answers on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # compared, not bound to
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


async def _loaded_world(settings: Settings, clock: Clock, *, size: float) -> World:
    database = await Database.open(_secret(settings.database_url), pool_size=1, orm_pool_size=1)
    try:
        _, world = await begin(ImportStore(database), clock=clock, size=size)
    finally:
        await database.close()
    return world


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def main(arguments: list[str]) -> None:
    """Do what the module says."""
    (size,) = map(float, arguments)
    settings = Settings.load()
    configure_logging(settings)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every request
    asyncio.run(run(settings, size=size))


if __name__ == "__main__":
    main(sys.argv[1:])
