"""How clients move a bandit's traffic at once."""

from typing import Annotated

import strawberry

from app.auth.principals import Permission
from graph.abtests import rows, types
from graph.abtests.queries import test_number
from graph.context import Context
from graph.errors import UserError
from graph.fields import answers, reading, related
from graph.payloads import Payload, payload, refused

TestReference = Annotated[strawberry.ID, strawberry.argument(description="The test's id or key.")]


@strawberry.type(description="The new shares, or why there are none.")
class AllocationPayload:
    """The row is a `graph.payloads.Payload`."""

    allocation: types.Allocation | None = payload("The policy version in force from now on; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@strawberry.type
class Mutation:
    """Bandits' part of what can be changed."""

    reallocate: AllocationPayload = related(
        "One bandit step now, instead of on schedule; the next on schedule is one interval later.",
        permission=Permission.EDIT_TESTS,
        refused=refused,
    )


@answers(Mutation, "reallocate")
async def reallocate(context: Context, *, test_id: TestReference) -> Payload[rows.Allocated]:
    """Reallocate a test."""
    number = await test_number(context, test_id, path="testId")
    definition = await context.services.reallocating.reallocate(number, principal=context.principal)
    return Payload(rows.allocation(definition))
