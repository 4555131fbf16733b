"""Tests to be tried: drafts, and web processes on one database that decide, record and hear of each other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

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
from app.store.abtests import TestDefinition
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
