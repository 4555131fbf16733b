"""What advice is made from: what each running campaign did lately, and what models and tests say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.store.activity import Earned, Reached, Timed
from app.store.campaigns import CampaignRow
from app.store.learned import OfferCurveRow, SegmentRankRow, SendTimeRow
from app.store.measures import Measures
from engine.decision import Decision
from engine.effects import IntervalEstimate

MICROS = 1_000_000
DAYS = 30
"""How many days advice looks back on; gains are for as many to come, at the same pace."""
NONE = "(none)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestState:
    """A test that runs or is paused, and what both schools say of it.

    `difference` is the winner's to the control, or to the next where the control wins, in the metric's unit a unit;
    `winner_share` the share of units that the winner gets already; `earns` whether the metric is money, or conversions
    worth the campaign's margin each, and neither is null.
    """

    __test__ = False

    test_id: int
    key: str
    name: str
    campaign_id: int | None
    decision: Decision
    reasons: tuple[str, ...]
    winner: str | None = None
    difference: IntervalEstimate | None = None
    winner_share: float = 0.0
    counts_conversions: bool = False
    is_money: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A running campaign: totals of the last days by channel and segment, and what is known about it."""

    campaign: CampaignRow
    channels: Mapping[int, Measures] = field(default_factory=dict[int, Measures])
    segments: Mapping[str, Measures] = field(default_factory=dict[str, Measures])
    earned: Sequence[Earned] = ()
    reached: Reached | None = None
    timed: Timed | None = None
    curve: OfferCurveRow | None = None
    ranks: Sequence[SegmentRankRow] = ()
    spent: float = 0.0
    tested: bool = False

    @property
    def measures(self) -> Measures:
        """Return the totals over channels."""
        return sum(self.channels.values(), Measures())

    @property
    def margin(self) -> float | None:
        """Return what a conversion earns after its cash-back, money; None where nothing converted."""
        total = self.measures
        return (total.revenue_micros - total.reward_micros) / MICROS / total.converted if total.converted else None

    @property
    def cost(self) -> float:
        """Return what was spent, money."""
        return self.measures.cost_micros / MICROS


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHours:
    """What the active model of send times says of everyone, and how well it foretold sends that it had not seen.

    Losses are log losses: of the model, and of one open rate by hour for everyone; None where it was not judged.
    `borne_out` is what share of the more opens it foretold came true on sends that happened to go out at its hours;
    None where too few did.
    """

    everyone: SendTimeRow
    loss: float | None
    loss_by_everyone: float | None
    borne_out: IntervalEstimate | None = None

    @property
    def foretells(self) -> bool:
        """Say whether the model foretold opens better than one rate by hour for everyone does."""
        return self.loss is not None and self.loss_by_everyone is not None and self.loss < self.loss_by_everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Situations:
    """Everything that advice is made from, as of a time."""

    campaigns: Sequence[Situation]
    tests: Sequence[TestState] = ()
    hours: KnownHours | None = None
    as_of: datetime


def messages(totals: Measures) -> int:
    """Return how many messages went out; senders that tell of deliveries alone sent at least these."""
    return max(totals.sent, totals.delivered)


def money(amount: float, currency: str) -> str:
    """Return an amount in words."""
    return f"{amount:,.2f} {currency}"


def in_words(gain: IntervalEstimate, currency: str) -> str:
    """Return an expected gain with its interval."""
    return f"{money(gain.point, currency)} ({gain.low:,.2f} to {gain.high:,.2f})"


def figures(estimate: IntervalEstimate) -> dict[str, float]:
    """Return an estimate as evidence keeps it."""
    return {"point": estimate.point, "low": estimate.low, "high": estimate.high}
