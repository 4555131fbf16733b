"""The tests that assign units now, compiled and kept in memory, and told when they change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import batched
from typing import Any

import structlog

from app.abtests.contextual import ContextualModel, model_of
from app.abtests.drafting import KEY
from app.abtests.targeting import Targeting, compile_targeting
from app.errors import DomainErrors
from app.runtime.broadcast import Broadcast, Change
from app.runtime.clock import Clock
from app.store.abtest_rows import TestDefinition
from app.store.abtests import TestStore
from app.store.live_tests import LiveVersions
from app.store.models.codes import AllocationPolicy, TestStatus
from app.store.notifications import TESTS
from engine.assignment.allocation import (
    Holdout,
    Namespace,
    Range,
    position_of_unit,
    variant_of_unit,
    variant_probabilities,
    variant_table,
)

RELOAD_SECONDS = 30.0
"""It is asked this often whether anything changed, should an announcement ever be lost."""
READ_AT_ONCE = 250
"""Tests: others have their turn in between, as compiling these takes some milliseconds."""
RETRY_SECONDS = 1.0
LIVE = (TestStatus.RUNNING, TestStatus.PAUSED)
MISSED_SECONDS = 1.0
"""How long a name that no live test has is not asked for again: a start elsewhere is announced much sooner."""
MISSED_NAMES = 10_000
MAX_ID = 2**63

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class AssigningTest:
    """A test ready to decide: everything that depends on its definition alone is worked out once.

    `model` is that of a contextual bandit, once it has one: until then all units have the same shares.
    """

    definition: TestDefinition
    targeting: Targeting
    namespace: Namespace | None
    holdout: Holdout | None
    model: ContextualModel | None = None

    @property
    def id(self) -> int:
        """Return the test's id."""
        return self.definition.test.id

    @property
    def policy_version(self) -> int:
        """Return the policy version in force."""
        allocation = self.definition.allocation
        return 1 if allocation is None else allocation.policy_version

    @cached_property
    def is_running(self) -> bool:
        """Say whether new units are assigned."""
        return self.definition.test.status is TestStatus.RUNNING

    @cached_property
    def may_differ(self) -> bool:
        """Say whether an exposed unit may have another variant than its hash gives now."""
        return self.policy_version > 1 or self.definition.test.decided_elsewhere

    @cached_property
    def is_contextual(self) -> bool:
        """Say whether a unit's context is logged, and decides once there is a model."""
        return is_contextual(self.definition)

    @cached_property
    def context_attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes that make a context; none unless the test is contextual."""
        return tuple(self.definition.test.context_attributes or ()) if self.is_contextual else ()

    @cached_property
    def asked_attributes(self) -> frozenset[str]:
        """Return what must be known of a unit before it can be decided for."""
        return self.targeting.attributes.union(self.context_attributes)

    @cached_property
    def position_of(self) -> Callable[[str], int]:
        """Return the function from a unit's id to its position, for units that have shares of their own."""
        return position_of_unit(self.definition.test.seed)

    @cached_property
    def variant_of(self) -> Callable[[str], int | None]:
        """Return the function from a unit's id to the index of its variant."""
        test = self.definition.test
        return variant_of_unit(self.definition.probabilities, seed=test.seed, coverage=test.coverage)

    @cached_property
    def probabilities(self) -> tuple[float, ...]:
        """Return each variant's exact probability among covered units."""
        table = variant_table(self.definition.probabilities, coverage=self.definition.test.coverage)
        shares = variant_probabilities(table, variants=len(self.definition.variants))
        return tuple(float(share) for share in shares / shares.sum())


def is_contextual(definition: TestDefinition) -> bool:
    """Say whether a test learns by context."""
    return definition.test.allocation_policy is AllocationPolicy.CONTEXTUAL_THOMPSON


def assigning_test(definition: TestDefinition, stored: Mapping[str, Any] | None = None) -> AssigningTest:
    """Compile one test, with the model that its policy version keeps, if it does."""
    test = definition.test
    namespace = None
    if test.exclusion_group is not None and test.exclusion_low is not None and test.exclusion_high is not None:
        part = Range(start=test.exclusion_low, end=test.exclusion_high)
        namespace = Namespace(name=test.exclusion_group, range=part)
    return AssigningTest(
        definition=definition,
        targeting=compile_targeting(test.targeting),
        namespace=namespace,
        holdout=Holdout(seed=f"{test.seed}-holdout", fraction=test.holdout) if test.holdout else None,
        model=None if stored is None else model_of(stored, floor=test.floor, coverage=test.coverage),
    )


