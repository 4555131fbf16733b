"""Whether a day of the week is worth waiting for: chosen on the earlier weeks, judged on the later ones.

Users and hours differ between days of the week, so that opens are compared with those expected from users and hours
alone (the send-time model's probabilities, summed over the sends). A day is advised only where the later weeks, which
did not choose it, show it above the week's average beyond doubt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.levels import error_rate, two_sided_quantile

DAYS = 7
LEAST_WEEKS = 8
LEAST_OPENS = 20
EARLIER_SHARE = 2 / 3
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekdayAdvice:
    """The day of the week to send on, if any.

    Attributes
    ----------
    weekday : 0 for Monday to 6 for Sunday; None where no day is shown to be better
    lift : opens of the day that the earlier weeks chose, on the later weeks, over the week's average at the same users
        and hours, less 1; a fraction
    reason : in words
    """

    weekday: int | None
    lift: IntervalEstimate
    reason: str


def advise_weekday(opened: ArrayLike, expected: ArrayLike, *, level: float = 0.95) -> WeekdayAdvice:
    """Return the day of the week on which more is opened than users and hours explain, if there is one.

    Parameters
    ----------
    opened : opens by week and day of the week, by the users' own calendars, earliest week first, shape (w, 7)
    expected : opens expected of the same sends from users and hours alone, shape (w, 7), 0 where nothing was sent
    level : of the interval, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than 8 weeks, or the chosen day has fewer than 20 opens in the last third of them

    Notes
    -----
    The interval is that of a ratio of ratios of sums, weeks being the units (delta method): Cochran (1977), "Sampling
    techniques", equation 6.13.
    """
    opens, means = np.asarray(opened, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    _check(opens, means)
    split = round(EARLIER_SHARE * len(opens))
    before, planned = opens[:split].sum(axis=0), means[:split].sum(axis=0)
    ratios = (before + LEAST_OPENS * before.sum() / planned.sum()) / (planned + LEAST_OPENS)
    day = int(np.argmax(np.where(means[split:].sum(axis=0) > 0.0, ratios, -np.inf)))
    lift = _lift(opens[split:], means[split:], day, level)
    if lift.low <= 0.0:
        reason = f"{NAMES[day]} was best before, and is not shown to be better since: any day will do."
        return WeekdayAdvice(weekday=None, lift=lift, reason=reason)
    reason = f"{NAMES[day]} was best before, and since then opens were {lift.point:.0%} above the week's average."
    return WeekdayAdvice(weekday=day, lift=lift, reason=reason)


def _lift(opens: FloatArray, means: FloatArray, day: int, level: float) -> IntervalEstimate:
    own, planned = opens[:, day], means[:, day]
    if own.sum() < LEAST_OPENS:
        raise NotEnoughData(f"{NAMES[day]} has {own.sum():.0f} opens in the later weeks: wait for {LEAST_OPENS}.")
    total, whole = opens.sum(axis=1), means.sum(axis=1)
    ratio = own.sum() / planned.sum() / (total.sum() / whole.sum())
    parts = own / own.sum() - planned / planned.sum() - total / total.sum() + whole / whole.sum()
    error = float(np.sqrt(len(parts) / (len(parts) - 1.0) * (parts @ parts)))
    spread = np.exp(two_sided_quantile(error_rate(level)) * error)
    return IntervalEstimate(point=float(ratio - 1.0), low=float(ratio / spread - 1.0), high=float(ratio * spread - 1.0))


def _check(opens: FloatArray, means: FloatArray) -> None:
    if opens.ndim != 2 or opens.shape[1] != DAYS or opens.shape != means.shape:
        raise InvalidInput("Opened and expected need shape (w, 7): pass sums by week and day of the week.")
    if not (np.isfinite(opens).all() and np.isfinite(means).all() and (opens >= 0.0).all() and (means >= 0.0).all()):
        raise InvalidInput("Opened and expected are finite and at least 0.")
    if len(opens) < LEAST_WEEKS:
        raise NotEnoughData(f"There are {len(opens)} weeks: wait until there are {LEAST_WEEKS}.")
    if not means.sum(axis=0).any() or not means[: round(EARLIER_SHARE * len(means))].any():
        raise NotEnoughData("Nothing was sent: wait for sends.")
