"""The whole calibration: every promise that simulation can test, in one report."""

import numpy as np

from engine.arrays import FloatArray
from engine.simulation.bandit_coverage import bandit_rows, shop_rows
from engine.simulation.coverage import best_curve, best_row, interval_rows
from engine.simulation.false_calls import false_call_rows
from engine.simulation.promises import CalibrationReport


def calibrate(
    rng: np.random.Generator, *, tests: int = 2000, looks: int = 28, level: float = 0.95, sampler_fits: int = 0
) -> CalibrationReport:
    """Simulate worlds of known truth, analyse them, and compare what was promised with what happened.

    Parameters
    ----------
    rng : of everything that is simulated
    tests : simulated tests a row, at least 100
    looks : of the tests that are peeked at
    level : of intervals and tests, in (0, 1)
    sampler_fits : how many fits of simulation-based calibration the PyMC model gets; 0 leaves it out, and else the
        ``models`` extra is needed and at least 50 make sense

    Returns
    -------
    CalibrationReport; some fifteen seconds for 2,000 tests, and half a second more a sampler's fit
    """
    rows = (
        *false_call_rows(rng, tests=tests, looks=looks, level=level),
        *interval_rows(rng, tests=tests, level=level),
        best_row(rng, tests=10 * tests),
        *bandit_rows(rng, runs=tests, level=level, floor=0.1),
        *bandit_rows(rng, runs=tests, level=level, floor=0.01),
    )
    curve = best_curve(rng, tests=10 * tests)
    rows += shop_rows(rng, runs=tests, level=level)
    return CalibrationReport(rows=rows, curve=curve, ranks=_sampled_ranks(rng, sampler_fits))


def _sampled_ranks(rng: np.random.Generator, fits: int) -> dict[str, FloatArray]:
    if fits == 0:
        return {}
    from engine.bayesian.pooling import compile_proportions
    from engine.simulation.ranks import pooled_ranks

    return pooled_ranks(compile_proportions(variants=2, segments=2), rng, fits=fits)
