"""What clients change about models: training, the version that serves, and tests that models learn amounts from."""

from typing import Annotated

import strawberry

from app.abtests.amounts import amount_test
from app.auth.principals import Permission
from app.errors import NotFound
from app.store.abtest_rows import TestDefinition
from app.store.jobs import JobRow
from app.store.learned import ModelRow
from graph.abtests.mutations import ABTestPayload
from graph.context import Context
from graph.errors import UserError
from graph.fields import answers, reading, related
from graph.identifiers import Kind, decode
from graph.jobs.mutations import JobPayload
from graph.optimizer import types
from graph.optimizer.enums import ModelKind
from graph.optimizer.inputs import AmountTestInput, amount_question
from graph.optimizer.queries import found_campaign
from graph.payloads import Payload, payload, refused

Kinds = Annotated[list[ModelKind] | None, strawberry.argument(description="Which models; absent or empty: all.")]
Version = Annotated[strawberry.ID, strawberry.argument(description="The version's id.")]
NewAmountTest = Annotated[AmountTestInput, strawberry.argument(description="The campaign, the amounts and the share.")]


@strawberry.type(description="The version, or why it does not serve.")
class ModelPayload:
    """The row is a `graph.payloads.Payload`."""

    model: types.TrainedModel | None = payload("The version as it is now; null when refused.")
    errors: list[UserError] = reading("What was wrong; empty when it was done.")


@strawberry.type
class Mutation:
    """The optimizer's part of what can be changed."""

    train_models: JobPayload = related(
        "Train models from the events so far, by a job to be followed; the same job while one waits or runs.",
        permission=Permission.TRAIN_MODELS,
        refused=refused,
    )
    activate_model: ModelPayload = related(
        "Let a version serve instead of its kind's present one: a later one, or an earlier one to go back to.",
        permission=Permission.TRAIN_MODELS,
        refused=refused,
    )
    create_amount_test: ABTestPayload = related(
        "Create a test of randomised amounts, as a DRAFT: each variant's payload holds its `offerAmount`.",
        permission=Permission.EDIT_TESTS,
        refused=refused,
    )


@answers(Mutation, "train_models")
async def train_models(context: Context, *, kinds: Kinds = None) -> Payload[JobRow]:
    """Ask for a training."""
    return Payload(await context.services.training.request(kinds, principal=context.principal))


@answers(Mutation, "activate_model")
async def activate_model(context: Context, *, id: Version) -> Payload[ModelRow]:  # noqa: A002  # the contract's name
    """Let a version serve."""
    number = decode(Kind.MODEL, id)
    if not isinstance(number, int):
        raise NotFound(f"There is no version {id!r} of a model: check the id.", path=("id",))
    await context.services.training.activate(number, principal=context.principal)
    found = await context.services.learned.models()
    return Payload(next(row for row in found if row.id == number))


@answers(Mutation, "create_amount_test")
async def create_amount_test(context: Context, *, input: NewAmountTest) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """Create a test of amounts."""
    campaign = await found_campaign(context, input.campaign_id)
    draft = amount_test(campaign, amount_question(input))
    return Payload(await context.services.lifecycle.create(draft, principal=context.principal))
