"""Merchant affinity on two real logs: 90 days to learn, the next 30 to judge.

Recall@3: the share of the items a user comes to in those 30 days that are among the first three, a mean over users
with visits in both windows. Beside it stand personal frequency, popularity, and two ceilings that know what happens:
three items of those already visited, and three of any. Windows are fixed: the last 120 days of each log. Live offers:
of 20 items drawn, one of which at least the user comes to, three are shown; the share of users shown one they come to.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bench.optimizer_data import Row
from bench.send_hours import baskets, check_ins
from engine.arrays import FloatArray
from engine.learning.affinity import AffinityModel, fit_affinity, recall

LEARN, JUDGE = 90.0, 30.0


def ceiling(came: FloatArray, possible: FloatArray) -> float:
    """Return the recall@3 of one who knows what happens, among possible items."""
    came, possible = came[came.any(axis=1)], possible[came.any(axis=1)]
    return float((np.minimum((came & possible).sum(axis=1), 3) / came.sum(axis=1)).mean())


def learned(events: pd.DataFrame, positions: FloatArray | None) -> tuple[AffinityModel, FloatArray, FloatArray]:
    """Return the model, the visits it knows by user and item, and what happened next."""
    now = events["day"].max() - JUDGE
    before = events[(events["day"] >= now - LEARN) & (events["day"] < now)]
    after = events[events["day"] >= now]
    users = np.unique(before["user"])
    items, codes = np.unique(events["item"], return_inverse=True)
    place = pd.Series(codes, index=events.index)
    shape = (users.size, items.size)
    model = fit_affinity(
        np.searchsorted(users, before["user"]),
        place[before.index].to_numpy(),
        days=before["day"].to_numpy(),
        now=now,
        shape=shape,
        positions=None if positions is None else positions[items - 1],
    )
    visits, came = np.zeros(shape), np.zeros(shape, dtype=bool)
    np.add.at(visits, (np.searchsorted(users, before["user"]), place[before.index].to_numpy()), 1.0)
    after = after[np.isin(after["user"], users)]
    came[np.searchsorted(users, after["user"]), place[after.index].to_numpy()] = True
    return model, visits, came


def among_offers(blended: FloatArray, came: FloatArray, rng: np.random.Generator, *, offers: int = 20) -> float:
    """Return how often three shown of 20 live offers hold one the user comes to, where any does."""
    hits = []
    for user in np.flatnonzero(came.any(axis=1)):
        mine = rng.choice(np.flatnonzero(came[user]))
        others = rng.choice(np.delete(np.arange(came.shape[1]), mine), offers - 1, replace=False)
        live = np.append(others, mine)
        shown = live[np.argsort(-blended[user, live], kind="stable")[:3]]
        hits.append(came[user, shown].any())
    return float(np.mean(hits))


def log_rows(name: str, events: pd.DataFrame, positions: FloatArray | None, share: float) -> list[Row]:
    model, visits, came = learned(events, positions)
    popular = np.broadcast_to((visits > 0).sum(axis=0), visits.shape) + 0.0
    ours, personal = recall(model.blended(), came), recall(visits + 1e-6 * popular, came)
    visited, oracle = ceiling(came, visits > 0), ceiling(came, np.ones_like(came))
    beside = f"visited {visited:.3f}; oracle {oracle:.3f}; personal {personal:.3f}; popular {recall(popular, came):.3f}"
    rows = [
        Row(
            f"affinity: {name}, recall@3 of the visited ceiling",
            f"at least {share:.0%}",
            f"{ours / visited:.1%} ({ours:.3f})",
            ours >= share * visited,
            beside,
        ),
        Row(
            f"affinity: {name}, over personal frequency",
            "at least -0.01",
            f"{ours - personal:+.3f}",
            ours >= personal - 0.01,
        ),
    ]
    if positions is not None:
        return rows
    rng = np.random.default_rng(1)
    live = among_offers(model.blended(), came, rng)
    rows.append(
        Row(
            f"affinity: {name}, 20 live offers, hit@3",
            "at least 0.95",
            f"{live:.3f}",
            live >= 0.95,
            f"popular {among_offers(popular, came, np.random.default_rng(1)):.3f}",
        )
    )
    unseen = came & (visits == 0)
    new, known = recall(model.blended(new=True), unseen), recall(np.where(visits > 0, -np.inf, popular), unseen)
    rows.append(
        Row(f"affinity: {name}, discovery recall@3", "at least 0.39", f"{new:.3f}", new >= 0.39, f"popular {known:.3f}")
    )
    return rows


def rows(data: Path) -> list[Row]:
    """Return the table's rows."""
    venues, stores = check_ins(data), baskets(data)
    result = []
    if venues is not None:
        positions = np.load(data / "foursquare_nyc" / "NYC_POI.npy")[:, 1:]
        result += log_rows("foursquare_nyc", venues, positions, 0.75)
    if stores is not None:
        result += log_rows("completejourney", stores, None, 0.97)
    return result or [Row("affinity", "", "skipped: no data", None)]
