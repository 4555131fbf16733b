"""Advice on what to send when: the amount of a campaign, and the hour of its messages."""

import math
from collections.abc import Iterator

from app.optimizer.situations import DAYS, KnownHours, Situation, figures, in_words, messages
from app.store.activity import Timed
from app.store.learned import OfferCurveRow
from app.store.measures import Measures
from app.store.models.codes import RecommendationKind
from app.store.recommendations import Advice
from app.store.triples import estimate_of
from engine.effects import IntervalEstimate
from engine.errors import NotEnoughData
from engine.estimates import about, product_of, scaled
from engine.learning.advice import amount_gain

HOURS = 24
LEAST_SENDS = 500
LEAST_OPENED = 20
LEAST_CONVERTED = 20
LEAST_LIFT = 0.05
"""Gains in opens below this are not worth a change of schedule."""


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
    """Return what the advised amount earns more; None where the present one lies beyond those tried."""
    points = [point for point in curve.curve if "gain" in point]  # curves of earlier releases have none
    if not sends or not points:
        return None
    amounts = [float(point["amount"]) for point in points]
    try:
        gain = amount_gain(amounts, [estimate_of(point["gain"]) for point in points], present=present)
    except NotEnoughData:
        return None
    return scaled(gain, sends)


def advise_hour(situation: Situation, hours: KnownHours | None) -> Iterator[Advice]:
    """Advise each user's own hour where that opens more, beyond doubt, than the hours of sending so far.

    The model is believed only where it foretold sends that it had not seen better than one hour for everyone did, and
    as far as sends that happened to go out at the hours it advised bore it out.
    """
    timed, total, margin = situation.timed, situation.measures, situation.margin
    if timed is None or hours is None or not hours.foretells or timed.sends < LEAST_SENDS:
        return
    if timed.sent_rate <= 0.0 or total.opened < LEAST_OPENED:
        return
    observed = total.opened / messages(total)
    more = _more_opens(timed, hours, observed=observed)
    lift = more.point / observed
    if more.low <= 0.0 or lift < LEAST_LIFT:
        return
    gain = None
    if margin is not None and margin > 0 and total.converted >= LEAST_CONVERTED:
        gain = scaled(product_of(more, _worth(margin, total)), messages(total))
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
            f" {100 * more.high:.1f}).{earns} {_judged(hours)}"
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


def _judged(hours: KnownHours) -> str:
    if hours.borne_out is None:
        return "That is the model's own account: too few sends went out at advised hours by chance to judge it."
    share = hours.borne_out
    return (
        f"Of the more opens that it foretold, sends that went out at its hours by chance bore out {share.point:.0%}"
        f" (95 % {share.low:.0%} to {share.high:.0%}), and so much is counted."
    )


def _more_opens(timed: Timed, hours: KnownHours, *, observed: float) -> IntervalEstimate:
    """Return the difference in open rates, at the level of opens that were observed at the hours of sending.

    Users err each for itself; all together as much as the rate at one hour of the day does, of all sends learned from.
    """
    rate = min(timed.advised_rate, 1.0)
    common = rate * (1.0 - rate) / max(1.0, hours.everyone.sends / HOURS)
    error = math.sqrt(timed.advised_variance / max(1, timed.users) + common)
    more = about(timed.advised_rate - timed.sent_rate, error)
    borne_out = more if hours.borne_out is None else product_of(more, hours.borne_out)
    return scaled(borne_out, observed / timed.sent_rate)


def _worth(margin: float, total: Measures) -> IntervalEstimate:
    """Return what an open is worth; it errs like the count of conversions behind it."""
    point = margin * total.converted / total.opened
    return about(point, point / math.sqrt(total.converted))
