"""The offer amount that earns most: conversion as a monotone curve of the amount, pooled over campaigns.

The curve is causal where amounts were randomised, or where all that decided them is among the features; the advice
says when amounts can be predicted from the features. Draws of the curve are made monotone, joined by monotone cubics
(Fritsch and Carlson, 1980, "Monotone piecewise cubic interpolation"), averaged over the campaign's users (the g-formula
of Robins, 1986), and turned into profit; the amount advised has the highest expected profit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from scipy.special import expit, fdtrc

from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.offer_curves import PooledCurves, Rows, fit_pooled, group_alike
from engine.learning.terms import choose_knots, feature_terms, hat_weights, monotone
from engine.levels import error_rate

LEAST_AMOUNTS = 3
LEAST_OUTCOMES = 20
GRID_POINTS = 120
DRAWS = 1_000
OFFSETS = 16
PREDICTABLE_SHARE = 0.02
PREDICTABLE_P = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountCheck:
    """Whether the amounts were random, as far as the features tell: the built-in test of randomised amounts.

    Attributes
    ----------
    explained : share of the amounts' variance within campaigns that features predict, adjusted, at least 0
    p_value : of the F test that they predict nothing
    predictable : explained is 0.02 or more, and p_value under 0.001
    """

    explained: float
    p_value: float
    predictable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPoint:
    """One amount of a campaign's curve.

    Attributes
    ----------
    amount : in the campaign's currency
    conversion_rate, profit_per_user : posterior mean and equal-tailed interval, at the advice's level
    gain : of the amount advised over this one, in profit a user: both on the same drawn curves
    """

    amount: float
    conversion_rate: IntervalEstimate
    profit_per_user: IntervalEstimate
    gain: IntervalEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAdvice:
    """The amount to offer.

    Attributes
    ----------
    amount : of the highest expected profit a user, and the interval in which the best amount lies
    conversion_rate, profit_per_user : expected at the amount
    curve : over the range of logged amounts
    warnings : in words; empty where nothing is doubtful
    """

    amount: IntervalEstimate
    conversion_rate: IntervalEstimate
    profit_per_user: IntervalEstimate
    curve: tuple[OfferPoint, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfferModel:
    """Curves of all campaigns that bear one.

    Attributes
    ----------
    campaigns : ids, as given, in the order of the curves: shape (c,)
    knots : amounts at which the curves are estimated: shape (m,)
    curves : logits at the knots
    ranges : each campaign's least and greatest logged amount: shape (c, 2)
    offsets : quantiles of the users' terms, on the logit scale: shape (c, 16)
    check : whether features predict the amounts; None where none were given
    """

    campaigns: IntArray
    knots: FloatArray
    curves: PooledCurves
    ranges: FloatArray
    offsets: FloatArray
    check: AmountCheck | None

    def advise(
        self, campaign: int, *, value: float, rng: np.random.Generator, level: float = 0.95, draws: int = DRAWS
    ) -> OfferAdvice:
        """Return the amount to offer.

        Parameters
        ----------
        campaign : its id, as given to the fit
        value : what a conversion earns before the offer is paid, in the amounts' currency, positive
        rng : of the posterior draws behind the intervals
        level : of the intervals, in (0, 1)
        draws : how many, at least 100

        Raises
        ------
        NotEnoughData
            the campaign has sent fewer than three amounts
        """
        if not 0.0 < value < math.inf or draws < 100:
            raise InvalidInput(f"The value is {value}, of {draws} draws: pass a positive value and 100 draws or more.")
        place = self._place(campaign)
        grid = np.linspace(float(self.ranges[place, 0]), float(self.ranges[place, 1]), GRID_POINTS)
        rates = self._drawn(place, grid, rng, draws)
        return _advice(grid, rates, value=value, alpha=error_rate(level), warnings=self._warnings())

    def _place(self, campaign: int) -> int:
        found = np.flatnonzero(self.campaigns == campaign)
        if not found.size:
            raise NotEnoughData(
                f"Insufficient variation: campaign {campaign} has sent fewer than {LEAST_AMOUNTS} amounts. Set an"
                " exploration share with random amounts, and ask again."
            )
        return int(found[0])

    def _drawn(self, place: int, grid: FloatArray, rng: np.random.Generator, draws: int) -> FloatArray:
        root = np.linalg.cholesky(self.curves.covariances[place])
        drawn = self.curves.values[place] + rng.standard_normal((draws, self.knots.size)) @ root.T
        values: FloatArray = PchipInterpolator(np.log1p(self.knots), monotone(drawn), axis=1)(np.log1p(grid))
        return _mean_rates(values, self.offsets[place])

    def _warnings(self) -> tuple[str, ...]:
        if self.check is None:
            return ("No features were logged: the curve is causal only if the amounts were random.",)
        if not self.check.predictable:
            return ()
        text = (
            f"Features predict {self.check.explained:.0%} of the amounts' variance: they are adjusted for, but what"
            " else decided the amounts is not. Send random amounts to a share of users."
        )
        return (text,)


def fit_offers(
    campaigns: ArrayLike, amounts: ArrayLike, *, converted: ArrayLike, features: ArrayLike | None = None
) -> OfferModel:
    """Return all campaigns' curves of conversion by amount.

    Parameters
    ----------
    campaigns : ids, shape (n,), integers
    amounts : what each send offered, shape (n,), finite, at least 0
    converted : whether the send converted, shape (n,), 0 or 1
    features : logged before the send, shape (n, d), finite: recency, frequency and whatever else decided the amount

    Raises
    ------
    NotEnoughData
        no campaign has sent three amounts ("insufficient variation"); or fewer than 20 sends converted, or did not
    """
    ids, doses, outcomes = _checked(campaigns, amounts, converted)
    logged = None if features is None else np.asarray(features, dtype=np.float64)
    if logged is not None and (logged.ndim != 2 or len(logged) != len(ids)):
        raise InvalidInput("Features need shape (n, d): pass one row a send.")
    able = _able(ids, doses)
    kept = np.isin(ids, able)
    ids, doses, outcomes = ids[kept], doses[kept], outcomes[kept]
    _check_outcomes(outcomes)
    terms = np.zeros((ids.size, 0)) if logged is None else feature_terms(logged[kept])
    knots = choose_knots(doses)
    curves = fit_pooled(_rows(able, ids, doses, outcomes, terms, knots))
    effects = terms @ curves.effects
    return OfferModel(
        campaigns=able,
        knots=knots,
        curves=curves,
        ranges=np.array([[doses[ids == each].min(), doses[ids == each].max()] for each in able]),
        offsets=np.array([_offsets(effects[ids == each]) for each in able]),
        check=None if logged is None else check_amounts(ids, doses, features=logged[kept]),
    )


def check_amounts(campaigns: ArrayLike, amounts: ArrayLike, *, features: ArrayLike) -> AmountCheck:
    """Return whether features predict the amounts within campaigns, by an F test of an additive regression.

    Parameters
    ----------
    campaigns, amounts : shape (n,)
    features : shape (n, d), finite
    """
    ids = np.unique(np.asarray(campaigns), return_inverse=True)[1]
    terms = feature_terms(np.asarray(features, dtype=np.float64))
    centred = np.column_stack([_within(ids, column) for column in [np.asarray(amounts, np.float64), *terms.T]])
    target, design = centred[:, 0], centred[:, 1:]
    rank = int(np.linalg.matrix_rank(design)) if design.shape[1] else 0
    spare = target.size - int(ids.max()) - 1 - rank
    total = float(target @ target)
    if rank == 0 or spare < 1 or total <= 0.0:
        return AmountCheck(explained=0.0, p_value=1.0, predictable=False)
    residual = target - design @ np.linalg.lstsq(design, target)[0]
    left = float(residual @ residual)
    p_value = float(fdtrc(rank, spare, ((total - left) / rank) / max(left / spare, 1e-300)))
    explained = max(0.0, 1.0 - (left / spare) / (total / (spare + rank)))
    predictable = explained >= PREDICTABLE_SHARE and p_value < PREDICTABLE_P
    return AmountCheck(explained=explained, p_value=p_value, predictable=predictable)


def _within(groups: IntArray, values: FloatArray) -> FloatArray:
    """Return values less their group's mean."""
    return values - (np.bincount(groups, weights=values) / np.bincount(groups))[groups]


