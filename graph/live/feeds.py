"""Feeds: one execution a change for all who asked for the same.

Subscriptions with the same document, variables and permissions are one feed. It computes the present answer when it
starts and again after each change, at most as often as asked, serialises it once, and hands the same bytes to every
follower. A feed lasts as long as somebody follows it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import orjson

from app.errors import ErrorCode, RateLimited
from app.runtime.broadcast import Broadcast, Change
from app.store.database import is_unavailable
from graph.context import Context
from graph.errors import refusal, refusals
from graph.live.followers import Follower, News
from graph.live.sources import Source
from graph.operations import Answer, Operations, Request

RETRY_SECONDS = 1.0
FULL_SECONDS = 10.0
"""When to come back where as many different subscriptions are followed as may be."""
TOLD_AT_ONCE = 200
"""Followers told before other work of the process has its turn."""


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

    def __init__(
        self, compute: Compute, *, source: Source, broadcast: Broadcast, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._compute = compute
        self._source = source
        self._broadcast = broadcast
        self._retry_seconds = retry_seconds
        self._newest: News | None = None
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
            # before the first answer, so that no change falls between the two
            topics = [
                stack.enter_context(self._broadcast.subscribe(topic, [self._source.id]))
                for topic in self._source.topics
            ]
            async with _merged(topics) as changed:
                while not await self._answer():
                    await asyncio.sleep(self._source.pause_seconds)
                    await changed.wait()
                    changed.clear()

    async def tell(self, news: News) -> None:
        """Hand an answer to every follower."""
        self._newest = news
        for number, follower in enumerate(tuple(self.followers), start=1):
            if follower in self.followers and self._newest is news:
                follower.offer(news)
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)

    def finish(self) -> None:
        """Tell the followers that nothing more will come."""
        for follower in tuple(self.followers):
            follower.finish()

    async def _answer(self) -> bool:
        """Compute, and tell the followers where it is new; return whether it is the last."""
        answer, last = await self._computed()
        text = answer.encoded()
        if self._newest is None or text != self._newest.text:
            await self.tell(News(text))
        return last

    async def _computed(self) -> tuple[Answer, bool]:
        # while the database is away, followers keep what they have
        while True:
            try:
                answer, last = await self._compute()
                if not _lacks_database(answer):
                    return answer, last
            except Exception as error:
                if not is_unavailable(error):
                    raise
            await asyncio.sleep(self._retry_seconds)


class Feeds:
    """The feeds of one process, `most` of them: each costs a computation at every change."""

    def __init__(self, operations: Operations, broadcast: Broadcast, *, most: int) -> None:
        self._operations = operations
        self._broadcast = broadcast
        self._most = most
        self._feeds: dict[Key, Feed] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    @asynccontextmanager
    async def follow(self, request: Request, context: Context, follower: Follower) -> AsyncGenerator[Answer | None]:
        """Follow a subscription while the context lasts; what is entered is the refusal, or None where it goes on."""
        source = await self._operations.source(request, context)
        if isinstance(source, Answer):
            yield source
            return
        key = _key(request, context)
        if key not in self._feeds and len(self._feeds) >= self._most:
            yield Answer(executed=False, data=None, errors=[refusal(_full(self._most))])
            return
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
        feed.task = asyncio.create_task(self._serve(key, feed), name="feed")
        return feed

    async def _serve(self, key: Key, feed: Feed) -> None:
        try:
            await feed.run()
        except Exception as error:  # noqa: BLE001  # masked and logged; the followers are told
            await feed.tell(News(orjson.dumps({"data": None, "errors": refusals(error)})))
        self._forget(key, feed)
        feed.finish()

    def _leave(self, key: Key, feed: Feed, follower: Follower) -> None:
        feed.followers.discard(follower)
        if not feed.followers and feed.task is not None:
            feed.task.cancel()
            self._forget(key, feed)

    def _forget(self, key: Key, feed: Feed) -> None:
        if self._feeds.get(key) is feed:
            del self._feeds[key]


def _full(most: int) -> RateLimited:
    return RateLimited(
        f"This server follows {most} different subscriptions already: ask for what others follow, "
        "complete one, or come back later.",
        retry_after=FULL_SECONDS,
    )


def _key(request: Request, context: Context) -> Key:
    variables = orjson.dumps(request.variables, option=orjson.OPT_SORT_KEYS)
    return Key(request.query or f"#{request.document}", request.operation_name, variables, context.principal.role)


def _lacks_database(answer: Answer) -> bool:
    codes = (error.get("extensions", {}).get("code") for error in answer.errors)
    return ErrorCode.UNAVAILABLE.value in codes


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
