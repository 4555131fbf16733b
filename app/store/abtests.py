"""Tests with their variants, metrics, policy versions, totals and history."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from app.store.abtest_parts import WHOLE, Parts
from app.store.abtest_rows import (
    TEST_JSON,
    AnalysisRow,
    AssignmentRow,
    TestDefinition,
    TestRow,
    TotalsRow,
    analysis_row,
    definition_json,
    definition_of,
    row_of_test,
)
from app.store.database import Connection, Database, Record
from app.store.live_tests import LiveVersions, live_versions

SUMS = TotalsRow.__struct_fields__[TotalsRow.__struct_fields__.index("exposed") :]


def _totals(row: Record) -> TotalsRow:
    values: dict[str, Any] = {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}
    return TotalsRow(**values)


class TestStore:
    """SQL of the A/B tests."""

    __test__ = False

    def __init__(self, database: Database) -> None:
        self._database = database

    # definitions

    async def ids_of(self, names: Sequence[str]) -> dict[str, int]:
        """Return the ids of tests by key."""
        rows = await self._database.fetch("SELECT key, id FROM ab_test WHERE key = ANY($1::text[])", list(names))
        return {row["key"]: row["id"] for row in rows}

    async def definitions(
        self, test_ids: Iterable[int], connection: Connection | None = None, *, parts: Parts = WHOLE
    ) -> dict[int, TestDefinition]:
        """Return tests, in one statement whatever their number; in a transaction pass its connection."""
        source = connection or self._database
        rows = await source.fetch(
            f"SELECT id, {definition_json(parts)} FROM ab_test WHERE id = ANY($1::bigint[])", list(test_ids)
        )
        return {row[0]: definition_of(row[1]) for row in rows}

    async def live_id(self, reference: int | str) -> int | None:
        """Return the id of a test that runs or is paused, by id or key."""
        by_id = isinstance(reference, int)
        return await self._database.fetchval(LIVE_BY_ID if by_id else LIVE_BY_KEY, reference)

    async def live_definitions(self) -> dict[int, TestDefinition]:
        """Return every test that runs or is paused."""
        rows = await self._database.fetch("SELECT id FROM ab_test WHERE status IN ('RUNNING', 'PAUSED')")
        return await self.definitions(row["id"] for row in rows)

    async def live_versions(self, known: LiveVersions) -> LiveVersions:
        """Return the versions of every test that runs or is paused: `known` itself where none changed."""
        return await live_versions(self._database, known)

    async def insert(
        self,
        connection: Connection,
        test: Mapping[str, Any],
        *,
        variants: Sequence[Mapping[str, Any]],
        metrics: Sequence[Mapping[str, Any]],
    ) -> int | None:
        """Store a new test with its variants and metrics; return its id, None where its key is taken."""
        test_id = await _insert(connection, "ab_test", test, but="ON CONFLICT (key) DO NOTHING")
        if test_id is None:
            return None
        for position, variant in enumerate(variants):
            await _insert(connection, "ab_test_variant", {**variant, "test_id": test_id, "position": position})
        for position, metric in enumerate(metrics):
            await _insert(connection, "ab_test_metric", {**metric, "test_id": test_id, "position": position})
        return test_id

    async def lock(self, connection: Connection, test_id: int) -> TestRow | None:
        """Return the test's row, locked until the transaction ends; its units may be counted meanwhile."""
        written = await connection.fetchval(f"SELECT {TEST_JSON} FROM ab_test WHERE id = $1 FOR NO KEY UPDATE", test_id)
        return None if written is None else row_of_test(written)

    async def set_fields(self, connection: Connection, test_id: int, values: Mapping[str, Any]) -> None:
        """Write columns of a test."""
        names = list(values)
        pairs = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, 2))
        await connection.execute(
            f"UPDATE ab_test SET {pairs}, updated_at = now() WHERE id = $1", test_id, *values.values()
        )

    async def set_weights(self, connection: Connection, weights: Mapping[int, float]) -> None:
        """Write the weights of variants by id."""
        await connection.execute(SET_WEIGHTS, list(weights), list(weights.values()))

    async def mark_decided_elsewhere(self, test_ids: Sequence[int]) -> None:
        """Note that some exposures name another variant than the hash would choose."""
        await self._database.execute(DECIDED_ELSEWHERE, list(test_ids))

    # policy versions

    async def insert_allocation(self, connection: Connection, allocation: Mapping[str, Any]) -> int:
        """Store one policy version, which makes another version of its test; a version is made once."""
        await connection.execute("UPDATE ab_test SET updated_at = now() WHERE id = $1", allocation["test_id"])
        return await _insert(connection, "allocation", allocation)

    async def models(self, allocation_ids: Sequence[int]) -> dict[int, Any]:
        """Return the models that policy versions keep, by version's id; None for those without."""
        rows = await self._database.fetch(
            "SELECT id, model FROM allocation WHERE id = ANY($1::bigint[])", list(allocation_ids)
        )
        return {row["id"]: row["model"] for row in rows}

    # what happened

    async def totals(
        self, test_ids: Sequence[int], connection: Connection | None = None, *, by_segment: bool = False
    ) -> dict[int, list[TotalsRow]]:
        """Return sums over slots, and over segments unless `by_segment`; in a transaction pass its connection."""
        source = connection or self._database
        rows = await source.fetch(TOTALS_BY_SEGMENT if by_segment else TOTALS, list(test_ids))
        return _grouped(rows, _totals)

    async def policy_counts(
        self, test_ids: Sequence[int], connection: Connection | None = None
    ) -> dict[int, list[tuple[list[float], int]]]:
        """Return each policy version's probabilities with the number of units exposed under it."""
        counts: dict[int, list[tuple[list[float], int]]] = {}
        for row in await (connection or self._database).fetch(POLICY_COUNTS, list(test_ids)):
            counts.setdefault(row["test_id"], []).append((row["probabilities"], row["units"]))
        return counts

    async def exposures_of(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], AssignmentRow]:
        """Return what exposed units (test id, external user id) were given."""
        rows = await self._database.fetch(EXPOSURES, [test for test, _ in pairs], [user for _, user in pairs])
        return {(row["test_id"], row["external_id"]): AssignmentRow(**dict(row)) for row in rows}

    # history

    async def insert_analysis(
        self, connection: Connection, test_id: int, *, results: Any, requested_by: str | None, hierarchical: bool
    ) -> AnalysisRow:
        """Save one analysis."""
        row = await connection.fetchrow(INSERT_ANALYSIS, test_id, results, requested_by, hierarchical)
        return analysis_row(cast("Record", row))


