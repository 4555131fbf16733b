"""Visits to the app's home screen, whose picture a bandit chooses: what happened before the anchor, step by step.

The shares of each step follow from what had happened by then, as the server's do, so that the world needs no server to
know its own history; and the server, stepped at the same times, finds the same shares.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from app.abtests.drafting import MetricDraft, TestDraft, VariantDraft
from app.abtests.exposing import exposure_id
from app.demo.population import Population
from app.demo.sending import HOUR, MICROS
from app.demo.truth import TAPPING
from app.demo.world import Events
from app.ingestion.batches import IncomingEvent
from app.store.models.codes import AllocationPolicy, EventType, MetricKind
from engine.arrays import IntArray
from engine.assignment.allocation import variants_of_units
from engine.bandits.policy import ArmTotals, allocate
from engine.bandits.thompson import BetaThompson

STEP = timedelta(minutes=2)
STEPS = 45
VISITS_A_STEP = 10
WINDOW_HOURS = 1
TAPPED_AFTER = (150.0, 0.8, 3000.0)
"""Seconds from a visit to a tap at the median, spread of their logarithm, and the most: all within the window."""

PICTURES = TestDraft(
    key="home-picture",
    name="The picture on the home screen",
    hypothesis="One picture makes more people tap; the bandit finds it, and earns while it looks.",
    variants=tuple(
        VariantDraft(key=key, weight=1.0 / len(TAPPING), is_control=key == "basket", payload={"picture": f"{key}.jpg"})
        for key in TAPPING
    ),
    metric=MetricDraft(key="tapped", kind=MetricKind.CONVERSION, event=EventType.CLICKED, window_hours=WINDOW_HOURS),
    allocation_policy=AllocationPolicy.THOMPSON,
    reallocate_every_minutes=round(STEP.total_seconds() / 60),
)


_STEP_MICROS = round(STEP.total_seconds() * MICROS)
_WINDOW_MICROS = WINDOW_HOURS * HOUR
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitStep:
    """One policy version: from when on it holds, its shares, and what is sent while it does."""

    version: int
    at: datetime
    shares: tuple[float, ...]
    events: tuple[IncomingEvent, ...]


class Visits:
    """Visits of the hours before the anchor; each user comes once. Times within are microseconds since `began`."""

    def __init__(self, population: Population, *, anchor: datetime, seed: int) -> None:
        self.began = anchor - STEPS * STEP
        self._users = population.users.external_id
        self._seed = seed
        self._rates = np.array(list(TAPPING.values()))

    def steps(self, events: Events) -> Iterator[VisitStep]:
        """Yield every step; users who click on an offer meanwhile, by the world's events, do not come."""
        rng = np.random.default_rng([self._seed, 3])
        came = self._visitors(rng, events)
        visits = _Visits(
            at=np.sort((rng.random(came.size) * STEPS * _STEP_MICROS).astype(np.int64)),
            variants=np.full(came.size, -1),
            taps=np.full(came.size, _NEVER),
        )
        for step in range(STEPS):
            begin, end = step * _STEP_MICROS, (step + 1) * _STEP_MICROS
            shares, now = self._shares(visits, at=begin), visits.between(begin, end)
            users: list[int] = came[now].tolist()
            units = [self._users[user] for user in users]
            visits.variants[now] = variants_of_units(units, shares, seed=PICTURES.key)
            visits.taps[now] = self._taps(rng, visits.variants[now], visits.at[now])
            sent = [*self._exposures(visits, came, shares, now), *self._tapped(visits, came, begin, end)]
            at = self.began + step * STEP
            yield VisitStep(version=step + 1, at=at, shares=shares, events=tuple(sent))

    def _visitors(self, rng: np.random.Generator, events: Events) -> IntArray:
        since = round(self.began.timestamp() * MICROS)
        clicking = events.users[(events.types == EventType.CLICKED) & (events.at >= since)]
        free = np.setdiff1d(np.arange(len(self._users)), clicking)
        return rng.permutation(free)[: STEPS * VISITS_A_STEP]

    def _shares(self, visits: "_Visits", *, at: int) -> tuple[float, ...]:
        if at == 0:
            return tuple(variant.weight for variant in PICTURES.variants)
        return allocate(BetaThompson(), visits.known(at, arms=self._rates.size)).probabilities

    def _taps(self, rng: np.random.Generator, variants: IntArray, at: IntArray) -> IntArray:
        """Return when visitors tap: before the anchor, as what is told ends there."""
        median, spread, most = TAPPED_AFTER
        delays = np.minimum(median * rng.lognormal(0.0, spread, variants.size), most) * MICROS
        taps = np.minimum(at + delays.astype(np.int64), STEPS * _STEP_MICROS - 1)
        return np.where(rng.random(variants.size) < self._rates[variants], taps, _NEVER)

    def _exposures(
        self, visits: "_Visits", came: IntArray, shares: tuple[float, ...], now: slice
    ) -> Iterator[IncomingEvent]:
        rows: zip[tuple[int, int, int]] = zip(
            visits.at[now].tolist(), came[now].tolist(), visits.variants[now].tolist(), strict=True
        )
        for at, user, variant in rows:
            when = self.began + timedelta(microseconds=at)
            key = PICTURES.variants[variant].key
            yield exposure(self._users[user], key, at=when, probability=shares[variant])

    def _tapped(self, visits: "_Visits", came: IntArray, begin: int, end: int) -> Iterator[IncomingEvent]:
        which = np.flatnonzero((visits.taps >= begin) & (visits.taps < end))
        rows: zip[tuple[int, int]] = zip(visits.taps[which].tolist(), came[which].tolist(), strict=True)
        for at, user in rows:
            yield tap(self._users[user], at=self.began + timedelta(microseconds=at))


def exposure(user: str, variant: str, *, at: datetime, probability: float) -> IncomingEvent:
    """Return a visit as it is sent: the exposure to the picture that was chosen."""
    return IncomingEvent(
        id=exposure_id(PICTURES.key, variant, user),
        type="EXPOSED",
        occurred_at=at,
        user_id=user,
        test_id=PICTURES.key,
        variant_key=variant,
        probability=probability,
    )


def tap(user: str, *, at: datetime) -> IncomingEvent:
    """Return a tap on the picture as it is sent."""
    return IncomingEvent(
        id=f"{PICTURES.key}-tap-{user}", type="CLICKED", occurred_at=at, user_id=user, test_id=PICTURES.key
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visits:
    """Columns of shape (n,), in order of the visits: when, which picture, when tapped."""

    at: IntArray
    variants: IntArray
    taps: IntArray

    def between(self, begin: int, end: int) -> slice:
        return slice(int(np.searchsorted(self.at, begin)), int(np.searchsorted(self.at, end)))

    def known(self, at: int, *, arms: int) -> ArmTotals:
        """Return what counts at a time: who has tapped, and whose window has closed."""
        tapped = self.taps < at
        counted = tapped | (self.at <= at - _WINDOW_MICROS)
        rewards = np.bincount(self.variants[tapped], minlength=arms).astype(np.float64)
        pulls = np.bincount(self.variants[counted], minlength=arms).astype(np.float64)
        return ArmTotals(pulls=pulls, rewards=rewards, squared_rewards=rewards)
