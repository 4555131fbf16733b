"""The simulated world: what happens in it, from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Self

import numpy as np

from app.demo.abtests import Experiments, Exposures, Lifts
from app.demo.population import Population, populate
from app.demo.sending import HOUR, MICROS, Sending, Sends
from app.demo.truth import ORDER_SIGMA, Response, affinity, channel_costs, respond
from app.store.models.codes import EventType
from engine.arrays import BoolArray, FloatArray, IntArray

SEED = 20_260_101
DAYS = 90
SENDS = 118_000
NONE = -1
"""Stands for an absent amount of money."""

MATURE_AFTER = timedelta(days=8)
"""What a send leads to has happened after this time."""

OPENED_AFTER = (25 * 60.0, 1.2, 48 * 3600.0)
CLICKED_AFTER = (40.0, 0.8, 3600.0)
ACTIVATED_AFTER = (180.0, 1.0, 6 * 3600.0)
CONVERTED_AFTER = (9 * 3600.0, 1.0, 5 * 86400.0)
"""Seconds at the median, spread of their logarithm, and the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What happened, as columns of shape (n_events,), in order of time.

    `sends` are the numbers of the sends that led to them; `at` microseconds since 1970 (UTC); money in hundredths,
    `costs` in millionths, NONE where absent; `places` degrees of shape (n_events, 2), nan where absent. Exposures name
    a test and its variant by their places, elsewhere NONE; their probability is the variant's, else the amount's.
    """

    sends: IntArray
    types: IntArray
    at: IntArray
    users: IntArray
    campaigns: IntArray
    channels: IntArray
    values: IntArray
    costs: IntArray
    amounts: IntArray
    probabilities: FloatArray
    places: FloatArray
    tests: IntArray
    variants: IntArray

    def __len__(self) -> int:
        return len(self.at)

    def take(self, which: IntArray | slice) -> Self:
        """Return some of the events."""
        return type(self)(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def until(self, at: datetime) -> Self:
        """Return what happened before a time."""
        return self.take(slice(0, int(np.searchsorted(self.at, round(at.timestamp() * MICROS)))))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Sends, the probabilities of what follows from each, and what really followed, also after the history's end."""

    sends: Sends
    response: Response
    events: Events


