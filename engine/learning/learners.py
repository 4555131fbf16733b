"""scikit-learn's learners, as they are used here; the only module that imports them, and only when one is fitted.

Leaves hold 50 rows where rows are many, so that a leaf's mean is a probability; each tree sees at most 20,000 rows,
which keeps 100,000 rows to seconds. Forests see features in 255 levels of like many rows, as boosting does by itself:
a tree sorts a node's values, and few different ones are sorted in two thirds of the time. Boosting runs on one thread:
its threads wait by spinning, and on a busy machine take many times as long.
"""

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import numpy as np

from engine.arrays import FloatArray

TREES = 100
FOREST_SAMPLES = 20_000
BOOSTING_ROUNDS = 100
LEAST_LEAF, MOST_LEAF, ROWS_A_LEAF = 10, 50, 200
LEVELS = 255


class Learner(StrEnum):
    """What learns."""

    RANDOM_FOREST = "RANDOM_FOREST"
    GRADIENT_BOOSTING = "GRADIENT_BOOSTING"


def fit_learner(
    learner: Learner, rows: FloatArray, outcomes: FloatArray, *, seed: int, jobs: int, rising: Sequence[int] = ()
) -> Any:
    """Return scikit-learn's estimator of the probability of an outcome.

    Parameters
    ----------
    learner : which
    rows : features, shape (n, d)
    outcomes : 0 or 1, shape (n,), both of them among them
    seed : of the forest's draws
    jobs : the forest's threads, at least 1
    rising : places of features with which the probability must not fall

    Returns
    -------
    RandomForestRegressor, or HistGradientBoostingClassifier
    """
    if learner is Learner.RANDOM_FOREST:
        return fit_forest(rows, outcomes, seed=seed, jobs=jobs, rising=rising)
    return _fit_boosting(rows, outcomes, seed=seed, rising=rising)


def predict_learner(learner: Learner, estimator: Any, rows: FloatArray) -> FloatArray:
    """Return the estimator's probabilities, in [0, 1]: shape (n,)."""
    if not len(rows):
        return np.zeros(0)
    if learner is Learner.RANDOM_FOREST:
        return np.clip(predict_forest(estimator, rows), 0.0, 1.0)
    with _one_thread():
        return np.asarray(estimator.predict_proba(rows)[:, 1], dtype=np.float64)


def fit_forest(
    rows: FloatArray,
    targets: FloatArray,
    *,
    seed: int,
    jobs: int,
    leaf: int | None = None,
    rising: Sequence[int] = (),
) -> Any:
    """Return a RandomForestRegressor of the mean of any targets, shape (n,), given rows of shape (n, d)."""
    import sklearn.ensemble as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    ensemble: Any = untyped
    forest = ensemble.RandomForestRegressor(
        n_estimators=TREES,
        min_samples_leaf=_leaf(len(rows)) if leaf is None else leaf,
        max_features=0.5,
        max_samples=min(len(rows), FOREST_SAMPLES),
        n_jobs=jobs,
        monotonic_cst=_directions(rows.shape[1], rising),
        random_state=seed,
    )
    with _warnings_kept():
        return forest.fit(in_levels(rows), targets)


def in_levels(rows: FloatArray, *, levels: int = LEVELS) -> FloatArray:
    """Return rows with each feature of many different values in levels of like many rows, by the level's median.

    Parameters
    ----------
    rows : shape (n, d), finite
    levels : at least 2; a feature of no more different values stays as it is
    """
    return np.column_stack([_in_levels(column, levels) for column in rows.T]) if rows.size else rows


def _in_levels(column: FloatArray, levels: int) -> FloatArray:
    known = np.sort(column)
    if np.count_nonzero(known[1:] != known[:-1]) < levels:
        return column
    ends = np.unique(known[(np.arange(1, levels) * known.size) // levels])
    cuts = np.concatenate([[0], np.searchsorted(known, ends), [known.size]])
    middles = known[(cuts[:-1] + cuts[1:]) // 2 - (cuts[:-1] == cuts[1:])]
    return middles[np.searchsorted(ends, column, side="right")]


def predict_forest(forest: Any, rows: FloatArray) -> FloatArray:
    """Return a RandomForestRegressor's predictions: shape (n,), for rows of shape (n, d), which may be none."""
    if not len(rows):
        return np.zeros(0)
    with _warnings_kept():
        return np.asarray(forest.predict(rows), dtype=np.float64)


def _fit_boosting(rows: FloatArray, outcomes: FloatArray, *, seed: int, rising: Sequence[int]) -> Any:
    import sklearn.ensemble as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    ensemble: Any = untyped
    estimator = ensemble.HistGradientBoostingClassifier(
        max_iter=BOOSTING_ROUNDS,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=_leaf(len(rows)),
        early_stopping=False,
        monotonic_cst=_directions(rows.shape[1], rising),
        random_state=seed,
    )
    with _one_thread():
        return estimator.fit(rows, outcomes)


def _directions(columns: int, rising: Sequence[int]) -> list[int] | None:
    return [int(column in rising) for column in range(columns)] if rising else None


def _leaf(rows: int) -> int:
    return min(max(rows // ROWS_A_LEAF, LEAST_LEAF), MOST_LEAF)


@contextmanager
def _warnings_kept() -> Generator[None]:
    """Keep the process's warning filters whole.

    scikit-learn 1.9 sets and resets them in each of a forest's threads, and these clear each other's; from then on it
    warns of its own loss with every tree (in Parallel, that a configuration is missing). Here the threads work on a
    copy, that warning ends, and others are passed on.
    """
    with warnings.catch_warnings(record=True) as caught:
        yield
    for each in caught:
        if "sklearn.utils.parallel" not in str(each.message):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _one_thread() -> Any:
    import threadpoolctl as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    threads: Any = untyped
    return threads.threadpool_limits(limits=1, user_api="openmp")
