"""What bandits learn from, and the policy versions they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.store.database import Connection, Database
from app.store.models.codes import AllocationPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTest:
    """A test whose traffic is to be moved now, its row locked."""

    id: int
    discount: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSums:
    """What the counted units of one variant did, under one policy version where one is named.

    A unit counts when its window has closed or its value is not 0; `open` are those exposed that do not count yet.
    Values as in `test_totals`: micros for money.
    """

    variant_id: int
    policy_version: int | None
    counted: int
    open: int
    value_sum: int
    value_squares: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSums:
    """What one variant's units did that were first exposed under one policy version, once their window has closed."""

    variant_id: int
    policy_version: int
    probabilities: tuple[float, ...]
    units: int
    value_sum: int
    value_squares: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextBatchSums(BatchSums):
    """The same of a contextual test, whose units have probabilities p of their own: sums of 1/p, v/p and their squares.

    `probabilities` are the version's average shares; `mean_inverse_shares` what its model keeps, None before there is
    one. `left_out` are units that are in no sum, as it is not known how they were given their variant.
    """

    mean_inverse_shares: tuple[float | None, ...] | None
    left_out: int
    inverse: float
    value_inverse: float
    inverse_squares: float
    value_inverse_squares: float
    value_squares_inverse_squares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedUnits:
    """A test's units whose window has closed, in the order of their exposure: one entry a unit in each list.

    `shares` are the whole vector by which a unit was assigned: its own in a contextual test, else its version's.
    """

    positions: Sequence[int]
    values: Sequence[int]
    shares: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAllocation:
    """A policy version to be stored."""

    test_id: int
    policy_version: int
    policy: AllocationPolicy
    floor: float
    probabilities: Sequence[float]
    watermark: Any
    model: Any = None


class PolicyStore:
    """SQL of bandits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lock_due(self, connection: Connection, *, at: datetime, most: int) -> list[DueTest]:
        """Return tests whose next step is due, their rows locked until the transaction ends; others' are passed by."""
        rows = await connection.fetch(DUE, at, most)
        return [DueTest(id=row["id"], discount=row["discount"]) for row in rows]

    async def count_due(self, *, at: datetime) -> int:
        """Return how many tests' next step is due."""
        return await self._database.fetchval(COUNT_DUE, at)

    async def discount(self, connection: Connection, test_id: int) -> float | None:
        """Return what a step of age leaves of a unit's weight; None where nothing is forgotten."""
        return await connection.fetchval("SELECT discount FROM ab_test WHERE id = $1", test_id)

    async def sums(self, connection: Connection, test_ids: Sequence[int], *, at: datetime) -> dict[int, list[ArmSums]]:
        """Return what counts of each test's metric: its totals, less the units that are still open at 0.

        Only units exposed within the last window are read, by the index of exposures; all others come from totals.
        """
        return _by_test(await connection.fetch(COUNTED, list(test_ids), at))

    async def sums_by_version(
        self, connection: Connection, test_ids: Sequence[int], *, at: datetime
    ) -> dict[int, list[ArmSums]]:
        """Return the same by policy version: every unit of these tests is read."""
        return _by_test(await connection.fetch(COUNTED_BY_VERSION, list(test_ids), at))

    async def highest_values(self, connection: Connection, test_ids: Sequence[int]) -> dict[int, int]:
        """Return the highest value any unit of a test has in its metric."""
        rows = await connection.fetch(HIGHEST, list(test_ids))
        return {row["test_id"]: row["highest"] for row in rows}

    async def add_versions(
        self, connection: Connection, allocations: Sequence[NewAllocation], *, stepped: Sequence[int], at: datetime
    ) -> None:
        """Store new policy versions, and note of all tests of the step that it is done."""
        columns = (
            [one.test_id for one in allocations],
            [one.policy_version for one in allocations],
            [one.policy.value for one in allocations],
            [one.floor for one in allocations],
            [orjson.dumps(list(one.probabilities)).decode() for one in allocations],
            [orjson.dumps(one.watermark).decode() for one in allocations],
            [None if one.model is None else orjson.dumps(one.model).decode() for one in allocations],
        )
        await connection.execute(INSERT_VERSIONS, *columns, at)
        await connection.execute("UPDATE ab_test SET reallocated_at = $2 WHERE id = ANY($1)", list(stepped), at)

    async def batches(self, test_ids: Sequence[int], *, at: datetime) -> dict[int, list[BatchSums]]:
        """Return what units with a closed window did, by policy version and variant, in the order of versions."""
        batches: dict[int, list[BatchSums]] = {}
        for row in await self._database.fetch(BATCHES, list(test_ids), at):
            batch = BatchSums(
                variant_id=row["variant_id"],
                policy_version=row["policy_version"],
                probabilities=tuple(row["probabilities"]),
                units=row["units"],
                value_sum=int(row["value_sum"]),
                value_squares=int(row["value_squares"]),
            )
            batches.setdefault(row["test_id"], []).append(batch)
        return batches

    async def context_batches(self, test_ids: Sequence[int], *, at: datetime) -> dict[int, list[ContextBatchSums]]:
        """Return the same of contextual tests, by each unit's own probability."""
        batches: dict[int, list[ContextBatchSums]] = {}
        for row in await self._database.fetch(CONTEXT_BATCHES, list(test_ids), at):
            values = {name: value for name, value in row.items() if name != "test_id"}
            values |= {name: int(values[name]) for name in ("value_sum", "value_squares")}
            values["probabilities"] = tuple(values["probabilities"])
            if values["mean_inverse_shares"] is not None:
                values["mean_inverse_shares"] = tuple(values["mean_inverse_shares"])
            batches.setdefault(row["test_id"], []).append(ContextBatchSums(**values))
        return batches

    async def open_units(self, test_ids: Sequence[int], *, at: datetime) -> dict[int, int]:
        """Return how many exposed units of each test have a window that is still open."""
        rows = await self._database.fetch(OPEN_UNITS, list(test_ids), at)
        return {row["test_id"]: row["units"] for row in rows}

    async def units(self, test_id: int, *, at: datetime) -> LoggedUnits:
        """Return a test's units whose window has closed."""
        rows = await self._database.fetch(UNITS, test_id, at)
        versions = await self._database.fetch(
            "SELECT policy_version, probabilities FROM allocation WHERE test_id = $1", test_id
        )
        of_version: dict[int, Sequence[float]] = {row["policy_version"]: row["probabilities"] for row in versions}
        return LoggedUnits(
            positions=[row["position"] for row in rows],
            values=[row["value"] for row in rows],
            shares=[row["probabilities"] or of_version[row["policy_version"]] for row in rows],
        )


