"""Where tests' fields come from: one set-based call for all objects of one place in the tree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import strawberry

from app.abtests.analyzing import Asked, SavedAnalysis, saved_analysis
from app.abtests.crediting import Credit
from app.abtests.results import TestResults, progress
from app.abtests.totalling import TotalsAlone
from app.errors import InvalidInput
from app.store.abtest_lists import ALL_TESTS, TestFilter, newest_tests
from app.store.abtest_rows import TestDefinition
from app.store.campaign_parts import CampaignPart
from app.store.campaigns import CampaignRow
from app.store.cursors import Page
from graph.abtests import rows, types
from graph.abtests.inputs import TestFilterInput, test_filter
from graph.abtests.parts import parts_of, totals_suffice
from graph.campaigns.inputs import After, First
from graph.campaigns.loaders import taken_along
from graph.campaigns.types import Campaign
from graph.connections import MAX_PAGE, Listing, checked_first
from graph.context import Context
from graph.fields import Along, Wanted, loads

MOST_POINTS = 1_000
ORDINARY = Asked()

MetricKey = Annotated[str | None, strawberry.argument(description="A metric or guardrail by key; absent: the metric.")]
Level = Annotated[
    float | None, strawberry.argument(description="Of intervals and tests, a fraction; absent: the test's.")
]
Segment = Annotated[
    str | None,
    strawberry.argument(description="Only units of this segment; an empty text: those of none; absent: all."),
]
Adjusted = Annotated[
    bool,
    strawberry.argument(
        description="Whether to take out what units did before their exposure (CUPED).", graphql_type=bool | None
    ),
]
Policy = Annotated[
    list[float], strawberry.argument(description="A share for each variant, in their order; they sum to 1.")
]
Points = Annotated[
    int, strawberry.argument(description=f"Of the curve, from 2 to {MOST_POINTS:,}.", graphql_type=int | None)
]
Where = Annotated[TestFilterInput | None, strawberry.argument(name="filter", description="Which ones; absent: all.")]


@dataclass(frozen=True, slots=True)
class OfCampaign:
    """The tests of one campaign that a filter lets through."""

    campaign_id: int
    where: TestFilter


def by_id(definitions: Sequence[TestDefinition]) -> dict[int, TestDefinition]:
    """Return tests by their number, each once."""
    return {definition.test.id: definition for definition in definitions}


@loads(types.ABTest, "campaign")
async def test_campaigns(context: Context, tests: Sequence[TestDefinition]) -> list[CampaignRow | None]:
    """Load what tests are about."""
    wanted = {one.test.campaign_id for one in tests if one.test.campaign_id is not None}
    found = await context.services.campaigns.campaigns(list(wanted))
    return [None if one.test.campaign_id is None else found[one.test.campaign_id] for one in tests]


@loads(types.ABTest, "progress")
async def test_progress(context: Context, tests: Sequence[TestDefinition]) -> list[float]:
    """Load how far tests are."""
    totals = await context.services.tests.totals(list(by_id(tests)))
    metric_ids = {one.test.id: one.metrics[0].id for one in tests}
    exposed = {
        test_id: sum(row.exposed for row in found if row.metric_id == metric_ids[test_id])
        for test_id, found in totals.items()
    }
    return [progress(one, exposed.get(one.test.id, 0)) for one in tests]


@loads(types.ABTest, "results")
async def test_results(
    context: Context,
    tests: Sequence[TestDefinition],
    *,
    metric_key: MetricKey = None,
    confidence_level: Level = None,
    segment: Segment = None,
    adjusted: Adjusted = False,
    wanted: Wanted,
) -> list[TestResults | TotalsAlone | Exception]:
    """Load tests' results; a test that cannot answer has its own error."""
    asked = Asked(metric_key=metric_key, confidence_level=confidence_level, segment=segment, adjusted=adjusted)
    definitions, analyzing = by_id(tests), context.services.analyzing
    if not totals_suffice(wanted):
        found = await analyzing.attempts(definitions, asked)
    elif asked == ORDINARY:
        found = await analyzing.totals_alone(definitions)
    else:  # their list may have left out what the arguments ask about
        found = await analyzing.attempts(await context.services.tests.definitions(definitions), asked)
    return [found[one.test.id] for one in tests]


@loads(types.ABTest, "off_policy")
async def test_credits(
    context: Context, tests: Sequence[TestDefinition], *, policy: Policy
) -> list[Credit | InvalidInput]:
    """Load what another allocation would have earned; a test that the policy does not fit has its own error."""
    found = await context.services.crediting.credits(by_id(tests), policy)
    return [found[one.test.id] for one in tests]


@loads(types.ABTest, "segments")
async def test_segments(context: Context, tests: Sequence[TestDefinition]) -> list[list[str]]:
    """Load in which segments units were exposed."""
    found = await context.services.analyzing.segments(list(by_id(tests)))
    return [found[one.test.id] for one in tests]


