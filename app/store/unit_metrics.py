"""What each exposed unit did, and each test's sufficient statistics from it.

A unit's rows are recomputed from its events whenever one of them could matter, and the difference to what they were is
added to the totals: so the totals depend on the set of events alone, whatever their order, repetition or delay.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.store.database import Connection
from app.store.models.codes import EventType

EXPOSED = int(EventType.EXPOSED)

# Users whose events may meet an exposure that another transaction is storing: their rows are the lock. Taken after the
# events are inserted and before anything is read, in one order, so that of two transactions the second sees the first.
LOCK_USERS = "SELECT id FROM app_user WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"

# Storing events shares this lock and a test's start holds it alone: a start recomputes what came before, and must see
# all of it; and what comes after it must see that the test has started.
SHARE_TESTS = "SELECT pg_advisory_xact_lock_shared($1), set_config('plan_cache_mode', 'force_custom_plan', true)"
HOLD_TESTS = "SELECT pg_advisory_xact_lock($1)"
TESTS_LOCK = 0x57494E4E_0002

METRIC_EVENTS = """
SELECT event AS type FROM ab_test_metric m JOIN ab_test t ON t.id = m.test_id WHERE t.started_at IS NOT NULL
UNION
SELECT denominator FROM ab_test_metric m JOIN ab_test t ON t.id = m.test_id
WHERE t.started_at IS NOT NULL AND denominator IS NOT NULL
"""

EXPOSED_USERS = """
SELECT DISTINCT user_id FROM event WHERE test_id = $1 AND type = 8 AND user_id > $2 ORDER BY user_id LIMIT $3
"""
EXPOSED_SINCE = "SELECT DISTINCT user_id FROM event WHERE test_id = $1 AND type = 8 AND occurred_at >= $2"

# The (test, user) pairs that new events can change: exposures, and metric events near an exposure already known. Units
# that retention has taken events of stay as they are: recomputed from what is left, they would lose what they did.
AFFECTED_PAIRS = """
WITH incoming AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::timestamptz[])
        AS e(user_id, test_id, type, occurred_at)
),
affected AS (
    SELECT e.test_id, e.user_id FROM incoming e WHERE e.type = 8 AND e.test_id IS NOT NULL
    UNION
    SELECT a.test_id, a.user_id
    FROM incoming e
    JOIN ab_test_assignment a ON a.user_id = e.user_id AND a.first_exposed_at IS NOT NULL
    JOIN ab_test_metric m ON m.test_id = a.test_id AND e.type IN (m.event, m.denominator)
    WHERE (e.test_id IS NULL OR e.test_id = a.test_id)
      AND e.occurred_at >= a.first_exposed_at - make_interval(hours => m.window_hours)
      AND e.occurred_at < a.first_exposed_at + make_interval(hours => m.window_hours)
)
SELECT p.test_id, p.user_id
FROM affected p
WHERE NOT EXISTS (
    SELECT FROM event_retention r
    JOIN ab_test_assignment a ON a.test_id = p.test_id AND a.user_id = p.user_id
    JOIN ab_test_metric m ON m.test_id = p.test_id
    WHERE a.first_exposed_at < r.kept_from::timestamp AT TIME ZONE 'UTC' + make_interval(hours => m.window_hours)
)
"""

# First exposure by occurred_at within the test's run; ties by the event's key. A pair without one loses its row. Its
# policy version is the one it names, as a process may decide by the version before for a moment; else that of its time.
# Vectors are gathered as texts, as arrays of different lengths, or none, make no array of arrays.
# "IS NOT DISTINCT FROM" keeps the planner from reading all of a test's events for each user, by the index on tests.
UPDATE_ASSIGNMENTS = """
WITH pair AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS p(test_id, user_id)),
exposure AS (
    SELECT p.test_id, p.user_id, x.*
    FROM pair p
    JOIN ab_test t ON t.id = p.test_id AND t.started_at IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT (array_agg(e.variant_id ORDER BY e.occurred_at, e.key))[1] AS variant_id,
               (array_agg(e.probability ORDER BY e.occurred_at, e.key))[1] AS probability,
               (array_agg(e.segment ORDER BY e.occurred_at, e.key))[1] AS segment,
               (array_agg(e.properties ORDER BY e.occurred_at, e.key))[1] AS context,
               (array_agg(e.policy_version ORDER BY e.occurred_at, e.key))[1] AS policy_version,
               (array_agg(e.probabilities::text ORDER BY e.occurred_at, e.key))[1]::float8[] AS probabilities,
               min(e.occurred_at) AS first_exposed_at,
               count(DISTINCT e.variant_id) > 1 AS multiple_exposures
        FROM event e
        WHERE e.user_id = p.user_id AND e.test_id IS NOT DISTINCT FROM p.test_id AND e.type = 8
          AND e.variant_id IS NOT NULL
          AND e.occurred_at >= t.started_at AND (t.ended_at IS NULL OR e.occurred_at < t.ended_at)
    ) x
    WHERE x.variant_id IS NOT NULL
),
gone AS (
    DELETE FROM ab_test_assignment a USING pair p
    WHERE a.test_id = p.test_id AND a.user_id = p.user_id
      AND NOT EXISTS (SELECT 1 FROM exposure x WHERE x.test_id = p.test_id AND x.user_id = p.user_id)
)
INSERT INTO ab_test_assignment AS a (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,
                                     policy_version, multiple_exposures, segment, context_hash, context,
                                     probabilities)