def _able(ids: IntArray, doses: FloatArray) -> IntArray:
    """Return the campaigns that have sent three amounts or more."""
    distinct, counts = np.unique(np.unique(np.column_stack([ids, doses]), axis=0)[:, 0], return_counts=True)
    able = distinct[counts >= LEAST_AMOUNTS].astype(np.int64)
    if not able.size:
        raise NotEnoughData(
            f"Insufficient variation: no campaign has sent {LEAST_AMOUNTS} different amounts. Set an exploration share"
            " with random amounts, and train again."
        )
    return able


def _check_outcomes(outcomes: FloatArray) -> None:
    converted = int(outcomes.sum())
    if min(converted, outcomes.size - converted) < LEAST_OUTCOMES:
        raise NotEnoughData(
            f"{converted} of {outcomes.size} sends converted: train again when {LEAST_OUTCOMES} or more did, and as"
            " many did not."
        )


def _rows(
    able: IntArray, ids: IntArray, doses: FloatArray, outcomes: FloatArray, terms: FloatArray, knots: FloatArray
) -> Sequence[Rows]:
    """Return the campaigns' rows; sends of one amount are counted together where nothing tells them apart."""
    sent = np.ones(ids.size)
    if not terms.shape[1]:
        first, counted, number = group_alike(np.searchsorted(able, ids), doses, outcomes)
        ids, doses, terms = ids[first], doses[first], terms[first]
        outcomes, sent = counted.astype(np.float64), number.astype(np.float64)
    weights = hat_weights(doses, knots)
    members = [ids == each for each in able]
    return [
        Rows(weights=weights[mine], terms=terms[mine], converted=outcomes[mine], sent=sent[mine]) for mine in members
    ]


