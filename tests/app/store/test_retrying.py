"""A failure that is nobody's fault is tried again, within bounds; any other passes through at once."""

import asyncpg
import pytest

from app.errors import DatabaseUnavailable
from app.ingestion.batches import read_mappings
from app.ingestion.pipeline import Ingestion
from app.store.events import EventStore
from app.store.retrying import retrying


class Failing:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError("circle"),
        asyncpg.SerializationError("order"),
        asyncpg.ConnectionDoesNotExistError("closed"),
        asyncpg.AdminShutdownError("restart"),
        ConnectionResetError("reset"),
        asyncpg.DiskFullError("No space left on device"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    ],
)
async def test_what_may_pass_is_tried_again(error):
    failing = Failing(error, error)
    forgotten = []
    assert await retrying(failing, before_retry=lambda: forgotten.append(1), pause_seconds=0.001) == "done"
    assert (failing.calls, len(forgotten)) == (3, 2)


async def test_a_database_that_stays_away_is_unavailable():
    failing = Failing(*[ConnectionRefusedError("refused")] * 9)
    with pytest.raises(DatabaseUnavailable):
        await retrying(failing, attempts=3, pause_seconds=0.001)
    assert failing.calls == 3


async def test_a_full_disk_is_said():
    failing = Failing(*[asyncpg.DiskFullError("could not extend file: No space left on device")] * 9)
    with pytest.raises(DatabaseUnavailable, match=r"no room left .*No space left.*make room, then try again"):
        await retrying(failing, attempts=3, pause_seconds=0.001)


@pytest.mark.parametrize(
    "error", [ValueError("bug"), asyncpg.NumericValueOutOfRangeError("full"), asyncpg.exceptions.DataError("type")]
)
async def test_what_will_not_pass_is_not_tried_again(error):
    failing = Failing(error)
    with pytest.raises(type(error)):
        await retrying(failing, pause_seconds=0.001)
    assert failing.calls == 1


async def test_events_are_stored_though_their_connections_are_cut(clean_database, clock):
    from datetime import UTC, datetime

    ingestion = Ingestion(EventStore(clean_database), clock)
    at = datetime(2025, 12, 1, tzinfo=UTC)
    event = {"type": "SENT", "occurredAt": at, "userId": "ann"}
    await ingestion.record(read_mappings([event | {"id": "first"}]))
    await clean_database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'winnow'"
    )
    receipt = await ingestion.record(read_mappings([event | {"id": f"{n}"} for n in range(10)]))
    assert receipt.accepted == 10


async def test_a_month_dropped_by_another_process_is_made_again(clean_database, clock):
    from datetime import UTC, datetime

    ingestion = Ingestion(EventStore(clean_database), clock)
    event = {"type": "SENT", "occurredAt": datetime(2003, 5, 1, tzinfo=UTC), "userId": "ann"}
    await ingestion.record(read_mappings([event | {"id": "1"}]))
    await clean_database.execute("DROP TABLE event_2003_05")
    assert (await ingestion.record(read_mappings([event | {"id": "2"}]))).accepted == 1