SELECT x.test_id, x.user_id, x.variant_id, x.first_exposed_at, x.first_exposed_at,
       coalesce(x.probability, (l.probabilities ->> v.position)::float8, v.weight),
       coalesce(l.policy_version, 1), x.multiple_exposures, x.segment,
       md5(x.context::text)::uuid, x.context, x.probabilities
FROM exposure x
JOIN ab_test_variant v ON v.id = x.variant_id
LEFT JOIN LATERAL (
    SELECT l.policy_version, l.probabilities FROM allocation l
    WHERE l.test_id = x.test_id AND (l.policy_version = x.policy_version OR l.created_at <= x.first_exposed_at)
    ORDER BY l.policy_version = x.policy_version DESC NULLS LAST, l.policy_version DESC LIMIT 1
) l ON true
ORDER BY x.test_id, x.user_id
ON CONFLICT (test_id, user_id) DO UPDATE SET
    variant_id = excluded.variant_id, assigned_at = excluded.assigned_at,
    first_exposed_at = excluded.first_exposed_at, probability = excluded.probability,
    policy_version = excluded.policy_version, multiple_exposures = excluded.multiple_exposures,
    segment = excluded.segment, context_hash = excluded.context_hash, context = excluded.context,
    probabilities = excluded.probabilities
"""

# The unit's value in each metric, from its own events: within the window after its exposure, and as covariate within
# the same time before it. "OFFSET 0" keeps each part a look-up by index for each pair, whatever the planner thinks of
# how many there are: its other plans read every unit of the tests, or compare each pair with each.
UNIT_VALUES = """
    SELECT a.test_id, m.id AS metric_id, a.user_id, a.variant_id, a.segment,
           a.multiple_exposures::int AS multiple,
           CASE m.kind WHEN 'CONVERSION' THEN least(w.events, 1) WHEN 'COUNT' THEN w.events ELSE w.micros END AS value,
           CASE m.kind WHEN 'RATIO' THEN w.denominators ELSE 0 END AS denominator,
           CASE m.kind WHEN 'CONVERSION' THEN least(w.events_before, 1) WHEN 'COUNT' THEN w.events_before
                       ELSE w.micros_before END AS covariate,
           m.kind AS kind
    FROM pair p
    CROSS JOIN LATERAL (
        SELECT * FROM ab_test_assignment a
        WHERE a.test_id = p.test_id AND a.user_id = p.user_id AND a.first_exposed_at IS NOT NULL OFFSET 0
    ) a
    CROSS JOIN LATERAL (SELECT * FROM ab_test_metric m WHERE m.test_id = a.test_id OFFSET 0) m
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE e.type = m.event AND e.occurred_at >= a.first_exposed_at) AS events,
               coalesce(sum(e.value_micros) FILTER (
                   WHERE e.type = m.event AND e.occurred_at >= a.first_exposed_at), 0)::bigint AS micros,
               count(*) FILTER (WHERE e.type = m.denominator AND e.occurred_at >= a.first_exposed_at) AS denominators,
               count(*) FILTER (WHERE e.type = m.event AND e.occurred_at < a.first_exposed_at) AS events_before,
               coalesce(sum(e.value_micros) FILTER (
                   WHERE e.type = m.event AND e.occurred_at < a.first_exposed_at), 0)::bigint AS micros_before
        FROM event e
        WHERE e.user_id = a.user_id AND e.type IN (m.event, m.denominator)
          AND (e.test_id IS NULL OR e.test_id = a.test_id)
          AND e.occurred_at >= a.first_exposed_at - make_interval(hours => m.window_hours)
          AND e.occurred_at < a.first_exposed_at + make_interval(hours => m.window_hours)
    ) w