@loads(types.ABTest, "analyses")
async def test_analyses(
    context: Context, tests: Sequence[TestDefinition], *, first: First = 20, after: After = None
) -> list[Listing[SavedAnalysis]]:
    """Load tests' histories."""
    pages = await context.services.test_lists.analyses(list(by_id(tests)), checked_first(first), after)
    return [
        Listing(
            page=_mapped(pages[one.test.id], partial(saved_analysis, one)),
            count=_count_analyses,
            of=one.test.id,
        )
        for one in tests
    ]


@loads(types.ABTest, "allocation_history")
async def test_allocations(
    context: Context, tests: Sequence[TestDefinition], *, first: First = 50, after: After = None
) -> list[Listing[rows.Allocated]]:
    """Load tests' policy versions."""
    pages = await context.services.test_lists.allocations(list(by_id(tests)), checked_first(first), after)
    return [
        Listing(
            page=_mapped(pages[one.test.id], partial(rows.allocated, one)),
            count=_count_allocations,
            of=one.test.id,
        )
        for one in tests
    ]


@loads(types.Allocation, "model")
async def allocation_models(context: Context, allocations: Sequence[rows.Allocated]) -> list[Any]:
    """Load the models of policy versions, by one statement."""
    found = await context.services.tests.models([one.id for one in allocations if one.id is not None])
    return [None if one.id is None else found[one.id] for one in allocations]


@loads(types.VariantPosterior, "density")
async def densities(
    context: Context, believed: Sequence[rows.Believed], *, points: Points = 64
) -> list[list[rows.Point]]:
    """Draw posterior densities."""
    del context
    if not 2 <= points <= MOST_POINTS:
        raise InvalidInput(f"`points` is from 2 to {MOST_POINTS:,}, not {points}: ask for a curve.", path=("points",))
    return [_curve(one, points) for one in believed]


def _tests_part(
    *, first: First = 20, after: After = None, where: Where = None, wanted: Wanted
) -> CampaignPart[Page[TestDefinition]] | None:
    ordinary = after is None and where is None and 1 <= first <= MAX_PAGE
    return newest_tests(first, parts_of(wanted)) if ordinary else None


def _tests_along(
    _context: Context, campaigns: Sequence[CampaignRow], part: CampaignPart[Page[TestDefinition]]
) -> list[Listing[TestDefinition]] | None:
    pages = taken_along(campaigns, part)
    return None if pages is None else [_tests(*pair, ALL_TESTS) for pair in zip(campaigns, pages, strict=True)]


@loads(Campaign, "tests", along=Along(_tests_part, _tests_along))
async def campaign_tests(
    context: Context,
    campaigns: Sequence[CampaignRow],
    *,
    first: First = 20,
    after: After = None,
    where: Where = None,
    wanted: Wanted,
) -> list[Listing[TestDefinition]]:
    """Load campaigns' tests; a campaign named in the filter lets none but its own through."""
    conditions = ALL_TESTS if where is None else replace(test_filter(where, None), campaign_id=None)
    ids = list(dict.fromkeys(campaign.id for campaign in campaigns))
    pages = await context.services.test_lists.pages_of_campaigns(
        ids, checked_first(first), after, where=conditions, parts=parts_of(wanted)
    )
    return [_tests(campaign, pages[campaign.id], conditions) for campaign in campaigns]


def _tests(campaign: CampaignRow, page: Page[TestDefinition], where: TestFilter) -> Listing[TestDefinition]:
    return Listing(page=page, count=_count_tests, of=OfCampaign(campaign.id, where))


def _curve(believed: rows.Believed, points: int) -> list[rows.Point]:
    density = believed.posterior.density(points)
    return [rows.Point(float(x), float(y)) for x, y in zip(density.x, density.density, strict=True)]


def _mapped[Row, Made](page: Page[Row], make: Callable[[Row], Made]) -> Page[Made]:
    return Page(
        rows=tuple(make(row) for row in page.rows),
        cursors=page.cursors,
        has_next=page.has_next,
        has_previous=page.has_previous,
    )


async def _count_analyses(context: Context, test_ids: Sequence[int]) -> Mapping[int, int]:
    return await context.services.test_lists.count_analyses(test_ids)


async def _count_allocations(context: Context, test_ids: Sequence[int]) -> Mapping[int, int]:
    return await context.services.test_lists.count_allocations(test_ids)


async def _count_tests(context: Context, lists: Sequence[OfCampaign]) -> Mapping[OfCampaign, int]:
    ids = [one.campaign_id for one in lists]
    counts = await context.services.test_lists.count_by_campaign(ids, lists[0].where)
    return {one: counts[one.campaign_id] for one in lists}
