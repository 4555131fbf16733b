"""A query that takes too long is refused with what to do, not masked as an accident."""

import asyncpg
import pytest

from app.store.database import Database
from graph.errors import TOOK_TOO_LONG, refusals


async def test_a_statement_that_takes_too_long_says_so(database):
    impatient = await Database.open(database.url, statement_timeout_seconds=0.05, default=False)
    with pytest.raises(asyncpg.QueryCanceledError) as ended:
        await impatient.fetch("SELECT pg_sleep(5)")
    await impatient.close()
    assert refusals(ended.value) == [{"message": TOOK_TOO_LONG, "extensions": {"code": "UNAVAILABLE"}}]
