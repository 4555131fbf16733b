"""Units are looked up one by one by index, whatever the planner believes of the tables: else a batch reads them all."""

import pytest

from app.store.database import Database
from app.store.unit_metrics import UPDATE_UNITS

UNITS = (
    """
    INSERT INTO ab_test (key, name, status, seed, started_at)
    SELECT 't' || n, 'T', 'RUNNING', 's', '2026-01-01' FROM generate_series(1, 20) n
    """,
    """
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
    SELECT id, 'a', 'A', 0, true, 1.0 FROM ab_test
    """,
    """
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, higher_is_better, window_hours)
    SELECT id, 'c', 'C', 0, 'CONVERSION', 6, true, 72 FROM ab_test
    """,
    """
    INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,
                                    policy_version)
    SELECT v.test_id, u, v.id, '2026-01-02', '2026-01-02', 1.0, 1 FROM ab_test_variant v, generate_series(1, 400) u
    """,
    """
    INSERT INTO unit_metric (test_id, metric_id, user_id, variant_id, value)
    SELECT a.test_id, m.id, a.user_id, a.variant_id, 0
    FROM ab_test_assignment a JOIN ab_test_metric m USING (test_id)
    """,
    "ANALYZE ab_test, ab_test_metric, ab_test_assignment, unit_metric",
)


@pytest.fixture
async def filled(clean_database: Database) -> Database:
    for statement in UNITS:
        await clean_database.execute(statement)
    return clean_database


async def test_no_plan_reads_every_unit(filled: Database) -> None:
    """Even a planner that shuns look-ups has no other way; only for the deletion it may choose, of next to nothing."""
    rows = await filled.fetch("SELECT test_id, user_id FROM ab_test_assignment WHERE user_id > 300")
    arrays = [f"ARRAY[{', '.join(str(row[name]) for row in rows)}]::bigint[]" for name in ("test_id", "user_id")]
    statement = UPDATE_UNITS.replace("$1::bigint[]", arrays[0]).replace("$2::bigint[]", arrays[1])
    async with filled.transaction() as connection:
        await connection.execute("SET LOCAL enable_nestloop = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}"))
    assert len(rows) == 2_000
    assert "Seq Scan on ab_test_assignment" not in plan, plan
    assert plan.count("Seq Scan on unit_metric") <= 1, plan
