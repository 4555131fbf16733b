"""What a treatment changes in each unit: who responds because of an offer, not who responds.

From a randomised holdout with known chances of treatment. T-learner: one forest of the treated, one of the control, and
their difference. X-learner: what the other arm's forest would have expected of each unit, taken from what happened,
learnt in turn by one forest an arm, and both weighed by the chance of treatment: Kunzel and others (2019),
"Metalearners for estimating heterogeneous treatment effects using machine learning", equations 6 to 9.

Both are judged on units that neither has seen, the last by time where there are days, by Qini's coefficient and by how
far the true effect follows the predicted one: the best linear predictor of Chernozhukov and others (2018), "Generic
machine learning inference on heterogeneous treatment effects", equation 3.2, fitted to doubly robust scores (Robins,
Rotnitzky and Zhao, 1994). The effect handed out is the average plus that slope, from 0 to 1, times the prediction's
departure; with a slope not above 0 by more than chance it is the average for all. Its interval is that of the same
line: of the mean effect of units of like prediction, by the errors of the average and of the slope. Leaves are larger
than those of a response model, a fiftieth of the units, because an effect is a small difference of noisy outcomes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import InvalidInput, NotEnoughData
from engine.estimates import about
from engine.learning.features import FEATURES, OUTCOME_DAYS
from engine.learning.learners import fit_forest, predict_forest
from engine.learning.qini import Holdout, qini_interval
from engine.learning.response import split_by_time
from engine.levels import error_rate, two_sided_p, two_sided_quantile

LEAST_ARM = 500
LEAST_OUTCOMES = 30
PARTS = 5
LEAST_LEAF, MOST_LEAF, UNITS_A_LEAF = 50, 400, 50
SIGNIFICANT = 0.05


class MetaLearner(StrEnum):
    """How effects are learnt."""

    T_LEARNER = "T_LEARNER"
    X_LEARNER = "X_LEARNER"


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectPart:
    """A fifth of the units held out, by predicted effect.

    Attributes
    ----------
    units : how many
    predicted : mean effect
    observed : mean effect, with its interval
    """

    units: int
    predicted: float
    observed: IntervalEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentScores:
    """How far predicted effects hold on units they were not learnt from.

    Attributes
    ----------
    learner : which
    qini : coefficient, about 0 for a ranking at random, in the outcome's unit per treated unit
    slope : of the true effect on the predicted one; 1 is perfect, 0 says that the prediction tells nothing
    slope_p_value : one-sided, of a slope of 0 or less
    parts : fifths of the units, by rising prediction
    """

    learner: MetaLearner
    qini: IntervalEstimate
    slope: IntervalEstimate
    slope_p_value: float
    parts: tuple[EffectPart, ...]

    @property
    def told_apart(self) -> bool:
        """Whether units' effects differ, as predicted, by more than chance; either learner may be the one chosen."""
        return self.slope_p_value < SIGNIFICANT / len(MetaLearner)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreatmentModel:
    """Effects of the treatment, as far as they held on later days.

    Attributes
    ----------
    learner : which
    estimators : forests of effects: (treated, control)
    names : of the features, in order
    average, average_error : effect of the treatment, on the units held out, and its standard error
    centre : mean prediction there
    slope, slope_error : in [0, 1]: how much of a prediction's departure from the centre is handed out; and its standard
        error, 0 where nothing of it is
    """

    learner: MetaLearner
    estimators: tuple[Any, Any]
    names: tuple[str, ...]
    average: float
    average_error: float
    centre: float
    slope: float
    slope_error: float

    def effects(self, features: ArrayLike, *, propensity: ArrayLike = 0.5) -> FloatArray:
        """Return each unit's expected effect, in the outcome's unit: shape (n,).

        Parameters
        ----------
        features : shape (n, d), in the order of `names`
        propensity : chance of treatment with which the units are like those learnt from: the X-learner's weight
        """
        return self.average + self.slope * self._departures(features, propensity)

    def intervals(
        self, features: ArrayLike, *, propensity: ArrayLike = 0.5, level: float = 0.95
    ) -> tuple[FloatArray, FloatArray]:
        """Return the ends of the effects' intervals, shape (n,) each: of the mean effect of units of like prediction.

        Parameters
        ----------
        features, propensity : as in `effects`
        level : of the intervals, in (0, 1)
        """
        departures = self._departures(features, propensity)
        margins = two_sided_quantile(error_rate(level)) * np.hypot(self.average_error, departures * self.slope_error)
        effects = self.average + self.slope * departures
        return effects - margins, effects + margins

    def _departures(self, features: ArrayLike, propensity: ArrayLike) -> FloatArray:
        rows = _matrix(features, len(self.names))
        if self.slope == 0.0:
            return np.zeros(len(rows))
        raw = _predicted(self.learner, self.estimators, rows, np.asarray(propensity, dtype=np.float64))
        return raw - self.centre


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreatmentFit:
    """The model in force, and what it was chosen on.

    Attributes
    ----------
    model : fitted on all rows
    active, challenger : by Qini's coefficient on the rows held out
    average : effect on the rows held out
    split_day : first day held out; None where they were drawn by lot
    trained_rows, held_out_rows : of the contest
    reason : in words
    """

    model: TreatmentModel
    active: TreatmentScores
    challenger: TreatmentScores
    average: IntervalEstimate
    split_day: float | None
    trained_rows: int
    held_out_rows: int
    reason: str


