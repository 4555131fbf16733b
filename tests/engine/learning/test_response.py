import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.learners import Learner, predict_learner
from engine.learning.response import fit_response, split_by_time
from engine.learning.scoring import auc

NAMES = ("strong", "weak", "noise")


def rows(seed: int, count: int = 4_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 3))
    chances = expit(1.2 * features[:, 0] + 0.5 * features[:, 1] - 1.5)
    return features, (rng.random(count) < chances).astype(float), rng.uniform(0.0, 90.0, count)


def test_what_is_learnt_holds_on_later_days() -> None:
    features, responded, days = rows(1)
    fit = fit_response(features, responded, days=days, names=NAMES, jobs=1)
    best = auc((later := rows(2))[1], 1.2 * later[0][:, 0] + 0.5 * later[0][:, 1])
    assert auc(later[1], fit.model.predict(later[0])) > best - 0.02
    assert fit.active.scores.log_loss <= fit.challenger.scores.log_loss < fit.baseline_log_loss
    assert {fit.active.learner, fit.challenger.learner} == set(Learner)
    assert 0.7 < fit.active.scores.slope < 1.4
    assert [each.feature for each in fit.active.importances][:2] == ["strong", "weak"]
    assert abs(fit.active.importances[2].importance) < 0.02
    assert fit.model.learner is fit.active.learner


def test_scores_come_from_days_not_learnt_from() -> None:
    features, responded, days = rows(3)
    early, late, split = split_by_time(days, held_out=0.2, gap=3.0)
    fit = fit_response(features, responded, days=days, names=NAMES, jobs=1)
    assert (fit.trained_rows, fit.held_out_rows, fit.split_day) == (early.size, late.size, split)
    assert fit.rows == 4_000
    # what is learnt from noise is worth nothing later, however well it fits its own rows
    noise = np.random.default_rng(9).permutation(responded)
    blind = fit_response(features, noise, days=days, names=NAMES, jobs=1)
    assert abs(blind.active.scores.auc - 0.5) < 0.06
    assert auc(noise, blind.model.predict(features)) > 0.55


def test_the_split_leaves_a_gap_and_keeps_days_together() -> None:
    days = np.repeat(np.arange(10.0), 7)
    early, late, split = split_by_time(days, held_out=0.2, gap=2.0)
    assert split == 8.0
    assert days[late].min() == 8.0
    assert days[early].max() == 5.0
    with pytest.raises(InvalidInput, match="at most"):
        split_by_time(days, held_out=0.9)
    with pytest.raises(NotEnoughData, match="no rows"):
        split_by_time([])


def test_the_same_seed_gives_the_same_model() -> None:
    features, responded, days = rows(4, 1_000)
    first, again = (fit_response(features, responded, days=days, names=NAMES, seed=5, jobs=1) for _ in range(2))
    assert_allclose(first.model.predict(features), again.model.predict(features), rtol=0.0)
    assert first.active.scores == again.active.scores
    assert first.active.importances == again.active.importances


def test_predictions_are_the_estimators() -> None:
    features, responded, days = rows(5, 1_000)
    model = fit_response(features, responded, days=days, names=NAMES, jobs=1).model
    found = model.predict(features)
    assert_allclose(found, predict_learner(model.learner, model.estimator, features))
    assert ((found >= 0.0) & (found <= 1.0)).all()


def test_too_little_is_refused() -> None:
    features, responded, days = rows(6, 1_000)
    with pytest.raises(NotEnoughData, match="499 rows"):
        fit_response(features[:499], responded[:499], days=days[:499], names=NAMES)
    with pytest.raises(NotEnoughData, match="to learn from 0 were answered"):
        fit_response(features, np.zeros(1_000), days=days, names=NAMES)
    late = np.where(days > 70.0, 0.0, responded)
    with pytest.raises(NotEnoughData, match="held out 0 were answered"):
        fit_response(features, late, days=days, names=NAMES)
    with pytest.raises(NotEnoughData, match="to learn from"):
        fit_response(features, responded, days=np.zeros(1_000), names=NAMES)


def test_arguments_out_of_range_are_refused() -> None:
    features, responded, days = rows(7, 600)
    with pytest.raises(InvalidInput, match="shape"):
        fit_response(features, responded, days=days)
    with pytest.raises(InvalidInput, match="finite"):
        fit_response(np.where(features > 2.0, np.nan, features), responded, days=days, names=NAMES)
    with pytest.raises(InvalidInput, match="one length"):
        fit_response(features, responded[:-1], days=days, names=NAMES)
    with pytest.raises(InvalidInput, match="0 or 1"):
        fit_response(features, responded * 2.0, days=days, names=NAMES)
