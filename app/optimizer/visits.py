"""Merchant affinity, learned: from purchases and visits to each user's best merchants, and everyone's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.optimizer.threads import one_thread
from app.store.learned import AffinityRow
from engine.arrays import FloatArray, IntArray
from engine.errors import NotEnoughData
from engine.learning.affinity import HELD_OUT, Affinity, AffinityModel, fit_affinity, recall

FIRST = 20
"""Merchants kept for each user."""
FIRST_OF_EVERYONE = 200
"""Merchants kept for everyone: what a new user's offers are told apart by."""
MOST_PAIRS = 4_000_000
"""Users times merchants worked out at once: five scores of eight bytes each, and as much again on the way."""
POPULAR = "popular with everyone"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitInputs:
    """Who came to which merchant when; once a day counts once.

    Attributes
    ----------
    users, merchants : places from 0, shape (n,); their ids are `user_ids` and `merchant_ids`
    days : before `now`, in days, shape (n,)
    positions : of the merchants, WGS 84 degrees, shape (merchants, 2); None where one or more is not known
    """

    users: IntArray
    user_ids: IntArray
    merchants: IntArray
    merchant_ids: IntArray
    days: FloatArray
    now: float
    positions: FloatArray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedAffinity:
    """What came of a training."""

    rows: tuple[AffinityRow, ...]
    scores: dict[str, Any]
    weights: dict[str, list[float]]


def blocks_of_users(inputs: VisitInputs, *, seed: int) -> list[VisitInputs]:
    """Return the users, at random, in parts that are learned from by themselves; one part where they are few.

    A part has so many users that what merchants have in common shows in each.
    """
    count = max(1, -(-len(inputs.user_ids) * len(inputs.merchant_ids) // MOST_PAIRS))
    part = np.random.default_rng(seed).integers(0, count, len(inputs.user_ids))
    return [_part(inputs, np.flatnonzero(part == number)) for number in range(count)]


def _part(inputs: VisitInputs, users: IntArray) -> VisitInputs:
    place = np.full(len(inputs.user_ids), -1)
    place[users] = np.arange(len(users))
    kept = place[inputs.users] >= 0
    return VisitInputs(
        users=place[inputs.users[kept]],
        user_ids=inputs.user_ids[users],
        merchants=inputs.merchants[kept],
        merchant_ids=inputs.merchant_ids,
        days=inputs.days[kept],
        now=inputs.now,
        positions=inputs.positions,
    )


@one_thread()
def learn_affinity(inputs: VisitInputs) -> LearnedAffinity:
    """Return the best merchants of every user, and of everyone. Raises NotEnoughData where visits are too few."""
    if len(inputs.merchant_ids) < 2:
        raise NotEnoughData("Visits to one merchant only say nothing of preferences: train when there are two or more.")
    model = _fit(inputs, before=inputs.now)
    return LearnedAffinity(
        rows=(*_popular(model, inputs), *_own(model, inputs)),
        scores=_scores(inputs),
        weights={"any": model.weights.tolist(), "new": model.new_weights.tolist()},
    )


def _fit(inputs: VisitInputs, *, before: float) -> AffinityModel:
    known = inputs.days < before
    return fit_affinity(
        inputs.users[known],
        inputs.merchants[known],
        days=inputs.days[known],
        now=before,
        shape=(len(inputs.user_ids), len(inputs.merchant_ids)),
        positions=inputs.positions,
    )


def _popular(model: AffinityModel, inputs: VisitInputs) -> Iterator[AffinityRow]:
    popular = model.scores[-1, 0] if model.scores.shape[1] else np.zeros(len(inputs.merchant_ids))
    for rank, item in enumerate(np.argsort(-popular, kind="stable")[:FIRST_OF_EVERYONE].tolist(), start=1):
        merchant = int(inputs.merchant_ids[item])
        yield AffinityRow(user_id=None, merchant_id=merchant, rank=rank, score=float(popular[item]), reasons=(POPULAR,))


def _own(model: AffinityModel, inputs: VisitInputs) -> Iterator[AffinityRow]:
    for user, user_id in enumerate(inputs.user_ids.tolist()):
        for rank, affinity in enumerate(model.rank(user, first=FIRST), start=1):
            yield _row(affinity, inputs, user_id=user_id, rank=rank)


def _row(affinity: Affinity, inputs: VisitInputs, *, user_id: int, rank: int) -> AffinityRow:
    return AffinityRow(
        user_id=user_id,
        merchant_id=int(inputs.merchant_ids[affinity.item]),
        rank=rank,
        score=affinity.score,
        reasons=affinity.reasons,
    )


def _scores(inputs: VisitInputs) -> dict[str, Any]:
    """Return how well the last 30 days were foretold by the days before, beside what is simpler, and the ceiling."""
    split = inputs.now - HELD_OUT
    try:
        model = _fit(inputs, before=split)
        happened = _happened(inputs, split)
        return {
            "held_out_visits": int(happened.sum()),
            "recall_at_3": recall(model.blended(), happened),
            "recall_at_3_by_own_visits": recall(model.scores[0] + 1e-6 * model.scores[-1], happened),
            "recall_at_3_by_popularity": recall(model.scores[-1] + 0.0, happened),
        }
    except NotEnoughData as refusal:
        return {"held_out_visits": 0, "reason": str(refusal)}


def _happened(inputs: VisitInputs, split: float) -> NDArray[np.bool_]:
    """Return who came to what since the split, of users seen before it."""
    came = np.zeros((len(inputs.user_ids), len(inputs.merchant_ids)), dtype=np.bool_)
    late = inputs.days >= split
    came[inputs.users[late], inputs.merchants[late]] = True
    came[np.setdiff1d(np.arange(len(came)), inputs.users[~late])] = False
    return came
