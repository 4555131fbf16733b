"""Tests as PostgreSQL writes them in JSON are what its columns say, whatever they hold."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest_asyncio

from app.store.abtest_parts import TOTALLED, WHOLE, Part
from app.store.abtest_rows import TestDefinition, TestRow
from app.store.abtests import TestStore
from app.store.database import Database
from app.store.models.codes import AllocationPolicy, EventType, MetricKind, TestStatus

STARTED = datetime(2026, 3, 1, 9, 30, 0, 120, tzinfo=UTC)
CREATED = datetime(1, 1, 2, tzinfo=UTC)
TEST = {
    "key": "odd",
    "name": 'Grün "😀" \\ \x01',
    "seed": "é",
    "status": "RUNNING",
    "started_at": STARTED,
    "created_at": CREATED,
    "confidence_level": 0.1 + 0.2,
    "coverage": 1.0,
    "discount": 5e-324,
    "target_sample_size": 2**62,
    "targeting": {"country": ["DE", None], "age": {"gte": 1.5}},
    "context_attributes": ["ländercode"],
    "allocation_policy": "THOMPSON",
}
PAYLOADS = (None, '{"amount": 12345678901234567890123.000000000000001, "text": "ü"}', "null", "[]", '"text"', "1e400")


@pytest_asyncio.fixture
async def store(clean_database: Database) -> TestStore:
    return TestStore(clean_database)


async def insert(store: TestStore, database: Database) -> int:
    async with database.transaction() as connection:
        test_id = await store.insert(
            connection,
            TEST,
            variants=[
                {"key": f"v{n}", "name": f"V{n}", "is_control": n == 0, "weight": weight, "payload": None}
                for n, weight in enumerate((1.0, 0.0, 1e-300, 0.1, 1 / 3, 0.5))
            ],
            metrics=[
                {"key": "per-open", "name": "M", "kind": "RATIO", "event": 6, "denominator": 3, "margin": 0.05},
                {"key": "guard", "name": "G", "kind": "CONVERSION", "event": 4, "denominator": None},
            ],
        )
        for number, payload in enumerate(PAYLOADS):
            await connection.execute(
                "UPDATE ab_test_variant SET payload = $3::text::jsonb WHERE test_id = $1 AND position = $2",
                *(test_id, number, payload),
            )
        for version in (1, 2):
            await connection.execute(
                "INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at) "
                "VALUES ($1, $2, 'THOMPSON', 0.01, $3, $4)",
                *(test_id, version, [1.0, 0.0, 0.0, 0.0, 0.0, 1 / version], STARTED),
            )
    assert test_id is not None
    return test_id


async def test_every_column_comes_as_it_is(store: TestStore, clean_database: Database) -> None:
    test_id = await insert(store, clean_database)
    (row,) = await clean_database.fetch(
        f"SELECT {', '.join(TestRow.__struct_fields__)} FROM ab_test WHERE id = $1", test_id
    )
    test = (await store.definitions([test_id]))[test_id].test
    assert {name: getattr(test, name) for name in TestRow.__struct_fields__} == dict(row)
    assert (test.status, test.allocation_policy) == (TestStatus.RUNNING, AllocationPolicy.THOMPSON)
    assert type(test.status) is TestStatus
    assert type(test.coverage) is float
    assert (test.started_at, test.created_at) == (STARTED, CREATED)
    assert test.started_at is not None
    assert test.started_at.tzinfo is UTC
    async with clean_database.transaction() as connection:
        assert await store.lock(connection, test_id) == test
        assert await store.lock(connection, test_id + 1) is None


async def test_variants_metrics_and_the_newest_allocation(store: TestStore, clean_database: Database) -> None:
    test_id = await insert(store, clean_database)
    found = (await store.definitions([test_id]))[test_id]
    assert [one.weight for one in found.variants] == [1.0, 0.0, 1e-300, 0.1, 1 / 3, 0.5]
    assert {type(one.weight) for one in found.variants} == {float}
    assert found.control.key == "v0"
    metric, guardrail = found.metrics
    assert (metric.kind, metric.event, metric.denominator) == (MetricKind.RATIO, EventType(6), EventType(3))
    assert (guardrail.denominator, guardrail.margin, metric.test_id) == (None, None, test_id)
    assert found.allocation is not None
    assert (found.allocation.policy_version, found.allocation.created_at) == (2, STARTED)
    assert found.probabilities == (1.0, 0.0, 0.0, 0.0, 0.0, 0.5)
    assert found.own_totals is None


async def test_payloads_are_passed_on_to_the_last_digit(store: TestStore, clean_database: Database) -> None:
    test_id = await insert(store, clean_database)
    written = [orjson.dumps(one.payload).decode() for one in (await store.definitions([test_id]))[test_id].variants]
    kept = await clean_database.fetch(
        "SELECT payload::text AS text FROM ab_test_variant WHERE test_id = $1 ORDER BY position", test_id
    )
    assert written == [row["text"] or "null" for row in kept]
    assert "12345678901234567890123.000000000000001" in written[1]


async def test_what_is_not_read_is_empty(store: TestStore, clean_database: Database) -> None:
    test_id = await insert(store, clean_database)

    async def read(*parts: Part) -> TestDefinition:
        return (await store.definitions([test_id], parts=frozenset(parts)))[test_id]

    bare = await read()
    assert (bare.variants, bare.metrics, bare.allocation, bare.own_totals) == ((), (), None, None)
    assert (bare.test.key, bare.test.hypothesis, bare.test.seed) == ("odd", None, None)
    detailed = await read(Part.DETAILS)
    assert (detailed.test.target_sample_size, detailed.test.seed) == (2**62, None)
    assert (await read(*WHOLE)).test.seed == "é"
    assert len((await read(Part.METRICS)).metrics) == 2
    assert await store.definitions([test_id + 1]) == {}


async def test_own_totals_are_of_the_first_metric_over_slots_and_segments(
    store: TestStore, clean_database: Database
) -> None:
    test_id = await insert(store, clean_database)
    whole: Any = (await store.definitions([test_id]))[test_id]
    rows = [
        (whole.metrics[0].id, whole.variants[0].id, "", 0, 10**30),
        (whole.metrics[0].id, whole.variants[0].id, "vip", 5, 1),
        (whole.metrics[1].id, whole.variants[1].id, "", 0, 7),
    ]
    for metric, variant, segment, slot, squares in rows:
        await clean_database.execute(
            "INSERT INTO test_totals (test_id, metric_id, variant_id, segment, slot, exposed, converted, value_sum, "
            "value_squares) VALUES ($1, $2, $3, $4, $5, 3, 2, 10, $6::text::numeric)",
            *(test_id, metric, variant, segment, slot, str(squares)),
        )
    totals = (await store.definitions([test_id], parts=TOTALLED))[test_id].own_totals
    assert totals is not None
    (own,) = totals
    assert (own.variant_id, own.kind) == (whole.variants[0].id, MetricKind.RATIO)
    assert (own.exposed, own.converted, own.value_sum, own.value_squares) == (6, 4, 20, 10**30 + 1)
