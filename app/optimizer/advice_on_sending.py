"""Advice on what to send when: the amount of a campaign, and the hour of its messages."""

import math
from collections.abc import Iterator

import numpy as np

from app.optimizer.situations import DAYS, KnownHours, Situation, figures, in_words, messages, scaled
from app.store.activity import Timed
from app.store.learned import OfferCurveRow, SendTimeRow
from app.store.models.codes import RecommendationKind
from app.store.recommendations import Advice
from engine.effects import IntervalEstimate

HOURS = 24
LEAST_SENDS = 500
LEAST_OPENED = 20
LEAST_CONVERTED = 20
LEAST_LIFT = 0.05
"""Gains in opens below this are not worth a change of schedule."""
NORMAL_95 = 1.959963984540054


def advise_amount(situation: Situation) -> Iterator[Advice]:
    """Advise another amount where the campaign's own lies outside the interval in which the best one does."""
    campaign, curve = situation.campaign, situation.curve
    if curve is None or curve.low <= campaign.offer_amount <= curve.high:
        return
    sends, currency = messages(situation.measures), campaign.currency
    gain = _amount_gain(curve, float(campaign.offer_amount), sends)
    earns = "" if gain is None else f" At {sends:,} sends in {DAYS} days that is {in_words(gain, currency)} more."
    yield Advice(
        kind=RecommendationKind.OFFER_AMOUNT,
        campaign_id=campaign.id,
        subject="more" if curve.amount > campaign.offer_amount else "less",
        title=f"Offer {curve.amount} {currency} instead of {campaign.offer_amount}",
        rationale=(
            f"The amount that earns most lies between {curve.low} and {curve.high} {currency} (95 %), and"
            f" {campaign.offer_amount} does not. At {curve.amount} {curve.expected_conversion_rate:.1%} are expected to"
            f" convert, for {curve.expected_profit_per_user} {currency} a send.{earns} {curve.evidence}"
        ),
        gain=gain,
        evidence={
            "amount": str(curve.amount),
            "low": str(curve.low),
            "high": str(curve.high),
            "present": str(campaign.offer_amount),
            "sends": sends,
        },
    )


def _amount_gain(curve: OfferCurveRow, present: float, sends: int) -> IntervalEstimate | None:
    """Return what the advised amount earns more; None where the present one lies beyond those tried.

    The curve's errors at two amounts are taken as independent, which makes the interval too wide rather than too
    narrow; that the present amount is not the best is known, so that it does not begin below 0.
    """
    amounts = [float(point["amount"]) for point in curve.curve]
    if not sends or not amounts or not amounts[0] <= present <= amounts[-1]:
        return None
    profits = np.array([point["profit_per_user"] for point in curve.curve], dtype=np.float64)
    now, best = (
        np.array([np.interp(at, amounts, profits[:, end]) for end in range(3)]) for at in (present, float(curve.amount))
    )
    point = max(0.0, float(best[0] - now[0]))
    down = math.hypot(float(best[0] - best[1]), float(now[2] - now[0]))
    up = math.hypot(float(best[2] - best[0]), float(now[0] - now[1]))
    return scaled(IntervalEstimate(point=point, low=max(0.0, point - down), high=point + up), sends)


def advise_hour(situation: Situation, hours: KnownHours | None) -> Iterator[Advice]:
    """Advise each user's own hour where that opens more, beyond doubt, than the hours of sending so far.

    The model is believed only where it foretold sends that it had not seen better than one hour for everyone did.
    """
    timed, total, margin = situation.timed, situation.measures, situation.margin
    if timed is None or hours is None or not hours.foretells or timed.sends < LEAST_SENDS:
        return
    if timed.sent_rate <= 0.0 or total.opened < LEAST_OPENED:
        return
    observed = total.opened / messages(total)
    more = _more_opens(timed, hours.everyone, observed=observed)
    lift = timed.advised_rate / timed.sent_rate - 1.0
    if more.low <= 0.0 or lift < LEAST_LIFT:
        return
    gain = None
    if margin is not None and margin > 0 and total.converted >= LEAST_CONVERTED:
        gain = _worth(more, messages(total), margin * total.converted / total.opened, converted=total.converted)
    currency = situation.campaign.currency
    earns = "" if gain is None else f" In {DAYS} days of {messages(total):,} that is {in_words(gain, currency)} more."
    yield Advice(
        kind=RecommendationKind.SEND_TIME,
        campaign_id=situation.campaign.id,
        title=f"Send at each user's own hour: {lift:.0%} more opens",
        rationale=(
            f"{timed.sends:,} messages to {timed.users:,} users went out at hours at which {timed.sent_rate:.1%} are"
            f" expected to be opened; at the hours advised (`sendTime`) {timed.advised_rate:.1%}. {observed:.1%} were"
            f" opened: that is {100 * more.point:.1f} points more (95 % {100 * more.low:.1f} to"
            f" {100 * more.high:.1f}).{earns}"
            f" The model foretold sends that it had not seen with a log loss of {hours.loss:.4f}; one rate by hour for"
            f" everyone does with {hours.loss_by_everyone:.4f}."
        ),
        gain=gain,
        evidence={
            "sends": timed.sends,
            "users": timed.users,
            "rate_as_sent": timed.sent_rate,
            "rate_at_advised_hours": timed.advised_rate,
            "observed_rate": observed,
            "more_opens": figures(more),
        },
    )


def _more_opens(timed: Timed, everyone: SendTimeRow, *, observed: float) -> IntervalEstimate:
    """Return the difference in open rates, at the level of opens that were observed at the hours of sending.

    Users err each for itself; all together as much as the rate at one hour of the day does, of all sends learned from.
    """
    rate = min(timed.advised_rate, 1.0)
    common = rate * (1.0 - rate) / max(1.0, everyone.sends / HOURS)
    margin = NORMAL_95 * math.sqrt(timed.advised_variance / max(1, timed.users) + common)
    point = timed.advised_rate - timed.sent_rate
    more = IntervalEstimate(point=point, low=point - margin, high=point + margin)
    return scaled(more, observed / timed.sent_rate)


def _worth(more: IntervalEstimate, sends: int, per_open: float, *, converted: int) -> IntervalEstimate:
    """Return more opens as money; what an open is worth errs like the count of conversions behind it."""
    point = more.point * sends * per_open
    relative = math.hypot((more.high - more.low) / 2.0 / more.point, NORMAL_95 / math.sqrt(converted))
    return IntervalEstimate(point=point, low=max(0.0, point * (1.0 - relative)), high=point * (1.0 + relative))