class World:
    """A population over `days` days before `anchor`, the same for the same seed and anchor.

    `size` scales the number of sends.
    """

    def __init__(self, anchor: datetime, *, seed: int = SEED, days: int = DAYS, size: float = 1.0) -> None:
        self.anchor = anchor
        self.start: date = anchor.date() - timedelta(days=days)
        self.seed = seed
        self._days = days
        self._sends = round(SENDS * size)

    @cached_property
    def population(self) -> Population:
        """Who lives in it."""
        return populate(np.random.default_rng([self.seed, 1]), days=self._days)

    @cached_property
    def liking(self) -> FloatArray:
        """How much each user likes each merchant, of shape (n_users, n_merchants)."""
        return affinity(self.population)

    def history(self) -> History:
        """Return everything sent before the anchor, and what follows from it."""
        rng = np.random.default_rng([self.seed, 2])
        sends = self._sending.over(rng, self._days + 1, total=self._sends)
        inside = (sends.at >= _micros(self.anchor - timedelta(days=self._days))) & (sends.at < _micros(self.anchor))
        sends = _select(sends, inside)
        response = self._respond(sends, self.experiments.lifts(sends))
        events = self._unfold(rng, sends, response, exposures=self.experiments.exposures(sends))
        return History(sends=sends, response=response, events=events)

    def happen(self, rng: np.random.Generator, count: int, *, at: datetime, haste: float) -> Events:
        """Return `count` sends at a moment and what follows from them, `haste` times sooner than in the history."""
        sends = self._sending.now(rng, count, at=at)
        response = self._respond(sends, self.experiments.lifts_now(sends))
        return self._unfold(rng, sends, response, exposures=self.experiments.repeated(sends), haste=haste)

    @cached_property
    def experiments(self) -> Experiments:
        """The tests in it."""
        return Experiments(self.population, anchor=_micros(self.anchor))

    @cached_property
    def _sending(self) -> Sending:
        return Sending(self.population, liking=self.liking, start=self.start)

    def _respond(self, sends: Sends, lifts: Lifts) -> Response:
        return respond(
            self.population,
            sends.users,
            merchants=sends.merchants,
            liking=self.liking[sends.users, sends.merchants],
            channels=sends.channels,
            hours=sends.hours,
            amounts=sends.amounts,
            clicking_lift=lifts.clicking,
            converting_lift=lifts.converting,
        )

    def _unfold(
        self,
        rng: np.random.Generator,
        sends: Sends,
        response: Response,
        *,
        exposures: Sequence[Exposures],
        haste: float = 1.0,
    ) -> Events:
        steps = [
            (EventType.DELIVERED, response.delivered, 1 + rng.exponential(4.0, len(sends))),
            (EventType.OPENED, response.opened, _delays(rng, len(sends), OPENED_AFTER)),
            (EventType.CLICKED, response.clicked, _delays(rng, len(sends), CLICKED_AFTER)),
            (EventType.ACTIVATED, response.activated, _delays(rng, len(sends), ACTIVATED_AFTER)),
            (EventType.CONVERTED, response.converted, _delays(rng, len(sends), CONVERTED_AFTER)),
        ]
        happened, at = np.ones(len(sends), dtype=bool), sends.at
        parts = [self._sent(sends), *(_exposed(sends, one) for one in exposures)]
        for kind, probability, delay in steps:
            happened = happened & (rng.random(len(sends)) < probability)
            at = at + (delay * MICROS / haste).astype(np.int64)
            parts.append(self._step(rng, sends, kind, at, which=np.flatnonzero(happened)))
            if kind is EventType.DELIVERED:
                parts.append(self._entered(rng, sends, at, which=happened, probability=response.geofence, haste=haste))
        return _join(parts)

    def _sent(self, sends: Sends) -> Events:
        events = _bare(sends, EventType.SENT, sends.at, which=np.arange(len(sends)))
        return replace(events, costs=channel_costs(sends.channels))

    def _step(
        self, rng: np.random.Generator, sends: Sends, kind: EventType, at: IntArray, *, which: IntArray
    ) -> Events:
        events = _bare(sends, kind, at[which], which=which)
        return replace(events, values=self._orders(rng, sends, which)) if kind is EventType.CONVERTED else events

    def _orders(self, rng: np.random.Generator, sends: Sends, which: IntArray) -> IntArray:
        medians = np.array([merchant.order for merchant in self.population.merchants])[sends.merchants[which]]
        return np.round(100.0 * medians * rng.lognormal(0.0, ORDER_SIGMA, len(which))).astype(np.int64)

    def _entered(
        self,
        rng: np.random.Generator,
        sends: Sends,
        at: IntArray,
        *,
        which: BoolArray,
        probability: FloatArray,
        haste: float,
    ) -> Events:
        entered = np.flatnonzero(which & (rng.random(len(sends)) < probability))
        later = at[entered] + (rng.uniform(1.0, 48.0, len(entered)) * HOUR / haste).astype(np.int64)
        events = _bare(sends, EventType.GEOFENCE_ENTERED, later, which=entered)
        homes = self.population.merchant_places[sends.merchants[entered]]
        places = homes + rng.normal(0.0, 0.0008, (len(entered), 2))
        return replace(events, channels=np.zeros(len(entered), np.int64), places=np.round(places, 6))


def _delays(rng: np.random.Generator, count: int, after: tuple[float, float, float]) -> FloatArray:
    median, spread, most = after
    return np.minimum(median * rng.lognormal(0.0, spread, count), most)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * MICROS)


def _select(sends: Sends, inside: BoolArray) -> Sends:
    columns: dict[str, Any] = {field.name: getattr(sends, field.name)[inside] for field in fields(sends)}
    columns["numbers"] = np.arange(int(inside.sum()))
    return Sends(**columns)


def _bare(sends: Sends, kind: EventType, at: IntArray, *, which: IntArray) -> Events:
    absent = np.full(len(which), NONE)
    probabilities = sends.probabilities[which]
    tried = ~np.isnan(probabilities)
    return Events(
        sends=sends.numbers[which],
        types=np.full(len(which), int(kind)),
        at=at,
        users=sends.users[which],
        campaigns=sends.campaigns[which],
        channels=sends.channels[which],
        values=absent,
        costs=absent,
        amounts=np.where(tried, np.round(100.0 * sends.amounts[which]), NONE).astype(np.int64),
        probabilities=probabilities,
        places=np.full((len(which), 2), np.nan),
        tests=absent,
        variants=absent,
    )


def _exposed(sends: Sends, exposures: Exposures) -> Events:
    which = exposures.sends
    return replace(
        _bare(sends, EventType.EXPOSED, sends.at[which], which=which),
        tests=np.full(len(which), exposures.test),
        variants=exposures.variants,
        amounts=np.full(len(which), NONE),
        probabilities=exposures.probabilities,
    )


def _join(parts: Sequence[Events]) -> Events:
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events)
    }
    return Events(**columns).take(np.lexsort((columns["tests"], columns["types"], columns["sends"], columns["at"])))
