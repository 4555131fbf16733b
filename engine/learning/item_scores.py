"""What speaks for an item to a user: five scores, each over all pairs, from dated visits.

Personal: visits, each worth half after so many days. Neighbours: the items that others who come here visit, by how
many of an item's visitors come to the other too (Deshpande and Karypis, 2004, "Item-based top-N recommendation
algorithms", equation 2). Factors: a
truncated singular value decomposition of the same matrix (Cremonesi and others, 2010, "Performance of recommender
algorithms on top-N recommendation tasks", section 3.3, PureSVD). Near: the distance from the user's own places.
Popular: visits by everyone.
"""

from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray, IntArray

EARTH_RADIUS_KM = 6371.0088
NAMES = ("personal", "neighbours", "factors", "near", "popular")
MOST_FACTORS = 48
FEW_VISITORS = 3.0
POPULARITY_DAMPING = 0.3
ITEMS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visits:
    """Dated visits.

    Attributes
    ----------
    users, items : indices, shape (n,)
    days : when, in days, shape (n,)
    shape : number of users and of items
    """

    users: IntArray
    items: IntArray
    days: FloatArray
    shape: tuple[int, int]

    def before(self, day: float) -> "Visits":
        """Return the visits before a day."""
        kept = self.days < day
        return Visits(users=self.users[kept], items=self.items[kept], days=self.days[kept], shape=self.shape)

    def since(self, day: float) -> "Visits":
        """Return the visits from a day on."""
        kept = self.days >= day
        return Visits(users=self.users[kept], items=self.items[kept], days=self.days[kept], shape=self.shape)

    def decayed(self, now: float, half_life: float) -> FloatArray:
        """Return visits by user and item, each halved every half-life: shape (users, items)."""
        weights = np.exp2(-(now - self.days) / half_life)
        pairs = self.users * self.shape[1] + self.items
        return np.bincount(pairs, weights=weights, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)


def distances(positions: FloatArray, others: FloatArray) -> FloatArray:
    """Return great-circle distances in km: shape (n, m) for positions of shape (n, 2) and (m, 2), WGS 84 degrees."""
    first, second = np.radians(positions)[:, None, :], np.radians(others)[None, :, :]
    north, east = (second[..., 0] - first[..., 0]) / 2.0, (second[..., 1] - first[..., 1]) / 2.0
    square = np.sin(north) ** 2 + np.cos(first[..., 0]) * np.cos(second[..., 0]) * np.sin(east) ** 2
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0)))


def item_scores(visits: Visits, *, now: float, half_life: float, positions: FloatArray | None) -> FloatArray:
    """Return the five scores of every user and item: shape (5, users, items), each in [0, 1] or so.

    Parameters
    ----------
    visits : those known
    now : the day of the advice, in the visits' days
    half_life : in days
    positions : of the items, WGS 84 degrees, shape (items, 2); None where unknown: then nothing is near
    """
    personal = visits.decayed(now, half_life)
    damped = np.log1p(personal)
    popular = np.log1p((personal > 0.0).sum(axis=0))
    return np.stack(
        [
            _relative(damped),
            _relative(_neighbours(damped)),
            _relative(_factors(damped)),
            np.zeros(visits.shape) if positions is None else _near(personal, positions),
            np.broadcast_to(popular / max(popular.max(), 1.0), visits.shape),
        ]
    )


def _relative(scores: FloatArray) -> FloatArray:
    """Return scores as shares of each user's highest."""
    return scores / np.maximum(scores.max(axis=1, keepdims=True), 1e-12)


def _neighbours(damped: FloatArray) -> FloatArray:
    """Return for each pair how much the user's other items are visited by those who visit the item."""
    came = (damped > 0.0).astype(np.float64)
    visitors = came.sum(axis=0) + FEW_VISITORS
    alike = (came.T @ came) / visitors[:, None] / visitors[None, :] ** POPULARITY_DAMPING
    np.fill_diagonal(alike, 0.0)
    return damped @ alike


def _factors(damped: FloatArray) -> FloatArray:
    """Return the visits as so many factors tell them, popular items damped; never below 0."""
    from scipy.sparse.linalg import svds

    count = min(MOST_FACTORS, min(damped.shape) // 4)
    if count < 1 or not damped.any():
        return np.zeros_like(damped)
    weight = 1.0 / np.sqrt((damped > 0.0).sum(axis=0) + 5.0)
    _, _, factors = svds(damped * weight, k=count, v0=np.ones(min(damped.shape)))
    return np.maximum((damped * weight) @ factors.T @ factors / weight, 0.0)


def _near(personal: FloatArray, positions: FloatArray) -> FloatArray:
    """Return the share of the user's visits around each item: exp(-km) weighted over places visited."""
    blocks = np.split(positions, range(ITEMS_AT_ONCE, len(positions), ITEMS_AT_ONCE))
    around = [personal @ np.exp(-distances(positions, block)) for block in blocks]
    return np.hstack(around) / np.maximum(personal.sum(axis=1, keepdims=True), 1e-12)
