"""The local hour to send at: open rate by hour, shrunk from the user to the segment to everyone.

What counts is the open *rate*: opens at an hour over sends at that hour. The hour with most opens is the hour at which
most was sent, and says more of the sender than of the user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from engine.arrays import BoolArray, FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.hour_classes import HourClasses, fit_hour_classes
from engine.learning.hour_shapes import HOURS, HourShapes, fit_shapes
from engine.levels import error_rate, two_sided_quantile

LEAST_OPENS = 20
USER_SHARE = 0.25
SEGMENT_SENDS = 200
TRIED_SHARE = 0.1


class Evidence(StrEnum):
    """Whose data the advice rests on."""

    USER = "USER"
    SEGMENT = "SEGMENT"
    GLOBAL = "GLOBAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTimeAdvice:
    """When to send to one user.

    Attributes
    ----------
    hour : local, 0 to 23
    open_probability : at that hour, with its interval
    evidence : USER where the user's own counts took away a quarter or more of what was not known of the shape of the
        day; else SEGMENT where the segment has 200 sends or more; else GLOBAL
    by_hour : open probabilities: 24 of them
    reason : in words
    """

    hour: int
    open_probability: IntervalEstimate
    evidence: Evidence
    by_hour: tuple[float, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SendTimeModel:
    """Shapes of the day, learnt from all users.

    Attributes
    ----------
    shapes : the fit
    segment_sends : sends to each segment it rests on: shape (g,)
    tried : hours at which at least a tenth of an even share of all sends was made: shape (24,)
    classes : kinds of days, of several fits that are averaged; none where the counts do not bear them
    """

    shapes: HourShapes
    segment_sends: FloatArray
    tried: BoolArray
    classes: tuple[HourClasses, ...] = ()

    def advise(
        self,
        opened: ArrayLike,
        sent: ArrayLike,
        *,
        segments: ArrayLike,
        quiet: Sequence[int] = (),
        within: int = 0,
        level: float = 0.95,
    ) -> list[SendTimeAdvice]:
        """Return each user's hour, never a quiet one.

        An hour that was hardly ever tried is taken for no better than the mean of those that were: little is known of
        it, and the expectation of an uncertain rate lies nearer to a half than rates do.

        Parameters
        ----------
        opened, sent : counts by local hour, shape (n, 24); all 0 for a user not seen before
        segments : each user's, shape (n,), in [0, g); -1 for a user of no known segment
        quiet : local hours at which nothing is sent
        within : hours on both sides that count as well, 0 to 11: 1 finds the best three hours and names the middle one
        level : of the intervals, in (0, 1)
        """
        opens, sends = _counts(opened, sent)
        places = _segments(segments, len(opens), len(self.segment_sends), unknown=True)
        allowed = _allowed(quiet, within)
        logits, covariances = self._extended().users(opens, sends, segments=places)
        rates, means, variances = self._rates(logits, covariances, opens, sends, places)
        rates = _sober(rates, self.tried)
        hours = best_hours(rates, allowed=allowed, within=within)
        user_shares = self._user_shares(covariances)
        quantile = two_sided_quantile(error_rate(level))
        return [
            self._advice(
                int(hour),
                rates[user],
                means[user],
                variances[user],
                quantile,
                evidence=self._evidence(float(user_shares[user]), int(places[user])),
            )
            for user, hour in enumerate(hours)
        ]

    def _rates(
        self, logits: FloatArray, covariances: FloatArray, opened: FloatArray, sent: FloatArray, places: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return expected rates, and mean and variance of the logits, by the classes where there are such."""
        if not self.classes or not len(sent):
            variances = np.diagonal(covariances, axis1=1, axis2=2)
            return expected_rates(logits, variances), logits, variances
        found = [each.moments(logits, opened, sent, segments=places) for each in self.classes]
        rates, means, variances = (np.mean(part, axis=0) for part in zip(*found, strict=True))
        return rates, means, variances

    def _extended(self) -> HourShapes:
        """Return the shapes with one more segment, that of users without one: everyone's."""
        shapes = self.shapes
        return HourShapes(
            common=shapes.common,
            segments=np.vstack([shapes.segments, shapes.common]),
            spread=shapes.spread,
            segment_covariances=np.concatenate([shapes.segment_covariances, np.zeros((1, HOURS, HOURS))]),
        )

    def _user_shares(self, covariances: FloatArray) -> FloatArray:
        """Return what share of the variance of users' shapes, levels aside, their own counts took away."""
        before = _shape_variance(self.shapes.spread[None])[0]
        return 1.0 - _shape_variance(covariances) / before

    def _evidence(self, user_share: float, segment: int) -> Evidence:
        if user_share >= USER_SHARE:
            return Evidence.USER
        known = segment < len(self.segment_sends) and self.segment_sends[segment] >= SEGMENT_SENDS
        return Evidence.SEGMENT if known and len(self.segment_sends) > 1 else Evidence.GLOBAL

    def _advice(
        self,
        hour: int,
        rates: FloatArray,
        logits: FloatArray,
        variances: FloatArray,
        quantile: float,
        *,
        evidence: Evidence,
    ) -> SendTimeAdvice:
        margin = quantile * float(np.sqrt(variances[hour]))
        limits = expit(logits[[hour, hour]] + np.array([-margin, margin]))
        low, high = float(limits[0]), float(limits[1])
        whose = {Evidence.USER: "the user's own opens", Evidence.SEGMENT: "the segment", Evidence.GLOBAL: "everyone"}
        return SendTimeAdvice(
            hour=hour,
            open_probability=IntervalEstimate(point=float(rates[hour]), low=low, high=high),
            evidence=evidence,
            by_hour=tuple(rates.tolist()),
            reason=f"Opens at {hour}:00 local time are expected {rates[hour] / rates.mean():.1f} times the day's mean,"
            f" by {whose[evidence]}.",
        )


