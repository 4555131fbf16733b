"""Advice on where to spend: the channel and the segments of a campaign, and budget between campaigns.

Channels, and campaigns, are compared by what was seen: nobody was given a channel at random, and it is said so. Each
estimate leans on the others as far as they are alike (engine.learning.pooled_effects), and nothing is advised where
they do not differ by more than chance.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from app.optimizer.situations import (
    DAYS,
    MICROS,
    NONE,
    Situation,
    Situations,
    figures,
    in_words,
    messages,
    money,
)
from app.store.learned import SegmentRankRow
from app.store.models.codes import Channel, RecommendationKind
from app.store.recommendations import Advice
from engine.arrays import FloatArray
from engine.effects import IntervalEstimate
from engine.errors import NotEnoughData
from engine.estimates import difference_of, scaled
from engine.learning.advice import ChannelGain, ReturnComparison, channel_gain, compare_returns
from engine.learning.earnings import Earnings, Return, profits_a_message, return_on_cost

LEAST_SENDS = 500
LEAST_CONVERTED = 20
SURE = 0.95
SHIFTED = 0.2
"""Of what the giving campaign spends: more would leave the range in which its return was seen."""


# ------------------------------------------------------------------------------------------------ channel


def advise_channel(situation: Situation) -> Iterator[Advice]:
    """Advise the channel that earns most a message, where it does so beyond doubt."""
    sums = {one.channel: one for one in situation.earned}
    kept = [
        channel for channel, totals in sorted(situation.channels.items()) if channel and messages(totals) >= LEAST_SENDS
    ]
    if sum(sums[channel].conversions for channel in kept if channel in sums) < LEAST_CONVERTED:
        return
    totals = [situation.channels[channel] for channel in kept]
    try:
        profits = profits_a_message(
            [messages(each) for each in totals],
            [sums[channel].sums if channel in sums else Earnings() for channel in kept],
            deliveries=[each.delivery_micros / MICROS for each in totals],
        )
        found = channel_gain(profits, rng=np.random.default_rng(situation.campaign.id))
    except NotEnoughData:
        return
    if found.gain.low > 0.0:
        means = [each.mean for each in profits]
        yield _channel(situation, kept, means, found, winner=Channel(kept[found.choice]).name)


def _channel(situation: Situation, kept: list[int], means: list[float], found: ChannelGain, *, winner: str) -> Advice:
    names = [Channel(channel).name for channel in kept]
    sends = [messages(situation.channels[channel]) for channel in kept]
    currency, count, gain = situation.campaign.currency, sum(sends), scaled(found.gain, sum(sends))
    each = ", ".join(
        f"{name} {mean:,.4f} ({sent:,} sends)" for name, mean, sent in zip(names, means, sends, strict=True)
    )
    return Advice(
        kind=RecommendationKind.CHANNEL,
        campaign_id=situation.campaign.id,
        subject=winner,
        title=f"Send by {winner}",
        rationale=(
            f"A message earned, after cash-back and delivery, in {currency}: {each}. All {count:,} messages of {DAYS}"
            f" days by {winner} would earn {in_words(gain, currency)} more. {found.reason}"
        ),
        gain=gain,
        evidence={
            "profit_per_send": dict(zip(names, means, strict=True)),
            "sends": dict(zip(names, sends, strict=True)),
            "probability": found.probability,
        },
    )


# ------------------------------------------------------------------------------------------------ segment


def advise_segments(situation: Situation) -> Iterator[Advice]:
    """Advise to send to the segment that responds most because of it, and not to the one that responds least."""
    ranks = [rank for rank in situation.ranks if rank.segment in situation.segments]
    if len(ranks) < 2:
        return
    best, worst = min(ranks, key=lambda rank: rank.rank), max(ranks, key=lambda rank: rank.rank)
    if best.low <= max(worst.high, 0.0):
        return
    sends, currency = messages(situation.segments[worst.segment]), situation.campaign.currency
    gain, first, last = _segment_gain(situation, best, worst, sends), best.segment or NONE, worst.segment or NONE
    earns = (
        ""
        if gain is None
        else f" {sends:,} messages to {first} instead of {last} earn {in_words(gain, currency)} more."
    )
    yield Advice(
        kind=RecommendationKind.SEGMENT,
        campaign_id=situation.campaign.id,
        subject=f"{first} {last}",
        title=f"Put {first[:60]} before {last[:60]}: what is sent adds most there",
        rationale=(
            f"What is sent adds {best.expected_lift:.2%} to the conversion rate in {first} (95 % {best.low:.2%} to"
            f" {best.high:.2%}), in {last} {worst.expected_lift:.2%} ({worst.low:.2%} to {worst.high:.2%})."
            f"{earns} {' '.join(best.reasons)}"
        ).strip(),
        gain=gain,
        evidence={first: figures(_lift(best)), last: figures(_lift(worst)), "sends": sends},
    )


def _lift(rank: SegmentRankRow) -> IntervalEstimate:
    return IntervalEstimate(point=rank.expected_lift, low=rank.low, high=rank.high)


def _segment_gain(
    situation: Situation, best: SegmentRankRow, worst: SegmentRankRow, sends: int
) -> IntervalEstimate | None:
    """Return what a segment's sends would earn in another; lifts lean on each other little, and err on their own."""
    margin = situation.margin
    if margin is None or margin <= 0 or not sends or situation.measures.converted < LEAST_CONVERTED:
        return None
    return scaled(difference_of(_lift(best), _lift(worst)), sends * margin)


