"""Whom an offer moves: treatment effects and segments, in worlds of known truth with a randomised holdout.

Units: 20,000, half of them held out at random; seven features, of which one moves the effect (between 0 and 10 points)
and another, unrelated, the rate without the offer. The next 20,000 judge. Qini of the effects learnt beside that of the
true effects, of who responds (the response model's ranking) and of a ranking at random (0).

Segments: six, of 4,000 units in either arm; the more a segment converts anyway, the less the offer moves it. The next
60,000 units judge. Worlds without differences between segments say how often a ranking is made where there is none.
"""

import numpy as np
from scipy.stats import binomtest

from bench.optimizer_data import Row
from engine.arrays import FloatArray
from engine.learning.learners import Learner, fit_learner, predict_learner
from engine.learning.qini import Holdout, qini
from engine.learning.segments import rank_segments
from engine.learning.treatment import fit_treatment
from engine.summaries import ProportionSummary

UNITS, FEATURES = 20_000, 7
NAMES = tuple(f"feature {place}" for place in range(FEATURES))
BASE = np.array([0.30, 0.22, 0.16, 0.11, 0.07, 0.04])
EFFECT = np.array([0.00, 0.01, 0.02, 0.035, 0.05, 0.06])
EACH, JUDGED, ALIKE = 4_000, 60_000, 400


def rows(worlds: int) -> list[Row]:
    """Return the table's rows, means over so many worlds."""
    return [*effect_rows(worlds), *segment_rows(worlds)]


def effect_rows(worlds: int) -> list[Row]:
    seen = np.array([_effects(seed) for seed in range(worlds)])
    ours, truth, responders, error, spread = seen[:, :5].mean(axis=0)
    beside = f"true effects {truth:.4f}; who responds {responders:.4f}; at random 0"
    flat = sum(_told_apart(100 + seed) for seed in range(5 * worlds))
    return [
        Row("lift: Qini of effects learnt", "above who responds", f"{ours:.4f}", ours > responders, beside),
        Row(
            "lift: error of effects",
            "below the average for all",
            f"{error:.4f}",
            error < spread,
            f"the average for all {spread:.4f}",
        ),
        Row(
            "lift: no differences, told apart",
            "about 5%",
            f"{flat} of {5 * worlds}",
            bool(binomtest(flat, 5 * worlds, 0.05, alternative="greater").pvalue > 0.01),
        ),
    ]


def _world(seed: int, differ: float) -> tuple[FloatArray, Holdout, FloatArray]:
    rng = np.random.default_rng([seed, 6])
    features = rng.normal(size=(UNITS, FEATURES))
    effects = 0.05 + differ * np.tanh(features[:, 0])
    treated = (rng.random(UNITS) < 0.5).astype(float)
    rates = 0.05 + 0.15 * (features[:, 1] > 0.0) + treated * effects
    outcomes = (rng.random(UNITS) < rates).astype(float)
    return features, Holdout.of(outcomes, treated, propensity=0.5), effects


def _effects(seed: int) -> tuple[float, ...]:
    features, units, _ = _world(seed, 0.05)
    days = np.random.default_rng(seed).uniform(0.0, 90.0, UNITS)
    model = fit_treatment(features, units, days=days, names=NAMES, seed=seed).model
    forest = fit_learner(Learner.RANDOM_FOREST, features, units.outcomes, seed=seed, jobs=2)
    later, judged, effects = _world(seed + 1_000, 0.05)
    found = model.effects(later)
    responders = predict_learner(Learner.RANDOM_FOREST, forest, later)
    error = float(np.sqrt(np.mean((found - effects) ** 2)))
    return qini(found, judged), qini(effects, judged), qini(responders, judged), error, float(effects.std())


def _told_apart(seed: int) -> bool:
    features, units, _ = _world(seed, 0.0)
    days = np.random.default_rng(seed).uniform(0.0, 90.0, UNITS)
    return fit_treatment(features, units, days=days, names=NAMES, seed=seed).active.told_apart


def segment_rows(worlds: int) -> list[Row]:
    seen = np.array([_segments(seed) for seed in range(10 * worlds)])
    ours, truth, conversion, raw, ranked = seen.mean(axis=0)
    called = sum(_ranking(10_000 + seed, np.full(BASE.size, 0.03)).ranked for seed in range(ALIKE))
    beside = f"true effects {truth:.4f}; by conversion rate {conversion:.4f}; unshrunk {raw:.4f}; at random 0"
    return [
        Row(
            "segments: Qini on a randomised holdout", "above conversion rate", f"{ours:.4f}", ours > conversion, beside
        ),
        Row("segments: told apart where they differ", "", f"{ranked:.0%} of worlds", None),
        Row(
            "segments: ranked where they do not differ",
            "about 5%",
            f"{called / ALIKE:.1%} of {ALIKE}",
            bool(binomtest(called, ALIKE, 0.05).pvalue > 0.001),
        ),
    ]


def _ranking(seed: int, effects: FloatArray):
    rng = np.random.default_rng(seed)
    arms = [
        [ProportionSummary(converted=int(hits), exposed=EACH) for hits in rng.binomial(EACH, rates)]
        for rates in (BASE + effects, BASE)
    ]
    return rank_segments(*arms)


def _segments(seed: int) -> tuple[float, ...]:
    found = _ranking(seed, EFFECT)
    rng = np.random.default_rng([seed, 1])
    segment = rng.integers(0, BASE.size, JUDGED)
    treated = (rng.random(JUDGED) < 0.5).astype(float)
    outcomes = (rng.random(JUDGED) < BASE[segment] + treated * EFFECT[segment]).astype(float)
    units = Holdout.of(outcomes, treated, propensity=0.5)
    observed = {each.segment: each.observed.point for each in found.segments}
    rankings = (
        found.expected(segment.tolist()),
        EFFECT[segment],
        BASE[segment] + 0.5 * EFFECT[segment],
        np.array([observed[place] for place in range(BASE.size)])[segment],
    )
    return (*(qini(each, units) for each in rankings), float(found.ranked))
