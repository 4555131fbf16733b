"""What clients change about models: training, the version that serves, and tests that models learn amounts from."""

from typing import Annotated

import strawberry

from app.abtests.amounts import amount_test
from app.auth.principals import Permission
from app.store.abtests import TestDefinition
from graph.abtests.mutations import ABTestPayload
from graph.context import Context
from graph.fields import answers, related
from graph.optimizer.inputs import AmountTestInput, amount_question
from graph.optimizer.queries import found_campaign
from graph.payloads import Payload, refused

NewAmountTest = Annotated[AmountTestInput, strawberry.argument(description="The campaign, the amounts and the share.")]


@strawberry.type
class Mutation:
    """The optimizer's part of what can be changed."""

    create_amount_test: ABTestPayload = related(
        "Create a test of randomised amounts, as a DRAFT: each variant's payload holds its `offerAmount`.",
        permission=Permission.EDIT_TESTS,
        refused=refused,
    )


@answers(Mutation, "create_amount_test")
async def create_amount_test(context: Context, *, input: NewAmountTest) -> Payload[TestDefinition]:  # noqa: A002  # the contract's name
    """Create a test of amounts."""
    campaign = await found_campaign(context, input.campaign_id)
    draft = amount_test(campaign, amount_question(input))
    return Payload(await context.services.lifecycle.create(draft, principal=context.principal))
