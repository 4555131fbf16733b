from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest
from statsmodels.regression.linear_model import OLS

from engine.errors import InvalidInput, NotEnoughData
from engine.learning.qini import Holdout, qini
from engine.learning.treatment import TreatmentFit, fit_treatment, regression_slope

NAMES = ("moves", "converts", "noise")


def world(seed: int, *, count: int = 8_000, differ: float = 0.15) -> tuple[np.ndarray, Holdout, np.ndarray, np.ndarray]:
    """Return features, units, days, and true effects: the first feature moves the effect, the second the rate."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 3))
    effects = 0.15 + differ * np.tanh(features[:, 0])
    chance = np.where(features[:, 1] > 0.0, 0.7, 0.4)
    treated = (rng.random(count) < chance).astype(float)
    rates = 0.1 + 0.2 * (features[:, 1] > 0.0) + treated * effects
    outcomes = (rng.random(count) < rates).astype(float)
    return features, Holdout.of(outcomes, treated, propensity=chance), rng.uniform(0.0, 90.0, count), effects


def fitted(seed: int, **shape: float) -> TreatmentFit:
    features, units, days, _ = world(seed, **shape)  # type: ignore[arg-type]
    return fit_treatment(features, units, days=days, names=NAMES, jobs=1)


def test_those_whom_the_treatment_moves_are_found() -> None:
    fit = fitted(1)
    features, units, _, effects = world(2)
    found = fit.model.effects(features, propensity=units.propensity)
    assert fit.active.told_apart
    assert "differ between units" in fit.reason
    assert np.corrcoef(found, effects)[0, 1] > 0.8
    assert np.sqrt(np.mean((found - effects) ** 2)) < 0.75 * effects.std()
    # ranking by who converts would find nobody in particular
    assert qini(found, units) > qini(features[:, 1], units) + 0.01
    assert fit.active.qini.point >= fit.challenger.qini.point
    assert fit.active.qini.low > 0.0
    assert fit.average.low < 0.15 < fit.average.high


def test_where_effects_do_not_differ_all_get_the_average() -> None:
    fit = fitted(3, differ=0.0)
    assert not fit.active.told_apart
    assert "all get the average" in fit.reason
    features, *_ = world(4)
    assert_allclose(fit.model.effects(features), fit.average.point)


def test_fifths_hold_all_units_held_out_and_rise() -> None:
    fit = fitted(5)
    assert sum(part.units for part in fit.active.parts) == fit.held_out_rows
    predicted = [part.predicted for part in fit.active.parts]
    assert predicted == sorted(predicted)
    assert fit.active.parts[-1].observed.point > fit.active.parts[0].observed.point + 0.1
    mean = np.average([p.observed.point for p in fit.active.parts], weights=[p.units for p in fit.active.parts])
    assert_allclose(mean, fit.average.point)


def test_the_slope_against_statsmodels() -> None:
    rng = np.random.default_rng(6)
    raw = rng.normal(size=500)
    scores = 0.4 * raw + rng.normal(size=500) * (1.0 + raw**2)
    peer = OLS(scores, np.column_stack([np.ones(500), raw])).fit(cov_type="HC1")
    assert_allclose(regression_slope(raw, scores), (peer.params[1], peer.bse[1]))
    assert regression_slope(np.ones(5), np.arange(5.0)) == (0.0, 0.0)


def test_too_little_is_refused() -> None:
    features, units, days, _ = world(7, count=1_000)
    with pytest.raises(NotEnoughData, match="to learn from are treated"):
        fit_treatment(features, units, days=days, names=NAMES)
    features, units, days, _ = world(8)
    with pytest.raises(NotEnoughData, match="did the same"):
        fit_treatment(features, replace(units, outcomes=np.zeros(8_000)), days=days, names=NAMES)


def test_arguments_out_of_range_are_refused() -> None:
    features, units, days, _ = world(9)
    with pytest.raises(InvalidInput, match="shape"):
        fit_treatment(features, units, days=days)
    with pytest.raises(InvalidInput, match="one length"):
        fit_treatment(features, units, days=days[1:], names=NAMES)


def test_units_of_one_day_are_held_out_by_lot() -> None:
    features, units, _, effects = world(10)
    fit = fit_treatment(features, units, days=None, names=NAMES, jobs=1, seed=3)
    assert fit.split_day is None
    assert (fit.trained_rows, fit.held_out_rows) == (5_600, 2_400)
    assert fit.active.told_apart
    assert np.corrcoef(fit.model.effects(features), effects)[0, 1] > 0.8
    with pytest.raises(InvalidInput, match=r"at most 0\.5"):
        fit_treatment(features, units, days=None, names=NAMES, held_out=0.9)


def test_intervals_hold_the_mean_effect_of_units_of_like_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifths of fresh units by prediction: the true mean effect of each lies in the mean interval, as often as said."""
    monkeypatch.setattr("engine.learning.learners.TREES", 30)
    held, parts = 0, 0
    for seed in range(8):
        model = fitted(20 + seed).model
        features, units, _, effects = world(40 + seed)
        found = model.effects(features, propensity=units.propensity)
        low, high = model.intervals(features, propensity=units.propensity)
        assert (low < found).all()
        assert (found < high).all()
        for part in np.array_split(np.argsort(found), 5):
            held += low[part].mean() <= effects[part].mean() <= high[part].mean()
            parts += 1
    assert binomtest(held, parts, 0.95).pvalue > 1e-3


def test_where_effects_do_not_differ_the_interval_is_the_averages() -> None:
    fit = fitted(3, differ=0.0)
    low, high = fit.model.intervals(world(4)[0])
    assert_allclose(low, fit.average.low)
    assert_allclose(high, fit.average.high)
