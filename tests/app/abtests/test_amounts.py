"""Tests of randomised amounts: what their drafts hold, and what is refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from app.abtests.amounts import AmountQuestion, amount_test
from app.abtests.drafting import problems
from app.errors import DomainErrors
from app.store.campaigns import CampaignRow
from app.store.models.codes import CampaignStatus, Channel

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CAMPAIGN = CampaignRow(
    id=7,
    key="spring",
    name="Spring",
    merchant_id=1,
    status=CampaignStatus.ACTIVE,
    channels=(Channel.PUSH,),
    offer_amount=Decimal("5.00"),
    currency="EUR",
    budget=None,
    starts_at=None,
    ends_at=None,
    targeting=None,
    created_at=NOW,
    updated_at=NOW,
)


def question(*amounts: str, share: float = 0.1) -> AmountQuestion:
    return AmountQuestion(key="spring-amounts", amounts=[Decimal(amount) for amount in amounts], share=share)


def test_each_amount_is_a_variant_and_the_campaigns_own_is_the_control() -> None:
    draft = amount_test(CAMPAIGN, question("7.5", "2", "5"))
    assert problems(draft) == []
    assert [variant.payload for variant in draft.variants] == [
        {"offerAmount": "2.00"},
        {"offerAmount": "5.00"},
        {"offerAmount": "7.50"},
    ]
    assert [variant.key for variant in draft.variants if variant.is_control] == ["5.00"]
    assert [variant.name for variant in draft.variants] == ["2.00 EUR", "5.00 EUR", "7.50 EUR"]
    assert {variant.weight for variant in draft.variants} == {1 / 3}
    assert (draft.campaign, draft.coverage, draft.name) == (7, 0.1, "Amounts of Spring")
    assert draft.metric.event.name == "CONVERTED"


def test_without_the_campaigns_own_amount_the_nearest_is_the_control() -> None:
    draft = amount_test(CAMPAIGN, question("1", "4", "9"))
    assert [variant.key for variant in draft.variants if variant.is_control] == ["4.00"]


def test_twenty_amounts_are_a_sound_draft() -> None:
    assert problems(amount_test(CAMPAIGN, question(*map(str, range(1, 21)), share=1.0))) == []


def test_a_long_name_is_cut() -> None:
    draft = amount_test(replace(CAMPAIGN, name="x" * 200), question("1", "2", "3"))
    assert len(draft.name) == 200
    assert problems(draft) == []


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (question("1", "2"), ("amounts",)),
        (question(*map(str, range(1, 22))), ("amounts",)),
        (question("1", "2", "2.00"), ("amounts",)),
        (question("1", "2", "-3"), ("amounts", "2")),
        (question("1", "2.005", "3"), ("amounts", "1")),
        (question("1", "2", "1000000000"), ("amounts", "2")),
        (question("1", "2", "3", share=0.0), ("share",)),
        (question("1", "2", "3", share=1.01), ("share",)),
    ],
)
def test_what_cannot_be_tried_is_refused(asked: AmountQuestion, path: tuple[str, ...]) -> None:
    with pytest.raises(DomainErrors) as refused:
        amount_test(CAMPAIGN, asked)
    assert [problem.path for problem in refused.value.problems] == [path]
