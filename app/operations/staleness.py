"""Reads that may be a little old where there is a read replica, and telling callers how old."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.runtime.clock import Clock
from app.store.reading import Reading, Source
from app.store.replica import Replica

SOURCE = b"x-winnow-source"
"""In an answer, who gave it; in a request, `primary` asks for nothing old."""
AS_OF = b"x-winnow-as-of"

type Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Who answers, and from when what it says is at least."""

    source: Source
    as_of: datetime
    lag_seconds: float


class Staleness:
    """Gives each operation its reading, where there is a replica."""

    def __init__(self, replica: Replica | None, clock: Clock) -> None:
        self._replica = replica
        self._clock = clock

    def reading(self, wanted: str | None = None) -> Reading | None:
        """Return what an operation's reads may go through; None where there is but the primary, or it is wanted."""
        if self._replica is None or (wanted is not None and wanted.strip().upper() == Source.PRIMARY):
            return None
        return Reading(self._replica)

    def freshness(self, reading: Reading | None) -> Freshness:
        """Return how fresh what an operation reads is."""
        lag = 0.0 if reading is None else reading.lag_seconds
        source = Source.PRIMARY if reading is None else reading.source or Source.PRIMARY
        return Freshness(source=source, as_of=self._clock.now() - timedelta(seconds=lag), lag_seconds=lag)

    def headers(self, reading: Reading | None) -> Headers:
        """Return the headers that tell it; none where no replica was thought of."""
        if reading is None or reading.source is None:
            return ()
        as_of = self.freshness(reading).as_of.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return ((SOURCE, reading.source.lower().encode()), (AS_OF, as_of.encode()))

    def state(self) -> Mapping[str, Any]:
        """Return what `/readyz` tells of the replica; nothing where there is none."""
        return {} if self._replica is None else {"replica": self._replica.state}


class StaleReadsMiddleware:
    """Lets what a route reads be a little old, and says how old in the answer's head."""

    def __init__(self, app: ASGIApp, *, staleness: Staleness) -> None:
        self._app = app
        self._staleness = staleness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        reading = self._staleness.reading(_wanted(scope))
        if reading is None:
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.raw.extend(self._staleness.headers(reading))
            await send(message)

        with reading:
            await self._app(scope, receive, told)


def _wanted(scope: Scope) -> str | None:
    values = [value for name, value in scope["headers"] if name == SOURCE]
    return values[0].decode("latin-1") if values else None
