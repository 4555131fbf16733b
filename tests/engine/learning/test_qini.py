import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.qini import Holdout, qini, qini_curve, qini_interval


def by_hand(predicted: np.ndarray, holdout: Holdout) -> float:
    """Return Radcliffe's area from its definition, share by share, over every threshold of the predictions."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(predicted.tolist()), reverse=True):
        chosen = predicted >= threshold
        treated, control = chosen & (holdout.treated == 1.0), chosen & (holdout.treated == 0.0)
        without = holdout.outcomes[control].sum() * treated.sum() / control.sum() if control.any() else 0.0
        gain = (holdout.outcomes[treated].sum() - without) / holdout.treated.sum()
        points.append((chosen.mean(), gain))
    area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(points))
    return area - points[-1][1] / 2


def units(seed: int, count: int = 400, *, slope: float = 0.3) -> tuple[np.ndarray, Holdout]:
    rng = np.random.default_rng(seed)
    score = rng.random(count)
    treated = (rng.random(count) < 0.6).astype(float)
    outcomes = (rng.random(count) < 0.2 + treated * slope * score).astype(float)
    return score, Holdout.of(outcomes, treated, propensity=0.6)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 7]))
def test_qini_by_hand(seed: int, digits: int) -> None:
    score, holdout = units(seed)
    rounded = np.round(score, digits)
    assert_allclose(qini(rounded, holdout), by_hand(rounded, holdout), atol=1e-12)


def test_a_case_on_paper() -> None:
    # the first half: all treated respond, no control; the second: nobody. g rises to 1/2 at the half and stays there:
    # area 1/8 + 1/4, less the triangle 1/4
    outcomes = np.repeat([1.0, 0.0, 0.0, 0.0], 50)
    treated = np.repeat([1.0, 0.0, 1.0, 0.0], 50)
    holdout = Holdout.of(outcomes, treated, propensity=0.5)
    assert_allclose(qini(np.repeat([2.0, 1.0], 100), holdout), 0.125)
    assert_allclose(qini(np.repeat([1.0, 2.0], 100), holdout), -0.125)
    assert_allclose(qini(np.zeros(200), holdout), 0.0, atol=1e-15)


def test_many_units_reach_the_true_area() -> None:
    # effect 0.3 u for u uniform, ranked by u: the best share phi gains 0.3 (phi - phi**2 / 2); integrate from 0 to 1
    score, holdout = units(1, 400_000)
    assert_allclose(qini(score, holdout), 0.3 * (1 / 2 - 1 / 6) - 0.3 / 4, atol=0.003)
    curve = qini_curve(score, holdout)
    assert (curve.shares[0], curve.shares[-1]) == (0.0, 1.0)
    assert_allclose(curve.gains[-1], 0.15, atol=0.005)


def test_unequal_chances_of_treatment_are_weighed() -> None:
    rng = np.random.default_rng(2)
    score, base = rng.random(300_000), rng.random(300_000)
    chance = np.where(score > 0.5, 0.8, 0.3)
    treated = (rng.random(score.size) < chance).astype(float)
    outcomes = (base < 0.1 + 0.4 * (score > 0.5) + 0.2 * treated * score).astype(float)
    truth = 0.2 * (1 / 2 - 1 / 6) - 0.2 / 4
    assert_allclose(qini(score, Holdout.of(outcomes, treated, propensity=chance)), truth, atol=0.003)
    assert abs(qini(score, Holdout.of(outcomes, treated, propensity=0.5)) - truth) > 0.01


def test_intervals_hold_the_truth() -> None:
    truth = 0.3 * (1 / 2 - 1 / 6) - 0.3 / 4
    held = 0
    for seed in range(200):
        found = qini_interval(*units(seed, 800), rng=np.random.default_rng(seed))
        held += found.low <= truth <= found.high
    assert binomtest(held, 200, 0.95).pvalue > 1e-3


def test_what_cannot_be_judged_is_refused() -> None:
    score, holdout = units(3)
    with pytest.raises(NotEnoughData, match="held out"):
        Holdout.of(np.zeros(80), np.repeat([1.0, 0.0], [60, 20]), propensity=0.5)
    with pytest.raises(InvalidInput, match="strictly between"):
        Holdout.of(holdout.outcomes, holdout.treated, propensity=1.0)
    with pytest.raises(InvalidInput, match="one number"):
        Holdout.of(holdout.outcomes, holdout.treated, propensity=[0.5, 0.5])
    with pytest.raises(InvalidInput, match="one length"):
        Holdout.of(holdout.outcomes[1:], holdout.treated, propensity=0.5)
    with pytest.raises(InvalidInput, match="finite score"):
        qini(score[1:], holdout)
    with pytest.raises(InvalidInput, match="100 or more"):
        qini_interval(score, holdout, rng=np.random.default_rng(1), draws=10)
