"""Open rates by hour of many users that inform each other: the fit behind the advice on hours.

On the logit scale user u of segment g opens at hour h with theta_uh, hours being circular::

    theta_u ~ Normal(mu_g, S)    mu_g ~ Normal(mu, t**2 S)    mu ~ Normal(base, M)

S is learnt from all users' shapes by EM, with an inverse-Wishart prior whose scale is smooth around the clock: so
neighbouring hours share, and users who open at lunch are known to be a kind. t, how far segments differ beside users,
is learnt too. Each round linearises the likelihood where the fit stands: Breslow and Clayton (1993), "Approximate
inference in generalized linear mixed models", equations 9 and 10.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from engine.arrays import FloatArray, IntArray

HOURS = 24
ROUNDS = 40
TOLERANCE = 1e-3
LEVEL_SPREAD = 0.5
SHAPE_SPREAD = 0.7
MEAN_SPREAD = 2.0
REACH = 2.0
LONGEST_STEP = 1.0
PRIOR_USERS = 10.0
LEAST_SEGMENT_SPREAD = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HourShapes:
    """What is known of open rates by hour, on the logit scale.

    Attributes
    ----------
    common : of everyone: shape (24,)
    segments : of each segment: shape (g, 24)
    spread : covariance of users about their segment: shape (24, 24)
    segment_covariances : of what is known of each segment: shape (g, 24, 24)
    """

    common: FloatArray
    segments: FloatArray
    spread: FloatArray
    segment_covariances: FloatArray

    def users(self, opened: FloatArray, sent: FloatArray, *, segments: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return users' logits and their covariances, shapes (n, 24) and (n, 24, 24), from counts of shape (n, 24)."""
        prior = self.segments[segments]
        precision = np.linalg.inv(self.spread + self.segment_covariances)[segments]
        values = prior
        covariances = np.broadcast_to(self.spread, precision.shape)
        for _ in range(12):
            before = values
            information, answers = linearised(values, opened, sent)
            covariances = np.linalg.inv(precision + diagonal(information))
            values = toward(before, prior + np.einsum("uij,uj->ui", covariances, answers - information * prior))
            if not values.size or np.abs(values - before).max() < TOLERANCE:
                break
        return values, covariances


def circular_covariance(*, level: float, shape: float, reach: float = REACH) -> FloatArray:
    """Return the covariance of a smooth curve around the clock: shape (24, 24), positive definite.

    Parameters
    ----------
    level, shape : standard deviations of the day's level, and of the departures from it, on the logit scale
    reach : hours over which departures stay alike
    """
    hours = np.arange(HOURS)
    apart = np.abs(hours[:, None] - hours[None, :])
    chord = np.sin(np.pi * apart / HOURS) * HOURS / np.pi
    return level**2 + shape**2 * np.exp(-0.5 * (chord / reach) ** 2) + 1e-3 * np.eye(HOURS)


def diagonal(values: FloatArray) -> FloatArray:
    """Return diagonal matrices: shape (n, h, h) for values of shape (n, h)."""
    return values[:, :, None] * np.eye(values.shape[1])


def linearised(values: FloatArray, opened: FloatArray, sent: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the information of the counts at these logits, and information times the working answer."""
    values = np.clip(values, -9.0, 9.0)
    rate = expit(values)
    information = sent * rate * (1.0 - rate)
    return information, information * values + opened - sent * rate


def toward(start: FloatArray, goal: FloatArray) -> FloatArray:
    """Return the goal, or as far towards it as one step may go: Newton's steps overshoot where rates are small."""
    return start + np.clip(goal - start, -LONGEST_STEP, LONGEST_STEP)


def fit_shapes(opened: FloatArray, sent: FloatArray, *, segments: IntArray, count: int) -> HourShapes:
    """Return the shapes of everyone, of segments, and how users differ.

    Parameters
    ----------
    opened, sent : counts by user and local hour, shape (n, 24)
    segments : each user's, in [0, count), shape (n,)
    """
    base = float(logit((opened.sum() + 1.0) / (sent.sum() + 2.0)))
    scale = circular_covariance(level=LEVEL_SPREAD, shape=SHAPE_SPREAD)
    mean_precision = np.linalg.inv(circular_covariance(level=MEAN_SPREAD, shape=MEAN_SPREAD))
    values, spread, variance = np.full(opened.shape, base), scale, 0.1
    common, means, known = np.full(HOURS, base), np.full((count, HOURS), base), np.zeros((count, HOURS, HOURS))
    for _ in range(ROUNDS):
        before = common
        information, answers = linearised(values, opened, sent)
        precision = np.linalg.inv(spread)
        covariances = np.linalg.inv(diagonal(information) + precision)
        gained = precision - precision @ covariances @ precision
        weighted = np.einsum("ij,ujk,uk->ui", precision, covariances, answers)
        common, means, known = _means(
            _by_segment(gained, segments, count),
            _by_segment(weighted, segments, count),
            spread * variance,
            mean_precision,
            base,
        )
        prior = means[segments]
        values = toward(values, prior + np.einsum("uij,uj->ui", covariances, answers - information * prior))
        spread = _spread(values - prior, _departure_covariances(covariances, precision, known[segments]), scale)
        variance = _segment_variance(means - common, known, precision)
        if np.abs(common - before).max() < TOLERANCE:
            break
    return HourShapes(common=common, segments=means, spread=spread, segment_covariances=known)


def _by_segment(values: FloatArray, segments: IntArray, count: int) -> FloatArray:
    total = np.zeros((count, *values.shape[1:]))
    np.add.at(total, segments, values)
    return total


def _means(
    gained: FloatArray, weighted: FloatArray, between: FloatArray, mean_precision: FloatArray, base: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the common mean, the segments' means, and their covariances given the common one."""
    precision = np.linalg.inv(between)
    covariances = np.linalg.inv(gained + precision)
    centred = weighted - gained @ np.full(HOURS, base)
    common_gain = mean_precision + (precision - precision @ covariances @ precision).sum(axis=0)
    right = np.einsum("ij,gjk,gk->i", precision, covariances, centred)
    common = np.linalg.inv(common_gain) @ right
    means = np.einsum("gij,gj->gi", covariances, centred + precision @ common)
    return base + common, base + means, covariances


def _departure_covariances(covariances: FloatArray, precision: FloatArray, known: FloatArray) -> FloatArray:
    """Return how well departures from the segment are known: at hours without a send as well as before any was made.

    Given mu_g the departure is C a - (I - C P) mu_g, with C the user's covariance and P the precision of S.
    """
    moved = np.eye(HOURS) - covariances @ precision
    return covariances + moved @ known @ moved.transpose(0, 2, 1)


def _spread(departures: FloatArray, within: FloatArray, scale: FloatArray) -> FloatArray:
    total = PRIOR_USERS * scale + departures.T @ departures + within.sum(axis=0)
    return total / (PRIOR_USERS + departures.shape[0])


def _segment_variance(departures: FloatArray, within: FloatArray, precision: FloatArray) -> float:
    """Return t**2 by its EM step, kept off 0."""
    squares = np.einsum("gi,ij,gj->", departures, precision, departures) + np.einsum("ij,gji->", precision, within)
    return max(float(squares) / (HOURS * departures.shape[0]), LEAST_SEGMENT_SPREAD**2)
