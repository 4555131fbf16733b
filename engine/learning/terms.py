"""Design matrices: amounts as weights on knots, features as additive broken lines, draws made monotone."""

import numpy as np

from engine.arrays import FloatArray
from engine.errors import InvalidInput

MOST_KNOTS = 9


def choose_knots(amounts: FloatArray) -> FloatArray:
    """Return the amounts at which curves are estimated: all of up to nine, else their quantiles.

    Parameters
    ----------
    amounts : shape (n,), at least two of them different

    Returns
    -------
    shape (m,), increasing, 2 <= m <= 9; the least and the greatest amount are among them
    """
    distinct = np.unique(amounts)
    if distinct.size <= MOST_KNOTS:
        return distinct
    return np.unique(np.quantile(amounts, np.linspace(0.0, 1.0, MOST_KNOTS), method="closest_observation"))


def hat_weights(amounts: FloatArray, knots: FloatArray) -> FloatArray:
    """Return each amount's weights on its two neighbouring knots: shape (n, m), rows sum to 1 (linear B-splines)."""
    upper = np.clip(np.searchsorted(knots, amounts, side="left"), 1, knots.size - 1)
    share = np.clip((amounts - knots[upper - 1]) / (knots[upper] - knots[upper - 1]), 0.0, 1.0)
    weights = np.zeros((amounts.size, knots.size))
    rows = np.arange(amounts.size)
    weights[rows, upper - 1] = 1.0 - share
    weights[rows, upper] += share
    return weights


def feature_terms(features: FloatArray) -> FloatArray:
    """Return features as additive broken lines: each standardised, and its part above each quartile.

    Parameters
    ----------
    features : shape (n, d), finite

    Returns
    -------
    shape (n, q), columns centred; constant columns are left out
    """
    if features.ndim != 2 or not np.isfinite(features).all():
        raise InvalidInput("Features need shape (n, d) and finite values: leave out the unit or correct it.")
    spread = features.std(axis=0)
    kept = (features[:, spread > 0.0] - features[:, spread > 0.0].mean(axis=0)) / spread[spread > 0.0]
    quartiles = np.quantile(kept, [0.25, 0.5, 0.75], axis=0)
    terms = np.hstack([kept, *(np.maximum(kept - quartile, 0.0) for quartile in quartiles)])
    return (terms - terms.mean(axis=0))[:, terms.std(axis=0) > 0.0]


def monotone(values: FloatArray) -> FloatArray:
    """Return the nearest rows that never fall: shape (n, m) for values of shape (n, m).

    By the max-min formula of isotonic regression, all rows at once: Robertson, Wright and Dykstra (1988), "Order
    restricted statistical inference", theorem 1.4.4. Applied to draws it gives the projected posterior of Lin and
    Dunson (2014), "Bayesian monotone regression using Gaussian process projection", section 2.
    """
    points = values.shape[1]
    totals = np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)
    result, places = np.empty_like(values), np.arange(points + 1, dtype=np.float64)
    for point in range(points):
        lengths = places[None, point + 1 :] - places[: point + 1, None]
        means: FloatArray = (totals[:, None, point + 1 :] - totals[:, : point + 1, None]) / lengths
        result[:, point] = means.min(axis=2).max(axis=1)
    return result
