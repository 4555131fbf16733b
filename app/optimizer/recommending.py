"""Which live offers to show a user: by the user's affinity to the merchant, how near it is, and how the offer does.

An offer's score is taste × nearness × response, each from 0 to 1.

- taste: the user's affinity to the merchant over the affinity to the best one. Merchants the model does not rank for
  the user come after all it does, by popularity; for users it has not seen popularity is all there is.
- nearness: 1 on the spot, a half at 5 km. It counts where the app says where the user is, and for users of whom
  nothing else is known; what the model knows of a user holds already where the user goes.
- response: 0.9, and up to 0.1 by how likely the user is to convert by this very offer: the response model's word where
  there is one, else the offer's own rate so far. It settles which of a merchant's offers comes first.

Popularity is the active model's; before one is trained, conversions of the live offers so far.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.optimizer.affinities import MOST, distance_words, nearness
from app.optimizer.distances import Place, place_of
from app.runtime.clock import Clock
from app.store.campaigns import CampaignRow, CampaignStore, UserRow
from app.store.learned import AffinityRow, LearnedStore, ResponseRow
from app.store.live_offers import LiveOffer, LiveOffers
from app.store.models.codes import Evidence
from engine.effects import IntervalEstimate

RESPONSE_SHARE = 0.1
PRIOR_DELIVERED = 200
"""An offer's own rate is taken with as much of all offers' rate as this many deliveries would bring."""
UNSEEN = ("no visit of this user is known yet",)

type Targets = Callable[[object, UserRow], bool]
"""Port: whether a campaign's targeting is for a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedOffer:
    """A live offer for a user; scores are comparable within the user, from 0 to 1.

    `effect` is what sending it adds to the chance that the user converts, where chance left some users out.
    """

    campaign: CampaignRow
    score: float
    rank: int
    distance_km: float | None
    evidence: Evidence
    effect: IntervalEstimate | None
    reasons: tuple[str, ...]


class Known:
    """What is known of merchants to one user: affinities where the model has seen it, and what is popular."""

    def __init__(
        self, own: Sequence[AffinityRow], popular: Mapping[int, float], responses: Mapping[int, ResponseRow]
    ) -> None:
        self.own = {row.merchant_id: row for row in own}
        self.responses = responses
        self._popular = popular
        self._best = max((row.score for row in own), default=1.0) or 1.0
        least = min((row.score for row in own), default=self._best) / self._best
        self._unranked = 0.5 * (least if own else min(popular.values(), default=1.0))

    def taste(self, merchant_id: int) -> float:
        """Return the taste for a merchant, from 0 to 1."""
        if not self.own:
            return self._popular.get(merchant_id, self._unranked)
        row = self.own.get(merchant_id)
        return row.score / self._best if row else self._unranked * self._popular.get(merchant_id, 0.0)

    def effect(self, campaign_id: int) -> IntervalEstimate | None:
        """Return what sending a campaign changes in the user, where that is known."""
        row = self.responses.get(campaign_id)
        return None if row is None else row.effect

    def reasons(self, merchant_id: int) -> tuple[str, ...]:
        """Return what speaks for a merchant, in words."""
        row = self.own.get(merchant_id)
        if row is not None:
            return row.reasons
        words = ("popular with everyone",) if self._popular.get(merchant_id, 0.0) > 0.5 else ()
        return words if self.own else (*words, *UNSEEN)


@dataclass(frozen=True, slots=True)
class Scored:
    """A live offer with its score for a user."""

    score: float
    distance_km: float | None
    offer: LiveOffer


