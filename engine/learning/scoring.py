"""How good predicted probabilities are: ranking, accuracy, calibration.

Ranking: the area under the ROC curve by the Mann-Whitney statistic (Hanley and McNeil, 1982, "The meaning and use of
the area under a receiver operating characteristic curve", section 3). Accuracy: Brier's score and the log loss.
Calibration: observed beside predicted, and the slope and intercept of Cox (1958), "Two further applications of a model
for binary regression", equation 3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from engine.arrays import FloatArray
from engine.errors import InvalidInput, NotEnoughData

CALIBRATION_ROWS = 10
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRow:
    """Rows of like prediction.

    Attributes
    ----------
    rows : how many
    predicted, observed : mean probability, and share that happened
    """

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What predicted probabilities were worth, on rows they were not learnt from.

    Attributes
    ----------
    rows : how many
    rate : share that happened
    auc : probability that a row that happened was ranked above one that did not, in [0, 1]
    brier : mean squared error, in [0, 1]; predicting the rate gives rate * (1 - rate)
    log_loss : mean negative log likelihood, in nats
    slope, intercept : of the logistic regression of what happened on the predicted logits; 1 and 0 are perfect
    calibration : ten rows of equal size, by prediction; fewer where predictions tie
    """

    rows: int
    rate: float
    auc: float
    brier: float
    log_loss: float
    slope: float
    intercept: float
    calibration: tuple[CalibrationRow, ...]


def score(happened: ArrayLike, predicted: ArrayLike) -> Scores:
    """Return the scores of predicted probabilities.

    Parameters
    ----------
    happened : 0 or 1, shape (n,)
    predicted : probabilities, shape (n,)

    Raises
    ------
    NotEnoughData
        nothing happened, or everything did
    """
    outcomes, chances = np.asarray(happened, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if outcomes.ndim != 1 or outcomes.shape != chances.shape or not np.isin(outcomes, (0.0, 1.0)).all():
        raise InvalidInput("Happened holds 0 or 1, and predicted one probability for each: pass equal lengths.")
    if not ((chances >= 0.0) & (chances <= 1.0)).all():
        raise InvalidInput("Predicted probabilities lie in [0, 1].")
    clipped = np.clip(chances, SMALLEST, 1.0 - SMALLEST)
    area = auc(outcomes, chances)
    intercept, slope = _cox(outcomes, logit(clipped))
    return Scores(
        rows=outcomes.size,
        rate=float(outcomes.mean()),
        auc=area,
        brier=float(((chances - outcomes) ** 2).mean()),
        log_loss=float(-(outcomes * np.log(clipped) + (1.0 - outcomes) * np.log1p(-clipped)).mean()),
        slope=slope,
        intercept=intercept,
        calibration=_calibration(outcomes, chances),
    )


def auc(happened: FloatArray, predicted: FloatArray) -> float:
    """Return the area under the ROC curve, ties counted half; NotEnoughData unless some rows happened and some not."""
    hits = float(happened.sum())
    misses = happened.size - hits
    if not hits or not misses:
        raise NotEnoughData(f"{hits:.0f} of {happened.size} rows happened: rank where some did and some did not.")
    _, place, count = np.unique(predicted, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return float((ranks[happened > 0.0].sum() - hits * (hits + 1.0) / 2.0) / (hits * misses))


def _calibration(outcomes: FloatArray, chances: FloatArray) -> tuple[CalibrationRow, ...]:
    edges = np.unique(np.quantile(chances, np.linspace(0.0, 1.0, CALIBRATION_ROWS + 1)[1:-1]))
    place = np.searchsorted(edges, chances, side="right")
    rows = np.bincount(place)
    predicted, observed = np.bincount(place, weights=chances), np.bincount(place, weights=outcomes)
    return tuple(
        CalibrationRow(rows=int(count), predicted=float(mean / count), observed=float(share / count))
        for count, mean, share in zip(rows, predicted, observed, strict=True)
        if count
    )


def _cox(outcomes: FloatArray, logits: FloatArray) -> tuple[float, float]:
    """Return intercept and slope by Newton's method; a weak normal prior about (0, 1) keeps separable rows finite."""
    design = np.column_stack([np.ones_like(logits), logits])
    goal, precision = np.array([0.0, 1.0]), 1e-2 * np.eye(2)
    found = goal
    for _ in range(50):
        rates = expit(design @ found)
        curvature = (design.T * (rates * (1.0 - rates))) @ design + precision
        step = np.linalg.solve(curvature, design.T @ (outcomes - rates) - precision @ (found - goal))
        found = found + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    return float(found[0]), float(found[1])
