"""What users were assigned to, in pages."""

from collections.abc import Sequence

from app.store.abtest_rows import AssignmentRow, TestDefinition
from app.store.abtests import TestStore
from app.store.cursors import LARGEST_ID, Page, check_first, read_cursor
from app.store.database import Database, Record
from app.store.listing import NEWEST, page_of

type Assigned = tuple[AssignmentRow, TestDefinition]


class UserAssignments:
    """Reads assignments by user, those of the newest tests first."""

    def __init__(self, database: Database, tests: TestStore) -> None:
        self._database = database
        self._tests = tests

    async def pages(
        self, user_ids: Sequence[int], first: int = 20, after: str | None = None
    ) -> dict[int, Page[Assigned]]:
        """Return for each user its `first` assignments after a cursor, with their tests."""
        check_first(first)
        before = LARGEST_ID if after is None else read_cursor(after, order=NEWEST.name).id
        rows = await self._database.fetch(PAGES, list(dict.fromkeys(user_ids)), before, first + 1)
        definitions = await self._tests.definitions({row["id"] for row in rows})
        by_user: dict[int, list[Record]] = {user_id: [] for user_id in user_ids}
        for row in rows:
            by_user[row["user_id"]].append(row)

        def built(row: Record) -> Assigned:
            return AssignmentRow(**{name: row[name] for name in COLUMNS}), definitions[row["test_id"]]

        return {
            user_id: page_of(own, built, first=first, after=after, order=NEWEST.name)
            for user_id, own in by_user.items()
        }

    async def count(self, user_ids: Sequence[int]) -> dict[int, int]:
        """Return how many assignments each user has."""
        rows = await self._database.fetch(COUNTS, list(user_ids))
        return dict.fromkeys(user_ids, 0) | {row["user_id"]: row["n"] for row in rows}


COLUMNS = (
    "test_id",
    "user_id",
    "external_id",
    "variant_id",
    "assigned_at",
    "first_exposed_at",
    "probability",
    "policy_version",
)
PAGES = """
SELECT page.*, page.test_id AS id, u.external_id, NULL::text AS order_value
FROM unnest($1::bigint[]) AS wanted (user_id)
JOIN app_user u ON u.id = wanted.user_id
CROSS JOIN LATERAL (
    SELECT a.test_id, a.user_id, a.variant_id, a.assigned_at, a.first_exposed_at, a.probability, a.policy_version
    FROM ab_test_assignment a
    WHERE a.user_id = wanted.user_id AND a.test_id < $2 ORDER BY a.test_id DESC LIMIT $3
) AS page
ORDER BY page.user_id, page.test_id DESC
"""
COUNTS = """
SELECT user_id, count(*) AS n FROM ab_test_assignment WHERE user_id = ANY ($1::bigint[]) GROUP BY 1
"""
