"""Promises, what simulation made of them, and whether they hold."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import betainc, betaincinv

from engine.arrays import BoolArray, FloatArray
from engine.errors import InvalidInput

_DOUBT = 1e-3  # a promise is called broken only where chance alone would do as ill less than once in a thousand


class Promise(StrEnum):
    """What a share is promised to be."""

    AT_MOST = "at most"
    ABOUT = "about"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRow:
    """One promise against simulation.

    Attributes
    ----------
    section : what it is part of
    name : what was counted
    count, trials : how often it happened, of how many
    promise : what is promised of its chance; NOTHING for what is shown beside
    promised : the chance promised, a fraction; None where nothing is
    together : how many trials of one run hang together, at least 1; they are judged as if they told no more than one
    """

    section: str
    name: str
    count: int
    trials: int
    promise: Promise
    promised: float | None = None
    together: int = 1

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not 0 <= self.count <= self.trials or self.trials < 1:
            raise InvalidInput(f"{self.count} of {self.trials}: pass a count among at least one trial.")
        if (self.promise is Promise.NOTHING) is not (self.promised is None):
            raise InvalidInput("A promise has a chance and nothing has none: pass both or neither.")

    @property
    def share(self) -> float:
        """Count over trials."""
        return self.count / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the true chance: Clopper and Pearson (1934)."""
        count, others = self._judged
        low = 0.0 if count == 0 else float(betaincinv(count, others + 1, 0.025))
        high = 1.0 if others == 0 else float(betaincinv(count + 1, others, 0.975))
        return low, high

    @property
    def p_value(self) -> float | None:
        """The binomial probability of a share this far, on the side or sides that break the promise."""
        if self.promised is None:
            return None
        if self.promise is Promise.AT_MOST:
            return self._at_least(self.promised)
        return min(1.0, 2.0 * min(self._at_least(self.promised), self._at_most(self.promised)))

    @property
    def holds(self) -> bool | None:
        """Whether the promise is kept, as far as so many trials can tell; None where nothing is promised."""
        return None if self.p_value is None else self.p_value >= _DOUBT

    @property
    def _judged(self) -> tuple[float, float]:
        return self.count / self.together, (self.trials - self.count) / self.together

    def _at_least(self, chance: float) -> float:
        count, others = self._judged
        return 1.0 if count == 0 else float(betainc(count, others + 1, chance))

    def _at_most(self, chance: float) -> float:
        count, others = self._judged
        return 1.0 if others == 0 else float(betainc(others, count + 1, 1.0 - chance))


def counted(
    section: str,
    name: str,
    flags: BoolArray,
    promise: Promise = Promise.NOTHING,
    promised: float | None = None,
    *,
    together: int = 1,
) -> CalibrationRow:
    """Return the row that counts flags, an array of any shape, each a trial; `promised` is left out for NOTHING."""
    return CalibrationRow(
        section=section,
        name=name,
        count=int(flags.sum()),
        trials=flags.size,
        promise=promise,
        promised=None if promise is Promise.NOTHING else promised,
        together=together,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationCurve:
    """Probabilities predicted against shares realised, in bins of equal width.

    Attributes
    ----------
    predicted : mean prediction in each bin that has any, shape (bins,), in [0, 1]
    realised : share in which it came true, shape (bins,)
    predictions : how many in each bin, shape (bins,)
    """

    predicted: FloatArray
    realised: FloatArray
    predictions: FloatArray

    @classmethod
    def of(cls, predicted: FloatArray, came_true: FloatArray, *, bins: int = 10) -> "CalibrationCurve":
        """Return the curve of predictions, shape (n,), and what came of them, 0 or 1, shape (n,)."""
        places = np.minimum((predicted * bins).astype(np.int64), bins - 1)
        counts = np.bincount(places, minlength=bins).astype(np.float64)
        kept = counts > 0
        sums = np.bincount(places, weights=predicted, minlength=bins)[kept]
        hits = np.bincount(places, weights=came_true, minlength=bins)[kept]
        return cls(predicted=sums / counts[kept], realised=hits / counts[kept], predictions=counts[kept])

    @property
    def expected_error(self) -> float:
        """The mean distance between predicted and realised, weighted by predictions: Naeini and others (2015)."""
        return float(np.average(np.abs(self.predicted - self.realised), weights=self.predictions))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationReport:
    """What a calibration found.

    Attributes
    ----------
    rows : promise by promise
    curve : probability of being best, predicted against realised
    ranks : for simulation-based calibration, the rank of the truth among posterior draws, scaled to [0, 1], by
        quantity; empty where it was not asked for
    """

    rows: tuple[CalibrationRow, ...]
    curve: CalibrationCurve
    ranks: dict[str, FloatArray]

    @property
    def holds(self) -> bool:
        """Whether no promise is broken."""
        return all(row.holds is not False for row in self.rows)
