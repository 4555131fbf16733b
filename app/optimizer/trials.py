"""Units that chance divided, one by one: what the effect of a campaign on each is learned from."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.optimizer.local_hours import micros
from app.store.campaigns import UserRow
from app.store.experiments import UnitRow
from engine.arrays import FloatArray, IntArray
from engine.assignment.allocation import Holdout

MOST_UNITS = 20_000
"""So many at most are learned from, drawn at random: forests see no more of a large trial."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """Units of a campaign, of which some were treated by lot.

    Attributes
    ----------
    user_ids : shape (n,)
    segments : as known of each
    treated, converted : 0 or 1, shape (n,)
    propensity : the chance with which each was treated, shape (n,)
    at : when each was, or was not, in microseconds since 1970, shape (n,)
    """

    user_ids: IntArray
    segments: tuple[str, ...]
    treated: FloatArray
    converted: FloatArray
    propensity: FloatArray
    at: IntArray

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.user_ids)

    def some(self, most: int, *, seed: int) -> "Trial":
        """Return so many of the units at most, drawn by lot."""
        if len(self) <= most:
            return self
        kept: IntArray = np.sort(np.random.default_rng(seed).permutation(len(self))[:most])
        return Trial(
            user_ids=self.user_ids[kept],
            segments=tuple(self.segments[int(place)] for place in kept),
            treated=self.treated[kept],
            converted=self.converted[kept],
            propensity=self.propensity[kept],
            at=self.at[kept],
        )


def held_out_trial(users: Sequence[UserRow], buyers: Set[int], holdout: Holdout, *, at: datetime) -> Trial:
    """Return users of whom a share was held out from a time on, by who of them bought."""
    treated = [not holdout.holds(user.external_id) for user in users]
    return Trial(
        user_ids=_whole(user.id for user in users),
        segments=tuple(user.segment or "" for user in users),
        treated=np.array(treated, dtype=np.float64),
        converted=np.array([user.id in buyers for user in users], dtype=np.float64),
        propensity=np.full(len(users), 1.0 - holdout.fraction),
        at=np.full(len(users), micros(at), dtype=np.int64),
    )


def exposed_trial(units: Sequence[UnitRow]) -> Trial:
    """Return the units of a test: those of its control, and those of all its other variants together."""
    return Trial(
        user_ids=_whole(unit.user_id for unit in units),
        segments=tuple(unit.segment for unit in units),
        treated=np.array([unit.treated for unit in units], dtype=np.float64),
        converted=np.array([unit.converted for unit in units], dtype=np.float64),
        propensity=np.array([unit.propensity for unit in units], dtype=np.float64),
        at=_whole(micros(unit.first_exposed_at) for unit in units),
    )


def by_segment(trial: Trial) -> Iterator[tuple[str, IntArray]]:
    """Yield each segment with its counts: treated and converted, treated, control and converted, control."""
    names, places = np.unique(np.array(trial.segments, dtype=object).astype(str), return_inverse=True)
    for place, name in enumerate(names.tolist()):
        mine = places == place
        done = mine & (trial.treated == 1.0)
        alone = mine & (trial.treated == 0.0)
        counts = (trial.converted[done].sum(), done.sum(), trial.converted[alone].sum(), alone.sum())
        yield name, np.array(counts, dtype=np.int64)


def _whole(values: Iterable[int]) -> IntArray:
    return np.fromiter(values, dtype=np.int64)
