"""Tests with their variants, metrics, policy versions, totals and history."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import orjson
from msgspec import Struct

from app.store.abtest_parts import WHOLE, Part, Parts
from app.store.database import Connection, Database, Record
from app.store.models.codes import AllocationPolicy, EventType, MetricKind, TestStatus


class VariantRow(Struct, frozen=True):
    """One arm of a test."""

    id: int
    test_id: int
    key: str
    name: str
    position: int
    is_control: bool
    weight: float
    payload: Any


class MetricRow(Struct, frozen=True):
    """What a test is judged by; position 0 is the metric, the others are guardrails."""

    id: int
    test_id: int
    key: str
    name: str
    position: int
    kind: MetricKind
    event: EventType
    denominator: EventType | None
    higher_is_better: bool
    window_hours: int
    margin: float | None
    stops: bool


class AllocationRow(Struct, frozen=True):
    """One policy version: probabilities in the variants' order."""

    id: int
    test_id: int
    policy_version: int
    policy: AllocationPolicy
    floor: float
    probabilities: tuple[float, ...]
    watermark: Any
    seed: int | None
    created_at: datetime


class TestRow(Struct, frozen=True):
    """A test as stored."""

    __test__ = False

    # always read
    id: int
    key: str
    name: str
    status: TestStatus
    campaign_id: int | None
    confidence_level: float
    allocation_policy: AllocationPolicy
    coverage: float
    started_at: datetime | None
    # Part.DETAILS
    hypothesis: str | None
    minimum_detectable_effect: float | None
    target_sample_size: int | None
    holdout: float
    winner_id: int | None
    created_at: datetime
    ended_at: datetime | None
    # Part.PLAN
    power: float
    baseline: float | None
    floor: float
    reallocate_every_minutes: int
    discount: float | None
    seed: str
    exclusion_group: str | None
    exclusion_low: float | None
    exclusion_high: float | None
    targeting: Any
    context_attributes: Any
    decided_elsewhere: bool
    guardrail_stops: Any


class TestDefinition(Struct, frozen=True, kw_only=True):
    """A test with all that decides about a unit: variants by position, metrics by position, newest allocation."""

    __test__ = False

    test: TestRow
    variants: tuple[VariantRow, ...]
    metrics: tuple[MetricRow, ...]
    allocation: AllocationRow | None

    @property
    def control(self) -> VariantRow:
        """Return the control."""
        return next(variant for variant in self.variants if variant.is_control)

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Return the shares in force: the newest policy version's, before the first the weights."""
        if self.allocation is not None:
            return self.allocation.probabilities
        return tuple(variant.weight for variant in self.variants)


class TotalsRow(Struct, frozen=True, kw_only=True):
    """Sufficient statistics of one metric and variant, exact; values in micros for money, else whole numbers."""

    test_id: int
    metric_id: int
    variant_id: int
    segment: str | None
    exposed: int
    multiple_exposed: int
    converted: int
    value_sum: int
    value_squares: int
    denominator_sum: int
    denominator_squares: int
    product_sum: int
    covariate_sum: int
    covariate_squares: int
    covariate_product: int
    log_sum: int
    log_squares: int


class AssignmentRow(Struct, frozen=True, kw_only=True):
    """What was decided for a unit, and with what probability."""

    test_id: int
    user_id: int
    external_id: str
    variant_id: int
    assigned_at: datetime
    first_exposed_at: datetime | None
    probability: float
    policy_version: int


class AnalysisRow(Struct, frozen=True, kw_only=True):
    """One saved analysis."""

    id: int
    test_id: int
    created_at: datetime
    requested_by: str | None
    hierarchical: bool
    results: Any


# A row's columns are its fields, in their order: rows are made of them as they come.
TEST_COLUMNS = ", ".join(TestRow.__struct_fields__)
# The payload comes as text: read at once, it costs less than through the driver's codec, and what is only shown is not.
VARIANT_COLUMNS = ", ".join((*VariantRow.__struct_fields__[:-1], "payload::text"))
METRIC_COLUMNS = ", ".join(MetricRow.__struct_fields__)
ALLOCATION_COLUMNS = ", ".join(AllocationRow.__struct_fields__)
SUMS = (
    "exposed",
    "multiple_exposed",
    "converted",
    "value_sum",
    "value_squares",
    "denominator_sum",
    "denominator_squares",
    "product_sum",
    "covariate_sum",
    "covariate_squares",
    "covariate_product",
    "log_sum",
    "log_squares",
)


_FIELDS = TestRow.__struct_fields__
_WIDTH = len(_FIELDS)
_FEWEST, _FEWER = _FIELDS.index("hypothesis"), _FIELDS.index("power")
_UNREAD = (None,) * _WIDTH
_STATUS, _POLICY = (_FIELDS.index(name) for name in ("status", "allocation_policy"))
_STATUSES = {status.value: status for status in TestStatus}
_POLICIES = {policy.value: policy for policy in AllocationPolicy}


def columns_read(parts: Parts) -> str:
    """Return what is read of a test's own row; what is not read is None."""
    return TEST_COLUMNS if Part.PLAN in parts else ", ".join(_FIELDS[: _FEWER if Part.DETAILS in parts else _FEWEST])


