"""Tests to be tried: drafts, and web processes on one database that decide, record and hear of each other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from app.abtests.assigning import Assigning, Decision
from app.abtests.drafting import MetricDraft, TestDraft, VariantDraft
from app.abtests.lifecycle import TestLifecycle
from app.asgi import assembled
from app.auth.principals import Principal, Role
from app.ingestion.batches import read_mappings
from app.ingestion.rejections import Receipt
from app.runtime.broadcast import Broadcast, LocalBroadcast
from app.runtime.clock import ManualClock
from app.store.abtest_rows import TestDefinition
from app.store.database import Database
from app.store.models.codes import EventType, MetricKind
from graph.context import Services

ANN = Principal(7, "ann", Role.ANALYST)
CONVERSION = MetricDraft(key="converted", kind=MetricKind.CONVERSION, event=EventType.CONVERTED)
HALVES = (
    VariantDraft(key="control", weight=0.5, is_control=True),
    VariantDraft(key="treatment", weight=0.5, payload={"colour": "grün"}),
)


def make_draft(**given: Any) -> TestDraft:
    """A sound draft; what is given replaces the defaults."""
    defaults = {"key": "spring", "name": "Spring", "variants": HALVES, "metric": CONVERSION}
    return TestDraft(**(defaults | given))


@pytest.fixture
def draft() -> Callable[..., TestDraft]:
    return make_draft


@dataclass
class Process:
    """One web process's use cases."""

    database: Database
    services: Services
    assigning: Assigning
    clock: ManualClock
    numbers: list[int] = field(default_factory=list)

    @property
    def lifecycle(self) -> TestLifecycle:
        return self.services.lifecycle

    async def create(self, **given: Any) -> TestDefinition:
        return await self.lifecycle.create(make_draft(**given), principal=ANN)

    async def running(self, **given: Any) -> TestDefinition:
        """Create a test and start it."""
        definition = await self.create(**given)
        return await self.lifecycle.start(definition.test.id, principal=ANN)

    async def assign(
        self, user: str, test: str | int = "spring", *, expose: bool = False, **attributes: Any
    ) -> Decision:
        return await self.services.exposing.assign(test, user, attributes=attributes, expose=expose)

    async def record(self, *events: dict[str, Any]) -> Receipt:
        return await self.services.ingestion.record(read_mappings([self._event(event) for event in events]))

    def _event(self, given: dict[str, Any]) -> dict[str, Any]:
        self.numbers.append(0)
        defaults = {
            "id": f"e{len(self.numbers)}",
            "type": "EXPOSED",
            "occurredAt": self.clock.now(),
            "userId": "ann",
        }
        return defaults | given

    async def audit(self) -> list[tuple[str, str]]:
        """Who did what to tests, in order."""
        rows = await self.database.fetch("SELECT actor, action FROM audit_entry ORDER BY id")
        return [(row["actor"], row["action"]) for row in rows]

    async def totals(self, test_id: int, metric: int = 0) -> dict[str, tuple[int, int]]:
        """Units exposed and converted, by variant's key."""
        definition = await self.lifecycle.definition(test_id)
        keys = {variant.id: variant.key for variant in definition.variants}
        rows = (await self.services.tests.totals([test_id])).get(test_id, [])
        wanted = definition.metrics[metric].id
        found = {keys[row.variant_id]: (row.exposed, row.converted) for row in rows if row.metric_id == wanted}
        return {key: sums for key, sums in found.items() if sums != (0, 0)}


@asynccontextmanager
async def web_process(database: Database, broadcast: Broadcast, clock: ManualClock) -> AsyncIterator[Process]:
    """Another web process on a database."""
    async with assembled(database, broadcast, clock) as assembly:
        yield Process(database, assembly.services, assembly.assigning, clock)


@pytest_asyncio.fixture
async def process(clean_database: Database, clock: ManualClock) -> AsyncIterator[Process]:
    """A web process on an empty database; its clock stands until it is advanced."""
    async with web_process(clean_database, LocalBroadcast(), clock) as process:
        yield process


type OpenProcess = Callable[[Broadcast], AbstractAsyncContextManager[Process]]


@pytest.fixture
def open_process(
    clean_database: Database, clock: ManualClock
) -> Callable[[Broadcast], AbstractAsyncContextManager[Process]]:
    """Open another web process on the same database, with its own broadcast."""
    return lambda broadcast: web_process(clean_database, broadcast, clock)


@pytest.fixture
def by() -> Principal:
    """Who does it."""
    return ANN


@pytest.fixture
def stored(clean_database: Database) -> Callable[[], Awaitable[dict[str, list[Any]]]]:
    """Return everything that is stored of tests, to compare before and after."""

    async def read() -> dict[str, list[Any]]:
        return {table: [dict(row) for row in await clean_database.fetch(f"SELECT * FROM {table}")] for table in TABLES}

    return read


TABLES = (
    "ab_test",
    "ab_test_variant",
    "ab_test_metric",
    "allocation",
    "ab_test_assignment",
    "unit_metric",
    "test_totals",
    "analysis",
    "audit_entry",
    "event",
)


