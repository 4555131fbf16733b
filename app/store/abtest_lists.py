"""Lists of tests, policy versions and saved analyses, in pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache, partial

from app.store.abtest_parts import WHOLE, Parts
from app.store.abtest_rows import (
    ALLOCATION_JSON,
    AllocationRow,
    AnalysisRow,
    TestDefinition,
    allocation_row,
    analysis_row,
    definition_array,
    definition_json,
    definition_of,
    definitions_of,
)
from app.store.campaign_parts import CampaignPart
from app.store.cursors import LARGEST_ID, Cursors, Page, check_first, read_cursor
from app.store.database import Database, Record
from app.store.listing import NEWEST, Conditions, Order, page_of, search_pattern
from app.store.models.codes import TestStatus


class TestOrder(StrEnum):
    """The order of a list of tests; what has no value comes last, ties by id. NAME is ascending, the others not."""

    __test__ = False

    NEWEST = "NEWEST"
    NAME = "NAME"
    STARTED_AT = "STARTED_AT"
    ENDED_AT = "ENDED_AT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFilter:
    """Which tests a list holds; `search` looks for a part of the name or key, whatever the case."""

    __test__ = False

    statuses: Sequence[TestStatus] | None = None
    campaign_id: int | None = None
    search: str | None = None


ALL_TESTS = TestFilter()
_ORDERS = {
    TestOrder.NEWEST: NEWEST,
    TestOrder.NAME: Order("NAME", "name", str, nullable=False),
    TestOrder.STARTED_AT: Order("STARTED_AT", "started_at", datetime, "timestamptz", descending=True),
    TestOrder.ENDED_AT: Order("ENDED_AT", "ended_at", datetime, "timestamptz", descending=True),
}
ALLOCATION_COLUMNS = f"id, test_id, {ALLOCATION_JSON} AS written"
ANALYSIS_COLUMNS = "id, test_id, created_at, requested_by, hierarchical, results"


class TestLists:
    """Reads pages of tests and of what belongs to them."""

    __test__ = False

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        first: int = 20,
        after: str | None = None,
        *,
        where: TestFilter = ALL_TESTS,
        order: TestOrder = TestOrder.NEWEST,
        parts: Parts = WHOLE,
    ) -> Page[TestDefinition]:
        """Return the `first` (0 to 100) tests after a cursor of the same order; InvalidInput for another cursor."""
        check_first(first)
        by, conditions = _ORDERS[order], _conditions(where)
        if after is not None:
            by.follow(read_cursor(after, order=by.name, kind=by.kind), conditions)
        rows = await self._database.fetch(
            f"SELECT id, order_value, {definition_json(parts)} AS definition FROM ("
            f"SELECT *, {by.value} AS order_value FROM ab_test {conditions} "
            f"ORDER BY {by.sql} LIMIT ${len(conditions.arguments) + 1}) AS ab_test",
            *(*conditions.arguments, first + 1),
        )
        return page_of(rows, _definition, first=first, after=after, order=by.name)

    async def count(self, where: TestFilter = ALL_TESTS) -> int:
        """Return how many tests the filter lets through."""
        conditions = _conditions(where)
        return await self._database.fetchval(f"SELECT count(*) FROM ab_test {conditions}", *conditions.arguments)

    async def pages_of_campaigns(
        self,
        campaign_ids: Sequence[int],
        first: int = 20,
        after: str | None = None,
        *,
        where: TestFilter = ALL_TESTS,
        parts: Parts = WHOLE,
    ) -> dict[int, Page[TestDefinition]]:
        """Return for each campaign its `first` newest tests after a cursor."""
        check_first(first)
        conditions = _conditions(where)
        conditions.add("id < {}", _before(after))
        rows = await self._database.fetch(
            _of_campaigns(str(conditions), len(conditions.arguments), parts),
            *(*conditions.arguments, list(dict.fromkeys(campaign_ids)), first + 1),
        )
        return _pages(rows, campaign_ids, "campaign_id", _definition, first=first, after=after)

    async def count_by_campaign(self, campaign_ids: Sequence[int], where: TestFilter = ALL_TESTS) -> dict[int, int]:
        """Return for each campaign how many of its tests the filter lets through."""
        conditions = _conditions(where)
        conditions.add("campaign_id = ANY({}::bigint[])", list(campaign_ids))
        rows = await self._database.fetch(
            f"SELECT campaign_id, count(*) AS n FROM ab_test {conditions} GROUP BY 1", *conditions.arguments
        )
        return dict.fromkeys(campaign_ids, 0) | {row["campaign_id"]: row["n"] for row in rows}

    async def allocations(
        self, test_ids: Sequence[int], first: int = 50, after: str | None = None
    ) -> dict[int, Page[AllocationRow]]:
        """Return for each test its `first` newest policy versions after a cursor."""
        return await self._of_tests(
            "allocation", ALLOCATION_COLUMNS, allocation_row, test_ids, first=first, after=after
        )

    async def analyses(
        self, test_ids: Sequence[int], first: int = 20, after: str | None = None
    ) -> dict[int, Page[AnalysisRow]]:
        """Return for each test its `first` newest saved analyses after a cursor."""
        return await self._of_tests("analysis", ANALYSIS_COLUMNS, analysis_row, test_ids, first=first, after=after)

    async def count_allocations(self, test_ids: Sequence[int]) -> dict[int, int]:
        """Return for each test how many policy versions there are."""
        return await self._count("allocation", test_ids)

    async def count_analyses(self, test_ids: Sequence[int]) -> dict[int, int]:
        """Return for each test how many analyses are saved."""
        return await self._count("analysis", test_ids)

    async def _of_tests[Row](
        self,
        table: str,
        columns: str,
        build: Callable[[Record], Row],
        test_ids: Sequence[int],
        *,
        first: int,
        after: str | None,
    ) -> dict[int, Page[Row]]:
        check_first(first)
        rows = await self._database.fetch(
            f"SELECT page.* FROM unnest($1::bigint[]) AS t(of_test) CROSS JOIN LATERAL ("
            f"SELECT {columns}, NULL::text AS order_value FROM {table} "
            "WHERE test_id = t.of_test AND id < $2 ORDER BY id DESC LIMIT $3) AS page",
            *(list(dict.fromkeys(test_ids)), _before(after), first + 1),
        )
        return _pages(rows, test_ids, "test_id", build, first=first, after=after)

    async def _count(self, table: str, test_ids: Sequence[int]) -> dict[int, int]:
        rows = await self._database.fetch(
            f"SELECT test_id, count(*) AS n FROM {table} WHERE test_id = ANY($1::bigint[]) GROUP BY 1", list(test_ids)
        )
        return dict.fromkeys(test_ids, 0) | {row["test_id"]: row["n"] for row in rows}


def _definition(row: Record) -> TestDefinition:
    return definition_of(row["definition"])


@lru_cache
def _of_campaigns(conditions: str, arguments: int, parts: Parts) -> str:
    """Return the statement of campaigns' newest tests: written once, so that it is found at once when prepared."""
    ids, most = arguments + 1, arguments + 2
    return (
        f"SELECT id, campaign_id, NULL::text AS order_value, {definition_json(parts)} AS definition "
        f"FROM unnest(${ids}::bigint[]) AS c(of_campaign) CROSS JOIN LATERAL ("
        f"SELECT * FROM ab_test {conditions} AND campaign_id = c.of_campaign ORDER BY id DESC LIMIT ${most}) AS ab_test"
    )


