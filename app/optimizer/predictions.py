"""From what was learned to the rows that are served, by table: the columns of app.store.model_versions.TABLES."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from app.optimizer.effects import LearnedEffects, rows_of
from app.optimizer.offers import LearnedOffers, OfferRow
from app.optimizer.response import Ranked
from app.optimizer.segments import RankedSegments
from app.optimizer.send_times import LearnedSendTimes, SendTimeRow
from app.optimizer.visits import LearnedAffinity
from app.store.model_versions import Rows

type Predictions = Mapping[str, Rows]

CENT = Decimal("0.01")
DIGITS = 6
"""Of a probability: no more is known, and it is written once for each user and hour."""


def of_offers(learned: LearnedOffers, *, at: datetime) -> Predictions:
    """Return a curve a campaign; money with two decimals."""
    return {"offer_curve": [_curve(row, at) for row in learned.rows]}


def _curve(row: OfferRow, at: datetime) -> tuple[object, ...]:
    advice = row.advice
    amounts = (_money(value) for value in (advice.amount.point, advice.amount.low, advice.amount.high))
    profit = _money(advice.profit_per_user.point)
    return row.campaign_id, *amounts, advice.conversion_rate.point, profit, list(row.points), row.evidence, at


def of_send_times(learned: LearnedSendTimes, *, at: datetime) -> Predictions:
    """Return a row for everyone, each segment and each user."""
    return {"send_time_profile": [_send_time(row, learned.weekday, at) for row in learned.rows]}


def _send_time(row: SendTimeRow, weekday: int | None, at: datetime) -> tuple[object, ...]:
    advice, opens = row.advice, row.advice.open_probability
    by_hour = [round(rate, DIGITS) for rate in advice.by_hour]
    known = (row.user_id, row.segment, advice.hour, weekday, row.sends)
    return *known, opens.point, opens.low, opens.high, by_hour, str(advice.evidence), advice.reason, at


def of_affinity(parts: Sequence[LearnedAffinity]) -> Predictions:
    """Return each user's merchants, and those popular with everyone, as the first part knows them."""
    rows = [
        (row.user_id, row.merchant_id, row.rank, row.score, list(row.reasons))
        for number, part in enumerate(parts)
        for row in part.rows
        if row.user_id is not None or number == 0
    ]
    return {"merchant_affinity": rows}


def of_response(ranked: Ranked) -> Predictions:
    """Return each user's live campaigns."""
    columns = (ranked.users, ranked.campaigns, ranked.ranks, ranked.probabilities)
    return {"campaign_response": list(zip(*(column.tolist() for column in columns), strict=True))}


def of_effects(learned: LearnedEffects, *, at: datetime) -> Predictions:
    """Return each campaign's average effect, and each user's where they are told apart."""
    return {"campaign_effect": [(*row, at) for row in rows_of(learned.effects)]}


def of_segments(ranked: RankedSegments, *, at: datetime) -> Predictions:
    """Return the segments of campaigns in which they are told apart."""
    rows = [
        (row.campaign_id, row.segment, row.rank, row.lift, row.low, row.high, list(row.reasons), at)
        for row in ranked.rows
    ]
    return {"segment_rank": rows}


def _money(value: float) -> Decimal:
    return Decimal(value).quantize(CENT)
