import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from engine.learning.learners import Learner, fit_forest, fit_learner, predict_forest, predict_learner


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
