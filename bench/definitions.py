"""The tests that every web process keeps: reading them, and asking whether any changed, by how many run.

    scripts/bench definitions --tests 40000

A web process asks every 30 seconds, should an announcement have been lost. How long the event loop stands still
meanwhile is what requests feel; it is measured by a task that sleeps a millisecond at a time.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from app.abtests.definitions import Definitions
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.store.abtests import TestStore
from app.store.database import Database
from bench.campaigns import database_url

FILL = """
WITH test AS (
    INSERT INTO ab_test (key, name, status, seed, allocation_policy, started_at)
    SELECT 'test-' || n, 'Test ' || n, 'RUNNING', 'seed-' || n, 'THOMPSON', now() FROM generate_series(1, $1) n
    RETURNING id, key
), variant AS (
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
    SELECT id, arm, arm, position - 1, position = 1, 0.5
    FROM test, unnest(ARRAY['control', 'treatment']) WITH ORDINALITY AS a(arm, position)
), metric AS (
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, higher_is_better, window_hours, stops)
    SELECT id, 'bought', 'Bought', 0, 'CONVERSION', 6, true, 168, false FROM test
)
INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at)
SELECT id, 1, 'THOMPSON', 0.05, '[0.5, 0.5]', now() FROM test
"""
CHANGE = "UPDATE ab_test SET decided_elsewhere = true, updated_at = now() WHERE id <= 10"


async def measure(tests: int) -> None:
    """Fill a database of its own, and say what reading the tests costs."""
    with database_url() as url:
        database = await Database.open(url)
        try:
            await database.migrate()
            await database.execute(FILL, tests)
            await database.execute("ANALYZE")
            definitions = Definitions(TestStore(database), LocalBroadcast(), clock=SystemClock())
            print(f"{tests} running tests")
            await told("first read", definitions.reload)
            await told("nothing changed", definitions.reload)
            await told("nothing changed, again", definitions.reload)
            await database.execute(CHANGE)
            await told("ten changed, unannounced", definitions.reload)
            await told("one announced", lambda: definitions.refresh([7]))
        finally:
            await database.close()


async def told(what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Print how long something takes, and the longest time that nothing else had its turn."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    longest, started = 0.0, time.perf_counter()
    await work()
    taken = time.perf_counter() - started
    await asyncio.sleep(0.01)
    watching.cancel()
    print(f"{what:28} {taken * 1000:8.1f} ms, event loop held for {longest * 1000:7.1f} ms at most")


def main() -> None:
    """Measure with so many tests."""
    parser = argparse.ArgumentParser(description="What the tests that a web process keeps cost it.")
    parser.add_argument("--tests", type=int, default=40_000)
    asyncio.run(measure(parser.parse_args().tests))


if __name__ == "__main__":
    main()
