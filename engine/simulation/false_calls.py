"""How often a test of equal variants calls a difference at any of many looks."""

import numpy as np

from engine.arrays import IntArray
from engine.bayesian.beta_binomial import beta_posterior
from engine.bayesian.quadrature import standing
from engine.frequentist.chi_squared import chi_squared_batch
from engine.sequential.comparing import sequential_proportions_batch
from engine.simulation.promises import CalibrationRow, Promise
from engine.simulation.worlds import ConversionWorld

type Calls = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def false_call_rows(
    rng: np.random.Generator,
    *,
    tests: int = 2000,
    looks: int = 28,
    rate: float = 0.1,
    daily_units: int = 500,
    level: float = 0.95,
) -> tuple[CalibrationRow, ...]:
    """Simulate tests of two equal variants, looked at daily, and count who calls a difference at any look.

    Parameters
    ----------
    rng : of the simulated units
    tests, looks : how many of each
    rate : of both variants
    daily_units : units a variant a day
    level : of the always-valid and fixed-horizon tests, and the P(best) that Bayesian peeking waits for
    """
    seen = ConversionWorld(rates=np.array([rate, rate]), daily_units=daily_units).looks(rng, tests=tests, looks=looks)
    converted, exposed = seen.at_each_look()
    alpha = round(1.0 - level, 12)
    valid = sequential_proportions_batch(converted, exposed, target=looks * daily_units, level=level)
    always = _called(valid.adjusted_p_value[:, 0] < alpha, tests)
    fixed = _called(chi_squared_batch(converted, exposed)[1] < alpha, tests)
    likely = _called(_probability_best(converted, exposed) > level, tests)
    section = f"False calls, {looks} looks"
    return (
        _row(section, "always-valid test, at any look", always.any(axis=1), alpha),
        _row(section, "chi-squared test, at the last look alone", fixed[:, -1], alpha),
        _row(section, "chi-squared test, at any look (peeking)", fixed.any(axis=1), None),
        _row(section, f"P(best) > {level:g}, at the last look alone", likely[:, -1], None),
        _row(section, f"P(best) > {level:g}, at any look (peeking)", likely.any(axis=1), None),
    )


def _called(calls: Calls, tests: int) -> Calls:
    return calls.reshape(tests, -1)


def _probability_best(converted: IntArray, exposed: IntArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return standing(beta_posterior(converted, exposed)).probability_best.max(axis=1)


def _row(section: str, name: str, calls: Calls, alpha: float | None) -> CalibrationRow:
    promise = Promise.NOTHING if alpha is None else Promise.AT_MOST
    return CalibrationRow(
        section=section, name=name, count=int(calls.sum()), trials=calls.size, promise=promise, promised=alpha
    )
