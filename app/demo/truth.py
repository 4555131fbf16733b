"""How the simulated world really works: the probabilities that estimates are to be compared with.

Every function is vectorised over sends. A campaign's counts are sums of independent draws with these probabilities, so
that a count deviates from its expectation no more than a binomial one with the mean probability.
"""

from dataclasses import dataclass

import numpy as np

from app.demo.population import SEGMENTS, Population
from engine.arrays import FloatArray, IntArray

# by channel code, from NONE to IN_APP
DELIVERING = np.array([0.0, 0.93, 0.97, 0.985, 0.995])
OPENING = np.array([0.0, 0.30, 0.24, 0.52, 0.40])
CLICKING = np.array([0.0, 0.34, 0.30, 0.22, 0.38])
DELIVERY_COST_MICROS = np.array([0, 500, 1_000, 40_000, 0])

ACTIVATING = 0.62
PEAK_GAIN = 1.6
PEAK_WIDTH_HOURS = 3.5
ENTERING = 0.12
"""Probability that a delivered offer brings a user of the same city into the merchant's area, at average affinity."""

CONVERTING_FLOOR = 0.16
CONVERTING_GAIN = 0.62
AMOUNT_SCALE = 6.0
ORDER_SIGMA = 0.55
AFFINITY_SPREAD = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEffect:
    """What a variant adds, relatively, to the probabilities of clicking and of converting; the control adds nothing.

    It acts on users from their exposure until the test ends, in the offers that the test concerns, and on nobody else.
    """

    __test__ = False

    test: str
    variant: str
    clicking: float = 0.0
    converting: float = 0.0


TEST_EFFECTS = (
    TestEffect(test="instant-cash-back", variant="instant", clicking=0.5),
    TestEffect(test="payday-same-again", variant="same"),
    TestEffect(test="weekend-wording", variant="warm", clicking=0.15),
    TestEffect(test="saved-so-far", variant="shown", clicking=0.25),
    TestEffect(test="win-back-tone", variant="friendly", clicking=0.6),
    TestEffect(test="win-back-tone", variant="urgent", clicking=0.1),
    TestEffect(test="bold-headline", variant="bold", clicking=0.25, converting=-0.6),
)


TAPPING = {"basket": 0.10, "people": 0.13, "map": 0.09, "season": 0.16}
"""Probability that a visitor taps on the home screen, by its picture: what the bandit is to find out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a send leads to, with which probability, each of shape (n_sends,); each given that the one before happened.

    `converted` is given activation; `geofence` is given delivery.
    """

    delivered: FloatArray
    opened: FloatArray
    clicked: FloatArray
    activated: FloatArray
    converted: FloatArray
    geofence: FloatArray

    @property
    def conversion(self) -> FloatArray:
        """Probability that a delivered offer converts."""
        return self.opened * self.clicked * self.activated * self.converted


def dose(amount: FloatArray) -> FloatArray:
    """Return the probability that an activated offer of this amount converts, in an average segment and shop."""
    return CONVERTING_FLOOR + CONVERTING_GAIN * -np.expm1(-amount / AMOUNT_SCALE)


def hour_factor(hour: FloatArray, peak_hour: FloatArray) -> FloatArray:
    """Return what opening is multiplied by at a local hour (0 to 24) for users with these peak hours."""
    distance = np.abs((hour - peak_hour + 12.0) % 24.0 - 12.0)
    return 0.55 + (PEAK_GAIN - 0.55) * np.exp(-0.5 * (distance / PEAK_WIDTH_HOURS) ** 2)


def affinity(population: Population) -> FloatArray:
    """Return how much each user likes each merchant, of shape (n_users, n_merchants), 1 at the median."""
    tastes = population.users.tastes @ population.merchant_tastes.T
    return np.exp(AFFINITY_SPREAD * tastes / np.sqrt(population.merchant_tastes.shape[1]))


def respond(
    population: Population,
    users: IntArray,
    *,
    merchants: IntArray,
    liking: FloatArray,
    channels: IntArray,
    hours: FloatArray,
    amounts: FloatArray,
    clicking_lift: FloatArray | float = 0.0,
    converting_lift: FloatArray | float = 0.0,
) -> Response:
    """Return what sends lead to: to whom, of which merchant, over which channel, at which local hour, for how much.

    `liking` is each user's affinity to the merchant; the lifts are what variants of tests add, relatively, to the
    probabilities of clicking and converting.
    """
    segment = population.users.segment[users]
    opening = np.array([kind.opening for kind in SEGMENTS])[segment]
    converting = np.array([kind.converting for kind in SEGMENTS])[segment]
    return Response(
        delivered=DELIVERING[channels],
        opened=_probability(OPENING[channels] * opening * hour_factor(hours, population.users.peak_hour[users])),
        clicked=_probability(CLICKING[channels] * liking * (1.0 + clicking_lift)),
        activated=np.full(len(users), ACTIVATING),
        converted=_probability(dose(amounts) * converting * liking**0.5 * (1.0 + converting_lift)),
        geofence=_probability(ENTERING * liking * _same_city(population, users, merchants)),
    )


def channel_costs(channels: IntArray) -> IntArray:
    """Return what a send costs, in millionths."""
    return DELIVERY_COST_MICROS[channels]


def _same_city(population: Population, users: IntArray, merchants: IntArray) -> FloatArray:
    cities = np.array([merchant.city for merchant in population.merchants])
    return (population.users.city[users] == cities[merchants]).astype(np.float64)


def _probability(value: FloatArray) -> FloatArray:
    return np.clip(value, 0.0, 0.95)
