"""Seven features of a send, each as it stood just before the send: what the response model learns from.

Nothing that happened at the send's own moment or later is in any of them: an open or a purchase counts from the moment
at which it happened, a send that was not answered counts once its time to be answered is over.

=================  ====================================================================================
offer_amount       what the send offers
recency            days since the user's last purchase; the whole look-back where there was none
frequency          purchases in the look-back
monetary_value     what they came to
merchant_affinity  share of the user's purchases, each halved every 60 days, made at the send's merchant,
                   leaning on everyone's share: a user with one purchase says little
hour_fit           open rate of sends to the user within an hour of the send's local hour, leaning on everyone's at
                   these hours: the rate, not the number of opens, which learns the sender's schedule
segment_response   response rate of the user's segment, leaning on everyone's, from which the user's own answers to
                   earlier sends depart: those who answered before answer again
=================  ====================================================================================
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray, IntArray
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.timelines import Timeline

FEATURES = (
    "offer_amount",
    "recency",
    "frequency",
    "monetary_value",
    "merchant_affinity",
    "hour_fit",
    "segment_response",
)
RISING = ("merchant_affinity", "hour_fit", "segment_response")
"""Rates of what the send hopes for, as seen before: with them the probability of a response does not fall."""
LOOK_BACK_DAYS = 90.0
OUTCOME_DAYS = 3.0
HALF_LIFE_DAYS = 60.0
AFFINITY_WEIGHT = 1.0
HOUR_WEIGHT = 5.0
SEGMENT_WEIGHT = 50.0
USER_WEIGHT = 5.0
FIRST_RATE = 0.05
FIRST_WEIGHT = 20.0
HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offers:
    """What is offered to whom, when: sends made, or candidates for one.

    Attributes
    ----------
    users, merchants, segments : indices from 0, shape (n,)
    amounts : what each offers, finite, at least 0, shape (n,)
    days : when, in days since any fixed moment, finite, shape (n,)
    hours : the user's local hour then, 0 to 23, shape (n,)
    """

    users: IntArray
    merchants: IntArray
    segments: IntArray
    amounts: FloatArray
    days: FloatArray
    hours: IntArray

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths, and what is out of range."""
        _one_length(self)
        _indices(self.users, self.merchants, self.segments, self.hours)
        if self.hours.size and int(self.hours.max()) >= HOURS:
            raise InvalidInput("Hours are the user's local hours, 0 to 23: correct them.")
        if not (np.isfinite(self.days).all() and np.isfinite(self.amounts).all() and (self.amounts >= 0.0).all()):
            raise InvalidInput("Days are finite, amounts finite and at least 0: leave out the send or correct it.")

    def __len__(self) -> int:
        """Return the number of offers."""
        return len(self.users)

    def take(self, rows: ArrayLike) -> "Offers":
        """Return these rows: a mask, or places."""
        kept = np.asarray(rows)
        return Offers(**{each.name: getattr(self, each.name)[kept] for each in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sends:
    """Sends made, and what came of them.

    Attributes
    ----------
    offers : what was sent, n of them
    opened : the day on which each was opened, NaN where it was not, shape (n,)
    responded : the day on which each was answered (converted), NaN where it was not, shape (n,)
    """

    offers: Offers
    opened: FloatArray
    responded: FloatArray

    def __post_init__(self) -> None:
        """Refuse outcomes of another length, and outcomes before their send."""
        for outcome in (self.opened, self.responded):
            if outcome.shape != self.offers.days.shape or (outcome < self.offers.days).any():
                raise InvalidInput("Outcomes need one entry a send, never before it: NaN where there was none.")

    def answered(self, *, within: float = OUTCOME_DAYS) -> FloatArray:
        """Return whether each send was answered in time, 0 or 1: shape (n,)."""
        return (self.responded - self.offers.days <= within).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Purchases:
    """What users bought, whether or not a send led to it.

    Attributes
    ----------
    users, merchants : indices from 0, shape (m,)
    days : when, on the scale of the sends' days, shape (m,)
    values : what each came to, finite, shape (m,)
    """

    users: IntArray
    merchants: IntArray
    days: FloatArray
    values: FloatArray

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths, and what is out of range."""
        _one_length(self)
        _indices(self.users, self.merchants)
        if not (np.isfinite(self.days).all() and np.isfinite(self.values).all()):
            raise InvalidInput("Days and values are finite: leave out the purchase or correct it.")


def response_features(
    asked: Offers,
    sends: Sends,
    *,
    purchases: Purchases,
    look_back: float = LOOK_BACK_DAYS,
    outcome_days: float = OUTCOME_DAYS,
) -> FloatArray:
    """Return the seven features of each offer as of its own day: shape (n, 7), in the order of FEATURES.

    Parameters
    ----------
    asked : the offers: `sends.offers` to learn from them, others to predict
    sends, purchases : all that is known, in any order; whatever is not before an offer's day is not used for it
    look_back : days over which recency, frequency and monetary value look back, positive
    outcome_days : days within which an answer counts, positive

    Returns
    -------
    shape (n, 7), finite; money in the unit given, recency in days, shares and rates in [0, 1)
    """
    if not (look_back > 0.0 and outcome_days > 0.0):
        raise InvalidInput("look_back and outcome_days are days: pass positive numbers.")
    return np.column_stack(
        [
            asked.amounts,
            *_recency_frequency_value(asked, purchases, look_back),
            _merchant_affinity(asked, purchases),
            _hour_fit(asked, sends),
            _segment_response(asked, sends, outcome_days),
        ]
    )


def training_rows(
    days: ArrayLike, *, now: float, look_back: float = LOOK_BACK_DAYS, outcome_days: float = OUTCOME_DAYS
) -> IntArray:
    """Return the places of the sends to learn from: those of the look-back whose time to be answered is over.

    Parameters
    ----------
    days : of the sends, shape (n,)
    now : the day of the training, on the same scale

    Raises
    ------
    NotEnoughData
        there is none
    """
    when = np.asarray(days, dtype=np.float64)
    rows = np.flatnonzero((when >= now - look_back) & (when + outcome_days <= now))
    if not rows.size:
        raise NotEnoughData(f"No send of the last {look_back:g} days has had its {outcome_days:g} days: train later.")
    return rows.astype(np.int64)


def _recency_frequency_value(asked: Offers, purchases: Purchases, look_back: float) -> tuple[FloatArray, ...]:
    line = Timeline.of(purchases.users, purchases.days)
    since = asked.days - look_back
    spans = line.spans(asked.users, asked.days, since=since)
    recency = asked.days - line.latest(spans, otherwise=since)
    return recency, line.sums(spans), line.sums(spans, purchases.values)


def _merchant_affinity(asked: Offers, purchases: Purchases) -> FloatArray:
    """Return (own at the merchant + everyone's share) / (own anywhere + 1), purchases halved every half-life."""
    count = 1 + max((int(each.max()) for each in (asked.merchants, purchases.merchants) if each.size), default=0)
    start = float(purchases.days.min()) if purchases.days.size else 0.0
    weights = np.exp2((purchases.days - start) / HALF_LIFE_DAYS)
    age = np.exp2(-(asked.days - start) / HALF_LIFE_DAYS)

    def worth(kinds: IntArray, wanted: IntArray) -> FloatArray:
        line = Timeline.of(kinds, purchases.days)
        return np.maximum(line.sums(line.spans(wanted, asked.days), weights) * age, 0.0)

    pairs, wanted = purchases.users * count + purchases.merchants, asked.users * count + asked.merchants
    everyone = worth(np.zeros_like(purchases.users), np.zeros_like(asked.users))
    share = worth(purchases.merchants, asked.merchants) / (everyone + 1.0)
    return (worth(pairs, wanted) + AFFINITY_WEIGHT * share) / (worth(purchases.users, asked.users) + AFFINITY_WEIGHT)


def _hour_fit(asked: Offers, sends: Sends) -> FloatArray:
    """Return open rates within an hour of that asked about: the user's, shrunk to everyone's, shrunk to the day's."""
    offers, seen = sends.offers, np.isfinite(sends.opened)
    kinds = offers.users * HOURS + offers.hours
    sent = Timeline.of(kinds, offers.days)
    opened = Timeline.of(kinds[seen], sends.opened[seen])
    all_sent, all_opened = Timeline.of(offers.hours, offers.days), Timeline.of(offers.hours[seen], sends.opened[seen])

    def near(line: Timeline, base: IntArray | int) -> FloatArray:
        hours = [(asked.hours + step) % HOURS for step in (-1, 0, 1)]
        return np.sum([line.sums(line.spans(base + hour, asked.days)) for hour in hours], axis=0)

    whole, nobody = np.zeros_like(offers.users), np.zeros_like(asked.users)
    day_sent, day_opened = Timeline.of(whole, offers.days), Timeline.of(whole[seen], sends.opened[seen])
    day = _shrunk(
        day_opened.sums(day_opened.spans(nobody, asked.days)),
        day_sent.sums(day_sent.spans(nobody, asked.days)),
        FIRST_RATE,
        FIRST_WEIGHT,
    )
    everyone = _shrunk(near(all_opened, 0), near(all_sent, 0), day, SEGMENT_WEIGHT)
    own = asked.users * HOURS
    return _shrunk(near(opened, own), near(sent, own), everyone, HOUR_WEIGHT)


def _segment_response(asked: Offers, sends: Sends, outcome_days: float) -> FloatArray:
    """Return response rates over sends whose time is over: the user's, shrunk to the segment's, to everyone's."""
    answered, known = sends.answered(within=outcome_days), sends.offers.days + outcome_days

    def rate(kinds: IntArray, wanted: IntArray, prior: FloatArray | float, weight: float) -> FloatArray:
        line = Timeline.of(kinds, known)
        spans = line.spans(wanted, asked.days)
        return _shrunk(line.sums(spans, answered), line.sums(spans), prior, weight)

    offers = sends.offers
    everyone = rate(np.zeros_like(offers.users), np.zeros_like(asked.users), FIRST_RATE, FIRST_WEIGHT)
    segment = rate(offers.segments, asked.segments, everyone, SEGMENT_WEIGHT)
    return rate(offers.users, asked.users, segment, USER_WEIGHT)


def _shrunk(hits: FloatArray, tries: FloatArray, prior: FloatArray | float, weight: float) -> FloatArray:
    return (hits + weight * prior) / (tries + weight)


def _one_length(columns: "Offers | Purchases") -> None:
    shapes = {np.shape(getattr(columns, each.name)) for each in fields(columns)}
    if len(shapes) != 1 or len(shapes.pop()) != 1:
        raise InvalidInput("The columns need one length: pass one entry an event.")


def _indices(*columns: IntArray) -> None:
    for column in columns:
        if not np.issubdtype(column.dtype, np.integer) or (column.size and int(column.min()) < 0):
            raise InvalidInput("Users, merchants, segments and hours are integers from 0: number them.")
