"""Offer amounts, learned: curves of expected profit by amount, from amounts drawn by lot where there are such."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.optimizer.sends import MICROS
from app.optimizer.threads import one_thread
from app.store.triples import triple
from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import NotEnoughData
from engine.learning.features import FEATURES, Purchases, Sends, response_features
from engine.learning.offers import LEAST_AMOUNTS, OfferAdvice, OfferModel, fit_offers

LEAST_VALUES = 20
"""Conversions with a value from which a campaign's own mean is taken; with fewer, its merchant's."""
LEAST_DRAWN = 100
"""Sends with an amount drawn by lot from which a campaign is learned from those alone."""
KEPT_POINTS = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfferInputs:
    """Sends whose outcome is known, of campaigns of one or more currencies, as columns of shape (n,).

    Attributes
    ----------
    campaigns : ids
    amounts : in micros, at least 0
    drawn : whether the amount was drawn by lot
    converted : 0 or 1
    rows : their places among `sends`, all that were made, which with `purchases` tell what was known before each
    outcome_days : how long after a send a conversion counts
    currencies, merchants : by campaign
    values : what conversions earned, in micros: by campaign, their number and sum
    """

    campaigns: IntArray
    amounts: IntArray
    drawn: NDArray[np.bool_]
    converted: FloatArray
    rows: IntArray
    sends: Sends
    purchases: Purchases
    outcome_days: float
    currencies: Mapping[int, str]
    merchants: Mapping[int, int]
    values: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRow:
    """A campaign's curve and advice; money in units of the campaign's currency."""

    campaign_id: int
    advice: OfferAdvice
    points: tuple[dict[str, Any], ...]
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedOffers:
    """What came of a training: curves, and why others have none."""

    rows: tuple[OfferRow, ...]
    refusals: tuple[tuple[int, str], ...]
    scores: dict[str, Any]


@one_thread()
def learn_offers(inputs: OfferInputs, *, seed: int) -> LearnedOffers:
    """Return the curve of every campaign that bears one. Raises NotEnoughData where none does."""
    features = _features(inputs)
    rows: list[OfferRow] = []
    refusals: dict[int, str] = {}
    scores: list[dict[str, Any]] = []
    for name, members in _pools(inputs):
        try:
            model = _fit(inputs, features, members)
        except NotEnoughData as refusal:
            refusals |= dict.fromkeys(np.unique(inputs.campaigns[members]).tolist(), str(refusal))
            continue
        scores.append(_score(name, model, inputs, members))
        for campaign in np.unique(inputs.campaigns[members]).tolist():
            advised = _advise(model, inputs, members, campaign, seed=seed)
            if isinstance(advised, OfferRow):
                rows.append(advised)
            else:
                refusals[campaign] = advised
    if not rows:
        raise NotEnoughData(_common_reason(refusals))
    return LearnedOffers(rows=tuple(rows), refusals=tuple(refusals.items()), scores={"pools": scores})


def _pools(inputs: OfferInputs) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield sends that are learned from together: of one currency, by lot or not.

    A campaign with enough amounts by lot is learned from these alone: its other amounts somebody chose.
    """
    drawn = _draws_enough(inputs)
    for currency in sorted(set(inputs.currencies.values())):
        mine = [campaign for campaign, known in inputs.currencies.items() if known == currency]
        members = np.isin(inputs.campaigns, mine)
        for by_lot in (True, False):
            found = members & (drawn == by_lot) & (inputs.drawn | (not by_lot))
            if found.any():
                yield f"{currency}, amounts {'drawn by lot' if by_lot else 'chosen'}", found


def _draws_enough(inputs: OfferInputs) -> NDArray[np.bool_]:
    """Return which sends are of campaigns that drew enough amounts by lot."""
    able = [
        campaign
        for campaign in np.unique(inputs.campaigns[inputs.drawn]).tolist()
        if _bears(inputs.amounts[inputs.drawn & (inputs.campaigns == campaign)])
    ]
    return np.isin(inputs.campaigns, able)


def _bears(amounts: IntArray) -> bool:
    return len(amounts) >= LEAST_DRAWN and len(np.unique(amounts)) >= LEAST_AMOUNTS


