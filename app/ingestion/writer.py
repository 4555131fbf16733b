"""Group commit: what waits while one transaction runs becomes the next one."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.errors import DomainError, RateLimited

MAX_MERGED = 4_000
"""Events in one transaction, unless one request alone has more."""

MAX_WAITING = 100_000
"""Events that may wait; beyond, new requests are turned away."""

WRITERS = 2
"""Transactions of one process at once: while one waits for the disk, the next is prepared."""

RETRY_AFTER_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Waiting[T, R]:
    request: T
    size: int
    answer: asyncio.Future[R]


class GroupCommit[T, R]:
    """Merges requests that come at the same time into one call of `store`, which answers each in order.

    There is no artificial delay: a request that comes alone is stored alone, at once. Where a merged call fails, each
    of its requests is stored alone, so that one cannot fail the others.
    """

    def __init__(
        self,
        store: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        max_merged: int = MAX_MERGED,
        max_waiting: int = MAX_WAITING,
        writers: int = WRITERS,
    ) -> None:
        self._store = store
        self._max_merged = max_merged
        self._max_waiting = max_waiting
        self._writers = writers
        self._queue: deque[_Waiting[T, R]] = deque()
        self._waiting = 0
        self._active = 0
        self._running: set[asyncio.Task[None]] = set()

    def admit(self) -> None:
        """Raise RateLimited where too much waits already."""
        if self._waiting >= self._max_waiting:
            message = f"More than {self._max_waiting:,} events wait to be stored: send the same again in a second."
            raise RateLimited(message, retry_after=RETRY_AFTER_SECONDS)

    async def submit(self, request: T, *, size: int) -> R:
        """Return what `store` answers for this request once it is stored."""
        waiting = _Waiting(request, size, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._waiting += size
        if self._active < self._writers:
            self._start()
        return await waiting.answer

    async def drain(self) -> None:
        """Wait until everything submitted is answered."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _start(self) -> None:
        self._active += 1
        # In a context of its own: nothing of the request that happened to start it may leak into it.
        writer = asyncio.create_task(self._write(), context=contextvars.Context())
        self._running.add(writer)
        writer.add_done_callback(self._running.discard)

    async def _write(self) -> None:
        # Between finding the queue empty and counting as ended nothing else runs: nothing submitted is left lying.
        try:
            while self._queue:
                await self._write_next()
        finally:
            self._active -= 1

    async def _write_next(self) -> None:
        merged = self._take()
        try:
            await self._answer(merged)
        finally:
            self._waiting -= sum(waiting.size for waiting in merged)

    def _take(self) -> list[_Waiting[T, R]]:
        merged = [self._queue.popleft()]
        size = merged[0].size
        while self._queue and size + self._queue[0].size <= self._max_merged:
            merged.append(self._queue.popleft())
            size += merged[-1].size
        return merged

    async def _answer(self, merged: list[_Waiting[T, R]]) -> None:
        try:
            answers = await self._store([waiting.request for waiting in merged])
        except DomainError as error:  # the database does not answer: nor would it answer each alone
            _fail(merged, error)
        except Exception as error:  # noqa: BLE001  # goes to whoever waits for the answer
            if len(merged) == 1:
                _fail(merged, error)
                return
            for waiting in merged:
                await self._answer([waiting])
        else:
            for waiting, answer in zip(merged, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)


def _fail[T, R](merged: Sequence[_Waiting[T, R]], error: Exception) -> None:
    for waiting in merged:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