def _test(row: Record) -> TestRow:
    """Return a row that begins with a test's columns, as far as they were read; a page's rows end with another one."""
    found = len(row)
    read = _WIDTH if found >= _WIDTH else _FEWER if found >= _FEWER else _FEWEST
    values: list[Any] = [*row[:read], *_UNREAD[read:]]
    values[_STATUS] = _STATUSES[values[_STATUS]]
    values[_POLICY] = _POLICIES[values[_POLICY]]
    return TestRow(*values)


def _metric(row: Record) -> MetricRow:
    id_, test_id, key, name, position, kind, event, denominator, *rest = row
    below = None if denominator is None else EventType(denominator)
    return MetricRow(id_, test_id, key, name, position, MetricKind(kind), EventType(event), below, *rest)


def _variant(row: Record) -> VariantRow:
    id_, test_id, key, name, position, is_control, weight, text = row
    payload = None if text is None else orjson.loads(text)
    return VariantRow(id_, test_id, key, name, position, is_control, weight, payload)


def _shown_variant(row: Record) -> VariantRow:
    id_, test_id, key, name, position, is_control, weight, text = row
    payload = None if text is None else orjson.Fragment(text)
    return VariantRow(id_, test_id, key, name, position, is_control, weight, payload)


def analysis_row(row: Record) -> AnalysisRow:
    """Return a saved analysis."""
    return AnalysisRow(
        **{name: row[name] for name in ("id", "test_id", "created_at", "requested_by", "hierarchical", "results")}
    )


def allocation_row(row: Record) -> AllocationRow:
    """Return a row that begins with ALLOCATION_COLUMNS."""
    id_, test_id, version, policy, floor, probabilities, watermark, seed, created_at, *_ = row
    shares = tuple(cast("list[float]", probabilities))
    return AllocationRow(id_, test_id, version, _POLICIES[policy], floor, shares, watermark, seed, created_at)


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
        """Return tests, in four statements at most whatever their number; in a transaction pass its connection."""
        source = connection or self._database
        columns = columns_read(parts)
        tests = await source.fetch(f"SELECT {columns} FROM ab_test WHERE id = ANY($1::bigint[])", list(test_ids))
        return await self.assembled(tests, connection, parts=parts)

    async def assembled(
        self, tests: Sequence[Record], connection: Connection | None = None, *, parts: Parts = WHOLE
    ) -> dict[int, TestDefinition]:
        """Return the tests of these rows, whole or with some of their parts."""
        ids, source = [row["id"] for row in tests], connection or self._database
        variants = await source.fetch(VARIANTS, ids) if Part.VARIANTS in parts else ()
        metrics = await source.fetch(METRICS, ids) if Part.METRICS in parts else ()
        allocations = await source.fetch(NEWEST_ALLOCATIONS, ids) if Part.ALLOCATION in parts else ()
        make = _variant if Part.PAYLOADS in parts else _shown_variant
        return _assemble(tests, [make(row) for row in variants], metrics, allocations)

    async def live_id(self, reference: int | str) -> int | None:
        """Return the id of a test that runs or is paused, by id or key."""
        by_id = isinstance(reference, int)
        return await self._database.fetchval(LIVE_BY_ID if by_id else LIVE_BY_KEY, reference)

    async def live_definitions(self) -> dict[int, TestDefinition]:
        """Return every test that runs or is paused."""
        rows = await self._database.fetch("SELECT id FROM ab_test WHERE status IN ('RUNNING', 'PAUSED')")
        return await self.definitions(row["id"] for row in rows)

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
        row = await connection.fetchrow(f"SELECT {TEST_COLUMNS} FROM ab_test WHERE id = $1 FOR NO KEY UPDATE", test_id)
        return None if row is None else _test(row)

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
        """Store one policy version; a version is made once."""
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


def _assemble(
    tests: Sequence[Record], variants: Sequence[VariantRow], metrics: Sequence[Record], allocations: Sequence[Record]
) -> dict[int, TestDefinition]:
    variants_of: dict[int, list[VariantRow]] = {}
    for variant in variants:
        variants_of.setdefault(variant.test_id, []).append(variant)
    metrics_of = _grouped(metrics, _metric)
    allocation_of = {row["test_id"]: allocation_row(row) for row in allocations}
    return {
        row["id"]: TestDefinition(
            test=_test(row),
            variants=tuple(variants_of.get(row["id"], ())),
            metrics=tuple(metrics_of.get(row["id"], ())),
            allocation=allocation_of.get(row["id"]),
        )
        for row in tests
    }


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
VARIANTS = f"""
SELECT {VARIANT_COLUMNS} FROM ab_test_variant
WHERE test_id = ANY($1::bigint[]) ORDER BY test_id, position
"""
METRICS = f"""
SELECT {METRIC_COLUMNS} FROM ab_test_metric
WHERE test_id = ANY($1::bigint[]) ORDER BY test_id, position
"""
NEWEST_ALLOCATIONS = f"""
SELECT DISTINCT ON (test_id) {ALLOCATION_COLUMNS} FROM allocation
WHERE test_id = ANY($1::bigint[]) ORDER BY test_id, policy_version DESC
"""
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