"""

# A unit's contribution to the sums, with a sign: removed as it was, added as it is. The logarithm of revenue is kept as
# a whole number of millionths, so that its sums are exact too.
CONTRIBUTIONS = """
    SELECT test_id, metric_id, variant_id, segment, sign AS exposed, sign * multiple AS multiple,
           sign * (value > 0)::int AS converted, sign * value::numeric AS y, sign * value::numeric * value AS yy,
           sign * denominator::numeric AS d, sign * denominator::numeric * denominator AS dd,
           sign * value::numeric * denominator AS yd, sign * covariate::numeric AS x,
           sign * covariate::numeric * covariate AS xx, sign * covariate::numeric * value AS xy,
           sign * logarithm AS g, sign * logarithm * logarithm AS gg
    FROM (
        SELECT c.*, CASE WHEN kind = 'REVENUE' AND value > 0
                         THEN round(ln(value::float8 / 1e6)::numeric * 1000000) ELSE 0 END AS logarithm
        FROM change c
    ) c
"""

ADD_TO_TOTALS = """
INSERT INTO test_totals AS t (test_id, metric_id, variant_id, segment, slot, exposed, multiple_exposed, converted,
    value_sum, value_squares, denominator_sum, denominator_squares, product_sum, covariate_sum, covariate_squares,
    covariate_product, log_sum, log_squares)
SELECT test_id, metric_id, variant_id, segment, pg_backend_pid() % 8, sum(exposed), sum(multiple), sum(converted),
       sum(y), sum(yy), sum(d), sum(dd), sum(yd), sum(x), sum(xx), sum(xy), sum(g), sum(gg)
FROM contribution
GROUP BY test_id, metric_id, variant_id, segment
ORDER BY test_id, metric_id, variant_id, segment
ON CONFLICT (test_id, metric_id, variant_id, segment, slot) DO UPDATE SET
    exposed = t.exposed + excluded.exposed, multiple_exposed = t.multiple_exposed + excluded.multiple_exposed,
    converted = t.converted + excluded.converted, value_sum = t.value_sum + excluded.value_sum,
    value_squares = t.value_squares + excluded.value_squares,
    denominator_sum = t.denominator_sum + excluded.denominator_sum,
    denominator_squares = t.denominator_squares + excluded.denominator_squares,
    product_sum = t.product_sum + excluded.product_sum, covariate_sum = t.covariate_sum + excluded.covariate_sum,
    covariate_squares = t.covariate_squares + excluded.covariate_squares,
    covariate_product = t.covariate_product + excluded.covariate_product, log_sum = t.log_sum + excluded.log_sum,
    log_squares = t.log_squares + excluded.log_squares
