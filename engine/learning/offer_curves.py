"""Curves of conversion by amount, one a campaign, that inform each other: the fit behind the advice on amounts.

On the logit scale campaign c has the values theta_c at the knots; users differ by additive terms of what is logged::

    logit p = weights(amount)' theta_c + terms' gamma    theta_c ~ Normal(mu, S)    mu ~ Normal(0, M)

S, how campaigns differ in level and shape, is learnt from all of them by EM with an inverse-Wishart prior; given S, mu
and gamma come with theta from one penalised, iteratively reweighted regression in which theta is integrated out:
Breslow and Clayton (1993), "Approximate inference in generalized linear mixed models", equations 5, 9 and 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from engine.arrays import FloatArray, IntArray

ROUNDS = 60
LEVEL_SPREAD = 0.6
SHAPE_SPREAD = 0.25
PRIOR_CAMPAIGNS = 2.0
MEAN_LEVEL_SPREAD = 5.0
MEAN_SHAPE_SPREAD = 2.0
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One campaign's sends, those alike counted together.

    Attributes
    ----------
    weights : on the knots: shape (n, m)
    terms : of the features: shape (n, q)
    converted, sent : shape (n,)
    """

    weights: FloatArray
    terms: FloatArray
    converted: FloatArray
    sent: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledCurves:
    """What is known of all campaigns' curves.

    Attributes
    ----------
    values : each campaign's logits at the knots: shape (c, m)
    covariances : of those, with what is not known of the common curve: shape (c, m, m)
    effects : of the features' terms: shape (q,)
    """

    values: FloatArray
    covariances: FloatArray
    effects: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """The reweighted regression's sums, a campaign a row: X'WX, X'WZ, X'Wr, and over all campaigns Z'WZ, Z'Wr."""

    squares: FloatArray
    crossed: FloatArray
    answers: FloatArray
    term_squares: FloatArray
    term_answers: FloatArray


def smooth_covariance(points: int, *, level: float, shape: float) -> FloatArray:
    """Return the covariance of a smooth curve at so many knots: shape (points, points).

    Parameters
    ----------
    points : number of knots, taken as evenly apart
    level, shape : standard deviations, on the logit scale, of the curve's level and of its departures from it
    """
    place = np.linspace(0.0, 1.0, points)
    near = np.exp(-0.5 * ((place[:, None] - place[None, :]) / 0.35) ** 2)
    return level**2 + shape**2 * near + 1e-4 * np.eye(points)


def fit_pooled(rows: Sequence[Rows]) -> PooledCurves:
    """Return all campaigns' curves, each leaning on the others as far as they are alike."""
    points, terms = rows[0].weights.shape[1], rows[0].terms.shape[1]
    scale = smooth_covariance(points, level=LEVEL_SPREAD, shape=SHAPE_SPREAD)
    fixed_precision = np.zeros((points + terms, points + terms))
    fixed_precision[:points, :points] = np.linalg.inv(
        smooth_covariance(points, level=MEAN_LEVEL_SPREAD, shape=MEAN_SHAPE_SPREAD)
    )
    fixed_precision[points:, points:] = 0.1 * np.eye(terms)
    rate = sum(float(each.converted.sum()) + 1.0 for each in rows) / sum(float(each.sent.sum()) + 2.0 for each in rows)
    covariances = np.broadcast_to(scale, (len(rows), points, points))
    values, effects, spread = np.full((len(rows), points), logit(rate)), np.zeros(terms), scale
    for _ in range(ROUNDS):
        sums = _sums(rows, values, effects)
        before = values
        values, covariances, mean, effects, within = _solve(sums, spread, fixed_precision)
        spread = _spread(values - mean, within, scale)
        if np.abs(values - before).max() < TOLERANCE:
            break
    return PooledCurves(values=values, covariances=covariances, effects=effects)


def _sums(rows: Sequence[Rows], values: FloatArray, effects: FloatArray) -> _Sums:
    """Return the sums of the regression linearised where the fit stands."""
    parts = [_linearised(each, value, effects) for each, value in zip(rows, values, strict=True)]
    squares, crossed, answers, term_squares, term_answers = (np.stack(part) for part in zip(*parts, strict=True))
    return _Sums(
        squares=squares,
        crossed=crossed,
        answers=answers,
        term_squares=term_squares.sum(axis=0),
        term_answers=term_answers.sum(axis=0),
    )


def _linearised(rows: Rows, value: FloatArray, effects: FloatArray) -> tuple[FloatArray, ...]:
    position = np.clip(rows.weights @ value + rows.terms @ effects, -12.0, 12.0)
    rate = expit(position)
    information = rows.sent * rate * (1.0 - rate)
    answer = information * position + rows.converted - rows.sent * rate
    weighted, weighted_terms = rows.weights.T * information, rows.terms.T * information
    return (
        weighted @ rows.weights,
        weighted @ rows.terms,
        rows.weights.T @ answer,
        weighted_terms @ rows.terms,
        rows.terms.T @ answer,
    )


def _solve(
    sums: _Sums, spread: FloatArray, fixed_precision: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return values, their covariances, the common curve, the effects, and covariances given the common curve."""
    points = spread.shape[0]
    precision = np.linalg.inv(spread)
    within = np.linalg.inv(sums.squares + precision)
    shrunk = sums.squares @ within
    corner = (sums.crossed - shrunk @ sums.crossed).sum(axis=0)
    crossed_within = np.swapaxes(sums.crossed, 1, 2) @ within
    normal = fixed_precision + np.block(
        [
            [(sums.squares - shrunk @ sums.squares).sum(axis=0), corner],
            [corner.T, sums.term_squares - (crossed_within @ sums.crossed).sum(axis=0)],
        ]
    )
    right = np.concatenate(
        [
            (sums.answers - np.einsum("cij,cj->ci", shrunk, sums.answers)).sum(axis=0),
            sums.term_answers - np.einsum("cij,cj->i", crossed_within, sums.answers),
        ]
    )
    fixed_covariance = np.linalg.inv(normal)
    fixed = fixed_covariance @ right
    mean, effects = fixed[:points], fixed[points:]
    left = sums.answers - sums.crossed @ effects - sums.squares @ mean
    slopes = np.concatenate([within @ precision, -within @ sums.crossed], axis=2)
    covariances = within + slopes @ fixed_covariance @ np.swapaxes(slopes, 1, 2)
    return mean + np.einsum("cij,cj->ci", within, left), covariances, mean, effects, within


def _spread(departures: FloatArray, within: FloatArray, scale: FloatArray) -> FloatArray:
    """Return how campaigns differ: the EM step under an inverse-Wishart prior with mode at the scale."""
    total = PRIOR_CAMPAIGNS * scale + departures.T @ departures + within.sum(axis=0)
    return total / (PRIOR_CAMPAIGNS + departures.shape[0])


def group_alike(campaigns: IntArray, amounts: FloatArray, converted: FloatArray) -> tuple[IntArray, ...]:
    """Return the distinct pairs of campaign and amount, as first rows, and each one's conversions and sends."""
    _, place = np.unique(amounts, return_inverse=True)
    pair = campaigns * (int(place.max()) + 1) + place
    _, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    counted = np.bincount(inverse, weights=converted)
    return first.astype(np.int64), counted.astype(np.int64), np.bincount(inverse).astype(np.int64)