class Recommending:
    """Answers which live offers to show users."""

    def __init__(
        self, learned: LearnedStore, offers: LiveOffers, *, campaigns: CampaignStore, targets: Targets, clock: Clock
    ) -> None:
        self._learned = learned
        self._offers = offers
        self._campaigns = campaigns
        self._targets = targets
        self._clock = clock

    async def offers(
        self, users: Sequence[UserRow], *, first: int, place: Place | None = None
    ) -> dict[int, list[RecommendedOffer]]:
        """Return users' best live offers, in four statements; `place` is where they are now."""
        user_ids = {user.id for user in users}
        live = await self._offers.at(self._clock.now())
        affinities = await self._learned.affinities(user_ids, MOST)
        responses = await self._learned.responses(user_ids)
        popular = _popular(affinities.get(None, ()), live)
        known = {user.id: Known(affinities.get(user.id, ()), popular, responses.get(user.id, {})) for user in users}
        best = {user.id: self._best(user, live, known[user.id], place)[:first] for user in users}
        ids = {one.offer.campaign_id for found in best.values() for one in found}
        campaigns = await self._campaigns.campaigns(list(ids))
        return {user_id: _recommended(found, known[user_id], campaigns) for user_id, found in best.items()}

    def _best(self, user: UserRow, live: Sequence[LiveOffer], known: Known, place: Place | None) -> list[Scored]:
        here = place or place_of(user.latitude, user.longitude)
        counts = place is not None or not known.own
        responses = _relative(_rates(live, known.responses))
        found = [
            _scored(offer, known, here, counts=counts, response=responses[offer.campaign_id])
            for offer in live
            if self._targets(offer.targeting, user)
        ]
        return sorted(found, key=lambda one: (-one.score, one.offer.campaign_id))


def _scored(offer: LiveOffer, known: Known, here: Place | None, *, counts: bool, response: float) -> Scored:
    there = place_of(offer.latitude, offer.longitude)
    distance = here.distance_km(there) if here and there else None
    near = nearness(distance) if here and counts else 1.0
    score = known.taste(offer.merchant_id) * near * (1.0 - RESPONSE_SHARE + RESPONSE_SHARE * response)
    return Scored(score, distance, offer)


def _recommended(
    best: Sequence[Scored], known: Known, campaigns: Mapping[int | str, CampaignRow]
) -> list[RecommendedOffer]:
    return [
        RecommendedOffer(
            campaign=campaigns[one.offer.campaign_id],
            score=one.score,
            rank=rank,
            distance_km=one.distance_km,
            evidence=Evidence.USER if one.offer.merchant_id in known.own else Evidence.GLOBAL,
            effect=known.effect(one.offer.campaign_id),
            reasons=(*known.reasons(one.offer.merchant_id), *_more(one.offer, known, one.distance_km)),
        )
        for rank, one in enumerate(best, 1)
    ]


def _more(offer: LiveOffer, known: Known, distance: float | None) -> tuple[str, ...]:
    response = known.responses.get(offer.campaign_id)
    far = () if distance is None else (distance_words(distance),)
    if response is not None:
        return (*far, f"{response.probability:.1%} expected to convert", *_because(response.effect))
    return (*far, f"{offer.converted:,} of {offer.delivered:,} delivered converted so far") if offer.converted else far


def _because(effect: IntervalEstimate | None) -> tuple[str, ...]:
    if effect is None:
        return ()
    points = (100 * end for end in (effect.point, effect.low, effect.high))
    return ("{:+.1f} points of that because it is sent (95 % {:+.1f} to {:+.1f})".format(*points),)


def _popular(rows: Sequence[AffinityRow], live: Sequence[LiveOffer]) -> dict[int, float]:
    """Return merchants' popularity, from 0 to 1: the model's, else live offers' conversions so far."""
    scores = {row.merchant_id: row.score for row in rows}
    if not scores:
        for offer in live:
            scores[offer.merchant_id] = scores.get(offer.merchant_id, 1.0) + offer.converted
    best = max(scores.values(), default=1.0) or 1.0
    return {merchant_id: score / best for merchant_id, score in scores.items()}


def _rates(live: Sequence[LiveOffer], responses: Mapping[int, ResponseRow]) -> dict[int, float]:
    """Return how likely each offer is to convert the user: predicted, else its own rate shrunk to all offers'."""
    delivered, converted = sum(one.delivered for one in live), sum(one.converted for one in live)
    mean = converted / delivered if delivered else 0.0
    own = {
        one.campaign_id: (one.converted + PRIOR_DELIVERED * mean) / (one.delivered + PRIOR_DELIVERED) for one in live
    }
    return own | {id_: row.probability for id_, row in responses.items() if id_ in own}


def _relative(rates: Mapping[int, float]) -> dict[int, float]:
    best = max(rates.values(), default=1.0) or 1.0
    return {id_: rate / best for id_, rate in rates.items()}
