"""Who responds to a send: a Random Forest and its challenger, judged on days that neither has seen.

Rows are split by time: the last fifth is held out, and rows whose outcome was not yet known when it began are left out
of the learning. Both learners are judged there; the one of the lower log loss becomes active, and is fitted once more
on all rows. The scores kept are those from before that second fit.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.arrays import FloatArray, IntArray
from engine.errors import InvalidInput, NotEnoughData
from engine.learning.features import FEATURES, OUTCOME_DAYS, RISING
from engine.learning.learners import Learner, fit_learner, predict_learner
from engine.learning.scoring import Scores, auc, score

LEAST_ROWS = 500
LEAST_OUTCOMES = 30
LEAST_HELD_OUT = 10
IMPORTANCE_ROWS = 5_000
IMPORTANCE_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseModel:
    """A fitted learner.

    Attributes
    ----------
    learner : which
    estimator : scikit-learn's RandomForestRegressor, or HistGradientBoostingClassifier
    names : of the features, in order
    """

    learner: Learner
    estimator: Any
    names: tuple[str, ...]

    def predict(self, features: ArrayLike) -> FloatArray:
        """Return the probability of a response: shape (n,), for features of shape (n, d) in the order of `names`."""
        return predict_learner(self.learner, self.estimator, _matrix(features, len(self.names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What a feature is worth.

    Attributes
    ----------
    feature : its name
    importance : by how much the AUC falls when its values are shuffled among the rows held out; about 0 or below: none
    standard_deviation : of that, over three shuffles
    """

    feature: str
    importance: float
    standard_deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One learner on the rows held out.

    Attributes
    ----------
    learner : which
    scores : on the rows held out
    importances : most first
    seconds : of wall time for fitting
    """

    learner: Learner
    scores: Scores
    importances: tuple[Importance, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseFit:
    """The active model, and the contest it won.

    Attributes
    ----------
    model : fitted on all rows
    active : the candidate it was
    challenger : the other one
    split_day : first day held out
    trained_rows, held_out_rows : of the contest
    rows : of the model
    baseline_log_loss : on the rows held out, of predicting the training rows' rate for all
    """

    model: ResponseModel
    active: Candidate
    challenger: Candidate
    split_day: float
    trained_rows: int
    held_out_rows: int
    rows: int
    baseline_log_loss: float


def fit_response(
    features: ArrayLike,
    responded: ArrayLike,
    *,
    days: ArrayLike,
    names: Sequence[str] = FEATURES,
    rising: Sequence[str] = RISING,
    held_out: float = 0.2,
    gap: float = OUTCOME_DAYS,
    seed: int = 0,
    jobs: int = 2,
) -> ResponseFit:
    """Return the model of the probability of a response that is better on the last days.

    Parameters
    ----------
    features : as of each send's own moment, shape (n, d), finite: `response_features` makes them
    responded : whether the send was answered in time, 0 or 1, shape (n,)
    days : of the sends, shape (n,)
    names : of the features, d of them
    rising : those with which the probability must not fall; names that are not among the features do not count
    held_out : share of the rows, the latest, on which the learners are judged, in (0, 0.5]
    gap : days an outcome takes to be known: rows so close before the split are not learnt from, at least 0
    seed : of the forest's draws and the shuffles
    jobs : threads, at least 1

    Raises
    ------
    NotEnoughData
        fewer than 500 rows, or fewer than 30 (held out: 10) that were answered or were not
    """
    rows = _matrix(features, len(names))
    outcomes, when = np.asarray(responded, dtype=np.float64), np.asarray(days, dtype=np.float64)
    _check(rows, outcomes, when)
    early, late, split_day = split_by_time(when, held_out=held_out, gap=gap)
    _check_outcomes(outcomes[early], outcomes[late])
    labels = tuple(names)
    fitting = _Fitting(names=labels, rising=tuple(labels.index(n) for n in rising if n in labels), seed=seed, jobs=jobs)
    contest = [_candidate(learner, rows, outcomes, early=early, late=late, fitting=fitting) for learner in Learner]
    active, challenger = sorted(contest, key=lambda candidate: candidate.scores.log_loss)
    return ResponseFit(
        model=fitting.fitted(active.learner, rows, outcomes),
        active=active,
        challenger=challenger,
        split_day=split_day,
        trained_rows=early.size,
        held_out_rows=late.size,
        rows=outcomes.size,
        baseline_log_loss=score(outcomes[late], np.full(late.size, outcomes[early].mean())).log_loss,
    )


def split_by_time(days: ArrayLike, *, held_out: float = 0.2, gap: float = 0.0) -> tuple[IntArray, IntArray, float]:
    """Return the places of the rows to learn from and to judge on, and the first day of the latter.

    Parameters
    ----------
    days : shape (n,), finite
    held_out : share of the rows that are judged on, the latest; rows of one day stay together
    gap : days before the split whose rows belong to neither
    """
    when = np.asarray(days, dtype=np.float64)
    if not 0.0 < held_out <= 0.5 or not gap >= 0.0:
        raise InvalidInput(f"held_out is {held_out}, gap {gap}: pass a share of at most 0.5, and a gap of at least 0.")
    if not when.size:
        raise NotEnoughData("There are no rows: train again when there are.")
    split = float(np.quantile(when, 1.0 - held_out, method="higher"))
    early, late = np.flatnonzero(when + gap < split), np.flatnonzero(when >= split)
    return early.astype(np.int64), late.astype(np.int64), split


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitting:
    """How learners are fitted, all alike."""

    names: tuple[str, ...]
    rising: tuple[int, ...]
    seed: int
    jobs: int

    def fitted(self, learner: Learner, rows: FloatArray, outcomes: FloatArray) -> ResponseModel:
        estimator = fit_learner(learner, rows, outcomes, seed=self.seed, jobs=self.jobs, rising=self.rising)
        return ResponseModel(learner=learner, estimator=estimator, names=self.names)


def _candidate(
    learner: Learner, rows: FloatArray, outcomes: FloatArray, *, early: IntArray, late: IntArray, fitting: _Fitting
) -> Candidate:
    started = time.perf_counter()
    model = fitting.fitted(learner, rows[early], outcomes[early])
    seconds = time.perf_counter() - started
    return Candidate(
        learner=learner,
        scores=score(outcomes[late], model.predict(rows[late])),
        importances=_importances(model, rows[late], outcomes[late], np.random.default_rng(fitting.seed)),
        seconds=seconds,
    )


def _importances(
    model: ResponseModel, rows: FloatArray, outcomes: FloatArray, rng: np.random.Generator
) -> tuple[Importance, ...]:
    """Return permutation importances: Breiman (2001), "Random forests", section 10."""
    kept = rng.permutation(len(rows))[:IMPORTANCE_ROWS]
    if not 0.0 < outcomes[kept].mean() < 1.0:
        kept = np.arange(len(rows))
    known, happened = rows[kept], outcomes[kept]
    whole = auc(happened, model.predict(known))
    found = [_importance(model, known, happened, whole, place, rng) for place in range(known.shape[1])]
    return tuple(sorted(found, key=lambda each: -each.importance))


def _importance(
    model: ResponseModel,
    rows: FloatArray,
    outcomes: FloatArray,
    whole: float,
    place: int,
    rng: np.random.Generator,
) -> Importance:
    shuffled = np.tile(rows, (IMPORTANCE_REPEATS, 1))
    shuffled[:, place] = np.concatenate([rng.permutation(rows[:, place]) for _ in range(IMPORTANCE_REPEATS)])
    predicted = np.split(model.predict(shuffled), IMPORTANCE_REPEATS)
    falls = [whole - auc(outcomes, each) for each in predicted]
    return Importance(
        feature=model.names[place], importance=float(np.mean(falls)), standard_deviation=float(np.std(falls, ddof=1))
    )


def _matrix(features: ArrayLike, columns: int) -> FloatArray:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns or not np.isfinite(rows).all():
        raise InvalidInput(f"Features need shape (n, {columns}) and finite values: pass one row a send.")
    return rows


def _check(rows: FloatArray, outcomes: FloatArray, when: FloatArray) -> None:
    if not outcomes.shape == when.shape == (len(rows),) or not np.isfinite(when).all():
        raise InvalidInput("Features, responded and days need one length, and days are finite: pass one entry a send.")
    if not np.isin(outcomes, (0.0, 1.0)).all():
        raise InvalidInput("Responded holds 0 or 1 a send: count a send as answered once.")
    if len(rows) < LEAST_ROWS:
        raise NotEnoughData(f"There are {len(rows)} rows: train again when there are {LEAST_ROWS}.")


def _check_outcomes(early: FloatArray, late: FloatArray) -> None:
    for outcomes, least, where in ((early, LEAST_OUTCOMES, "to learn from"), (late, LEAST_HELD_OUT, "held out")):
        hits, misses = int(outcomes.sum()), int((1.0 - outcomes).sum())
        if min(hits, misses) < least:
            raise NotEnoughData(
                f"Of the rows {where} {hits} were answered and {misses} were not: train again when there are {least} of"
                " each."
            )
