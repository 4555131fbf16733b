"""Doing a whole transaction again after a failure that is nobody's fault: a deadlock, a lost connection, a restart."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg

from app.store.database import is_timeout, is_unavailable, timed_out, unavailable

TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.CheckViolationError,  # no partition for a row: it was dropped after it was last seen
)
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.05


async def retrying[T](
    transaction: Callable[[], Awaitable[T]],
    *,
    before_retry: Callable[[], None] | None = None,
    attempts: int = ATTEMPTS,
    pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> T:
    """Return what the transaction returns, doing it again where the failure may pass.

    Raise DatabaseUnavailable where the database still does not answer, and Unavailable at once for what took too long;
    other errors pass through. A transaction whose connection broke while it was being committed may have been stored:
    doing it again must be harmless.
    """
    for attempt in range(1, attempts):
        try:
            return await transaction()
        except Exception as error:
            if is_timeout(error):
                raise timed_out() from error
            if not _may_pass(error):
                raise
            if before_retry is not None:
                before_retry()
        # Not in step with the others that met the same failure.
        await asyncio.sleep(pause_seconds * 2**attempt * random.uniform(0.5, 1))  # noqa: S311  # no secret depends on it
    return await _last(transaction)


async def _last[T](transaction: Callable[[], Awaitable[T]]) -> T:
    try:
        return await transaction()
    except Exception as error:
        if is_timeout(error):
            raise timed_out() from error
        if _is_lost(error):
            raise unavailable(error) from error
        raise


def _may_pass(error: Exception) -> bool:
    return isinstance(error, TRANSIENT) or _is_lost(error)


def _is_lost(error: Exception) -> bool:
    # asyncpg calls an argument of a wrong type an InterfaceError too, and a ValueError.
    return is_unavailable(error) and not isinstance(error, ValueError)