def fit_send_times(opened: ArrayLike, sent: ArrayLike, *, segments: ArrayLike | None = None) -> SendTimeModel:
    """Return the shapes of the day of everyone and of segments, and how users differ.

    Parameters
    ----------
    opened, sent : counts by user and local hour, shape (n, 24), opened at most sent; the hours are those of the user's
        clock at the time of sending, so that time zones and daylight saving are the caller's to apply, event by event
    segments : each user's, shape (n,), in [0, g); all one segment where not given

    Raises
    ------
    NotEnoughData
        fewer than 20 opens, or sends at fewer than three hours
    """
    opens, sends = _counts(opened, sent)
    if opens.sum() < LEAST_OPENS or np.count_nonzero(sends.sum(axis=0)) < 3:
        raise NotEnoughData(
            f"There are {opens.sum():.0f} opens at {np.count_nonzero(sends.sum(axis=0))} hours: send at random hours to"
            f" a share of users until there are {LEAST_OPENS} opens and 3 hours."
        )
    given = np.zeros(len(opens), dtype=np.int64) if segments is None else np.asarray(segments)
    count = int(given.max()) + 1
    places = _segments(given, len(opens), count, unknown=False)
    shapes = fit_shapes(opens, sends, segments=places, count=count)
    return SendTimeModel(
        shapes=shapes,
        segment_sends=np.bincount(places, weights=sends.sum(axis=1), minlength=count),
        tried=sends.sum(axis=0) >= TRIED_SHARE * sends.sum() / HOURS,
        classes=fit_hour_classes(opens, sends, segments=places, count=count, shapes=shapes),
    )


def expected_rates(logits: FloatArray, variances: FloatArray) -> FloatArray:
    """Return E expit(x) for x normal with these means and variances: MacKay (1992), "The evidence framework applied to
    classification networks", equation 12.
    """
    return expit(logits / np.sqrt(1.0 + np.pi / 8.0 * variances))


def best_hours(rates: FloatArray, *, allowed: ArrayLike, within: int = 0) -> IntArray:
    """Return the allowed hour around which rates are highest: shape (n,) for rates of shape (n, 24)."""
    total = np.sum([np.roll(rates, step, axis=1) for step in range(-within, within + 1)], axis=0)
    return np.argmax(np.where(np.asarray(allowed), total, -np.inf), axis=1).astype(np.int64)


def _sober(rates: FloatArray, tried: BoolArray) -> FloatArray:
    """Return rates that at hours not tried are at most the mean of those that were: shape (n, 24)."""
    mean = rates[:, tried].mean(axis=1, keepdims=True)
    return np.where(tried, rates, np.minimum(rates, mean))


def _shape_variance(covariances: FloatArray) -> FloatArray:
    """Return the total variance of hours about the day's mean."""
    centre = np.eye(HOURS) - 1.0 / HOURS
    return np.trace(centre @ covariances @ centre, axis1=1, axis2=2)


def _allowed(quiet: Sequence[int], within: int) -> FloatArray:
    if any(hour not in range(HOURS) for hour in quiet) or len(set(quiet)) >= HOURS:
        raise InvalidInput("Quiet hours are hours from 0 to 23 and never all of them: leave at least one to send at.")
    if within not in range(HOURS // 2):
        raise InvalidInput(f"within is {within}: pass a number of hours from 0 to 11.")
    return np.isin(np.arange(HOURS), list(quiet), invert=True).astype(np.float64)


def _counts(opened: ArrayLike, sent: ArrayLike) -> tuple[FloatArray, FloatArray]:
    opens, sends = np.asarray(opened, dtype=np.float64), np.asarray(sent, dtype=np.float64)
    if opens.ndim != 2 or opens.shape[1] != HOURS or opens.shape != sends.shape:
        raise InvalidInput("Opened and sent need shape (n, 24): pass counts by user and local hour.")
    if not ((opens >= 0.0) & (opens <= sends) & np.isfinite(sends)).all():
        raise InvalidInput("Opened lies between 0 and sent at every hour: count each send as opened once.")
    return opens, sends


def _segments(segments: ArrayLike, users: int, count: int, *, unknown: bool) -> IntArray:
    places = np.asarray(segments)
    least = -1 if unknown else 0
    if places.shape != (users,) or (users and not (int(places.min()) >= least and int(places.max()) < count)):
        raise InvalidInput(f"Segments need shape ({users},), from {least} to {count - 1}: pass one a user.")
    return np.where(places < 0, count, places).astype(np.int64)