"""

UPDATE_UNITS = f"""
WITH pair AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS p(test_id, user_id)),
fresh AS ({UNIT_VALUES}),
previous AS (
    SELECT u.*, m.kind, a.exposed
    FROM pair p
    CROSS JOIN LATERAL (SELECT m.id, m.kind FROM ab_test_metric m WHERE m.test_id = p.test_id OFFSET 0) m
    CROSS JOIN LATERAL (
        SELECT * FROM unit_metric u
        WHERE u.test_id = p.test_id AND u.metric_id = m.id AND u.user_id = p.user_id OFFSET 0
    ) u
    LEFT JOIN LATERAL (
        SELECT true AS exposed FROM ab_test_assignment a
        WHERE a.test_id = p.test_id AND a.user_id = p.user_id AND a.first_exposed_at IS NOT NULL OFFSET 0
    ) a ON true
),
stale AS (
    DELETE FROM unit_metric u USING previous o
    WHERE o.exposed IS NULL AND u.test_id = o.test_id AND u.metric_id = o.metric_id AND u.user_id = o.user_id
),
change AS (
    SELECT test_id, metric_id, variant_id, segment, multiple, value, denominator, covariate, kind, 1 AS sign FROM fresh
    UNION ALL
    SELECT test_id, metric_id, variant_id, segment, multiple, value, denominator, covariate, kind, -1 FROM previous
),
contribution AS ({CONTRIBUTIONS}),
stored AS (
    INSERT INTO unit_metric AS u (test_id, metric_id, user_id, variant_id, segment, multiple, value, denominator,
                                  covariate)
    SELECT test_id, metric_id, user_id, variant_id, segment, multiple, value, denominator, covariate FROM fresh
    ORDER BY test_id, metric_id, user_id
    ON CONFLICT (test_id, metric_id, user_id) DO UPDATE SET
        variant_id = excluded.variant_id, segment = excluded.segment, multiple = excluded.multiple,
        value = excluded.value, denominator = excluded.denominator, covariate = excluded.covariate
)
{ADD_TO_TOTALS}
"""


type UnitEvent = tuple[int, int | None, int, datetime]
"""User, test named if any, event type, and when: what says whom an event can concern."""


async def share_tests(connection: Connection) -> None:
    """Keep tests from starting until the transaction ends; to be called before it reads anything of tests.

    Its statements are planned anew each time: a plan kept from when tables were small would read them whole for each
    unit once they are not.
    """
    await connection.execute(SHARE_TESTS, TESTS_LOCK)


async def lock_units(
    connection: Connection, events: Iterable[UnitEvent], *, also: Iterable[int] = ()
) -> list[UnitEvent]:
    """Return the new events that can concern a test, their users and those of `also` locked.

    To be called once, before other rows are locked: who locks users twice may wait for each other in a circle.
    """
    types = {row["type"] for row in await connection.fetch(METRIC_EVENTS)}
    concerned = [event for event in events if event[2] in types or (event[2] == EXPOSED and event[1] is not None)]
    users = {event[0] for event in concerned}.union(also)
    if users:
        await connection.execute(LOCK_USERS, sorted(users))
    return concerned


async def count_units(connection: Connection, events: Sequence[UnitEvent]) -> set[int]:
    """Bring the totals of tests up to date with new events of locked users; return the tests concerned."""
    if not events:
        return set()
    rows = await connection.fetch(AFFECTED_PAIRS, *(list(column) for column in zip(*events, strict=True)))
    return await update(connection, [(row["test_id"], row["user_id"]) for row in rows])


async def update(connection: Connection, pairs: Sequence[tuple[int, int]]) -> set[int]:
    """Recompute the units of these (test, user) pairs, add what changed to the totals; return the tests concerned."""
    if not pairs:
        return set()
    tests, users = [test for test, _ in pairs], [user for _, user in pairs]
    await connection.execute(UPDATE_ASSIGNMENTS, tests, users)
    await connection.execute(UPDATE_UNITS, tests, users)
    return set(tests)


async def hold_tests(connection: Connection) -> None:
    """Keep events from being stored until the transaction ends; to be called before it locks or reads anything."""
    await connection.execute(HOLD_TESTS, TESTS_LOCK)


async def end_test(connection: Connection, test_id: int, *, at: datetime) -> None:
    """Take out of the totals what a test counted from its end on, by a sender's clock that is ahead."""
    rows = await connection.fetch(EXPOSED_SINCE, test_id, at)
    await update(connection, [(test_id, row["user_id"]) for row in rows])


async def rebuild_test(connection: Connection, test_id: int, *, batch: int = 5000) -> None:
    """Recompute every unit that was ever exposed to a test, while no event is stored."""
    await hold_tests(connection)
    last = 0
    while users := [row["user_id"] for row in await connection.fetch(EXPOSED_USERS, test_id, last, batch)]:
        await update(connection, [(test_id, user) for user in users])
        last = users[-1]
