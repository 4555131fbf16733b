"""A query that takes too long is refused with what to do, not masked as an accident."""

import asyncpg
import pytest

from app.errors import Unavailable
from app.store.database import Database, timed_out
from app.store.retrying import retrying
from graph.errors import refusals


async def test_a_statement_that_takes_too_long_says_so(database):
    impatient = await Database.open(database.url, statement_timeout_seconds=0.05, default=False)
    with pytest.raises(asyncpg.QueryCanceledError) as ended:
        await impatient.fetch("SELECT pg_sleep(5)")
    await impatient.close()
    (refusal,) = refusals(ended.value)
    assert refusal == {"message": timed_out().message, "extensions": {"code": "UNAVAILABLE", "retryAfter": 1.0}}


async def test_storing_that_takes_too_long_is_not_tried_five_times_and_says_so(database):
    impatient = await Database.open(database.url, statement_timeout_seconds=0.05, default=False)
    tried = []

    async def store() -> None:
        tried.append(1)
        await impatient.fetch("SELECT pg_sleep(5)")

    with pytest.raises(Unavailable, match="send less at once"):
        await retrying(store)
    await impatient.close()
    assert tried == [1]