class Definitions:
    """Running and paused tests by id and key. `start` reads them and follows the announcements of changes."""

    def __init__(self, store: TestStore, broadcast: Broadcast, *, clock: Clock) -> None:
        self._store = store
        self._broadcast = broadcast
        self._clock = clock
        self._missed: dict[int | str, float] = {}
        self._by_id: dict[int, AssigningTest] = {}
        self._by_key: dict[str, AssigningTest] = {}
        self._sorted: Sequence[AssigningTest] | None = None
        self._known = LiveVersions()
        self._compared_at = 0.0
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._subscription = ExitStack()

    def get(self, reference: int | str) -> AssigningTest | None:
        """Return a test that runs or is paused, by id or key."""
        return self._by_id.get(reference) if isinstance(reference, int) else self._by_key.get(reference)

    async def find(self, reference: int | str) -> AssigningTest | None:
        """Return a test that runs or is paused; one that was started elsewhere just now is looked for."""
        found = self.get(reference)
        if found is None and self._may_be_new(reference):
            test_id = await self._store.live_id(reference)
            if test_id is None:
                self._miss(reference)
            else:
                await self.refresh([test_id])
            found = self.get(reference)
        return found

    def live(self) -> Sequence[AssigningTest]:
        """Return the tests that run or are paused, by key."""
        if self._sorted is None:
            self._sorted = [self._by_key[key] for key in sorted(self._by_key)]
        return self._sorted

    def _may_be_new(self, reference: int | str) -> bool:
        sound = KEY.fullmatch(reference) if isinstance(reference, str) else 0 < reference < MAX_ID
        return bool(sound) and self._missed.get(reference, 0.0) <= self._clock.monotonic()

    def _miss(self, reference: int | str) -> None:
        if len(self._missed) >= MISSED_NAMES:
            self._missed.clear()
        self._missed[reference] = self._clock.monotonic() + MISSED_SECONDS

    async def start(self) -> None:
        """Read everything, and follow changes until `close`: those announced while it is read wait for their turn."""
        with ExitStack() as stack:
            changes = stack.enter_context(self._broadcast.subscribe(TESTS))
            await self.reload()
            self._task = asyncio.create_task(self._follow(changes), name="follow-tests")
            self._subscription = stack.pop_all()

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._subscription.close()

    async def reload(self) -> None:
        """Ask which of the tests that run or are paused changed, and read these: none, most of the time."""
        async with self._reading:  # one after the other: what was read first is not to replace what was read later
            compared_at = asyncio.get_running_loop().time()
            versions = await self._store.live_versions(self._known)
            if versions is not self._known:
                await self._read(versions.changed_since(self._known) | (self._by_id.keys() - versions.by_id.keys()))
            self._known, self._compared_at = versions, compared_at

    async def refresh(self, test_ids: Iterable[int]) -> None:
        """Read these tests anew."""
        async with self._reading:
            self._known = self._known.without_digest()  # what is read now is newer than what it is about
            await self._read(test_ids)
        self._missed.clear()

    async def _read(self, test_ids: Iterable[int]) -> None:
        for some in batched(test_ids, READ_AT_ONCE):
            found = await self._store.definitions(some)
            self._replace(some, found, await self._models(found))

    async def _models(self, found: Mapping[int, TestDefinition]) -> dict[int, Any]:
        """Return the models of contextual tests' policy versions that are not known yet, by version's id."""
        wanted = [
            one.allocation.id
            for test_id, one in found.items()
            if one.allocation is not None and is_contextual(one) and not self._knows(test_id, one)
        ]
        return await self._store.models(wanted) if wanted else {}

    def _knows(self, test_id: int, definition: TestDefinition) -> bool:
        known = self._by_id.get(test_id)
        return known is not None and known.definition == definition

    async def _follow(self, changes: AsyncIterator[Change]) -> None:
        current = True
        while True:
            try:
                await (self._apply(changes) if current else self.reload())
                current = True
            except Exception as error:  # noqa: BLE001  # whatever it is: to decide by old definitions for ever is worse
                log.warning("tests_not_reloaded", error=str(error))
                current = False
                await asyncio.sleep(RETRY_SECONDS)

    async def _apply(self, changes: AsyncIterator[Change]) -> None:
        """Wait for one change and read what it names; compare everything, where that was not done for long."""
        due_in = self._compared_at + RELOAD_SECONDS - asyncio.get_running_loop().time()
        try:
            change = await asyncio.wait_for(anext(changes), max(due_in, 0.0))
        except TimeoutError:
            await self.reload()
            return
        await (self.reload() if change.reread else self.refresh(int(name) for name in change.ids))

    def _replace(
        self, test_ids: Iterable[int], definitions: Mapping[int, TestDefinition], models: Mapping[int, Any]
    ) -> None:
        """Put what was read of these tests in the place of what was known; all at once, as nothing is awaited."""
        live = {test_id: one for test_id, one in definitions.items() if one.test.status in LIVE}
        for test_id in test_ids:
            self._put(test_id, self._compiled(live[test_id], models) if test_id in live else None)
        self._sorted = None

    def _put(self, test_id: int, test: AssigningTest | None) -> None:
        before = self._by_id.pop(test_id, None)
        if before is not None:
            del self._by_key[before.definition.test.key]
        if test is not None:
            self._by_id[test_id] = self._by_key[test.definition.test.key] = test

    def _compiled(self, definition: TestDefinition, models: Mapping[int, Any]) -> AssigningTest | None:
        if self._knows(definition.test.id, definition):
            return self._by_id[definition.test.id]
        try:
            return assigning_test(definition, definition.allocation and models.get(definition.allocation.id))
        except DomainErrors:
            log.exception("test_not_usable", test=definition.test.key)
            return None
