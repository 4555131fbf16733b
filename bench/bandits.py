"""How long one worker takes to reallocate 10,000 running bandits; how fast a contextual one assigns beside a plain one.

The tests are made in SQL: `--variants` each, by THOMPSON and the other policies in turn, with totals of thousands of
units and `--open` units a test whose window is still open, so that each step reads what a busy server's would. Each
round makes all of them due and moves them in this process, which is what a worker does; the median of `--rounds`
counts. The limit is the one the project has set itself: a minute. What follows is bench.contextual, which may be run by
itself.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import contextual
from bench.claims import Claim, Row

LIMIT_SECONDS = 60.0
STEP = Claim(name="a step of 10,000 bandits, one worker", unit="s", limit=LIMIT_SECONDS)
CLAIMS = (STEP,)
FILLING = (
    """
    INSERT INTO ab_test (key, name, status, allocation_policy, floor, reallocate_every_minutes, seed, started_at)
    SELECT 'bench-' || n, 'Bench ' || n, 'RUNNING',
           (ARRAY['THOMPSON', 'TOP_TWO_THOMPSON', 'UCB', 'EPSILON_GREEDY'])[1 + n % 4], 0.2 / $variants, 60,
           'bench-' || n, now() - interval '10 days'
    FROM generate_series(1, $tests) n
    """,
    """
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
    SELECT t.id, 'v' || v, 'V' || v, v, v = 0, 1.0 / $variants FROM ab_test t, generate_series(0, $variants - 1) v
    """,
    """
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, higher_is_better, window_hours)
    SELECT id, 'converted', 'Converted', 0, 'CONVERSION', 6, true, 72 FROM ab_test
    """,
    """
    INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at)
    SELECT id, 1, allocation_policy, floor, (SELECT jsonb_agg(1.0 / $variants) FROM generate_series(1, $variants)),
           started_at FROM ab_test
    """,
    """
    INSERT INTO test_totals (test_id, metric_id, variant_id, segment, slot, exposed, converted, value_sum,
                             value_squares)
    SELECT v.test_id, m.id, v.id, s.name, s.slot, x.n, c.n, c.n, c.n
    FROM ab_test_variant v JOIN ab_test_metric m ON m.test_id = v.test_id,
         (VALUES ('new', 0), ('new', 5), ('loyal', 2), ('lapsed', 7)) AS s(name, slot),
         LATERAL (SELECT 500 + (v.id * 37 + s.slot) % 300 AS n) x,
         LATERAL (SELECT x.n * (4 + (v.id * 13) % 5) / 100 AS n) c
    """,
    """
    INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,
                                    policy_version)
    SELECT v.test_id, v.position * 1000000 + u, v.id, now() - u * interval '1 hour', now() - u * interval '1 hour',
           1.0 / $variants, 1
    FROM ab_test_variant v, generate_series(1, $open / $variants) u
    """,
    """
    INSERT INTO unit_metric (test_id, metric_id, user_id, variant_id, value)
    SELECT a.test_id, m.id, a.user_id, a.variant_id, (a.user_id % 20 = 0)::int
    FROM ab_test_assignment a JOIN ab_test_metric m ON m.test_id = a.test_id
    """,
    "VACUUM ANALYZE",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--open", type=int, default=40, help="units of a test whose window is open")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database-url", help="an empty database to use instead of one of its own")
    contextual.add_options(parser)
    options = parser.parse_args()
    with address(options.database_url) as url:
        asyncio.run(run(url, options))
    options.variants, options.rounds = 5, 7
    with address(None) as url:
        contextual.run(url, options)


def speed() -> list[Row]:
    """Measure one step of all, and return the table's rows."""
    with address(None) as url:
        median = asyncio.run(run(url, argparse.Namespace(tests=10_000, variants=4, open=40, rounds=1)))
    return [STEP.within(median)]


async def run(url: str, options: argparse.Namespace) -> float:
    from app.abtests.reallocating import Reallocating
    from app.auth.auditing import Audit
    from app.runtime.clock import SystemClock
    from app.store.abtests import TestStore
    from app.store.access import AccessStore
    from app.store.database import Database
    from app.store.notifications import PostgresBroadcast
    from app.store.policies import PolicyStore

    database = await Database.open(url)
    await database.migrate()
    for statement in FILLING:
        text = statement
        for name in ("tests", "variants", "open"):
            text = text.replace(f"${name}", str(getattr(options, name)))
        await database.execute(text)
    broadcast = await PostgresBroadcast(database).start()
    reallocating = Reallocating(
        database,
        tests=TestStore(database),
        policies=PolicyStore(database),
        audit=Audit(AccessStore(database)),
        broadcast=broadcast,
        clock=SystemClock(),
    )
    times = [await step(database, reallocating, options.tests) for _ in range(options.rounds)]
    median = statistics.median(times)
    print(f"{options.tests:,} tests of {options.variants} variants, {options.open} open units each")
    print(
        f"one step of all: {median:.2f} s (median of {', '.join(f'{one:.2f}' for one in times)}); "
        f"{options.tests / median:,.0f} tests/s; limit {LIMIT_SECONDS:.0f} s: "
        f"{'kept' if median <= LIMIT_SECONDS else 'BROKEN'}"
    )
    await broadcast.close()
    await database.close()
    return median


async def step(database, reallocating, tests: int) -> float:
    before = await database.fetchval("SELECT count(*) FROM allocation")
    await database.execute("UPDATE ab_test SET reallocated_at = now() - interval '2 hours'")
    begun = time.perf_counter()
    done = await reallocating.reallocate_due()
    seconds = time.perf_counter() - begun
    made = await database.fetchval("SELECT count(*) FROM allocation") - before
    assert done == made == tests, (done, made)
    return seconds


@contextmanager
def address(given: str | None) -> Iterator[str]:
    if given:
        yield given
        return
    from app.store.embedded.server import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder))
        yield postgres.start().url
        postgres.stop()


if __name__ == "__main__":
    main()
