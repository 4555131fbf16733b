"""Who is connected by which key, so that a key that is revoked ends what it opened."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Generator
from contextlib import contextmanager

import structlog

from app.auth.principals import Principal

CHECK_SECONDS = 5.0

type End = Callable[[], object]
"""Ends one connection."""
type FindRevoked = Callable[[Collection[int]], Awaitable[set[int]]]
"""Returns which of these keys are revoked."""

log = structlog.get_logger(__name__)


class Sessions:
    """The open connections of one process. `run` ends those whose key is revoked, within CHECK_SECONDS."""

    def __init__(self, find_revoked: FindRevoked, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._find_revoked = find_revoked
        self._check_seconds = check_seconds
        self._ends: defaultdict[int, list[End]] = defaultdict(list)

    @contextmanager
    def opened(self, principal: Principal, end: End) -> Generator[None]:
        """Count a connection as open while the context lasts."""
        ends = self._ends[principal.key_id]
        ends.append(end)
        try:
            yield
        finally:
            ends.remove(end)
            if not ends:
                self._ends.pop(principal.key_id, None)

    async def run(self) -> None:
        """Look again and again which keys are revoked."""
        while True:
            await asyncio.sleep(self._check_seconds)
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001  # whatever it is: a revoked key is to be worth nothing
                log.warning("keys_not_checked", error=str(error))

    async def check(self) -> None:
        """End the connections of revoked keys now: one statement, whatever the number of connections."""
        if not self._ends:
            return
        for key_id in await self._find_revoked(tuple(self._ends)):
            for end in tuple(self._ends.get(key_id, ())):
                end()