# ------------------------------------------------------------------------------------------------ units with values

METRICS = {
    "bought": MetricDraft(key="bought", kind=MetricKind.CONVERSION, event=EventType.CONVERTED),
    "opens": MetricDraft(key="opens", kind=MetricKind.COUNT, event=EventType.OPENED),
    "spent": MetricDraft(key="spent", kind=MetricKind.REVENUE, event=EventType.CONVERTED),
    "per_click": MetricDraft(
        key="per_click", kind=MetricKind.RATIO, event=EventType.CONVERTED, denominator=EventType.CLICKED
    ),
}


@dataclass
class Population:
    """Units of a test, each with what it did before and after its exposure: the raw values, one entry a unit."""

    variant: np.ndarray
    segment: np.ndarray
    purchases: list[list[float]]
    opens: np.ndarray
    clicks: np.ndarray
    purchases_before: list[list[float]]
    opens_before: np.ndarray
    also: dict[int, int] = field(default_factory=dict)

    def values(self, metric: str, *, before: bool = False) -> np.ndarray:
        """Each unit's value in a metric, from its definition; of a ratio, the numerator."""
        if metric == "opens":
            return np.asarray(self.opens_before if before else self.opens, dtype=float)
        amounts = self.purchases_before if before else self.purchases
        if metric == "bought":
            return np.array([float(len(one) > 0) for one in amounts])
        return np.array([sum(one) for one in amounts])

    def of(self, variant: int, metric: str, segment: str | None = None, *, before: bool = False) -> np.ndarray:
        """The values of one variant's units."""
        chosen = self.variant == variant
        if segment is not None:
            chosen &= self.segment == segment
        return self.values(metric, before=before)[chosen]


def make_population(
    size: int, *, rates: tuple[float, ...] = (0.3, 0.3), segments: tuple[str, ...] = ("new", "old"), seed: int = 1
) -> Population:
    """Units shared evenly between variants of these purchase rates; some buy, open and click more than others."""
    rng = np.random.default_rng(seed)
    variant = np.arange(size) % len(rates)
    segment = np.array(segments)[rng.integers(len(segments), size=size)]
    keen = rng.gamma(2.0, 0.5, size)
    bought = rng.poisson(keen * np.array(rates)[variant])
    before = rng.poisson(keen * rates[0])

    def amounts(counts: np.ndarray) -> list[list[float]]:
        return [[round(float(one), 2) for one in rng.lognormal(3.0, 0.6, count)] for count in counts]

    return Population(
        variant=variant,
        segment=segment,
        purchases=amounts(bought),
        opens=rng.poisson(2.0 * keen + variant * 0.2),
        clicks=rng.poisson(keen) + (rng.random(size) < 0.8),
        purchases_before=amounts(before),
        opens_before=rng.poisson(2.0 * keen),
    )


@pytest.fixture
def population() -> Callable[..., Population]:
    return make_population


@pytest.fixture
def metrics() -> dict[str, MetricDraft]:
    return METRICS


type Expose = Callable[[TestDefinition, Population], Awaitable[None]]


@pytest.fixture
def expose(process: Process) -> Expose:
    """Record what a population did, through ingestion."""

    async def expose(definition: TestDefinition, population: Population) -> None:
        users = [unit_name(definition, number) for number in range(len(population.variant))]
        await process.database.execute(
            "INSERT INTO app_user (external_id, segment) SELECT * FROM unnest($1::text[], $2::text[]) "
            "ON CONFLICT (external_id) DO NOTHING",
            users,
            [str(segment) for segment in population.segment],
        )
        events = [event for number in range(len(users)) for event in _events(definition, population, number, process)]
        for start in range(0, len(events), 5_000):
            receipt = await process.services.ingestion.record(read_mappings(events[start : start + 5_000]))
            assert receipt.rejected == ()

    return expose


def unit_name(definition: TestDefinition, number: int) -> str:
    """Each test's units are its own."""
    return f"{definition.test.key}-{number}"


def _events(definition: TestDefinition, population: Population, number: int, process: Process) -> list[dict[str, Any]]:
    keys = [variant.key for variant in definition.variants]
    exposed_at = process.clock.now() - timedelta(days=5)
    made: list[dict[str, Any]] = []

    def happen(kind: str, hours: float, **more: Any) -> None:
        at = exposed_at + timedelta(hours=hours)
        name = f"{definition.test.key}/{number}/{len(made)}"
        made.append({"id": name, "type": kind, "occurredAt": at, "userId": unit_name(definition, number), **more})

    happen("EXPOSED", 0, testId=definition.test.key, variantKey=keys[population.variant[number]])
    if number in population.also:
        happen("EXPOSED", 1, testId=definition.test.key, variantKey=keys[population.also[number]])
    for hours, amounts in ((2, population.purchases[number]), (-2, population.purchases_before[number])):
        for amount in amounts:
            happen("CONVERTED", hours, value=amount)
    for hours, opens in ((3, population.opens[number]), (-3, population.opens_before[number])):
        for _ in range(opens):
            happen("OPENED", hours)
    for _ in range(population.clicks[number]):
        happen("CLICKED", 4)
    return made
