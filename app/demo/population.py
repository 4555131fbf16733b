"""Who lives in the simulated world: merchants, campaigns and users, drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.store.models.codes import CampaignStatus, Channel
from engine.arrays import FloatArray

type IndexArray = NDArray[np.integer[Any]]

MERCHANTS = 12
CAMPAIGNS = 40
USERS = 5_000
TASTES = 4
"""How many hidden dimensions tastes have."""

AMOUNT_FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5)
"""What a campaign that tries amounts multiplies its own by, each with the same probability."""

EVERGREEN = 12
"""Campaigns without an end: those that live traffic goes on with."""


@dataclass(frozen=True, slots=True)
class City:
    """Where users live and merchants are."""

    name: str
    timezone: str
    latitude: float
    longitude: float
    share: float


CITIES = (
    City("New York", "America/New_York", 40.7128, -74.0060, 0.22),
    City("Los Angeles", "America/Los_Angeles", 34.0522, -118.2437, 0.14),
    City("São Paulo", "America/Sao_Paulo", -23.5505, -46.6333, 0.10),
    City("London", "Europe/London", 51.5074, -0.1278, 0.14),
    City("Zürich", "Europe/Zurich", 47.3769, 8.5417, 0.10),
    City("Kraków", "Europe/Warsaw", 50.0647, 19.9450, 0.08),
    City("Bengaluru", "Asia/Kolkata", 12.9716, 77.5946, 0.10),
    City("東京", "Asia/Tokyo", 35.6762, 139.6503, 0.12),
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A kind of user: how common it is, and what its rates are multiplied by."""

    name: str
    share: float
    opening: float
    converting: float


SEGMENTS = (
    Segment("new", 0.24, 1.10, 0.80),
    Segment("regular", 0.38, 1.00, 1.00),
    Segment("loyal", 0.16, 1.30, 1.40),
    Segment("lapsed", 0.14, 0.55, 0.60),
    Segment("student", 0.08, 0.90, 1.15),
)


@dataclass(frozen=True, slots=True)
class Merchant:
    """A shop; `order` is the median of what a purchase there comes to."""

    key: str
    name: str
    category: str
    city: int
    order: float


_SHOPS = (
    Merchant("cafe-ase", "Café Åse", "coffee", 4, 9.0),
    Merchant("corner-grocer", "Corner Grocer", "groceries", 0, 42.0),
    Merchant("padaria-joao", "Padaria São João", "bakery", 2, 12.0),
    Merchant("harbour-books", "Harbour Books", "books", 3, 24.0),
    Merchant("sakura-books", "さくら書店", "books", 7, 21.0),
    Merchant("pierogarnia-slonce", "Pierogarnia Słońce", "restaurant", 5, 31.0),
    Merchant("velo-zuri", "Vélo Züri", "sports", 4, 88.0),
    Merchant("sunset-runners", "Sunset Runners", "sports", 1, 74.0),
    Merchant("masala-kitchen", "मसाला Kitchen", "restaurant", 6, 18.0),
    Merchant("thread-and-button", "Thread & Button", "fashion", 0, 63.0),
    Merchant("soho-cinema", "Soho Cinéma", "cinema", 3, 27.0),
    Merchant("green-pharmacy", "Green Pharmacy", "pharmacy", 1, 34.0),
)