def fit_treatment(
    features: ArrayLike,
    holdout: Holdout,
    *,
    days: ArrayLike | None,
    names: Sequence[str] = FEATURES,
    held_out: float = 0.3,
    gap: float = OUTCOME_DAYS,
    seed: int = 0,
    jobs: int = 2,
    level: float = 0.95,
) -> TreatmentFit:
    """Return each unit's expected effect of a treatment, from units treated at random.

    Parameters
    ----------
    features : known before the treatment, shape (n, d), finite
    holdout : outcomes, who was treated, and with what chance, of the n units
    days : of the treatment, or of its absence, shape (n,); None where it was one day for all: the units on which
        effects are judged are then drawn by lot
    names : of the features, d of them
    held_out : share of the rows, the latest if days are given, on which effects are judged, in (0, 0.5]
    gap : days an outcome takes to be known, at least 0
    seed : of the forests' and the bootstrap's draws
    jobs : threads, at least 1
    level : of the intervals, in (0, 1)

    Raises
    ------
    NotEnoughData
        fewer than 500 units to learn from in either arm, or 30 of an outcome; or 50 of either arm held out
    """
    rows = _matrix(features, len(names))
    if len(rows) != len(holdout):
        raise InvalidInput("Features and units need one length: pass one entry a unit.")
    early, late, split_day = _split(len(rows), days, held_out=held_out, gap=gap, seed=seed)
    _check_arms(holdout, early)
    judged = Holdout.of(holdout.outcomes[late], holdout.treated[late], propensity=holdout.propensity[late])
    arms = _arms(rows[early], holdout.take(early), seed=seed, jobs=jobs)
    scores = _robust_scores(arms, rows[late], judged)
    contest: list[tuple[TreatmentScores, FloatArray]] = []
    for learner in MetaLearner:
        estimators = _effect_forests(learner, arms, rows[early], holdout.take(early), seed=seed, jobs=jobs)
        raw = _predicted(learner, estimators, rows[late], judged.propensity)
        contest.append((_scores(learner, raw, judged, scores, seed=seed, level=level), raw))
    (active, raw), (challenger, _) = sorted(contest, key=lambda each: -each[0].qini.point)
    whole = _arms(rows, holdout, seed=seed, jobs=jobs)
    model = TreatmentModel(
        learner=active.learner,
        estimators=_effect_forests(active.learner, whole, rows, holdout, seed=seed, jobs=jobs),
        names=tuple(names),
        average=float(scores.mean()),
        average_error=_mean_error(scores),
        centre=float(raw.mean()),
        slope=min(max(active.slope.point, 0.0), 1.0) if active.told_apart else 0.0,
        slope_error=regression_slope(raw, scores)[1] if active.told_apart else 0.0,
    )
    return TreatmentFit(
        model=model,
        active=active,
        challenger=challenger,
        average=_mean_estimate(scores, level),
        split_day=split_day,
        trained_rows=early.size,
        held_out_rows=late.size,
        reason=_reason(active),
    )


def _split(
    units: int, days: ArrayLike | None, *, held_out: float, gap: float, seed: int
) -> tuple[IntArray, IntArray, float | None]:
    """Return the places of the units to learn from and to judge on, and the first day of the latter."""
    if days is not None:
        when = np.asarray(days, dtype=np.float64)
        if when.shape != (units,) or not np.isfinite(when).all():
            raise InvalidInput("Features, units and days need one length, and days are finite: pass one entry a unit.")
        return split_by_time(when, held_out=held_out, gap=gap)
    if not 0.0 < held_out <= 0.5:
        raise InvalidInput(f"held_out is {held_out}: pass a share of at most 0.5.")
    places = np.random.default_rng(seed).permutation(units)
    early, late = np.split(places, [units - round(held_out * units)])
    return np.sort(early), np.sort(late), None


def _arms(rows: FloatArray, units: Holdout, *, seed: int, jobs: int) -> tuple[Any, Any]:
    """Return the forests of what happens with the treatment, and without."""
    return _two_forests(rows, units.outcomes, units.treated, seed=seed, jobs=jobs)


