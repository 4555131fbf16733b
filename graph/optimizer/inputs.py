"""What clients send about models."""

from decimal import Decimal

import strawberry
from strawberry import UNSET

from app.abtests.amounts import AmountQuestion


@strawberry.input(description="A test of randomised amounts to be created, as a DRAFT.")
class AmountTestInput:
    """Becomes an `AmountQuestion`."""

    campaign_id: strawberry.ID = strawberry.field(description="Whose amounts to try: the campaign's id or key.")
    key: str = strawberry.field(
        description="Slug of the test, unique: lower-case letters, digits, - and _, at most 64."
    )
    amounts: list[Decimal] = strawberry.field(
        description="3 to 20 different amounts, money in the campaign's currency, all equally likely."
    )
    share: float = strawberry.field(description="Share of users to explore with, a fraction: the test's coverage.")
    name: str | None = strawberry.field(default=UNSET, description="Name for people; made of the campaign's if absent.")


def amount_question(given: AmountTestInput) -> AmountQuestion:
    """Return the question as the use case takes it."""
    return AmountQuestion(key=given.key, amounts=given.amounts, share=given.share, name=given.name or None)