def _features(inputs: OfferInputs) -> FloatArray:
    """Return what was known before each send and may have decided its amount: shape (n, 6)."""
    offers = inputs.sends.offers.take(inputs.rows)
    known = response_features(offers, inputs.sends, purchases=inputs.purchases, outcome_days=inputs.outcome_days)
    return np.delete(known, FEATURES.index("offer_amount"), axis=1)


def _fit(inputs: OfferInputs, features: FloatArray, members: NDArray[np.bool_]) -> OfferModel:
    return fit_offers(
        inputs.campaigns[members],
        inputs.amounts[members] / MICROS,
        converted=inputs.converted[members],
        features=features[members],
    )


def _advise(
    model: OfferModel, inputs: OfferInputs, members: NDArray[np.bool_], campaign: int, *, seed: int
) -> OfferRow | str:
    """Return a campaign's row, or why there is none."""
    value = _value(inputs, campaign)
    if value is None:
        return (
            f"What a conversion is worth is not known: send the value of conversions, of {LEAST_VALUES} or more, and"
            " train again."
        )
    try:
        advice = model.advise(campaign, value=value, rng=np.random.default_rng([seed, campaign]))
    except NotEnoughData as refusal:
        return str(refusal)
    sends = int((members & (inputs.campaigns == campaign)).sum())
    return OfferRow(
        campaign_id=campaign,
        advice=advice,
        points=tuple(_point(advice, place) for place in _kept(advice)),
        evidence=_evidence(inputs, members, campaign, sends=sends, value=value, warnings=advice.warnings),
    )


def _value(inputs: OfferInputs, campaign: int) -> float | None:
    """Return what a conversion is worth on average: in the campaign, else at its merchant in the same currency."""
    merchant, currency = inputs.merchants[campaign], inputs.currencies[campaign]
    alike = [
        other for other, known in inputs.merchants.items() if known == merchant and inputs.currencies[other] == currency
    ]
    for campaigns in ([campaign], alike):
        known = [inputs.values[other] for other in campaigns if other in inputs.values]
        count, total = sum(one[0] for one in known), sum(one[1] for one in known)
        if count >= LEAST_VALUES and total > 0:
            return total / count / MICROS
    return None


def _kept(advice: OfferAdvice) -> list[int]:
    """Return places on the curve: evenly over it, and the amount advised."""
    last = len(advice.curve) - 1
    even = np.linspace(0, last, KEPT_POINTS).round().astype(int).tolist()
    best = min(range(last + 1), key=lambda place: abs(advice.curve[place].amount - advice.amount.point))
    return sorted({*even, best})


def _point(advice: OfferAdvice, place: int) -> dict[str, Any]:
    point = advice.curve[place]
    return {
        "amount": round(point.amount, 2),
        "conversion_rate": _rounded(point.conversion_rate, 6),
        "profit_per_user": _rounded(point.profit_per_user, 4),
        "gain": _rounded(point.gain, 4),
    }


def _rounded(estimate: IntervalEstimate, digits: int) -> list[float]:
    return [round(value, digits) for value in triple(estimate)]


def _evidence(
    inputs: OfferInputs,
    members: NDArray[np.bool_],
    campaign: int,
    *,
    sends: int,
    value: float,
    warnings: tuple[str, ...],
) -> str:
    mine = members & (inputs.campaigns == campaign)
    amounts = len(np.unique(inputs.amounts[mine]))
    how = "drawn by lot" if bool(inputs.drawn[mine].all()) else "not drawn by lot; what was logged is adjusted for"
    first = (
        f"{sends:,} sends of {amounts} amounts, {how}; {int(inputs.converted[mine].sum()):,} converted, worth"
        f" {value:.2f} each."
    )
    return " ".join((first, *warnings))


def _score(name: str, model: OfferModel, inputs: OfferInputs, members: NDArray[np.bool_]) -> dict[str, Any]:
    check = model.check
    return {
        "pool": name,
        "campaigns": len(model.campaigns),
        "sends": int((members & np.isin(inputs.campaigns, model.campaigns)).sum()),
        "amounts_explained": None if check is None else check.explained,
        "amounts_explained_p_value": None if check is None else check.p_value,
    }


def _common_reason(refusals: Mapping[int, str]) -> str:
    reasons = sorted(set(refusals.values()), key=lambda reason: -list(refusals.values()).count(reason))
    return reasons[0] if reasons else "No send says what it offered: send offers with their amounts, and train again."
