"""Advice on tests: which to start, since there is traffic enough to learn from, and which to end, since they have told.

Most is gained by ending: whoever keeps a test running after its verdict keeps giving the worse variant to a part of the
users.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from app.optimizer.situations import DAYS, Situation, Situations, TestState, figures, in_words
from app.store.models.codes import RecommendationKind
from app.store.recommendations import Advice
from engine.decision import Decision
from engine.effects import IntervalEstimate
from engine.errors import EngineError
from engine.estimates import scaled
from engine.power.baselines import ConversionBaseline
from engine.power.sample_size import SampleSize, sample_size

EFFECTS = (0.1, 0.15, 0.2, 0.3, 0.5)
"""Lifts that a test may be planned for, fractions; the smallest that the traffic bears is."""
LONGEST_DAYS = 28.0
LEAST_CONVERTED = 20
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The smallest lift that a test of two variants can show in time, a fraction, and what it takes."""

    lift: float
    size: SampleSize
    days: float


def advise_starting(situation: Situation) -> Iterator[Advice]:
    """Advise a test where a campaign has none and reaches users enough for an answer within four weeks."""
    reached = situation.reached
    if situation.tested or reached is None or not LEAST_CONVERTED <= reached.converted < reached.users:
        return
    plan = _plan(reached.converted / reached.users, reached.users / DAYS)
    if plan is None:
        return
    amounts = (
        "" if situation.curve else " No amounts have been tried at random yet: createAmountTest makes such a test."
    )
    users, converted, lift, days = reached.users, reached.converted, f"{plan.lift:.0%}", f"{plan.days:.0f} days"
    yield Advice(
        kind=RecommendationKind.START_TEST,
        campaign_id=situation.campaign.id,
        title=f"Start a test: {days} show a lift of {lift}",
        rationale=(
            f"Nothing is tested here, though {users:,} users were reached in {DAYS} days and {converted:,} of them"
            f" converted ({converted / users:.2%}). With {plan.size.per_variant:,} users for each of two variants a"
            f" test has a chance of 80 % to call a lift of {lift}, at 95 % confidence; so many come in {days}.{amounts}"
        ),
        evidence={
            "users": reached.users,
            "converted": reached.converted,
            "lift": plan.lift,
            "per_variant": plan.size.per_variant,
            "days": plan.days,
        },
    )


def _plan(rate: float, daily_users: float) -> Planned | None:
    """Return the smallest lift that can be shown in time; users who come again are no new units."""
    for lift in EFFECTS:
        try:
            size = sample_size(ConversionBaseline(rate=rate), lift, relative=True)
        except EngineError:  # the lift takes the rate past 1
            return None
        days = size.total / daily_users
        if days <= LONGEST_DAYS:
            return Planned(lift=lift, size=size, days=max(1.0, days))
    return None


def advise_ending(situations: Situations) -> Iterator[Advice]:
    """Advise to end each test whose verdict will not change by waiting."""
    campaigns = {one.campaign.id: one for one in situations.campaigns}
    for state in situations.tests:
        title = _TITLES.get(state.decision)
        if title is None:
            continue
        campaign = None if state.campaign_id is None else campaigns.get(state.campaign_id)
        gain = None if campaign is None else _ending_gain(state, campaign)
        currency = "" if campaign is None else campaign.campaign.currency
        earns = "" if gain is None else f" For all its users in {DAYS} days it earns {in_words(gain, currency)} more."
        yield Advice(
            kind=RecommendationKind.END_TEST,
            campaign_id=state.campaign_id,
            test_id=state.test_id,
            subject=state.winner or state.decision.name,
            title=title.format(name=state.name[:NAME_LENGTH], winner=(state.winner or "")[:NAME_LENGTH])[:200],
            rationale=f"{' '.join(state.reasons)}{earns}",
            gain=gain,
            evidence={
                "decision": state.decision.name,
                "winner": state.winner,
                "difference": None if state.difference is None else figures(state.difference),
            },
        )


_TITLES = {
    Decision.WINNER: "End {name}: {winner} wins",
    Decision.NO_DIFFERENCE: "End {name}: no difference that matters",
    Decision.INVALID: "End {name}: its results cannot be trusted",
}


def _ending_gain(state: TestState, situation: Situation) -> IntervalEstimate | None:
    """Return what the winner earns with those units that get another variant now; None where that is no money."""
    if state.difference is None or situation.reached is None:
        return None
    units = situation.reached.users * (1.0 - state.winner_share)
    if state.is_money:
        return scaled(state.difference, units)
    margin = situation.margin
    if not state.counts_conversions or margin is None or margin <= 0:
        return None
    return scaled(state.difference, units * margin)
