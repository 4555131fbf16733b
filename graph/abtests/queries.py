"""Where clients start reading: tests, and the sample size calculator."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import strawberry

from app.abtests.sizing import needed_size
from app.auth.principals import Permission
from app.errors import NotFound
from app.store.abtest_lists import TestFilter
from app.store.abtest_parts import WHOLE, Parts
from app.store.abtest_rows import TestDefinition
from engine.power.sample_size import SampleSize
from graph.abtests import types
from graph.abtests.enums import TestOrder
from graph.abtests.inputs import SampleSizeInput, TestFilterInput, size_question, test_filter
from graph.abtests.loaders import Where
from graph.abtests.parts import parts_of
from graph.campaigns.inputs import After, First
from graph.connections import Connection, Listing, checked_first
from graph.context import Context
from graph.fields import Wanted, answers, related
from graph.identifiers import Kind, decode

Reference = Annotated[strawberry.ID, strawberry.argument(description="Its id or key.")]
TestReference = Annotated[strawberry.ID, strawberry.argument(description="The test's id or key.")]
OrderBy = Annotated[TestOrder | None, strawberry.argument(name="orderBy", description="Absent: NEWEST.")]
Planned = Annotated[SampleSizeInput, strawberry.argument(description="The plan.")]


@strawberry.type
class Query:
    """A/B tests' part of what can be asked."""

    test: types.ABTest | None = related(
        "A test by id or key; null, with an error NOT_FOUND, where there is none.", permission=Permission.READ_TESTS
    )
    tests: Connection[types.ABTest] = related(
        "Tests, in pages; those that are ENDED are the history.", permission=Permission.READ_TESTS
    )
    sample_size: types.SampleSize = related("How many units a test needs.", permission=Permission.READ_TESTS)


@answers(Query, "test")
async def test(context: Context, *, id: Reference, wanted: Wanted) -> TestDefinition:  # noqa: A002  # the contract's name
    """Find a test."""
    return await found_test(context, id, parts=parts_of(wanted))


@answers(Query, "tests")
async def tests(
    context: Context,
    *,
    first: First = 20,
    after: After = None,
    where: Where = None,
    order: OrderBy = None,
    wanted: Wanted,
) -> Listing[TestDefinition]:
    """List tests."""
    conditions = test_filter(where, await _campaign_id(context, where))
    page = await context.services.test_lists.page(
        checked_first(first), after, where=conditions, order=order or TestOrder.NEWEST, parts=parts_of(wanted)
    )
    return Listing(page=page, count=_count, of=conditions)


@answers(Query, "sample_size")
async def sample_size(context: Context, *, input: Planned) -> SampleSize:  # noqa: A002  # the contract's name
    """Answer the calculator."""
    del context
    return needed_size(size_question(input))


async def found_test(context: Context, reference: str, *, path: str = "id", parts: Parts = WHOLE) -> TestDefinition:
    """Return a test by id or key; raise NotFound where there is none."""
    number = await test_number(context, reference, path=path)
    found = await context.services.tests.definitions([number], parts=parts)
    if number not in found:
        raise _unknown(reference, path)
    return found[number]


async def test_number(context: Context, reference: str, *, path: str = "id") -> int:
    """Return the number of a test named by id or key."""
    decoded = decode(Kind.TEST, reference)
    if isinstance(decoded, int):
        return decoded
    known = await context.services.tests.ids_of([decoded])
    if decoded not in known:
        raise _unknown(reference, path)
    return known[decoded]


def _unknown(reference: str, path: str) -> NotFound:
    return NotFound(f"There is no test {reference!r}: check the id or key.", path=(path,))


async def _campaign_id(context: Context, where: TestFilterInput | None) -> int | None:
    if where is None or not where.campaign_id:
        return None
    reference = decode(Kind.CAMPAIGN, where.campaign_id)
    found = await context.services.campaigns.campaigns([reference])
    if reference not in found:
        message = f"There is no campaign {where.campaign_id!r}: check the id or key."
        raise NotFound(message, path=("filter", "campaignId"))
    return found[reference].id


async def _count(context: Context, filters: Sequence[TestFilter]) -> Mapping[TestFilter, int]:
    return {one: await context.services.test_lists.count(one) for one in filters}
