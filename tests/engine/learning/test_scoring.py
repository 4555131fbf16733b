import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.scoring import auc, score


def predictions(seed: int, count: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    chances = np.round(expit(rng.normal(-2.0, 1.0, count)), 2) + 0.001  # rounded: many ties
    return (rng.random(count) < expit(0.7 * logit(chances) - 0.3)).astype(float), chances


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_against_scikit_learn(seed: int) -> None:
    happened, chances = predictions(seed)
    found = score(happened, chances)
    assert_allclose(found.auc, roc_auc_score(happened, chances))
    assert_allclose(found.brier, brier_score_loss(happened, chances))
    assert_allclose(found.log_loss, log_loss(happened, chances))
    fit = LogisticRegression(C=1e9, tol=1e-10).fit(logit(chances)[:, None], happened)
    assert_allclose([found.slope, found.intercept], [fit.coef_[0, 0], fit.intercept_[0]], atol=1e-3)


def test_calibration_rows_hold_every_row_once() -> None:
    happened, chances = predictions(4)
    found = score(happened, chances)
    assert sum(row.rows for row in found.calibration) == found.rows
    assert_allclose(sum(row.rows * row.observed for row in found.calibration), happened.sum())
    predicted = [row.predicted for row in found.calibration]
    assert predicted == sorted(predicted)


def test_constant_predictions_rank_nothing() -> None:
    happened = np.array([0.0, 1.0, 0.0, 0.0])
    found = score(happened, np.full(4, 0.25))
    assert found.auc == 0.5
    assert len(found.calibration) == 1
    assert_allclose(found.brier, 0.25 * 0.75)


def test_perfect_separation_stays_finite() -> None:
    found = score(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.1, 0.9, 1.0]))
    assert found.auc == 1.0
    assert np.isfinite([found.slope, found.intercept, found.log_loss]).all()


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_one_kind_of_outcome_is_refused(outcome: float) -> None:
    with pytest.raises(NotEnoughData, match="rank where"):
        auc(np.full(5, outcome), np.linspace(0.1, 0.9, 5))


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="0 or 1"):
        score([0.5], [0.5])
    with pytest.raises(InvalidInput, match="equal lengths"):
        score([0.0, 1.0], [0.5])
    with pytest.raises(InvalidInput, match="lie in"):
        score([0.0, 1.0], [0.5, 1.5])