_OCCASIONS = (
    "Welcome", "Weekend", "Rainy day", "Payday", "Early bird", "Night owl",
    "Birthday", "Come back", "Double up", "Neighbours", "Season start", "Thank you",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Campaign:
    """An offer. Days count from the world's start; `weights` share its sends among `channels`."""

    key: str
    name: str
    merchant: int
    channels: tuple[Channel, ...]
    weights: tuple[float, ...]
    amount: Decimal
    first_day: int
    last_day: int | None
    status: CampaignStatus
    segments: tuple[int, ...]
    tries_amounts: bool
    volume: float
    budget: Decimal | None

    def runs_on(self, day: int) -> bool:
        """Say whether sends go out on this day."""
        return self.first_day <= day and (self.last_day is None or day < self.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Users as columns, each of shape (n_users,).

    `peak_hour` is the local hour at which a user opens most readily; `tastes` has shape (n_users, TASTES); `places` are
    latitudes and longitudes, of shape (n_users, 2).
    """

    external_id: tuple[str, ...]
    segment: IndexArray
    city: IndexArray
    places: FloatArray
    birth_year: IndexArray
    peak_hour: FloatArray
    tastes: FloatArray

    def __len__(self) -> int:
        return len(self.external_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Everybody; `merchant_tastes` has shape (n_merchants, TASTES), `merchant_places` (n_merchants, 2)."""

    merchants: tuple[Merchant, ...]
    campaigns: tuple[Campaign, ...]
    users: Users
    merchant_tastes: FloatArray
    merchant_places: FloatArray


def populate(rng: np.random.Generator, *, users: int = USERS, campaigns: int = CAMPAIGNS, days: int = 90) -> Population:
    """Draw a population."""
    return Population(
        merchants=_SHOPS,
        campaigns=tuple(_campaign(rng, number, days=days) for number in range(campaigns)),
        users=_users(rng, users),
        merchant_tastes=rng.standard_normal((MERCHANTS, TASTES)),
        merchant_places=_places(rng, np.array([shop.city for shop in _SHOPS]), spread=0.02),
    )


def _users(rng: np.random.Generator, count: int) -> Users:
    city = _choose(rng, [city.share for city in CITIES], count)
    evening = rng.random(count) < 0.6
    return Users(
        external_id=tuple(f"u-{number:05d}" for number in range(1, count + 1)),
        segment=_choose(rng, [segment.share for segment in SEGMENTS], count),
        city=city,
        places=_places(rng, city, spread=0.08),
        birth_year=rng.integers(1945, 2008, count, dtype=np.int16),
        peak_hour=np.where(evening, rng.normal(20.0, 1.5, count), rng.normal(8.0, 1.5, count)) % 24,
        tastes=rng.standard_normal((count, TASTES)),
    )


def _places(rng: np.random.Generator, cities: IndexArray, *, spread: float) -> FloatArray:
    centres = np.array([(city.latitude, city.longitude) for city in CITIES])
    return np.round(centres[cities] + rng.normal(0.0, spread, (len(cities), 2)), 5)


def _choose(rng: np.random.Generator, shares: Sequence[float], count: int) -> IndexArray:
    return rng.choice(len(shares), count, p=shares).astype(np.int8)


def _campaign(rng: np.random.Generator, number: int, *, days: int) -> Campaign:
    merchant = number % MERCHANTS
    occasion = _OCCASIONS[(number // MERCHANTS * 5 + number) % len(_OCCASIONS)]
    channels = _channels(rng)
    first, last, status = _schedule(rng, number, days=days)
    amount = Decimal(int(rng.integers(4, 25))) / 2
    return Campaign(
        key=f"{_SHOPS[merchant].key}-{occasion.lower().replace(' ', '-')}",
        name=f"{occasion} at {_SHOPS[merchant].name}",
        merchant=merchant,
        channels=channels,
        weights=tuple(float(share) for share in rng.dirichlet(np.full(len(channels), 6.0))),
        amount=amount,
        first_day=first,
        last_day=last,
        status=status,
        segments=_targets(rng),
        tries_amounts=number % 7 == 0,
        volume=float(rng.lognormal(0.0, 0.45)) if status is not CampaignStatus.DRAFT else 0.0,
        budget=amount * int(rng.integers(200, 2_000)) if rng.random() < 0.7 else None,
    )


def _channels(rng: np.random.Generator) -> tuple[Channel, ...]:
    every = (Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.IN_APP)
    chosen: list[int] = rng.choice(4, int(rng.integers(1, 4)), replace=False, p=(0.35, 0.35, 0.12, 0.18)).tolist()
    return tuple(every[index] for index in sorted(chosen))


def _schedule(rng: np.random.Generator, number: int, *, days: int) -> tuple[int, int | None, CampaignStatus]:
    if number % CAMPAIGNS >= CAMPAIGNS - 2:
        return days + 7, days + 37, CampaignStatus.DRAFT
    if number % CAMPAIGNS < EVERGREEN:
        return int(rng.integers(0, days * 2 // 3)) * (number > 0), None, CampaignStatus.ACTIVE
    first = int(rng.integers(0, days * 3 // 4))
    last = first + int(rng.integers(14, 46))
    if last > days:
        return first, last, CampaignStatus.ACTIVE
    return first, last, CampaignStatus.PAUSED if number % 13 == 0 else CampaignStatus.ENDED


def _targets(rng: np.random.Generator) -> tuple[int, ...]:
    if rng.random() < 0.6:
        return tuple(range(len(SEGMENTS)))
    return tuple(sorted(int(index) for index in rng.choice(len(SEGMENTS), int(rng.integers(2, 4)), replace=False)))
