"""Merchant affinity: which merchants a user will come to, from own visits, those of users alike, and the way there.

Five scores (item_scores) are blended by weights chosen on the last days held out: those that put most of what then
happened on top. Two blends are kept, for merchants visited before and for new ones, because what tells them apart
differs; a blend that is not better than personal frequency on the days held out is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import BoolArray, FloatArray, IntArray
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.item_scores import NAMES, Visits, item_scores

HALF_LIFE = 60.0
HELD_OUT = 30.0
LEAST_VISITS = 50
STEPS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
PERSONAL = np.array([1.0, 0.0, 0.0, 0.0, 1e-6])
NEW = np.array([0.0, 1.0, 0.0, 0.0, 1e-3])
PASSES = 2
REASONS = {
    "personal": "visited before, and lately",
    "neighbours": "visited by those who visit the same merchants",
    "factors": "fits the user's kind of merchant",
    "near": "near the places the user visits",
    "popular": "popular with everyone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """One merchant for one user.

    Attributes
    ----------
    item : its index
    score : the blend, at least 0; comparable within the user
    reasons : what made most of the score, in words, most first
    """

    item: int
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffinityModel:
    """Scores of every user and item, and how they are blended.

    Attributes
    ----------
    scores : shape (5, users, items)
    weights : of the five for any item, shape (5,)
    new_weights : of the five for items not visited before, shape (5,)
    """

    scores: FloatArray
    weights: FloatArray
    new_weights: FloatArray

    def blended(self, *, new: bool = False) -> FloatArray:
        """Return the blend of every user and item: shape (users, items); with `new`, -inf where visited before."""
        weights = self.new_weights if new else self.weights
        total = np.tensordot(weights, self.scores, axes=1)
        return np.where(self.scores[0] > 0.0, -np.inf, total) if new else total

    def rank(
        self, user: int, *, first: int = 3, among: Sequence[int] | None = None, new: bool = False
    ) -> list[Affinity]:
        """Return a user's best items.

        Parameters
        ----------
        user : index; one without visits gets what is popular
        first : how many, at least 1
        among : items to choose from: those with a live offer; all where not given
        new : leave out items visited before
        """
        if not 0 <= user < self.scores.shape[1] or first < 1:
            raise InvalidInput(f"User {user}, first {first}: pass a known user's index, and first of at least 1.")
        weights = self.new_weights if new else self.weights
        parts = weights[:, None] * self.scores[:, user]
        total = parts.sum(axis=0)
        items = np.arange(total.size) if among is None else np.unique(np.asarray(among, dtype=np.int64))
        if new:
            items = items[self.scores[0, user, items] <= 0.0]
        best = items[np.argsort(-total[items], kind="stable")[:first]]
        return [Affinity(item=int(i), score=float(total[i]), reasons=_reasons(parts[:, i])) for i in best]


def fit_affinity(
    users: ArrayLike,
    items: ArrayLike,
    *,
    days: ArrayLike,
    now: float,
    shape: tuple[int, int],
    positions: ArrayLike | None = None,
    half_life: float = HALF_LIFE,
    held_out: float = HELD_OUT,
) -> AffinityModel:
    """Return what speaks for every item to every user, on a day.

    Parameters
    ----------
    users, items : indices of who visited (or bought at) what, shape (n,)
    days : when, shape (n,), before `now`
    now : the day of the advice
    shape : number of users and of items
    positions : of the items, WGS 84 degrees, shape (items, 2)
    half_life : of a visit's worth, in days, positive
    held_out : the days before `now` on which the blend is chosen, positive

    Raises
    ------
    NotEnoughData
        fewer than 50 visits before, or in, the days held out
    """
    visits = _checked(users, items, days, now, shape)
    if not (half_life > 0.0 and held_out > 0.0):
        raise InvalidInput("half_life and held_out are days: pass positive numbers.")
    places = None if positions is None else np.asarray(positions, dtype=np.float64)
    if places is not None and (places.shape != (shape[1], 2) or not np.isfinite(places).all()):
        raise InvalidInput(f"Positions need shape ({shape[1]}, 2) and finite degrees: correct them, or pass none.")
    early, late = visits.before(now - held_out), visits.since(now - held_out)
    if min(early.users.size, late.users.size) < LEAST_VISITS:
        raise NotEnoughData(
            f"{early.users.size} visits before and {late.users.size} in the last {held_out:g} days: train again when"
            f" there are {LEAST_VISITS} of each."
        )
    then = item_scores(early, now=now - held_out, half_life=half_life, positions=places)
    happened = np.zeros(shape, dtype=np.bool_)
    happened[late.users, late.items] = True
    return AffinityModel(
        scores=item_scores(visits, now=now, half_life=half_life, positions=places),
        weights=_chosen(PERSONAL, then, happened, new=False),
        new_weights=_chosen(NEW, then, happened, new=True),
    )


def recall(blended: FloatArray, happened: BoolArray, *, first: int = 3) -> float:
    """Return the mean share, over users to whom anything happened, of their items that are among the first so many.

    Parameters
    ----------
    blended : shape (users, items)
    happened : whether the user came, shape (users, items)
    first : how many items count
    """
    came = np.asarray(happened, dtype=np.bool_)
    came, blended = came[came.any(axis=1)], blended[came.any(axis=1)]
    if not came.size:
        raise NotEnoughData("Nothing happened to any user: judge a later window.")
    count = min(first, blended.shape[1])
    top = np.argpartition(-blended, count - 1, axis=1)[:, :count]
    return float((np.take_along_axis(came, top, axis=1).sum(axis=1) / came.sum(axis=1)).mean())


def _chosen(start: FloatArray, scores: FloatArray, happened: BoolArray, *, new: bool) -> FloatArray:
    """Return the weights of the best recall on the days held out, by coordinate search from the start."""
    rows = (happened & (scores[0] <= 0.0) if new else happened).any(axis=1)
    came = happened[rows] & (scores[0][rows] <= 0.0) if new else happened[rows]
    if not rows.any():
        return start
    known = scores[:, rows]
    barred = np.where(known[0] > 0.0, -np.inf, 0.0) if new else 0.0
    weights, best = start.copy(), recall(np.tensordot(start, known, axes=1) + barred, came)
    for place in list(range(1, len(NAMES))) * PASSES:
        base = np.tensordot(np.where(np.arange(len(NAMES)) == place, 0.0, weights), known, axes=1) + barred
        for step in STEPS:
            reached = recall(base + step * known[place], came)
            if reached > best + 1e-9:
                weights[place], best = step, reached
    return weights


def _reasons(parts: FloatArray) -> tuple[str, ...]:
    order = [place for place in np.argsort(-parts).tolist() if parts[place] > 0.2 * max(float(parts.sum()), 1e-12)]
    return tuple(REASONS[NAMES[place]] for place in order)


def _checked(users: ArrayLike, items: ArrayLike, days: ArrayLike, now: float, shape: tuple[int, int]) -> Visits:
    who, what, when = np.asarray(users), np.asarray(items), np.asarray(days, dtype=np.float64)
    if who.ndim != 1 or not who.shape == what.shape == when.shape:
        raise InvalidInput("Users, items and days need one length: pass one entry a visit.")
    if not (_indices(who, shape[0]) and _indices(what, shape[1])):
        raise InvalidInput(f"Users and items are indices below {shape[0]} and {shape[1]}: number them from 0.")
    if not np.isfinite(when).all() or (when.size and float(when.max()) >= now):
        raise InvalidInput("Days are finite and before `now`: leave out the visits after it.")
    return Visits(users=who.astype(np.int64), items=what.astype(np.int64), days=when, shape=shape)


def _indices(values: IntArray, count: int) -> bool:
    return not values.size or (
        np.issubdtype(values.dtype, np.integer) and int(values.min()) >= 0 and int(values.max()) < count
    )
