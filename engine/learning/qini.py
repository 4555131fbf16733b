"""How well a ranking puts first those whom a treatment changes: Qini's curve on a randomised holdout.

Radcliffe (2007), "Using control groups to target on predicted lift: building and assessing uplift models": treat the
share phi of units ranked first; the gain is what the treated among them responded, less what the control among them
responded, scaled to as many units::

    g(phi) = (R_t(phi) - R_c(phi) N_t(phi) / N_c(phi)) / N_t(1)

and the Qini coefficient is the area between g and the straight line from 0 to g(1), by trapezia. A ranking at random
has about 0. Where the chance of treatment differed between units, each counts by the inverse of its own chance, as in
Horvitz and Thompson (1952), equation 15.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.levels import error_rate

LEAST_UNITS = 50
DRAWS = 200
DRAWS_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QiniCurve:
    """The gain of treating those ranked first.

    Attributes
    ----------
    shares : of the units treated, from 0 to 1; one entry for each different prediction, and 0
    gains : more response than without treatment, per treated unit of all: the response's unit
    """

    shares: FloatArray
    gains: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdout:
    """Units of which some were treated at random.

    Attributes
    ----------
    outcomes : finite, shape (n,)
    treated : 0 or 1, shape (n,)
    propensity : the chance with which each was treated, in (0, 1), shape (n,)
    """

    outcomes: FloatArray
    treated: FloatArray
    propensity: FloatArray

    @classmethod
    def of(cls, outcomes: ArrayLike, treated: ArrayLike, *, propensity: ArrayLike) -> "Holdout":
        """Return the units; the propensity may be one number for all.

        Raises
        ------
        NotEnoughData
            fewer than 50 units treated, or not
        """
        results, done = np.asarray(outcomes, dtype=np.float64), np.asarray(treated, dtype=np.float64)
        if results.ndim != 1 or results.shape != done.shape or not np.isfinite(results).all():
            raise InvalidInput("Outcomes and treated need one length, and outcomes are finite: pass one a unit.")
        chances = np.asarray(propensity, dtype=np.float64)
        if chances.ndim and chances.shape != done.shape:
            raise InvalidInput("The propensity is one number for all, or one a unit.")
        if not np.isin(done, (0.0, 1.0)).all() or not ((chances > 0.0) & (chances < 1.0)).all():
            raise InvalidInput("Treated is 0 or 1, its chance strictly between: leave out units that had no chance.")
        if min(done.sum(), (1.0 - done).sum()) < LEAST_UNITS:
            raise NotEnoughData(
                f"{done.sum():.0f} units are treated and {(1.0 - done).sum():.0f} held out: wait for {LEAST_UNITS} of"
                " each."
            )
        return cls(outcomes=results, treated=done, propensity=np.broadcast_to(chances, done.shape))

    def __len__(self) -> int:
        """Return the number of units."""
        return self.outcomes.size

    def take(self, rows: ArrayLike) -> "Holdout":
        """Return these units: a mask, or places."""
        kept = np.asarray(rows)
        return Holdout(outcomes=self.outcomes[kept], treated=self.treated[kept], propensity=self.propensity[kept])


def qini_curve(predicted: ArrayLike, holdout: Holdout) -> QiniCurve:
    """Return the gain curve of treating units by falling prediction; units of equal prediction are treated alike.

    Parameters
    ----------
    predicted : any score, higher first, shape (n,)
    holdout : the n units
    """
    sums, ends = _sorted_sums(predicted, holdout)
    shares, gains = _curves(sums, ends, np.ones((1, len(holdout))))
    return QiniCurve(shares=shares[0], gains=gains[0])


def qini(predicted: ArrayLike, holdout: Holdout) -> float:
    """Return the Qini coefficient: the area between the gain curve and the line of a ranking at random."""
    curve = qini_curve(predicted, holdout)
    return float(_areas(curve.shares[None], curve.gains[None])[0])


def qini_interval(
    predicted: ArrayLike, holdout: Holdout, *, rng: np.random.Generator, level: float = 0.95, draws: int = DRAWS
) -> IntervalEstimate:
    """Return the Qini coefficient with its basic bootstrap interval over units.

    Davison and Hinkley (1997), "Bootstrap methods and their application", equation 5.6.

    Parameters
    ----------
    predicted, holdout : as in `qini`; predictions must not have been learnt from these units
    rng : of the bootstrap's draws
    level : of the interval, in (0, 1)
    draws : at least 100
    """
    if draws < 100:
        raise InvalidInput(f"There are {draws} draws: pass 100 or more.")
    sums, ends = _sorted_sums(predicted, holdout)
    point = float(_areas(*_curves(sums, ends, np.ones((1, len(holdout)))))[0])
    chances = np.full(len(holdout), 1.0 / len(holdout))
    found = np.concatenate(
        [
            _areas(*_curves(sums, ends, rng.multinomial(len(holdout), chances, size=size).astype(np.float64)))
            for size in _sizes(draws)
        ]
    )
    alpha = error_rate(level)
    low, high = (2.0 * point - np.quantile(found, [1.0 - alpha / 2.0, alpha / 2.0])).tolist()
    return IntervalEstimate(point=point, low=min(low, point), high=max(high, point))


def _sizes(draws: int) -> list[int]:
    return [min(DRAWS_AT_ONCE, draws - first) for first in range(0, draws, DRAWS_AT_ONCE)]


def _sorted_sums(predicted: ArrayLike, holdout: Holdout) -> tuple[FloatArray, IntArray]:
    """Return what each unit adds to N_t, R_t, N_c and R_c, best first: shape (4, n); and where predictions change."""
    scores = np.asarray(predicted, dtype=np.float64)
    if scores.shape != holdout.outcomes.shape or not np.isfinite(scores).all():
        raise InvalidInput("Predicted needs one finite score a unit.")
    order = np.argsort(-scores, kind="stable")
    ranked, units = scores[order], holdout.take(order)
    treated = units.treated / units.propensity
    control = (1.0 - units.treated) / (1.0 - units.propensity)
    sums = np.stack([treated, treated * units.outcomes, control, control * units.outcomes])
    return sums, np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)).astype(np.int64)


def _curves(sums: FloatArray, ends: IntArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return shares and gains at the ends, 0 first, for each row of how often every unit counts."""
    treated, responded, control, alone = (np.cumsum(counts * part, axis=1)[:, ends] for part in sums)
    without = np.where(control > 0.0, alone / np.maximum(control, 1e-12) * treated, 0.0)
    gains = (responded - without) / treated[:, -1:]
    shares = np.cumsum(counts, axis=1)[:, ends] / counts.sum(axis=1, keepdims=True)
    zeros = np.zeros((len(counts), 1))
    return np.hstack([zeros, shares]), np.hstack([zeros, gains])


def _areas(shares: FloatArray, gains: FloatArray) -> FloatArray:
    widths, heights = np.diff(shares, axis=1), 0.5 * (gains[:, 1:] + gains[:, :-1])
    return (widths * heights).sum(axis=1) - 0.5 * gains[:, -1]
