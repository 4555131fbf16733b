"""A test of randomised amounts: what a campaign's curve of conversion by amount is learned from.

Each amount is a variant whose payload holds it as `offerAmount`; all are equally likely; the coverage is the share of
users that the team explores with. Whoever sends offers what the payload says, and names amount and probability with the
send, or leaves both to Winnow, which knows them from the assignment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.abtests.drafting import MOST_VARIANTS, MetricDraft, TestDraft, VariantDraft
from app.errors import DomainError, DomainErrors, InvalidInput
from app.store.campaigns import CampaignRow
from app.store.models.codes import EventType, MetricKind

LEAST_AMOUNTS = 3
"""A curve needs three points: with fewer the models refuse."""
CENT = Decimal("0.01")
LARGEST = Decimal(10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountQuestion:
    """Which amounts to try, money in the campaign's currency, on which share of users."""

    key: str
    amounts: Sequence[Decimal]
    share: float
    name: str | None = None


def amount_test(campaign: CampaignRow, question: AmountQuestion) -> TestDraft:
    """Return the draft of a campaign's test; the control is its own amount, else the nearest of those to try.

    Raises DomainErrors where the amounts or the share cannot be tried.
    """
    if found := list(_problems(question)):
        raise DomainErrors(found)
    amounts = sorted(question.amounts)
    control = min(amounts, key=lambda amount: abs(amount - campaign.offer_amount))
    return TestDraft(
        key=question.key,
        name=question.name or f"Amounts of {campaign.name}"[:200],
        hypothesis=f"One of {len(amounts)} amounts earns more a user than {campaign.offer_amount} {campaign.currency}.",
        campaign=campaign.id,
        variants=[_variant(amount, campaign.currency, of=len(amounts), control=control) for amount in amounts],
        metric=MetricDraft(key="converted", name="Converted", kind=MetricKind.CONVERSION, event=EventType.CONVERTED),
        coverage=question.share,
    )


def _variant(amount: Decimal, currency: str, *, of: int, control: Decimal) -> VariantDraft:
    written = str(amount.quantize(CENT))
    return VariantDraft(
        key=written,
        name=f"{written} {currency}",
        weight=1.0 / of,
        is_control=amount == control,
        payload={"offerAmount": written},
    )


def _problems(question: AmountQuestion) -> Iterator[DomainError]:
    if not 0 < question.share <= 1:
        yield _wrong("share", f"The share of users to explore with is above 0 and at most 1, not {question.share:g}.")
    if not LEAST_AMOUNTS <= len(question.amounts) <= MOST_VARIANTS:
        message = f"Try {LEAST_AMOUNTS} to {MOST_VARIANTS} amounts, not {len(question.amounts)}: a curve needs three."
        yield _wrong("amounts", message)
    if len(set(question.amounts)) < len(question.amounts):
        yield _wrong("amounts", "An amount is named twice: give each once.")
    for place, amount in enumerate(question.amounts):
        if not 0 <= amount < LARGEST or amount != amount.quantize(CENT):
            yield _wrong(f"amounts.{place}", f"{amount} is no amount: give one from 0 on with at most two decimals.")


def _wrong(path: str, message: str) -> DomainError:
    return InvalidInput(message, path=tuple(path.split(".")))