def _two_forests(
    rows: FloatArray, targets: FloatArray, treated: FloatArray, *, seed: int, jobs: int
) -> tuple[Any, Any]:
    """Return forests of the targets, among the treated and among the control."""
    leaf = min(max(len(rows) // UNITS_A_LEAF, LEAST_LEAF), MOST_LEAF)
    masks = (treated == 1.0, treated == 0.0)
    first, second = (
        fit_forest(rows[mask], targets[mask], seed=seed + place, jobs=jobs, leaf=leaf)
        for place, mask in enumerate(masks)
    )
    return first, second


def _effect_forests(
    learner: MetaLearner, arms: tuple[Any, Any], rows: FloatArray, units: Holdout, *, seed: int, jobs: int
) -> tuple[Any, Any]:
    """Return the arms themselves (T), or the forests of what the other arm would not have expected (X)."""
    if learner is MetaLearner.T_LEARNER:
        return arms
    done = units.treated == 1.0
    departures = np.where(
        done, units.outcomes - predict_forest(arms[1], rows), predict_forest(arms[0], rows) - units.outcomes
    )
    return _two_forests(rows, departures, units.treated, seed=seed + 2, jobs=jobs)


def _predicted(
    learner: MetaLearner, estimators: tuple[Any, Any], rows: FloatArray, propensity: FloatArray
) -> FloatArray:
    first, second = (predict_forest(estimator, rows) for estimator in estimators)
    if learner is MetaLearner.T_LEARNER:
        return first - second
    return propensity * second + (1.0 - propensity) * first


def _robust_scores(arms: tuple[Any, Any], rows: FloatArray, units: Holdout) -> FloatArray:
    """Return scores whose mean, over any units, is those units' mean effect: doubly robust, here with known chances."""
    treated, control = (predict_forest(estimator, rows) for estimator in arms)
    gained = units.treated / units.propensity * (units.outcomes - treated)
    missed = (1.0 - units.treated) / (1.0 - units.propensity) * (units.outcomes - control)
    return treated - control + gained - missed


def _scores(
    learner: MetaLearner, raw: FloatArray, units: Holdout, scores: FloatArray, *, seed: int, level: float
) -> TreatmentScores:
    slope, error = regression_slope(raw, scores)
    p_value = 0.5 * two_sided_p(slope / error) if error > 0.0 else 0.5
    parts = np.array_split(np.argsort(raw, kind="stable"), PARTS)
    return TreatmentScores(
        learner=learner,
        qini=qini_interval(raw, units, rng=np.random.default_rng(seed), level=level),
        slope=about(slope, error, level=level),
        slope_p_value=p_value if slope >= 0.0 else 1.0 - p_value,
        parts=tuple(_part(raw[part], scores[part], level) for part in parts),
    )


def regression_slope(raw: FloatArray, scores: FloatArray) -> tuple[float, float]:
    """Return the regression slope of the scores on the predictions, and its standard error under unequal variances.

    MacKinnon and White (1985), "Some heteroskedasticity-consistent covariance matrix estimators", equation 12 (HC1).
    """
    departure = raw - raw.mean()
    total = float(departure @ departure)
    if total <= 0.0:
        return 0.0, 0.0
    slope = float(departure @ scores) / total
    residual = scores - scores.mean() - slope * departure
    scale = scores.size / (scores.size - 2.0)
    return slope, math.sqrt(scale * float((departure * residual) @ (departure * residual))) / total


def _part(raw: FloatArray, scores: FloatArray, level: float) -> EffectPart:
    return EffectPart(units=raw.size, predicted=float(raw.mean()), observed=_mean_estimate(scores, level))


def _mean_estimate(scores: FloatArray, level: float) -> IntervalEstimate:
    return about(float(scores.mean()), _mean_error(scores), level=level)


def _mean_error(scores: FloatArray) -> float:
    return float(scores.std(ddof=1)) / math.sqrt(scores.size)


def _reason(active: TreatmentScores) -> str:
    figures = f"slope {active.slope.point:.2f}, p {active.slope_p_value:.2g}"
    if active.told_apart:
        return f"Effects differ between units as predicted, on units not learnt from ({figures})."
    return f"Effects do not differ between units, as predicted, by more than chance ({figures}): all get the average."


def _matrix(features: ArrayLike, columns: int) -> FloatArray:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns or not np.isfinite(rows).all():
        raise InvalidInput(f"Features need shape (n, {columns}) and finite values: pass one row a unit.")
    return rows


def _check_arms(units: Holdout, early: IntArray) -> None:
    outcomes, treated = units.outcomes[early], units.treated[early]
    for done, name in ((1.0, "treated"), (0.0, "held out")):
        arm = outcomes[treated == done]
        if arm.size < LEAST_ARM:
            raise NotEnoughData(f"{arm.size} units to learn from are {name}: wait until there are {LEAST_ARM}.")
        most = int(np.unique(arm, return_counts=True)[1].max())
        if arm.size - most < LEAST_OUTCOMES:
            raise NotEnoughData(
                f"All but {arm.size - most} units that are {name} did the same: wait until {LEAST_OUTCOMES} did not."
            )
