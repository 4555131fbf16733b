"""How clients change tests, and what they are assigned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast

import strawberry

from app.abtests.analyzing import SavedAnalysis
from app.auth.principals import Permission
from app.errors import InvalidInput, NotFound
from app.store.abtest_rows import TestDefinition
from app.store.cursors import askable
from graph.abtests import inputs, rows, types
from graph.abtests.queries import Reference, TestReference, found_test, test_number
from graph.context import Context
from graph.errors import UserError, UserProblem, user_problems
from graph.fields import answers, reading, related
from graph.identifiers import Kind, decode
from graph.payloads import Payload, payload, refused
from graph.scalars import JSON

LONGEST_USER_ID = 200

NewTest = Annotated[inputs.CreateTestInput, strawberry.argument(description="The test.")]
StartedAt = Annotated[
    datetime | None,
    strawberry.argument(description="In the past, for a test that ran elsewhere; what happened before does not count."),
]
Winner = Annotated[strawberry.ID | None, strawberry.argument(description="The variant declared the winner, if any.")]
Weights = Annotated[list[inputs.WeightInput], strawberry.argument(description="One for each variant.")]
UserId = Annotated[strawberry.ID, strawberry.argument(description="The caller's own id of the unit.")]
Attributes = Annotated[
    JSON | None, strawberry.argument(description="What is known of the unit: an object; beside what is stored of it.")
]
Hierarchical = Annotated[
    bool,
    strawberry.argument(
        description="Whether to pool segments (CONVERSION and REVENUE): a worker fits a model, which takes seconds.",
        graphql_type=bool | None,
    ),
]
Expose = Annotated[
    bool,
    strawberry.argument(description="Whether the unit sees the variant now, and counts.", graphql_type=bool | None),
]


@strawberry.type(name="ABTestPayload", description="The test, or why it was not changed.")
class ABTestPayload:
    """The row is a `graph.payloads.Payload`."""

    test: types.ABTest | None = payload("The test as it is now; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@strawberry.type(description="The saved analysis, or why there is none.")
class AnalysisPayload:
    """The row is a `graph.payloads.Payload`."""

    analysis: types.Analysis | None = payload("The analysis; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignment, or why there is none."""

    assignment: rows.Decided | None = None
    reason: str | None = None
    errors: Sequence[UserProblem] = ()


@strawberry.type(description="The assignment, or why there is none.")
class AssignmentPayload:
    """The row is an `Assigned`."""

    assignment: types.Assignment | None = related(
        "The assignment; null when there is none.", through=lambda row: row.assignment
    )
    reason: str | None = reading("Why there is none: not running, not targeted, held out, excluded, not covered.")
    errors: list[UserError] = reading("What was wrong; empty when it was decided.")


def _not_assigned(error: Exception) -> Assigned:
    return Assigned(errors=user_problems(error))


def _edit(description: str) -> Any:
    return related(description, permission=Permission.EDIT_TESTS, refused=refused)


@strawberry.type
class Mutation:
    """A/B tests' part of what can be changed."""

    create_test: ABTestPayload = _edit("Create a test, as a DRAFT.")
    start_test: ABTestPayload = _edit("Start a draft, or go on with a paused test.")
    pause_test: ABTestPayload = _edit("Assign no new units; those exposed keep their variant.")
    end_test: ABTestPayload = _edit("End a test for good; a last analysis is saved.")
    set_weights: ABTestPayload = _edit("Change the shares of a FIXED test; exposed units keep their variant.")
    analyze_test: AnalysisPayload = related(
        "Compute, save and return an analysis.", permission=Permission.ANALYZE_TESTS, refused=refused
    )
    assign_user: AssignmentPayload = related(
        "Decide which variant a unit gets.", permission=Permission.ASSIGN_USERS, refused=_not_assigned
    )


@answers(Mutation, "create_test")
async def create_test(context: Context, *, input: NewTest) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """Create a test."""
    draft = inputs.test_draft(input)
    return Payload(await context.services.lifecycle.create(draft, principal=context.principal))


@answers(Mutation, "start_test")
async def start_test(context: Context, *, id: Reference, at: StartedAt = None) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """Start a test."""
    number = await test_number(context, id)
    return Payload(await context.services.lifecycle.start(number, at=at, principal=context.principal))


@answers(Mutation, "pause_test")
async def pause_test(context: Context, *, id: Reference) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """Pause a test."""
    number = await test_number(context, id)
    return Payload(await context.services.lifecycle.pause(number, principal=context.principal))


@answers(Mutation, "end_test")
async def end_test(context: Context, *, id: Reference, winner: Winner = None) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """End a test."""
    definition = await found_test(context, id)
    chosen = None if winner is None else _variant_id(definition, winner)
    number = definition.test.id
    return Payload(await context.services.analyzing.end(number, winner_id=chosen, principal=context.principal))


@answers(Mutation, "set_weights")
async def set_weights(context: Context, *, id: Reference, weights: Weights) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """Change shares."""
    number = await test_number(context, id)
    shares = {weight.key: weight.weight for weight in weights}
    if len(shares) != len(weights):
        raise InvalidInput("A variant is named twice: give each its weight once.", path=("weights",))
    return Payload(await context.services.lifecycle.set_weights(number, shares, principal=context.principal))


@answers(Mutation, "analyze_test")
async def analyze_test(
    context: Context,
    *,
    id: Reference,  # noqa: A002  # the contract's name
    hierarchical: Hierarchical = False,
) -> Payload[SavedAnalysis]:
    """Analyze a test."""
    number = await test_number(context, id)
    analyze = context.services.analyzing.analyze
    return Payload(await analyze(number, hierarchical=bool(hierarchical), principal=context.principal))


@answers(Mutation, "assign_user")
async def assign_user(
    context: Context,
    *,
    test_id: TestReference,
    user_id: UserId,
    attributes: Attributes = None,
    expose: Expose = True,
) -> Assigned:
    """Assign a unit."""
    _check_user(user_id)
    known = _attributes(attributes)
    reference = decode(Kind.TEST, test_id)
    decision = await context.services.exposing.assign(reference, user_id, attributes=known, expose=expose)
    return Assigned(rows.decided(decision), None if decision.reason is None else str(decision.reason))


def _attributes(given: object) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidInput('Attributes are an object such as {"plan": "pro"}.', path=("attributes",))
    return cast("dict[str, Any]", given)


def _check_user(user_id: str) -> None:
    if not 0 < len(user_id) <= LONGEST_USER_ID or not askable(user_id):
        message = f"A user's id is a text of 1 to {LONGEST_USER_ID} characters without NUL: correct it."
        raise InvalidInput(message, path=("userId",))


def _variant_id(definition: TestDefinition, reference: str) -> int:
    wanted = decode(Kind.VARIANT, reference)
    found = next((one.id for one in definition.variants if wanted in (one.id, one.key)), None)
    if found is None:
        raise NotFound("The winner is no variant of this test: pass one of its ids or keys.", path=("winner",))
    return found