def _mean_rates(logits: FloatArray, offsets: FloatArray) -> FloatArray:
    """Return rates averaged over users: same shape as the logits."""
    total: FloatArray = np.zeros(logits.shape)
    for offset in offsets.tolist():
        shifted: FloatArray = logits + offset
        total += expit(shifted)
    return total / offsets.size


def _offsets(effects: FloatArray) -> FloatArray:
    return np.quantile(effects, (np.arange(OFFSETS) + 0.5) / OFFSETS)


def _advice(
    grid: FloatArray, rates: FloatArray, *, value: float, alpha: float, warnings: tuple[str, ...]
) -> OfferAdvice:
    profits = rates * (value - grid)
    best = int(np.argmax(profits.mean(axis=0)))
    tails = [alpha / 2.0, 1.0 - alpha / 2.0]
    low, high = np.quantile(grid[np.argmax(profits, axis=1)], tails)
    amount, at_edge = float(grid[best]), best in (0, grid.size - 1)
    edge = ("The best amount is at the edge of those sent: send amounts beyond it.",) if at_edge else ()
    curve = _curve(grid, rates, profits, profits[:, [best]] - profits, tails=tails)
    return OfferAdvice(
        amount=IntervalEstimate(point=amount, low=min(float(low), amount), high=max(float(high), amount)),
        conversion_rate=curve[best].conversion_rate,
        profit_per_user=curve[best].profit_per_user,
        curve=curve,
        warnings=warnings + edge,
    )


def _curve(
    grid: FloatArray, rates: FloatArray, profits: FloatArray, gains: FloatArray, *, tails: list[float]
) -> tuple[OfferPoint, ...]:
    return tuple(
        OfferPoint(amount=float(amount), conversion_rate=rate, profit_per_user=profit, gain=gain)
        for amount, rate, profit, gain in zip(
            grid, *(_estimates(draws, tails) for draws in (rates, profits, gains)), strict=True
        )
    )


def _estimates(draws: FloatArray, tails: list[float]) -> list[IntervalEstimate]:
    low, high = np.quantile(draws, tails, axis=0)
    columns = zip(draws.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
    return [IntervalEstimate(point=point, low=least, high=most) for point, least, most in columns]


def _checked(campaigns: ArrayLike, amounts: ArrayLike, converted: ArrayLike) -> tuple[IntArray, FloatArray, FloatArray]:
    ids, doses = np.asarray(campaigns), np.asarray(amounts, dtype=np.float64)
    outcomes = np.asarray(converted, dtype=np.float64)
    if ids.ndim != 1 or not ids.shape == doses.shape == outcomes.shape:
        raise InvalidInput("Campaigns, amounts and converted need one length: pass one entry a send.")
    if not np.issubdtype(ids.dtype, np.integer) or not (np.isfinite(doses).all() and (doses >= 0.0).all()):
        raise InvalidInput("Campaigns are integers, amounts finite and at least 0: leave out the send or correct it.")
    if not np.isin(outcomes, (0.0, 1.0)).all():
        raise InvalidInput("Converted holds 0 or 1 a send: count a send as converted once.")
    return ids.astype(np.int64), doses, outcomes
