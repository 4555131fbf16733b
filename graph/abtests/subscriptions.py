"""What clients follow of A/B tests: results and allocations, as they change."""

from collections.abc import Mapping
from typing import Any

import strawberry

from app.abtests.results import TestResults
from app.auth.principals import Permission
from app.store.notifications import TEST_TOTALS, TESTS
from graph.abtests import rows, types
from graph.abtests.queries import TestReference, found_test, test_number
from graph.context import Context
from graph.fields import answers, related
from graph.live.sources import MaxPerSecond, Source, follows, pause_of


@strawberry.type
class Subscription:
    """A/B tests' part of what can be followed."""

    test_results: types.TestResults = related(
        "The present results first, then each change.", permission=Permission.READ_TESTS
    )
    allocation: types.Allocation = related(
        "The shares in force first, then each change.", permission=Permission.READ_TESTS
    )


@answers(Subscription, "test_results")
async def test_results(context: Context, *, test_id: TestReference, max_per_second: MaxPerSecond = 1.0) -> TestResults:
    """Return the results as they stand."""
    del max_per_second
    definition = await found_test(context, test_id, path="testId")
    number = definition.test.id
    return (await context.services.analyzing.results({number: definition}))[number]


@answers(Subscription, "allocation")
async def allocation(context: Context, *, test_id: TestReference) -> rows.Allocated:
    """Return the shares in force."""
    return rows.allocation(await found_test(context, test_id, path="testId"))


@follows("testResults")
async def results_source(context: Context, arguments: Mapping[str, Any]) -> Source:
    """Follow a test's totals and its definition."""
    number = await test_number(context, arguments["testId"], path="testId")
    return Source((TEST_TOTALS, TESTS), str(number), pause_of(arguments))


@follows("allocation")
async def allocation_source(context: Context, arguments: Mapping[str, Any]) -> Source:
    """Follow a test's definition."""
    return Source((TESTS,), str(await test_number(context, arguments["testId"], path="testId")))
