"""Segments ranked by what a treatment changes in them, never by how much they convert: those may convert anyway.

Each segment's effect is the difference of treated and control units, chosen at random, and leans on the other
segments' (pooled_effects). Where the effects do not differ by more than chance there is no ranking, and it is said so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import FloatArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.pooled_effects import Heterogeneity, PooledEffects, heterogeneity, pool_effects
from engine.levels import error_rate, two_sided_quantile
from engine.summaries import MeanSummary, ProportionSummary

type Summary = ProportionSummary | MeanSummary

LEAST_UNITS = 100
LEAST_CONVERTED = 20
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEffect:
    """What the treatment changes in one segment.

    Attributes
    ----------
    segment : its index, as given
    rank : 1 for the greatest effect; None where segments are not told apart
    effect : expected, leaning on the others, in the metric's unit a unit treated: conversion rate, or money
    observed : by itself
    kept : share of its departure from the average that it keeps, in [0, 1]: 1 leans on nothing
    reason : in words
    """

    segment: int
    rank: int | None
    effect: IntervalEstimate
    observed: IntervalEstimate
    kept: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentRanking:
    """All segments that bear an estimate.

    Attributes
    ----------
    segments : best first where they are ranked, else in the order given
    ranked : whether effects differ by more than chance
    heterogeneity : the test of that
    average : effect over segments
    left_out : segments with too few units to say anything, as given
    pooled : the joint posterior, in the order of the segments kept as given
    reason : in words
    """

    segments: tuple[SegmentEffect, ...]
    ranked: bool
    heterogeneity: Heterogeneity
    average: IntervalEstimate
    left_out: tuple[int, ...]
    pooled: PooledEffects
    reason: str

    def expected(self, segments: Sequence[int]) -> FloatArray:
        """Return units' expected effects from their segments' indices; the average for those left out: shape (n,)."""
        known = {each.segment: each.effect.point for each in self.segments}
        return np.array([known.get(int(segment), self.average.point) for segment in segments])


def rank_segments(
    treated: Sequence[Summary], control: Sequence[Summary], *, level: float = 0.95, significant: float = SIGNIFICANT
) -> SegmentRanking:
    """Return the segments by the effect expected in them.

    Parameters
    ----------
    treated, control : a segment each, of one kind: ProportionSummary or MeanSummary; who was treated was random
    level : of the intervals, in (0, 1)
    significant : p-value of Cochran's Q below which segments are told apart, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than two segments have 100 units treated and 100 not, or fewer than 20 units converted (or did not) in all
    """
    if len(treated) != len(control):
        raise InvalidInput(f"{len(treated)} treated segments go with {len(control)} controls: pass one of each.")
    if not 0.0 < significant < 1.0:
        raise InvalidInput(f"significant is {significant}: pass a fraction between 0 and 1, such as 0.05.")
    kept = [place for place, pair in enumerate(zip(treated, control, strict=True)) if _bears(*pair)]
    _check_enough([treated[place] for place in kept], [control[place] for place in kept])
    effects = np.array([_value(treated[place]) - _value(control[place]) for place in kept])
    variances = np.array([_variance(treated[place]) + _variance(control[place]) for place in kept])
    found, pooled = heterogeneity(effects, variances), pool_effects(effects, variances)
    return _ranking(kept, found, pooled, level=level, ranked=found.p_value < significant, given=len(treated))


def _ranking(
    kept: list[int], found: Heterogeneity, pooled: PooledEffects, *, level: float, ranked: bool, given: int
) -> SegmentRanking:
    estimates, average = pooled.estimates(level=level), pooled.average(level=level)
    order = np.argsort([-each.point for each in estimates], kind="stable").tolist() if ranked else range(len(kept))
    margins = two_sided_quantile(error_rate(level)) * np.sqrt(pooled.variances)
    shares = (pooled.between**2 / (pooled.variances[:, None] + pooled.between**2)) @ pooled.weights
    segments = tuple(
        SegmentEffect(
            segment=kept[place],
            rank=rank + 1 if ranked else None,
            effect=estimates[place],
            observed=IntervalEstimate.around(float(pooled.effects[place]), float(margins[place])),
            kept=float(shares[place]),
            reason=_reason(estimates[place], average, float(shares[place]), ranked),
        )
        for rank, place in enumerate(order)
    )
    return SegmentRanking(
        segments=segments,
        ranked=ranked,
        heterogeneity=found,
        average=average,
        left_out=tuple(place for place in range(given) if place not in kept),
        pooled=pooled,
        reason=_summary(found, ranked),
    )


def _reason(effect: IntervalEstimate, average: IntervalEstimate, kept: float, ranked: bool) -> str:
    if not ranked:
        return "Segments do not differ by more than chance: take the average effect."
    side = "above" if effect.point >= average.point else "below"
    sure = "" if effect.low > 0.0 or effect.high < 0.0 else " The interval holds 0."
    return f"The expected effect is {side} the average; {kept:.0%} of it rests on the segment's own units.{sure}"


def _summary(found: Heterogeneity, ranked: bool) -> str:
    figures = f"Cochran's Q {found.q:.1f} on {found.degrees_of_freedom}, p {found.p_value:.2g}"
    if ranked:
        return f"Effects differ between segments ({figures})."
    return f"Effects do not differ between segments by more than chance ({figures}): there is no ranking."


def _bears(treated: Summary, control: Summary) -> bool:
    if type(treated) is not type(control):
        raise InvalidInput("A segment's treated and control are of different kinds: pass one kind of summary.")
    enough = min(treated.count, control.count) >= LEAST_UNITS
    return enough and _variance(treated) + _variance(control) > 0.0


def _check_enough(treated: list[Summary], control: list[Summary]) -> None:
    if len(treated) < 2:
        raise NotEnoughData(
            f"{len(treated)} segments have {LEAST_UNITS} units treated and as many held out: wait until two have."
        )
    counts = [each for each in (*treated, *control) if isinstance(each, ProportionSummary)]
    hits, units = sum(each.converted for each in counts), sum(each.exposed for each in counts)
    if counts and min(hits, units - hits) < LEAST_CONVERTED:
        raise NotEnoughData(f"{hits} of {units} units converted: wait until {LEAST_CONVERTED} did, and did not.")


def _value(summary: Summary) -> float:
    return summary.rate if isinstance(summary, ProportionSummary) else summary.mean


def _variance(summary: Summary) -> float:
    """Return the variance of the rate or mean; of a rate with one hit and one miss added, so that it is never 0."""
    if isinstance(summary, MeanSummary):
        return summary.variance / summary.count
    rate = (summary.converted + 1.0) / (summary.exposed + 2.0)
    return rate * (1.0 - rate) / summary.exposed
