"""Which offers the simulated world sends: to whom, when, over which channel, for how much."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from app.demo.population import AMOUNT_FACTORS, CITIES, Campaign, Population
from engine.arrays import FloatArray, IntArray

MICROS = 1_000_000
HOUR = 3_600 * MICROS
DAY = 24 * HOUR

# by local hour from 0 to 23, and by weekday from Monday
SENDING_HOURS = np.array(
    [1, 0, 0, 0, 0, 1, 3, 8, 14, 18, 20, 16, 14, 12, 11, 12, 14, 18, 20, 17, 12, 8, 4, 2], dtype=float
)
SENDING_DAYS = np.array([1.05, 1.0, 1.0, 1.1, 1.25, 0.9, 0.7])
LAUNCH_GAIN = 1.5
LAUNCH_DAYS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """Offers sent, as columns of shape (n_sends,); users, campaigns and merchants by their place in the population.

    `at` is in microseconds since 1970 (UTC); `hours` are local, from 0 to 24; `amounts` are money. `probabilities` say
    how likely the amount was where the campaign tries amounts, and are nan elsewhere.
    """

    numbers: IntArray
    at: IntArray
    users: IntArray
    campaigns: IntArray
    merchants: IntArray
    channels: IntArray
    hours: FloatArray
    amounts: FloatArray
    probabilities: FloatArray

    def __len__(self) -> int:
        return len(self.at)


class Sending:
    """Draws sends for a population whose first day is `start`."""

    def __init__(self, population: Population, *, liking: FloatArray, start: date) -> None:
        self._population = population
        self._liking = liking
        self._start = start

    def over(self, rng: np.random.Generator, days: int, *, total: int) -> Sends:
        """Return about `total` sends of the first `days` days, by the campaigns' runs, weekdays and cities' clocks."""
        counts = _share(self._volumes(days), total)
        drawn = [
            (campaign, self._days(rng, plan, count, days=days), self._targets(rng, plan, count))
            for campaign, (plan, count) in enumerate(zip(self._population.campaigns, counts.tolist(), strict=True))
        ]
        campaigns = np.repeat(np.arange(len(drawn)), counts)
        day = np.concatenate([part for _, part, _ in drawn])
        users = np.concatenate([part for _, _, part in drawn])
        hours = rng.choice(24, len(users), p=SENDING_HOURS / SENDING_HOURS.sum()) + rng.random(len(users))
        at = day * DAY + (hours * HOUR).astype(np.int64) + _midnight(self._start)
        at -= self._offsets(days)[self._population.users.city[users], day]
        return self._complete(rng, at=at, users=users, campaigns=campaigns, hours=hours)

    def now(self, rng: np.random.Generator, count: int, *, at: datetime) -> Sends:
        """Return `count` sends at one moment, of the campaigns that run then, to users who are awake."""
        day = (at.date() - self._start).days
        running = np.array([plan.volume * plan.runs_on(day) for plan in self._population.campaigns])
        campaigns: IntArray = rng.choice(len(running), count, p=running / running.sum())
        city_hours = np.array([_local_hour(city.timezone, at) for city in CITIES])
        hours = city_hours[self._population.users.city]
        awake = 0.2 + SENDING_HOURS[hours.astype(int)]
        plans = [self._population.campaigns[int(campaign)] for campaign in campaigns.flat]
        users = np.concatenate([self._targets(rng, plan, 1, awake) for plan in plans])
        moments = np.full(count, round(at.timestamp() * MICROS))
        return self._complete(rng, at=moments, users=users, campaigns=campaigns, hours=hours[users])

    def _complete(
        self, rng: np.random.Generator, *, at: IntArray, users: IntArray, campaigns: IntArray, hours: FloatArray
    ) -> Sends:
        plans = self._population.campaigns
        amounts, probabilities = self._amounts(rng, campaigns)
        return Sends(
            numbers=np.arange(len(at)),
            at=at,
            users=users,
            campaigns=campaigns,
            merchants=np.array([plan.merchant for plan in plans])[campaigns],
            channels=_channels(rng, plans, campaigns),
            hours=hours,
            amounts=amounts,
            probabilities=probabilities,
        )

    def _volumes(self, days: int) -> FloatArray:
        return np.array([plan.volume * _days_of(plan, days).sum() for plan in self._population.campaigns])

    def _days(self, rng: np.random.Generator, plan: Campaign, count: int, *, days: int) -> IntArray:
        age = np.arange(days) - plan.first_day
        weekday = (np.arange(days) + self._start.weekday()) % 7
        launch = 1.0 + LAUNCH_GAIN * np.exp(-np.maximum(age, 0) / LAUNCH_DAYS)
        weights = SENDING_DAYS[weekday] * launch * _days_of(plan, days)
        return rng.choice(days, count, p=weights / weights.sum()) if count else np.empty(0, np.int64)

    def _targets(
        self, rng: np.random.Generator, plan: Campaign, count: int, awake: FloatArray | float = 1.0
    ) -> IntArray:
        weights = self._liking[:, plan.merchant] * np.isin(self._population.users.segment, plan.segments) * awake
        return np.searchsorted(np.cumsum(weights), rng.random(count) * weights.sum(), side="right")

    def _amounts(self, rng: np.random.Generator, campaigns: IntArray) -> tuple[FloatArray, FloatArray]:
        plans = self._population.campaigns
        own = np.array([float(plan.amount) for plan in plans])[campaigns]
        tried = np.array([plan.tries_amounts for plan in plans])[campaigns]
        factor = np.where(tried, rng.choice(AMOUNT_FACTORS, len(campaigns)), 1.0)
        return np.round(own * factor, 2), np.where(tried, 1.0 / len(AMOUNT_FACTORS), np.nan)

    def _offsets(self, days: int) -> IntArray:
        dates = [datetime.combine(self._start + timedelta(days=day), datetime.min.time()) for day in range(days)]
        return np.array([[_offset(city.timezone, noon + timedelta(hours=12)) for noon in dates] for city in CITIES])


def _days_of(plan: Campaign, days: int) -> FloatArray:
    return np.array([plan.runs_on(day) for day in range(days)], dtype=float)


def _share(volumes: FloatArray, total: int) -> IntArray:
    return np.round(total * volumes / volumes.sum()).astype(np.int64)


def _channels(rng: np.random.Generator, plans: tuple[Campaign, ...], campaigns: IntArray) -> IntArray:
    width = max(len(plan.channels) for plan in plans)
    codes = np.array([[*plan.channels, *[plan.channels[-1]] * (width - len(plan.channels))] for plan in plans])
    limits = np.array([np.cumsum([*plan.weights, *[0.0] * (width - len(plan.weights))]) for plan in plans])
    chosen = (rng.random(len(campaigns))[:, None] > limits[campaigns, :-1]).sum(axis=1)
    return codes[campaigns, chosen]


def _midnight(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICROS


def _offset(timezone: str, local: datetime) -> int:
    offset = local.replace(tzinfo=ZoneInfo(timezone)).utcoffset()
    return round((offset or timedelta()).total_seconds()) * MICROS


def _local_hour(timezone: str, at: datetime) -> float:
    local = at.astimezone(ZoneInfo(timezone))
    return local.hour + local.minute / 60.0
