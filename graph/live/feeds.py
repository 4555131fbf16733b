"""Feeds: one execution a change for all who asked for the same, and the newest answer for each of them.

Subscriptions with the same document, variables and permissions are one feed. It computes the present answer when it
starts and again after each change, at most as often as asked, serialises it once, and hands the same text to every
follower. A follower has room for one answer: a slow one skips to the newest, and memory stays bounded.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import orjson
import structlog

from app.runtime.broadcast import Broadcast, Change
from app.store.database import is_unavailable
from graph.context import Context
from graph.live.sources import Source
from graph.operations import Answer, Operations, Request

RETRY_SECONDS = 1.0

log = structlog.stdlib.get_logger("winnow.graph")


class Follower:
    """One subscriber: the newest answer it has not taken yet."""

    __slots__ = ("_news", "_tell", "finished", "when_finished")

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._news: str | None = None
        self.finished = False
        self.when_finished: Callable[[], None] | None = None

    def offer(self, text: str) -> None:
        """Put an answer in the place of the one not taken."""
        self._news = text
        self._tell()

    def finish(self) -> None:
        """Say that nothing more will come."""
        self.finished = True
        self._tell()
        if self.when_finished is not None:
            self.when_finished()

    def take(self) -> str | None:
        """Return the newest answer, once."""
        news, self._news = self._news, None
        return news


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two subscriptions the same."""

    query: str
    operation_name: str | None
    variables: bytes
    role: str


type Compute = Callable[[], Awaitable[tuple[Answer, bool]]]
"""Returns the answer as things stand, and whether it is the last."""


class Feed:
    """The answers of one subscription, computed once for all its followers."""

    def __init__(self, compute: Compute, *, source: Source, broadcast: Broadcast) -> None:
        self._compute = compute
        self._source = source
        self._broadcast = broadcast
        self._newest: str | None = None
        self.followers: set[Follower] = set()
        self.task: asyncio.Task[None] | None = None

    def join(self, follower: Follower) -> None:
        """Follow: the present answer first."""
        self.followers.add(follower)
        if self._newest is not None:
            follower.offer(self._newest)

    async def run(self) -> None:
        """Answer now, and after each change until an answer is the last."""
        with ExitStack() as stack:
            topics = [
                stack.enter_context(self._broadcast.subscribe(topic, [self._source.id]))
                for topic in self._source.topics
            ]
            async with _merged(topics) as changed:
                while not await self._answer():
                    await asyncio.sleep(self._source.pause_seconds)
                    await changed.wait()
                    changed.clear()
        for follower in tuple(self.followers):
            follower.finish()

    async def _answer(self) -> bool:
        """Compute, and tell the followers where it is new; return whether it is the last."""
        while True:
            try:
                answer, last = await self._compute()
                break
            except Exception as error:
                if not is_unavailable(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        text = orjson.dumps(answer.body()).decode()
        if text != self._newest:
            self._newest = text
            for follower in tuple(self.followers):
                follower.offer(text)
        return last


class Feeds:
    """The feeds of one process, each as long as somebody follows it."""

    def __init__(self, operations: Operations, broadcast: Broadcast) -> None:
        self._operations = operations
        self._broadcast = broadcast
        self._feeds: dict[Key, Feed] = {}

    @asynccontextmanager
    async def follow(self, request: Request, context: Context, follower: Follower) -> AsyncGenerator[Answer | None]:
        """Follow a subscription while the context lasts; what is entered is the refusal, or None where it goes on."""
        source = await self._operations.source(request, context)
        if isinstance(source, Answer):
            yield source
            return
        key = _key(request, context)
        feed = self._feeds.get(key) or self._start(key, request, context, source=source)
        feed.join(follower)
        try:
            yield None
        finally:
            self._leave(key, feed, follower)

    def _start(self, key: Key, request: Request, context: Context, *, source: Source) -> Feed:
        async def compute() -> tuple[Answer, bool]:
            last = source.finished is not None and await source.finished()
            answer = await self._operations.execute_event(request, context)
            return answer, last or answer.data is None

        feed = self._feeds[key] = Feed(compute, source=source, broadcast=self._broadcast)
        feed.task = asyncio.create_task(feed.run(), name="feed")
        feed.task.add_done_callback(lambda task: self._ended(key, feed, task))
        return feed

    def _leave(self, key: Key, feed: Feed, follower: Follower) -> None:
        feed.followers.discard(follower)
        if not feed.followers and feed.task is not None:
            feed.task.cancel()
            self._forget(key, feed)

    def _ended(self, key: Key, feed: Feed, task: asyncio.Task[None]) -> None:
        self._forget(key, feed)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("feed_failed", exc_info=error)
        for follower in tuple(feed.followers):
            follower.finish()

    def _forget(self, key: Key, feed: Feed) -> None:
        if self._feeds.get(key) is feed:
            del self._feeds[key]


def _key(request: Request, context: Context) -> Key:
    variables = orjson.dumps(request.variables, option=orjson.OPT_SORT_KEYS)
    return Key(request.query, request.operation_name, variables, context.principal.role)


@asynccontextmanager
async def _merged(topics: list[AsyncIterator[Change]]) -> AsyncGenerator[asyncio.Event]:
    changed = asyncio.Event()

    async def watch(changes: AsyncIterator[Change]) -> None:
        async for _ in changes:
            changed.set()

    tasks = [asyncio.create_task(watch(changes), name="watch") for changes in topics]
    try:
        yield changed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
