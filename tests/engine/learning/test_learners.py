import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from engine.learning.learners import Learner, fit_forest, fit_learner, in_levels, predict_forest, predict_learner
from engine.learning.scoring import score


def rows(seed: int = 1, count: int = 6_000) -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(seed).normal(size=(count, 2))
    return features, expit(features[:, 0] - 1.0)


@pytest.mark.parametrize("learner", list(Learner))
def test_learners_find_the_probability(learner: Learner) -> None:
    features, chances = rows()
    outcomes = (np.random.default_rng(2).random(len(chances)) < chances).astype(float)
    estimator = fit_learner(learner, features, outcomes, seed=1, jobs=1)
    unseen, truth = rows(3, 1_000)
    found = predict_learner(learner, estimator, unseen)
    assert np.abs(found - truth).mean() < 0.05
    assert predict_learner(learner, estimator, unseen[:0]).shape == (0,)


def test_the_seed_decides() -> None:
    features, chances = rows()
    first, again, other = (
        fit_forest(features, chances, seed=seed, jobs=2).predict(features[:50]) for seed in (1, 1, 2)
    )
    assert_allclose(first, again, rtol=1e-12)  # threads add up in any order
    assert (first != other).any()


@pytest.mark.parametrize("learner", list(Learner))
def test_what_must_not_fall_does_not(learner: Learner) -> None:
    features, chances = rows(count=3_000)
    outcomes = (np.random.default_rng(2).random(len(chances)) < 1.0 - chances).astype(float)  # it does fall
    ladder = np.column_stack([np.linspace(-3.0, 3.0, 60), np.zeros(60)])
    free = predict_learner(learner, fit_learner(learner, features, outcomes, seed=1, jobs=1), ladder)
    held = fit_learner(learner, features, outcomes, seed=1, jobs=1, rising=(0,))
    assert (np.diff(free) < -1e-9).any()
    assert (np.diff(predict_learner(learner, held, ladder)) >= -1e-9).all()


def test_threads_leave_the_warning_filters_alone() -> None:
    features, chances = rows(count=2_000)
    fit_forest(features, chances, seed=0, jobs=1)  # what importing scikit-learn adds is not meant
    before = list(warnings.filters)
    for seed in range(20):
        predict_forest(fit_forest(features, chances, seed=seed, jobs=2), features)
        assert warnings.filters == before


def test_other_warnings_pass_through() -> None:
    class Warns:
        def predict(self, given: np.ndarray) -> np.ndarray:
            warnings.warn("a word", RuntimeWarning, stacklevel=1)
            return given[:, 0]

    features, _ = rows(count=10)
    with pytest.warns(RuntimeWarning, match="a word"):
        predict_forest(Warns(), features)


def test_scikit_learn_waits_until_something_is_fitted() -> None:
    modules = "engine.learning.response, engine.learning.features, engine.learning.affinity"
    script = f"import sys, {modules}; print([n for n in ('sklearn', 'threadpoolctl') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_levels_hold_like_many_rows_in_their_order() -> None:
    rng = np.random.default_rng(3)
    column = rng.gamma(2.0, 10.0, 10_000)
    found = in_levels(column[:, None], levels=100)[:, 0]
    values, counts = np.unique(found, return_counts=True)
    assert values.size == 100
    assert counts.min() == counts.max() == 100
    assert (np.diff(found[np.argsort(column)]) >= 0.0).all()
    # each level stands for its median
    assert_allclose(values, np.sort(column).reshape(100, 100)[:, 50])


def test_few_values_stay_as_they_are_and_many_alike_are_a_level_of_their_own() -> None:
    few = np.random.default_rng(4).integers(0, 9, 5_000).astype(float)
    many = np.where(few > 2.0, 0.0, np.linspace(-5.0, 5.0, 5_000))
    found = in_levels(np.column_stack([few, many]), levels=20)
    assert_array_equal(found[:, 0], few)
    assert (found[few > 2.0, 1] == 0.0).all()
    assert np.unique(found[:, 1]).size <= 20
    assert (np.diff(found[np.argsort(many, kind="stable"), 1]) >= 0.0).all()
    assert in_levels(np.empty((0, 3))).shape == (0, 3)


def test_a_forest_of_levels_foretells_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    rows = rng.gamma(2.0, 1.0, (12_000, 4))
    chances = expit(-3.0 + 0.8 * rows[:, 0] + 0.4 * np.sin(3.0 * rows[:, 1]))
    outcomes = (rng.random(12_000) < chances).astype(float)

    def log_loss() -> float:
        forest = fit_learner(Learner.RANDOM_FOREST, rows[:8_000], outcomes[:8_000], seed=1, jobs=1)
        return score(outcomes[8_000:], predict_learner(Learner.RANDOM_FOREST, forest, rows[8_000:])).log_loss

    in_255 = log_loss()
    monkeypatch.setattr("engine.learning.learners.in_levels", lambda given: given)
    assert in_255 == pytest.approx(log_loss(), abs=2e-3)
