"""Which tests a guardrail may stop, looked at by one process at a time."""

from app.store.database import Connection


class GuardrailStore:
    """SQL of the guard; each within its transaction."""

    async def hold(self, connection: Connection) -> bool:
        """Be the only process that looks until the transaction ends; False where another is."""
        return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", GUARDING_LOCK))

    async def guarded_ids(self, connection: Connection) -> list[int]:
        """Return the running tests that a guardrail may stop."""
        return [row["test_id"] for row in await connection.fetch(GUARDED)]


GUARDING_LOCK = 0x57494E4E_0003
GUARDED = """
SELECT DISTINCT m.test_id FROM ab_test_metric m JOIN ab_test t ON t.id = m.test_id
WHERE m.stops AND t.status = 'RUNNING'
"""
