"""A test's course, day by day: why looking early is safe, as a picture."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

from app.abtests.coursing import CoursePoint as Row
from app.auth.principals import Permission
from app.store.abtest_rows import TestDefinition
from graph.abtests import rows, types
from graph.context import Context
from graph.fields import extend, loads, reading, related
from graph.scalars import BigInt


@strawberry.type(description="What a test's results said of the units exposed until a time.")
class CoursePoint:
    """The row is an `app.abtests.coursing.CoursePoint`."""

    at: datetime = reading("The end of the time, UTC: a day's, or now.")
    exposed: BigInt = reading("Units exposed until then, a count.")
    frequentist: types.FrequentistResult | None = reading(
        "Fixed horizon: right for one look only; null where there were too few units.", rows.frequentist
    )
    sequential: types.SequentialResult | None = reading(
        "Valid at all looks together; null where there were too few units.", rows.sequential
    )


extend(
    types.ABTest,
    "course",
    list[CoursePoint],
    related(
        "The comparison by its own metric at the end of each day (UTC), of the units first exposed until then with all "
        "they did since; at most 120 points, the last one now. Empty where nobody was exposed.",
        permission=Permission.READ_TESTS,
        size=120,
    ),
)


@loads(types.ABTest, "course")
async def course(context: Context, tests: Sequence[TestDefinition]) -> list[list[Row]]:
    """Load courses."""
    found = await context.services.coursing.courses({one.test.id: one for one in tests})
    return [found[one.test.id] for one in tests]
