"""Which merchants a user will come to: as the active model ranks them; what is popular and near where it knows nothing.

A user that the model has not seen gets what everybody likes, the near before the far where a place is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.optimizer.distances import Place, place_of
from app.store.campaigns import CampaignStore, MerchantRow, UserRow
from app.store.learned import AffinityRow, LearnedStore
from app.store.models.codes import Evidence

MOST = 200
"""Merchants read of each user, and of everyone: at least as many as a training keeps."""
HALVING_KM = 5.0
"""How far away a merchant is half as attractive to somebody of whom only the place is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """A merchant for a user; scores are comparable within the user."""

    merchant: MerchantRow
    score: float
    rank: int
    distance_km: float | None
    evidence: Evidence
    reasons: tuple[str, ...]


class Affinities:
    """Answers which merchants users will come to."""

    def __init__(self, learned: LearnedStore, campaigns: CampaignStore) -> None:
        self._learned = learned
        self._campaigns = campaigns

    async def affinities(
        self, users: Sequence[UserRow], *, first: int, place: Place | None = None
    ) -> dict[int, list[Affinity]]:
        """Return users' best merchants, in two statements; the place is the user's own where not given."""
        rows = await self._learned.affinities({user.id for user in users}, MOST)
        wanted = {row.merchant_id for found in rows.values() for row in found}
        merchants = await self._campaigns.merchants(list(wanted))
        return {user.id: _affinities(user, rows, merchants, place=place)[:first] for user in users}


def nearness(distance_km: float | None) -> float:
    """Return what a score is multiplied by at a distance: 1 on the spot, a half at 5 km, and where it is not known."""
    return 0.5 if distance_km is None else 1.0 / (1.0 + distance_km / HALVING_KM)


def distance_words(distance_km: float) -> str:
    """Return a distance as a reason."""
    return f"{distance_km:.1f} km away" if distance_km >= 1.0 else f"{distance_km * 1000:.0f} m away"


def _affinities(
    user: UserRow,
    rows: Mapping[int | None, Sequence[AffinityRow]],
    merchants: Mapping[int | str, MerchantRow],
    *,
    place: Place | None,
) -> list[Affinity]:
    here = place or place_of(user.latitude, user.longitude)
    own = rows.get(user.id)
    if own:
        found = [_affinity(row, merchants, here, evidence=Evidence.USER) for row in own if row.merchant_id in merchants]
        return _ranked(found)
    everyones = [row for row in rows.get(None, ()) if row.merchant_id in merchants]
    cold = [_affinity(row, merchants, here, evidence=Evidence.GLOBAL) for row in everyones]
    return _ranked(sorted(cold, key=lambda one: -one.score))


def _affinity(
    row: AffinityRow, merchants: Mapping[int | str, MerchantRow], here: Place | None, *, evidence: Evidence
) -> Affinity:
    merchant = merchants[row.merchant_id]
    there = place_of(merchant.latitude, merchant.longitude)
    distance = here.distance_km(there) if here and there else None
    far = () if distance is None else (distance_words(distance),)
    cold = evidence is not Evidence.USER
    return Affinity(
        merchant=merchant,
        score=row.score * nearness(distance) if cold and here else row.score,
        rank=row.rank,
        distance_km=distance,
        evidence=evidence,
        reasons=(*row.reasons, *far, *(("no visit of this user is known yet",) if cold else ())),
    )


def _ranked(found: Iterable[Affinity]) -> list[Affinity]:
    return [replace(one, rank=rank) for rank, one in enumerate(found, 1)]
