"""The tests that assign units now, compiled and kept in memory, and told when they change."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import structlog

from app.abtests.targeting import Targeting, compile_targeting
from app.errors import DomainErrors
from app.runtime.broadcast import Broadcast
from app.store.abtests import TestDefinition, TestStore
from app.store.database import is_unavailable
from app.store.models.codes import TestStatus
from app.store.notifications import TESTS
from engine.assignment.allocation import (
    Holdout,
    Namespace,
    Range,
    variant_of_unit,
    variant_probabilities,
    variant_table,
)

RELOAD_SECONDS = 30.0
"""Everything is read anew this often, should an announcement ever be lost."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class AssigningTest:
    """A test ready to decide: everything that depends on its definition alone is worked out once."""

    definition: TestDefinition
    targeting: Targeting
    namespace: Namespace | None
    holdout: Holdout | None

    @property
    def id(self) -> int:
        """Return the test's id."""
        return self.definition.test.id

    @property
    def policy_version(self) -> int:
        """Return the policy version in force."""
        allocation = self.definition.allocation
        return 1 if allocation is None else allocation.policy_version

    @property
    def may_differ(self) -> bool:
        """Say whether an exposed unit may have another variant than its hash gives now."""
        return self.policy_version > 1 or self.definition.test.decided_elsewhere

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


def assigning_test(definition: TestDefinition) -> AssigningTest:
    """Compile one test."""
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
    )


class Definitions:
    """Running and paused tests by id and key. `start` reads them and follows the announcements of changes."""

    def __init__(self, store: TestStore, broadcast: Broadcast) -> None:
        self._store = store
        self._broadcast = broadcast
        self._by_id: dict[int, AssigningTest] = {}
        self._by_key: dict[str, AssigningTest] = {}
        self._task: asyncio.Task[None] | None = None

    def get(self, reference: int | str) -> AssigningTest | None:
        """Return a test that runs or is paused, by id or key."""
        return self._by_id.get(reference) if isinstance(reference, int) else self._by_key.get(reference)

    def running(self) -> Iterable[AssigningTest]:
        """Return the tests that assign new units, by key."""
        tests = (self._by_key[key] for key in sorted(self._by_key))
        return [test for test in tests if test.definition.test.status is TestStatus.RUNNING]

    async def start(self) -> None:
        """Read everything, then follow changes until `close`."""
        following = asyncio.Event()
        self._task = asyncio.create_task(self._follow(following), name="follow-tests")
        await following.wait()

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def reload(self) -> None:
        """Read every test that runs or is paused."""
        self._replace(await self._store.live_definitions())

    async def refresh(self, test_ids: Iterable[int]) -> None:
        """Read these tests anew."""
        ids = set(test_ids)
        found = await self._store.definitions(ids)
        kept = {test_id: test.definition for test_id, test in self._by_id.items() if test_id not in ids}
        self._replace(kept | found)

    async def _follow(self, following: asyncio.Event) -> None:
        with self._broadcast.subscribe(TESTS) as changes:
            await self.reload()
            following.set()
            while True:
                try:
                    change = await asyncio.wait_for(anext(changes), RELOAD_SECONDS)
                    await (self.reload() if change.reread else self.refresh(int(name) for name in change.ids))
                except TimeoutError:
                    await self._try_reload()
                except Exception as error:
                    if not is_unavailable(error):
                        raise
                    await asyncio.sleep(1)

    async def _try_reload(self) -> None:
        try:
            await self.reload()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("tests_not_reloaded", error=str(error))

    def _replace(self, definitions: Mapping[int, TestDefinition]) -> None:
        live = (TestStatus.RUNNING, TestStatus.PAUSED)
        tests = {
            test_id: self._compiled(definition)
            for test_id, definition in definitions.items()
            if definition.test.status in live
        }
        self._by_id = {test_id: test for test_id, test in tests.items() if test is not None}
        self._by_key = {test.definition.test.key: test for test in self._by_id.values()}

    def _compiled(self, definition: TestDefinition) -> AssigningTest | None:
        known = self._by_id.get(definition.test.id)
        if known is not None and known.definition == definition:
            return known
        try:
            return assigning_test(definition)
        except DomainErrors:
            log.exception("test_not_usable", test=definition.test.key)
            return None