# ------------------------------------------------------------------------------------------------ budget


def advise_budget(situations: Situations) -> Iterator[Advice]:
    """Advise to move budget to a campaign that runs out of it, from one of the same currency that returns less."""
    by_currency: dict[str, list[Situation]] = defaultdict(list)
    for one in situations.campaigns:
        if sum(earned.conversions for earned in one.earned) >= LEAST_CONVERTED and one.cost > 0.0:
            by_currency[one.campaign.currency].append(one)
    for alike in by_currency.values():
        try:
            found = compare_returns([_return(one) for one in alike], rng=np.random.default_rng(len(alike)))
        except NotEnoughData:
            continue
        yield from _moves(alike, found)


def _moves(alike: Sequence[Situation], found: ReturnComparison) -> Iterator[Advice]:
    """Yield for each campaign that runs out the move that earns most."""
    means = found.means
    for place, receiver in enumerate(alike):
        short = _short(receiver)
        if short <= 0.0:
            continue
        givers = [
            giver
            for giver in range(len(alike))
            if means[giver] < means[place] and found.gain(place, giver).probability >= SURE
        ]
        if givers:
            giver = max(givers, key=lambda one: min(short, SHIFTED * alike[one].cost) * (means[place] - means[one]))
            amount = min(short, SHIFTED * alike[giver].cost)
            gain = scaled(found.gain(place, giver).gain, amount)
            yield _move(receiver, alike[giver], amount, gain, means[[place, giver]])


def _move(receiver: Situation, giver: Situation, amount: float, gain: IntervalEstimate, means: FloatArray) -> Advice:
    campaign, currency = receiver.campaign, receiver.campaign.currency
    return Advice(
        kind=RecommendationKind.BUDGET,
        campaign_id=campaign.id,
        subject=f"from {giver.campaign.id}",
        title=f"Move {money(amount, currency)} of budget here from {giver.campaign.name[:80]}",
        rationale=(
            f"In {DAYS} days each {currency} spent earned {means[0]:.2f} here and {means[1]:.2f} there, after its cost."
            f" Of a budget of {campaign.budget} {receiver.spent:,.2f} are spent, {receiver.cost:,.2f} of them in {DAYS}"
            f" days: it does not last as long again. {money(amount, currency)} moved earn {in_words(gain, currency)}"
            " more, if more spending returns what spending so far did."
        ),
        gain=gain,
        evidence={
            "return": float(means[0]),
            "return_of_giver": float(means[1]),
            "giver": giver.campaign.key,
            "amount": amount,
        },
    )


def _short(situation: Situation) -> float:
    """Return how much of the next days' spending, at the present pace, the budget does not cover; 0 without budget."""
    if situation.campaign.budget is None:
        return 0.0
    left = max(0.0, float(situation.campaign.budget) - situation.spent)
    return max(0.0, situation.cost - left)


def _return(situation: Situation) -> Return:
    sums = sum((one.sums for one in situation.earned), Earnings())
    return return_on_cost(sums, delivery=situation.measures.delivery_micros / MICROS)