def _by_test(rows: Sequence[Any]) -> dict[int, list[ArmSums]]:
    found: dict[int, list[ArmSums]] = {}
    for row in rows:
        sums = ArmSums(
            variant_id=row["variant_id"],
            policy_version=row["policy_version"],
            counted=int(row["counted"]),
            open=int(row["open"]),
            value_sum=int(row["value_sum"]),
            value_squares=int(row["value_squares"]),
        )
        found.setdefault(row["test_id"], []).append(sums)
    return found


# The conditions are those of the index ab_test_due. A test that has not been reallocated yet waits one interval from
# its start.
_DUE = """
    status = 'RUNNING' AND allocation_policy <> 'FIXED'
    AND coalesce(reallocated_at, started_at) <= $1::timestamptz - make_interval(mins => reallocate_every_minutes)
"""
DUE = f"SELECT id, discount FROM ab_test WHERE {_DUE} ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED"
COUNT_DUE = f"SELECT count(*) FROM ab_test WHERE {_DUE}"
_METRIC = """
metric AS (
    SELECT test_id, id AS metric_id, make_interval(hours => window_hours) AS window_length FROM ab_test_metric
    WHERE test_id = ANY($1::bigint[]) AND position = 0
)
"""
# "OFFSET 0" keeps each part a look-up by index for each test, whatever the planner thinks of the tables' sizes.
COUNTED = f"""
WITH {_METRIC},
total AS (
    SELECT m.test_id, t.variant_id, sum(t.exposed) AS exposed, sum(t.value_sum) AS value_sum,
           sum(t.value_squares) AS value_squares
    FROM metric m
    CROSS JOIN LATERAL (
        SELECT * FROM test_totals t WHERE t.test_id = m.test_id AND t.metric_id = m.metric_id OFFSET 0
    ) t
    GROUP BY m.test_id, t.variant_id
),
waiting AS (
    SELECT m.test_id, a.variant_id, count(*) AS units
    FROM metric m
    CROSS JOIN LATERAL (
        SELECT a.user_id, a.variant_id FROM ab_test_assignment a
        WHERE a.test_id = m.test_id AND a.first_exposed_at > $2::timestamptz - m.window_length OFFSET 0
    ) a
    CROSS JOIN LATERAL (
        SELECT FROM unit_metric u
        WHERE u.test_id = m.test_id AND u.metric_id = m.metric_id AND u.user_id = a.user_id AND u.value = 0 OFFSET 0
    ) u
    GROUP BY m.test_id, a.variant_id
)
SELECT test_id, variant_id, NULL::integer AS policy_version, exposed - coalesce(units, 0) AS counted,
       coalesce(units, 0) AS open, value_sum, value_squares
FROM total LEFT JOIN waiting USING (test_id, variant_id)
"""
COUNTED_BY_VERSION = f"""
WITH {_METRIC}
SELECT a.test_id, a.variant_id, a.policy_version,
       count(*) FILTER (WHERE u.value <> 0 OR a.first_exposed_at <= $2::timestamptz - m.window_length) AS counted,
       count(*) FILTER (WHERE u.value = 0 AND a.first_exposed_at > $2::timestamptz - m.window_length) AS open,
       sum(u.value) AS value_sum, sum(u.value::numeric * u.value) AS value_squares
FROM metric m
JOIN ab_test_assignment a ON a.test_id = m.test_id AND a.first_exposed_at IS NOT NULL
JOIN unit_metric u ON u.test_id = a.test_id AND u.metric_id = m.metric_id AND u.user_id = a.user_id
GROUP BY a.test_id, a.variant_id, a.policy_version
"""
HIGHEST = f"""
WITH {_METRIC}
SELECT u.test_id, max(u.value) AS highest FROM metric m
JOIN unit_metric u ON u.test_id = m.test_id AND u.metric_id = m.metric_id GROUP BY u.test_id
"""
INSERT_VERSIONS = """
INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, watermark, model, created_at)
SELECT n.test_id, n.policy_version, n.policy, n.floor, n.probabilities::jsonb, n.watermark::jsonb, n.model::jsonb, $8
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::text[])
    AS n(test_id, policy_version, policy, floor, probabilities, watermark, model)
"""
BATCHES = f"""
WITH {_METRIC}
SELECT b.*, l.probabilities FROM (
    SELECT a.test_id, a.policy_version, a.variant_id, count(*) AS units, sum(u.value) AS value_sum,
           sum(u.value::numeric * u.value) AS value_squares
    FROM metric m
    JOIN ab_test_assignment a ON a.test_id = m.test_id AND a.first_exposed_at <= $2::timestamptz - m.window_length
    JOIN unit_metric u ON u.test_id = a.test_id AND u.metric_id = m.metric_id AND u.user_id = a.user_id
    GROUP BY a.test_id, a.policy_version, a.variant_id
) b
JOIN allocation l USING (test_id, policy_version)
ORDER BY test_id, policy_version, variant_id
"""
# The weights of a batch rest on contexts known before it; of its own, only that they were given their variant.
CONTEXT_BATCHES = f"""
WITH {_METRIC}
SELECT b.*, l.probabilities, l.model -> 'mean_inverse_shares' AS mean_inverse_shares FROM (
    SELECT test_id, policy_version, variant_id, count(*) FILTER (WHERE known) AS units,
           count(*) FILTER (WHERE NOT known) AS left_out,
           coalesce(sum(value) FILTER (WHERE known), 0) AS value_sum,
           coalesce(sum(value::numeric * value) FILTER (WHERE known), 0) AS value_squares,
           coalesce(sum(inverse) FILTER (WHERE known), 0) AS inverse,
           coalesce(sum(value * inverse) FILTER (WHERE known), 0) AS value_inverse,
           coalesce(sum(inverse * inverse) FILTER (WHERE known), 0) AS inverse_squares,
           coalesce(sum(value * inverse * inverse) FILTER (WHERE known), 0) AS value_inverse_squares,
           coalesce(sum((value * inverse) ^ 2) FILTER (WHERE known), 0) AS value_squares_inverse_squares
    FROM (
        SELECT a.test_id, a.policy_version, a.variant_id, u.value, 1 / nullif(a.probability, 0) AS inverse,
               a.probabilities IS NOT NULL AS known
        FROM metric m
        JOIN ab_test_assignment a ON a.test_id = m.test_id AND a.first_exposed_at <= $2::timestamptz - m.window_length
        JOIN unit_metric u ON u.test_id = a.test_id AND u.metric_id = m.metric_id AND u.user_id = a.user_id
    ) unit GROUP BY test_id, policy_version, variant_id
) b
JOIN allocation l USING (test_id, policy_version)
ORDER BY test_id, policy_version, variant_id
"""
OPEN_UNITS = f"""
WITH {_METRIC}
SELECT a.test_id, count(*) AS units FROM metric m
JOIN ab_test_assignment a ON a.test_id = m.test_id AND a.first_exposed_at > $2::timestamptz - m.window_length
GROUP BY a.test_id
"""
UNITS = """
SELECT v.position, u.value, a.policy_version, a.probabilities
FROM ab_test_metric m
JOIN ab_test_assignment a
    ON a.test_id = m.test_id AND a.first_exposed_at <= $2::timestamptz - make_interval(hours => m.window_hours)
JOIN ab_test_variant v ON v.id = a.variant_id
JOIN unit_metric u ON u.test_id = a.test_id AND u.metric_id = m.id AND u.user_id = a.user_id
WHERE m.test_id = $1 AND m.position = 0
ORDER BY a.first_exposed_at, a.user_id
"""
