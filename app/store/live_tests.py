"""Which tests run or are paused, in which version: asked at little cost whether any of them changed.

Whoever changes a test's definition, its variants or its shares writes the test's own row in the same transaction. Who
wrote a row last is in its xmin, which, unlike a time, is not earlier than that of a transaction that committed before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from app.store.database import Database


@dataclass(frozen=True, slots=True)
class LiveVersions:
    """Each live test's version, and a digest of all of them."""

    by_id: Mapping[int, int] = field(default_factory=dict[int, int])
    digest: tuple[int, Decimal] | None = None

    def changed_since(self, earlier: "LiveVersions") -> set[int]:
        """Return the tests that became live, changed or ceased to be live."""
        return {test_id for test_id, _ in self.by_id.items() ^ earlier.by_id.items()}

    def without_digest(self) -> "LiveVersions":
        """Return the same versions, to be compared one by one the next time."""
        return LiveVersions(self.by_id)


async def live_versions(database: Database, known: LiveVersions) -> LiveVersions:
    """Return the versions of every test that runs or is paused: `known` itself where none changed."""
    digest = tuple((await database.fetch(DIGEST))[0])
    if digest == known.digest:
        return known
    # read after the digest: of what changes in between, the next digest says so again
    return LiveVersions({row["id"]: row["version"] for row in await database.fetch(VERSIONS)}, digest)


VERSIONS = "SELECT id, xmin::text::bigint AS version FROM ab_test WHERE status IN ('RUNNING', 'PAUSED')"
DIGEST = f"SELECT count(*), coalesce(sum(hashint8extended(id, version)), 0) FROM ({VERSIONS}) AS live"
