"""Heavy work away from the event loop, through one small port."""

import asyncio
import importlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from typing import Protocol

from app.errors import RateLimited, Unavailable

RETRY_AFTER_SECONDS = 30.0


class Compute(Protocol):
    """Port: run a picklable function somewhere that has time for it."""

    async def run[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns; its errors are raised here."""
        ...

    async def close(self) -> None:
        """Let running work finish, then free what it ran on."""
        ...


class InlineCompute:
    """Runs work at once in this process: the twin for tests and one-off commands."""

    async def run[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns."""
        return function(*args, **kwargs)

    async def close(self) -> None:
        """Nothing to free."""


class ProcessCompute:
    """A pool of warm processes, started by spawn, that end when this process does.

    `preload` names modules imported once by every worker, so that the first piece of work finds them ready. `most` is
    how much may be under way or wait at once, where there is a limit.
    """

    def __init__(self, workers: int = 1, *, preload: tuple[str, ...] = (), most: int | None = None) -> None:
        self._workers = workers
        self._preload = preload
        self._most = most
        self._asked = 0
        self._pool: ProcessPoolExecutor | None = None

    async def run[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns in a worker; raise Unavailable where the worker died.

        Raise RateLimited where too much waits already.
        """
        if self._most is not None and self._asked >= self._most:
            message = f"{self._asked} pieces of heavy work are under way or wait: come back when some are done."
            raise RateLimited(message, retry_after=RETRY_AFTER_SECONDS)
        self._asked += 1
        try:
            return await self._run(partial(function, *args, **kwargs))
        finally:
            self._asked -= 1

    async def _run[R](self, function: Callable[[], R]) -> R:
        pool = self._started()
        try:
            return await asyncio.wrap_future(pool.submit(function))
        except BrokenProcessPool as error:
            self._discard(pool)
            raise Unavailable("A compute process ended unexpectedly, perhaps for want of memory: try again.") from error

    async def close(self) -> None:
        """Let running work finish, then end the workers."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare_worker,
                initargs=(self._preload,),
            )
        return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        if self._pool is pool:
            self._pool = None


def _prepare_worker(preload: tuple[str, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in preload:
        importlib.import_module(name)


def _end_with_parent() -> None:
    # a pool's worker holds both ends of its queue, so that it would outlive a killed parent for ever
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
