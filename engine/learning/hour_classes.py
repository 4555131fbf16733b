"""Kinds of days: users' open rates by hour as a mixture of classes, where the counts bear more than one smooth normal.

    theta_u = m_k + w_u    with probability p_gk    w_u ~ Normal(0, W)    m_k ~ Normal(mu, B)

for user u of segment g on the logit scale, fitted by EM to the likelihood linearised as in hour_shapes: Fraley and
Raftery (2002), "Model-based clustering, discriminant analysis, and density estimation", section 2.2, with the noise of
each user's counts added. Fits with 40 and with 80 classes are averaged, since neither is true.
Whether classes are used at all is decided by a fifth of the counts, which they have not seen.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from engine.arrays import FloatArray, IntArray
from engine.learning.hour_shapes import HOURS, HourShapes, circular_covariance, diagonal, fit_shapes, linearised, toward

COUNTS = (40, 80)
TRIED = 40
LEAST_USERS = 200
MOST_USERS = 2_000
ROUNDS = 25
MEANS_ROUNDS = 20
WITHIN_SHARE = 0.3
PRIOR_WITHIN, PRIOR_BETWEEN = 10.0, 5.0
KEPT_SHARE = 0.2
USERS_AT_ONCE = 500
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HourClasses:
    """Kinds of days.

    Attributes
    ----------
    means : logits by hour: shape (k, 24)
    weights : how common each is in each segment, and at the end in all: shape (g + 1, k)
    within : covariance of users about their class: shape (24, 24)
    """

    means: FloatArray
    weights: FloatArray
    within: FloatArray

    def moments(
        self, start: FloatArray, opened: FloatArray, sent: FloatArray, *, segments: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return users' expected open rates, and mean and variance of their logits: shape (n, 24) each.

        Parameters
        ----------
        start : logits about which the likelihood is linearised first, shape (n, 24)
        opened, sent : counts, shape (n, 24)
        segments : each user's, g for unknown, shape (n,)
        """
        blocks = np.split(np.arange(len(sent)), range(USERS_AT_ONCE, len(sent), USERS_AT_ONCE))
        parts = [self._block(start[rows], opened[rows], sent[rows], self.weights[segments[rows]]) for rows in blocks]
        rates, means, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
        return rates, means, variances

    def _block(
        self, start: FloatArray, opened: FloatArray, sent: FloatArray, weights: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        step = _classified(self, start, opened, sent, weights)
        for _ in range(2):
            values = toward(start, np.einsum("uk,ukh->uh", step.shares, step.logits))
            step = _classified(self, values, opened, sent, weights)
        variance = np.diagonal(step.covariances, axis1=1, axis2=2)
        rates = expit(step.logits / np.sqrt(1.0 + np.pi / 8.0 * variance[:, None, :]))
        mean = np.einsum("uk,ukh->uh", step.shares, step.logits)
        apart = np.einsum("uk,ukh->uh", step.shares, (step.logits - mean[:, None, :]) ** 2)
        return np.einsum("uk,ukh->uh", step.shares, rates), mean, variance + apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Step:
    """Users given each class: shares (n, k), logits (n, k, 24), covariances (n, 24, 24); what classes learn from."""

    shares: FloatArray
    logits: FloatArray
    covariances: FloatArray
    gained: FloatArray
    weighted: FloatArray


def fit_hour_classes(
    opened: FloatArray, sent: FloatArray, *, segments: IntArray, count: int, shapes: HourShapes
) -> tuple[HourClasses, ...]:
    """Return the classes, of several fits; none where a fifth of the counts is predicted no better by them.

    Parameters
    ----------
    opened, sent : counts by user and local hour, shape (n, 24)
    segments : each user's, in [0, count), shape (n,)
    count : of segments
    shapes : fitted to these counts
    """
    if len(sent) < LEAST_USERS:
        return ()
    rng = np.random.default_rng(len(sent))
    rows = rng.permutation(len(sent))[:MOST_USERS]
    opens, sends, places = opened[rows], sent[rows], segments[rows]
    if not _bears_classes(opens, sends, places, count, rng):
        return ()
    return tuple(_fitted(opens, sends, places, count, shapes, number) for number in COUNTS)


def _bears_classes(
    opened: FloatArray, sent: FloatArray, segments: IntArray, count: int, rng: np.random.Generator
) -> bool:
    """Return whether classes learnt from four fifths of the counts predict the fifth better, beyond one error."""
    later = rng.binomial(opened.astype(np.int64), KEPT_SHARE).astype(np.float64)
    missed = rng.binomial((sent - opened).astype(np.int64), KEPT_SHARE).astype(np.float64)
    opens, sends = opened - later, sent - later - missed
    shapes = fit_shapes(opens, sends, segments=segments, count=count)
    logits, covariances = shapes.users(opens, sends, segments=segments)
    rates = expit(logits / np.sqrt(1.0 + np.pi / 8.0 * np.diagonal(covariances, axis1=1, axis2=2)))
    classes = _fitted(opens, sends, segments, count, shapes, TRIED)
    theirs, _, _ = classes.moments(logits, opens, sends, segments=segments)
    gains = _likelihoods(theirs, later, missed) - _likelihoods(rates, later, missed)
    return float(gains.mean()) > float(gains.std()) / np.sqrt(gains.size)


def _likelihoods(rates: FloatArray, opened: FloatArray, missed: FloatArray) -> FloatArray:
    kept = np.clip(rates, SMALLEST, 1.0 - SMALLEST)
    return (opened * np.log(kept) + missed * np.log1p(-kept)).sum(axis=1)


def _fitted(
    opened: FloatArray, sent: FloatArray, segments: IntArray, count: int, shapes: HourShapes, number: int
) -> HourClasses:
    values, _ = shapes.users(opened, sent, segments=segments)
    number = min(number, len(sent) // 5)
    classes = HourClasses(
        means=_first_means(values, shapes.spread, number),
        weights=np.full((count + 1, number), 1.0 / number),
        within=WITHIN_SHARE * shapes.spread,
    )
    between, start = shapes.spread, circular_covariance(level=0.15, shape=0.2)
    for _ in range(ROUNDS):
        step = _classified(classes, values, opened, sent, classes.weights[segments])
        means, known = _means(step, between, shapes.common)
        departures = (step.logits - means) * np.sqrt(step.shares)[:, :, None]
        flat = departures.reshape(-1, HOURS)
        within = PRIOR_WITHIN * start + flat.T @ flat + step.covariances.sum(axis=0)
        apart = means - shapes.common
        between = (PRIOR_BETWEEN * shapes.spread + apart.T @ apart + known.sum(axis=0)) / (PRIOR_BETWEEN + number)
        classes = HourClasses(
            means=means, weights=_weights(step.shares, segments, count), within=within / (PRIOR_WITHIN + len(sent))
        )
        values = toward(values, np.einsum("uk,ukh->uh", step.shares, step.logits))
    return classes


def _classified(
    classes: HourClasses, values: FloatArray, opened: FloatArray, sent: FloatArray, weights: FloatArray
) -> _Step:
    """Return how probable each class is for each user, and the user's logits given each (E step)."""
    information, answers = linearised(values, opened, sent)
    precision = np.linalg.inv(classes.within)
    covariances = np.linalg.inv(diagonal(information) + precision)
    gained = precision - precision @ covariances @ precision
    weighted = np.einsum("uij,uj->ui", covariances, answers) @ precision
    squares = classes.means[:, :, None] * classes.means[:, None, :]
    heights = weighted @ classes.means.T - 0.5 * gained.reshape(len(sent), -1) @ squares.reshape(len(squares), -1).T
    heights += np.log(weights)
    shares = np.exp(heights - heights.max(axis=1, keepdims=True))
    goals = answers[:, None, :] + (classes.means @ precision)[None]
    return _Step(
        shares=shares / shares.sum(axis=1, keepdims=True),
        logits=np.matmul(goals, covariances),
        covariances=covariances,
        gained=gained,
        weighted=weighted,
    )


def _means(step: _Step, between: FloatArray, common: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the classes' means and their covariances."""
    prior = np.linalg.inv(between)
    number = step.shares.shape[1]
    total = (step.shares.T @ step.gained.reshape(len(step.gained), -1)).reshape(number, HOURS, HOURS)
    known = np.linalg.inv(total + prior)
    return np.einsum("kij,kj->ki", known, step.shares.T @ step.weighted + prior @ common), known


def _weights(shares: FloatArray, segments: IntArray, count: int) -> FloatArray:
    """Return how common classes are, a segment a row, each leaning on all users like ten; all users last."""
    number = shares.shape[1]
    everyone = (shares.sum(axis=0) + 1.0 / number) / (len(shares) + 1.0)
    by_segment = np.zeros((count, number))
    np.add.at(by_segment, segments, shares)
    own = (by_segment + 10.0 * everyone) / (by_segment.sum(axis=1, keepdims=True) + 10.0)
    return np.vstack([own, everyone])


def _first_means(values: FloatArray, spread: FloatArray, number: int) -> FloatArray:
    """Return centres of users' logits by k-means, begun at users far apart: Arthur and Vassilvitskii (2007)."""
    rng = np.random.default_rng(number)
    root = np.linalg.cholesky(np.linalg.inv(spread))
    scaled = values @ root
    centres = scaled[:1]
    nearest = ((scaled - centres[0]) ** 2).sum(axis=1)
    while len(centres) < number:
        chosen = scaled[rng.choice(len(scaled), p=nearest / nearest.sum())]
        centres = np.vstack([centres, chosen])
        nearest = np.minimum(nearest, ((scaled - chosen) ** 2).sum(axis=1))
    for _ in range(MEANS_ROUNDS):
        distance = (centres**2).sum(axis=1) - 2.0 * scaled @ centres.T
        place = np.argmin(distance, axis=1)
        sizes = np.bincount(place, minlength=number)
        total = np.zeros_like(centres)
        np.add.at(total, place, scaled)
        centres = np.where(sizes[:, None] > 0, total / np.maximum(sizes, 1)[:, None], centres)
    return centres @ np.linalg.inv(root)