def _grouped[T](rows: Iterable[Record], make: Callable[[Record], T]) -> dict[int, list[T]]:
    groups: dict[int, list[T]] = {}
    for row in rows:
        groups.setdefault(row["test_id"], []).append(make(row))
    return groups


async def _insert(connection: Connection, table: str, values: Mapping[str, Any], *, but: str = "") -> Any:
    names = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    statement = f"INSERT INTO {table} ({names}) VALUES ({places}) {but} RETURNING id"
    return await connection.fetchval(statement, *values.values())


LIVE_BY_ID = "SELECT id FROM ab_test WHERE id = $1 AND status IN ('RUNNING', 'PAUSED')"
LIVE_BY_KEY = "SELECT id FROM ab_test WHERE key = $1 AND status IN ('RUNNING', 'PAUSED')"
SET_WEIGHTS = """
UPDATE ab_test_variant v SET weight = n.weight FROM unnest($1::bigint[], $2::float8[]) AS n(id, weight)
WHERE v.id = n.id
"""
DECIDED_ELSEWHERE = """
UPDATE ab_test SET decided_elsewhere = true WHERE id = ANY($1::bigint[]) AND NOT decided_elsewhere
"""
TOTALS = f"""
SELECT test_id, metric_id, variant_id, NULL::text AS segment, {", ".join(f"sum({name}) AS {name}" for name in SUMS)}
FROM test_totals WHERE test_id = ANY($1::bigint[]) GROUP BY test_id, metric_id, variant_id
"""
TOTALS_BY_SEGMENT = f"""
SELECT test_id, metric_id, variant_id, segment, {", ".join(f"sum({name}) AS {name}" for name in SUMS)}
FROM test_totals WHERE test_id = ANY($1::bigint[]) GROUP BY test_id, metric_id, variant_id, segment
"""
POLICY_COUNTS = """
SELECT l.test_id, l.probabilities, a.units FROM allocation l JOIN (
    SELECT test_id, policy_version, count(*) AS units FROM ab_test_assignment
    WHERE test_id = ANY($1::bigint[]) AND first_exposed_at IS NOT NULL GROUP BY test_id, policy_version
) a USING (test_id, policy_version)
"""
EXPOSURES = """
SELECT a.test_id, a.user_id, u.external_id, a.variant_id, a.assigned_at, a.first_exposed_at, a.probability,
       a.policy_version
FROM unnest($1::bigint[], $2::text[]) AS p(test_id, external_id)
JOIN app_user u ON u.external_id = p.external_id
JOIN ab_test_assignment a ON a.test_id = p.test_id AND a.user_id = u.id AND a.first_exposed_at IS NOT NULL
"""
INSERT_ANALYSIS = """
INSERT INTO analysis (test_id, results, requested_by, hierarchical) VALUES ($1, $2, $3, $4)
RETURNING id, test_id, created_at, requested_by, hierarchical, results
"""
