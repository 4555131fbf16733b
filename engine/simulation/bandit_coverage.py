"""How often intervals hold the truth where traffic followed the rewards, of each estimator."""

import numpy as np

from engine.arrays import BoolArray
from engine.bandits.inference import BatchLog, Estimator, Weighting, moments
from engine.bandits.intervals import Moments, difference_intervals, value_intervals
from engine.bandits.policy import Policy
from engine.bandits.thompson import BetaThompson
from engine.levels import error_rate, two_sided_quantile
from engine.simulation.bandit_worlds import SHOP, BanditWorld
from engine.simulation.promises import CalibrationRow, Promise, counted

_SAFE_FLOOR = 0.1  # promises for two arms are made from this floor on, the default


def bandit_rows(
    rng: np.random.Generator, *, runs: int = 2000, floor: float = 0.1, level: float = 0.95
) -> tuple[CalibrationRow, ...]:
    """Count, after Thompson sampling on two equal arms, whose intervals of a rate cover and whose tests reject.

    Parameters
    ----------
    rng : of the simulated units
    runs : how many bandits, of 5,000 units in 50 batches each, at a rate of 0.1
    floor : every arm's least probability
    level : of intervals and tests
    """
    world = BanditWorld(rates=np.array([0.1, 0.1]), batch_units=100, batches=50, floor=floor)
    log = world.run(BetaThompson(), rng, runs=runs)
    section, rows = f"After Thompson sampling, floor {floor:.0%}", list[CalibrationRow]()
    for name, found in _all(log):
        promised = floor >= _SAFE_FLOOR and name == "AW-AIPW"
        held, held_differences = _held(found, world, level=level)
        rejected, alpha = ~held_differences[:, 0], round(1.0 - level, 12)
        rows.append(counted(section, f"{name}: interval of an arm's rate", held[:, 0], _about(promised), level))
        kept = Promise.AT_MOST if promised else Promise.NOTHING
        rows.append(counted(section, f"{name}: equal arms rejected", rejected, kept, alpha))
    return tuple(rows)


def shop_rows(
    rng: np.random.Generator,
    *,
    runs: int = 1000,
    level: float = 0.95,
    world: BanditWorld = SHOP,
    policy: Policy | None = None,
) -> tuple[CalibrationRow, ...]:
    """Count how often intervals cover in a shop with delayed feedback and the default floor.

    Parameters
    ----------
    rng : of the simulated units
    runs : how many bandits
    level : of every interval
    world : the shop
    policy : Thompson sampling where not given

    Returns
    -------
    for each estimator two rows: the values of all arms, and the differences of all to the first; as many trials as runs
    times arms, rates of one run being nearly independent of each other;
    differences are judged as one trial a run
    """
    log = world.run(policy or BetaThompson(), rng, runs=runs)
    section = f"A shop of {world.rates.size} arms, {world.batches} steps, delays, floor {world.floor:.0%}"
    rows = list[CalibrationRow]()
    for name, found in _all(log):
        held, held_differences = _held(found, world, level=level)
        promise = _about(name == "AW-AIPW")
        rows.append(counted(section, f"{name}: intervals of rates", held, promise, level))
        alike = world.rates.size - 1  # all are to the same arm
        differences = f"{name}: intervals of differences"
        rows.append(counted(section, differences, held_differences, promise, level, together=alike))
    return tuple(rows)


def _all(log: BatchLog) -> tuple[tuple[str, Moments], ...]:
    return (
        ("AW-AIPW", moments(log, Estimator.AW_AIPW)),
        ("AIPW unweighted", moments(log, Estimator.AW_AIPW, weighting=Weighting.UNWEIGHTED)),
        ("IPW", moments(log, Estimator.IPW)),
        ("naive mean", moments(log, Estimator.NAIVE)),
    )


def _held(found: Moments, world: BanditWorld, *, level: float) -> tuple[BoolArray, BoolArray]:
    """Say which arms' intervals hold the truth, (runs, k), and which differences' to the first arm, (runs, k - 1)."""
    z = two_sided_quantile(error_rate(level))
    values = value_intervals(found, z=z, conversions=True)
    differences = difference_intervals(found, control=0, z=z, conversions=True)
    return values.hold(world.rates), differences.hold(world.rates - world.rates[0])[:, 1:]


def _about(promised: bool) -> Promise:
    return Promise.ABOUT if promised else Promise.NOTHING