@lru_cache(1_000)
def newest_tests(first: int, parts: Parts) -> CampaignPart[Page[TestDefinition]]:
    """Return the part of a campaign that is a page of its newest tests, as `pages_of_campaigns` gives it."""
    check_first(first)
    tests = f"SELECT * FROM ab_test WHERE campaign_id = campaign.id ORDER BY id DESC LIMIT {first + 1:d}"
    written = (
        f"(SELECT coalesce(json_agg({definition_array(parts)} ORDER BY id DESC), '[]')::text FROM ({tests}) AS ab_test)"
    )
    return CampaignPart(written, partial(_newest_page, first))


def _newest_page(first: int, written: str) -> Page[TestDefinition]:
    found = definitions_of(written)
    shown = tuple(found[:first])
    return Page(
        rows=shown, cursors=Cursors(NEWEST.name, shown, _place), has_next=len(found) > first, has_previous=False
    )


def _place(definition: TestDefinition) -> tuple[None, int]:
    return None, definition.test.id


def _before(after: str | None) -> int:
    return LARGEST_ID if after is None else read_cursor(after, order=NEWEST.name).id


def _pages[Row](
    rows: Sequence[Record],
    owners: Sequence[int],
    owner: str,
    build: Callable[[Record], Row],
    *,
    first: int,
    after: str | None,
) -> dict[int, Page[Row]]:
    by_owner: dict[int, list[Record]] = {id_: [] for id_ in owners}
    for row in rows:
        by_owner[row[owner]].append(row)
    return {id_: page_of(own, build, first=first, after=after, order=NEWEST.name) for id_, own in by_owner.items()}


def _conditions(where: TestFilter) -> Conditions:
    conditions = Conditions()
    if where.statuses is not None:
        conditions.add("status = ANY({}::text[])", [status.value for status in where.statuses])
    if where.campaign_id is not None:
        conditions.add("campaign_id = {}", where.campaign_id)
    if where.search is not None:
        conditions.add(r"name ILIKE {} OR key ILIKE {}", *[search_pattern(where.search)] * 2)
    return conditions
