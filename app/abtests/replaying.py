"""Logs to replay a policy over: a test's own, or a file of the Open Bandit Dataset."""

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from app.abtests.summarising import MICROS
from app.errors import InvalidInput, NotEnoughData, NotFound
from app.store.abtests import TestStore
from app.store.models.codes import MetricKind
from app.store.policies import PolicyStore
from engine.simulation.replay import Log, PropensityLog, UnitLog

COLUMNS = ("item_id", "click", "propensity_score")
EVEN_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayable:
    """A log with the names of its arms; `conversions` says that rewards are 0 or 1."""

    log: Log
    arms: tuple[str, ...]
    conversions: bool


def open_bandit_log(path: Path) -> Replayable:
    """Read a file of the Open Bandit Dataset.

    Of its uniform policy all probabilities are known; of the other, Bernoulli Thompson sampling, those of items shown.
    Items that this one never showed are no arms: nothing can be said of them.
    """
    with path.open(newline="") as lines:
        reader = csv.DictReader(lines)
        missing = set(COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise InvalidInput(f"{path.name} has no column {', '.join(sorted(missing))}: pass a log of Open Bandit.")
        rows = [(int(row["item_id"]), float(row["click"]), float(row["propensity_score"])) for row in reader]
    if not rows:
        raise NotEnoughData(f"{path.name} has no rows: pass a log with some.")
    items, clicks, propensities = (np.array(column) for column in zip(*rows, strict=True))
    shown, actions = np.unique(items, return_inverse=True)
    count = int(items.max()) + 1
    if np.allclose(propensities * count, 1.0, rtol=0.0, atol=EVEN_TOLERANCE):
        shown, even = np.arange(count), np.full((len(rows), count), 1.0 / count)
        log: Log = UnitLog(actions=items.astype(np.int64), rewards=clicks, probabilities=even)
    else:
        log = PropensityLog(actions=actions, rewards=clicks, propensities=propensities, arms=shown.size)
    return Replayable(log=log, arms=tuple(f"item {item}" for item in shown.tolist()), conversions=True)


async def logged_test(key: str, *, tests: TestStore, policies: PolicyStore, at: datetime) -> Replayable:
    """Read a test's log: its units whose window has closed, with the shares they were assigned by."""
    found = await tests.ids_of([key])
    if key not in found:
        raise NotFound(f"There is no file and no test {key!r}: pass a path, or a test's key.")
    definition = (await tests.definitions([found[key]]))[found[key]]
    metric = definition.metrics[0]
    if metric.kind is MetricKind.RATIO:
        raise InvalidInput("A RATIO is no sum over units, so its log cannot be replayed: choose another test.")
    units = await policies.units(found[key], at=at)
    if not units.positions:
        raise NotEnoughData("No unit's window has closed yet: replay the test later.")
    shares = np.array(units.shares)
    log = UnitLog(
        actions=np.array(units.positions, np.int64),
        rewards=np.array(units.values, np.float64) / (MICROS if metric.kind is MetricKind.REVENUE else 1),
        probabilities=shares / shares.sum(axis=1, keepdims=True),
    )
    arms = tuple(variant.key for variant in definition.variants)
    return Replayable(log=log, arms=arms, conversions=metric.kind is MetricKind.CONVERSION)
