"""How often intervals hold the truth, and how often what is called best is best."""

import numpy as np

from engine.arrays import BoolArray, FloatArray
from engine.bayesian.beta_binomial import analyze_proportions_batch, beta_posterior
from engine.bayesian.hurdle import HurdleSummary, analyze_revenue
from engine.bayesian.lift import beta_ratio, lift_estimate
from engine.bayesian.normal import analyze_means_batch
from engine.bayesian.priors import BetaPrior
from engine.bayesian.quadrature import standing
from engine.frequentist.proportions import newcombe_batch
from engine.sequential.comparing import sequential_proportions_batch
from engine.simulation.promises import CalibrationCurve, CalibrationRow, Promise, counted
from engine.simulation.worlds import ConversionWorld, RevenueWorld

_PRIOR = BetaPrior(alpha=20.0, beta=180.0)


def interval_rows(
    rng: np.random.Generator, *, tests: int = 2000, units: int = 1000, level: float = 0.95
) -> tuple[CalibrationRow, ...]:
    """Count how often each kind of interval holds the truth, once a test.

    Parameters
    ----------
    rng : of truths and units
    tests : how many of each kind
    units : a variant
    level : of every interval
    """
    return (
        *_bayesian_rows(rng, tests, units, level),
        *_fixed_truth_rows(rng, tests, units, level),
        _sequence_row(rng, tests, units, level),
        _revenue_row(rng, tests, units, level),
    )


def best_curve(
    rng: np.random.Generator, *, tests: int = 20_000, variants: int = 3, units: int = 2000
) -> CalibrationCurve:
    """Return P(best) predicted against realised, for truths drawn from the very prior.

    Parameters
    ----------
    rng : of truths and units
    tests, variants, units : how many of each; units a variant
    """
    truth = rng.beta(_PRIOR.alpha, _PRIOR.beta, (tests, variants))
    exposed = np.full(truth.shape, units)
    converted = rng.binomial(exposed, truth)
    predicted = standing(beta_posterior(converted, exposed, prior=_PRIOR)).probability_best
    best = np.arange(variants) == truth.argmax(axis=1)[:, None]
    return CalibrationCurve.of(predicted.ravel(), best.ravel().astype(np.float64))


def best_row(rng: np.random.Generator, *, tests: int = 20_000, least: float = 0.9) -> CalibrationRow:
    """Count how often a variant whose P(best) exceeds ``least`` is best, against the mean of those probabilities."""
    truth = rng.beta(_PRIOR.alpha, _PRIOR.beta, (tests, 3))
    exposed = np.full(truth.shape, 2000)
    predicted = standing(beta_posterior(rng.binomial(exposed, truth), exposed, prior=_PRIOR)).probability_best
    leader = predicted.argmax(axis=1)
    certain = predicted[np.arange(tests), leader] > least
    right = truth.argmax(axis=1)[certain] == leader[certain]
    return counted(
        "P(best)",
        f"the leader is best, where P(best) > {least:g}",
        right,
        Promise.ABOUT,
        float(predicted[np.arange(tests), leader][certain].mean()),
    )


def _bayesian_rows(rng: np.random.Generator, tests: int, units: int, level: float) -> tuple[CalibrationRow, ...]:
    """Truths from the prior: a posterior's interval then holds them exactly as often as it says."""
    truth = rng.beta(_PRIOR.alpha, _PRIOR.beta, (tests, 2))
    exposed = np.full(truth.shape, units)
    converted = rng.binomial(exposed, truth)
    found = analyze_proportions_batch(converted, exposed, prior=_PRIOR, level=level)
    inside = (found.low[:, 0] <= truth[:, 0]) & (truth[:, 0] <= found.high[:, 0])
    lift = truth[:, 1] / truth[:, 0] - 1.0
    held = [_lift_holds(converted[i], exposed[i], float(lift[i]), level) for i in range(tests)]
    section = "Coverage, truths from the prior"
    return (
        counted(section, "beta-binomial: interval of a rate", inside, Promise.ABOUT, level),
        counted(section, "beta-binomial: interval of the lift", np.array(held), Promise.ABOUT, level),
    )


def _lift_holds(converted: FloatArray, exposed: FloatArray, lift: float, level: float) -> bool:
    posterior = beta_posterior(converted, exposed, prior=_PRIOR)
    found = lift_estimate(beta_ratio(posterior, treatment=1, control=0), level=level)
    return found.low <= lift <= found.high


def _fixed_truth_rows(rng: np.random.Generator, tests: int, units: int, level: float) -> tuple[CalibrationRow, ...]:
    """One truth: frequentist coverage, which discrete counts let intervals meet only nearly."""
    exposed = np.full((tests, 2), units)
    converted = rng.binomial(exposed, 0.1)
    found = analyze_proportions_batch(converted, exposed, level=level)
    _, low, high = newcombe_batch(converted, exposed, level=level)
    values = rng.normal(10.0, 3.0, (tests, 2, 50))
    normal = analyze_means_batch(values.mean(axis=2), values.var(axis=2, ddof=1), np.full((tests, 2), 50), level=level)
    section = "Coverage, fixed truth"
    return (
        counted(
            section, "beta-binomial, flat prior: a rate of 0.1", _inside(found.low, 0.1, found.high), Promise.NOTHING
        ),
        counted(section, "Newcombe: difference of equal rates", _inside(low, 0.0, high), Promise.ABOUT, level),
        counted(section, "normal, flat prior: a mean", _inside(normal.low, 10.0, normal.high), Promise.ABOUT, level),
    )


def _sequence_row(rng: np.random.Generator, tests: int, units: int, level: float) -> CalibrationRow:
    world = ConversionWorld(rates=np.array([0.1, 0.11]), daily_units=max(1, units // 4))
    converted, exposed = world.looks(rng, tests=tests, looks=28).at_each_look()
    found = sequential_proportions_batch(converted, exposed, target=28 * world.daily_units, level=level)
    outside = (found.low[:, 0] > 0.01) | (found.high[:, 0] < 0.01)
    missed = outside.reshape(tests, -1).any(axis=1)
    name = "confidence sequence misses a difference at any of 28 looks"
    return counted("Coverage, fixed truth", name, missed, Promise.AT_MOST, round(1.0 - level, 12))


def _revenue_row(rng: np.random.Generator, tests: int, units: int, level: float) -> CalibrationRow:
    world = RevenueWorld(share=0.1, log_mean=3.0, log_deviation=1.0)
    held = np.zeros(tests, dtype=np.bool_)
    for i in range(tests):
        pair = [HurdleSummary.from_values(world.values(rng, units=units)) for _ in range(2)]
        mean = analyze_revenue(pair, level=level).variants[0].mean
        held[i] = mean.low <= world.mean <= mean.high
    return counted("Coverage, fixed truth", "hurdle: revenue a unit, one in ten buys", held, Promise.NOTHING)


def _inside(low: FloatArray, truth: float, high: FloatArray) -> BoolArray:
    return (low[:, 0] <= truth) & (truth <= high[:, 0])
