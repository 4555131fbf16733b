"""Announcements between processes, over PostgreSQL's NOTIFY."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Self

import asyncpg
import msgspec
import structlog

from app.runtime.broadcast import Change, Subscribers
from app.store.database import Database, unavailable

CHANNEL = "winnow"
TESTS = "tests"
"""Announced with a test's id when its definition, state or shares change."""
TEST_TOTALS = "test_totals"
"""Announced with a test's id when its totals change."""
CAMPAIGN_TOTALS = "campaign_totals"
"""Announced with a campaign's id when its totals change."""
JOBS = "jobs"
"""Announced with a job's id when its state or progress change."""
LARGEST_PAYLOAD = 7_999
"""Bytes; PostgreSQL refuses 8,000."""
LONGEST_ID = 1_000
_PROBE_SECONDS = 30.0
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger(__name__)


class PostgresBroadcast:
    """Announces to all processes of a database.

    What is published within `window_seconds` becomes one notification, as each costs its writers a lock. Listening has
    a connection of its own; when it breaks it is made anew, and subscribers are told to read anew, since notifications
    sent meanwhile are lost. An announcement is sent soon after the transaction it speaks of, not in it: a process that
    is killed in between announces nothing, and subscribers see the change with the next one.
    """

    def __init__(
        self, database: Database, *, window_seconds: float = 0.05, retry_seconds: tuple[float, float] = (0.1, 2.0)
    ) -> None:
        self._database = database
        self._window_seconds = window_seconds
        self._retry_seconds = retry_seconds
        self._subscribers = Subscribers()
        self._pending: defaultdict[str, set[str]] = defaultdict(set)
        self._published = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> Self:
        """Begin to listen; return once announcements of others arrive. Raises DatabaseUnavailable where none can."""
        listening = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._listen_for_ever(listening), name="listen"),
            asyncio.create_task(self._announce_for_ever(), name="announce"),
        ]
        try:
            await listening
        except _FAILURES as error:
            raise unavailable(error) from error
        return self

    async def publish(self, topic: str, ids: Iterable[str]) -> None:
        """Announce, within the window, that the things with these ids changed."""
        changed = set(ids)
        if any(len(changed_id) > LONGEST_ID for changed_id in changed):
            raise ValueError(f"An announcement carries ids, not data: none has more than {LONGEST_ID} characters.")
        self._pending[topic] |= changed
        self._published.set()

    def subscribe(self, topic: str, ids: Iterable[str] | None = None) -> AbstractContextManager[AsyncIterator[Change]]:
        """Be told of changes to a topic, or only to these of its ids, while the context lasts."""
        return self._subscribers.subscribe(topic, ids)

    async def flush(self) -> None:
        """Announce at once what is pending; what cannot be sent stays pending."""
        pending, self._pending = self._pending, defaultdict(set)
        try:
            for payload in payloads(pending):
                await self._database.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
        except BaseException:
            for topic, ids in pending.items():
                self._pending[topic].update(ids)
            self._published.set()
            raise

    async def close(self) -> None:
        """Announce what is pending, then stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with suppress(*_FAILURES):
            await self.flush()

    async def _announce_for_ever(self) -> None:
        wait, most = self._retry_seconds
        while True:
            await self._published.wait()
            await asyncio.sleep(self._window_seconds)
            self._published.clear()
            try:
                await self.flush()
                wait = self._retry_seconds[0]
            except Exception as error:  # noqa: BLE001  # whatever it is: who stops announcing leaves all others in the dark
                log.warning("announcing_failed", error=str(error), retry_in_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, most)

    async def _listen_for_ever(self, listening: asyncio.Future[None]) -> None:
        wait, most = self._retry_seconds
        while True:
            try:
                await self._listen_once(listening)
                wait = self._retry_seconds[0]
            except Exception as error:  # noqa: BLE001  # whatever it is: who stops listening shows old states for ever
                if not listening.done():
                    listening.set_exception(error)
                    return
                log.warning("listening_failed", error=str(error), retry_in_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, most)

    async def _listen_once(self, listening: asyncio.Future[None]) -> None:
        ended = asyncio.Event()
        connection = await asyncpg.connect(self._database.url, server_settings={"application_name": "winnow listener"})
        try:
            connection.add_termination_listener(lambda _: ended.set())
            await connection.add_listener(CHANNEL, self._receive)
            if listening.done():  # not the first time: something may have been missed
                self._subscribers.deliver_reread()
            else:
                listening.set_result(None)
            await _until_lost(connection, ended)
        finally:
            connection.terminate()

    def _receive(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        topic, ids = msgspec.json.decode(str(payload), type=tuple[str, list[str]])
        self._subscribers.deliver(topic, ids)


async def _until_lost(connection: Any, ended: asyncio.Event) -> None:
    # a network that drops a silent connection tells neither end
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _PROBE_SECONDS)
            return
        await connection.fetchval("SELECT 1", timeout=10)


def payloads(pending: dict[str, set[str]]) -> Iterator[str]:
    """Divide ids by topic into payloads that PostgreSQL takes."""
    for topic, ids in pending.items():
        yield from _divided(topic, sorted(ids))


def _divided(topic: str, ids: Sequence[str]) -> Iterator[str]:
    payload = msgspec.json.encode((topic, ids))
    if len(payload) <= LARGEST_PAYLOAD:
        if ids:
            yield payload.decode()
    else:
        half = len(ids) // 2
        yield from _divided(topic, ids[:half])
        yield from _divided(topic, ids[half:])
