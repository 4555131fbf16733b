"""Who is told when something changed, in this process and in all others."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

MAX_PENDING_IDS = 10_000
"""A subscriber that falls behind by more is told to read everything anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The things of one topic that changed since the last Change.

    `reread` says that announcements may have been lost (a connection was broken, the subscriber was slow):
    everything of the topic is then to be read anew, whatever `ids` says.
    """

    topic: str
    ids: frozenset[str]
    reread: bool = False


class Subscription:
    """An endless iterator of what changed; what happens between two steps is merged, so that memory stays bounded."""

    def __init__(self, topic: str, ids: frozenset[str] | None = None) -> None:
        self.topic = topic
        self._wanted = ids
        self._pending: set[str] = set()
        self._reread = False
        self._changed = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        await self._changed.wait()
        self._changed.clear()
        ids, reread = frozenset(self._pending), self._reread
        self._pending.clear()
        self._reread = False
        return Change(topic=self.topic, ids=ids, reread=reread)

    def deliver(self, ids: Iterable[str]) -> None:
        """Merge changed ids into what the next step returns."""
        self._pending.update(ids if self._wanted is None else self._wanted.intersection(ids))
        if len(self._pending) > MAX_PENDING_IDS:
            self.deliver_reread()
        elif self._pending:
            self._changed.set()

    def deliver_reread(self) -> None:
        """Make the next step say that everything is to be read anew."""
        self._pending.clear()
        self._reread = True
        self._changed.set()


class Broadcast(Protocol):
    """Port: announce that things of a topic changed; be told."""

    async def publish(self, topic: str, ids: Iterable[str]) -> None:
        """Announce, soon, that the things with these ids changed; many announcements may become one."""
        ...

    def subscribe(self, topic: str, ids: Iterable[str] | None = None) -> AbstractContextManager[AsyncIterator[Change]]:
        """Be told of changes to a topic, or only to these of its ids, while the context lasts."""
        ...

    async def close(self) -> None:
        """Announce what is pending, then stop."""
        ...


class Subscribers:
    """The subscriptions of one process, by topic."""

    def __init__(self) -> None:
        self._by_topic: defaultdict[str, set[Subscription]] = defaultdict(set)

    @contextmanager
    def subscribe(self, topic: str, ids: Iterable[str] | None = None):
        """Keep a subscription while the context lasts."""
        subscription = Subscription(topic, None if ids is None else frozenset(ids))
        self._by_topic[topic].add(subscription)
        try:
            yield subscription
        finally:
            self._remove(subscription)

    def deliver(self, topic: str, ids: Iterable[str]) -> None:
        """Tell whoever subscribed to the topic."""
        changed = frozenset(ids)
        for subscription in tuple(self._by_topic.get(topic, ())):
            subscription.deliver(changed)

    def deliver_reread(self) -> None:
        """Tell everybody to read anew."""
        for subscriptions in tuple(self._by_topic.values()):
            for subscription in tuple(subscriptions):
                subscription.deliver_reread()

    def _remove(self, subscription: Subscription) -> None:
        subscriptions = self._by_topic[subscription.topic]
        subscriptions.discard(subscription)
        if not subscriptions:
            del self._by_topic[subscription.topic]


class LocalBroadcast:
    """Announces within this process and at once: the twin for tests and for a single process."""

    def __init__(self) -> None:
        self._subscribers = Subscribers()

    async def publish(self, topic: str, ids: Iterable[str]) -> None:
        """Tell this process's subscribers."""
        self._subscribers.deliver(topic, ids)

    def subscribe(self, topic: str, ids: Iterable[str] | None = None) -> AbstractContextManager[AsyncIterator[Change]]:
        """Be told of changes while the context lasts."""
        return self._subscribers.subscribe(topic, ids)

    async def close(self) -> None:
        """Nothing is pending."""
