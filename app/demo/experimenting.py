"""The life of the world's tests: begun and ended when their time comes in the history, each step once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.abtests.analyzing import Analyzing
from app.abtests.drafting import TestDraft
from app.abtests.lifecycle import TestLifecycle
from app.abtests.reallocating import Reallocating
from app.auth.principals import COMMAND_LINE
from app.demo.abtests import PLANS, Experiments, TestPlan
from app.runtime.clock import Clock, ManualClock
from app.store.abtest_rows import TestDefinition
from app.store.abtests import TestStore
from app.store.models.codes import TestStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestUseCases:
    """What steps go through."""

    __test__ = False

    lifecycle: TestLifecycle
    analyzing: Analyzing
    reallocating: Reallocating


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The start of a test, or its end, at a time in microseconds since 1970."""

    at: int
    plan: TestPlan
    is_end: bool


def steps_of(experiments: Experiments) -> list[Step]:
    """Return every step of the world's tests, the earliest first."""
    starts = [Step(at=experiments.began(plan), plan=plan, is_end=False) for plan in PLANS]
    ends = [(experiments.ended(plan), plan) for plan in PLANS]
    return sorted(
        [*starts, *(Step(at=at, plan=plan, is_end=True) for at, plan in ends if at is not None)],
        key=lambda step: step.at,
    )


class Experimenting:
    """Takes steps as a team would; `use_cases` are made for the clock of each step. One taken before is left alone."""

    def __init__(self, tests: TestStore, use_cases: Callable[[Clock], TestUseCases]) -> None:
        self._tests = tests
        self._use_cases = use_cases

    async def take(self, step: Step) -> None:
        """Create and start a test, or end it with its last analysis."""
        at = _EPOCH + timedelta(microseconds=step.at)
        await (self._end(step.plan, at=at) if step.is_end else self.begin(step.plan.draft, at=at))

    async def begin(self, draft: TestDraft, *, at: datetime) -> None:
        """Create and start a test."""
        lifecycle = self._use_cases(ManualClock(at)).lifecycle
        found = await self._find(draft.key) or await lifecycle.create(draft, principal=COMMAND_LINE)
        if found.test.status is TestStatus.DRAFT:
            await lifecycle.start(found.test.id, principal=COMMAND_LINE)

    async def reallocate(self, key: str, *, version: int, at: datetime) -> None:
        """Let a bandit make this policy version of itself, as the schedule would."""
        found = await self._find(key)
        if found is not None and found.allocation is not None and found.allocation.policy_version == version - 1:
            await self._use_cases(ManualClock(at)).reallocating.reallocate_due()

    async def _end(self, plan: TestPlan, *, at: datetime) -> None:
        use_cases, found = self._use_cases(ManualClock(at)), await self._find(plan.key)
        if found is None or found.test.status is not TestStatus.RUNNING:
            return
        winner = next((variant.id for variant in found.variants if variant.key == plan.winner), None)
        await use_cases.analyzing.end(found.test.id, winner_id=winner, principal=COMMAND_LINE)

    async def _find(self, key: str) -> TestDefinition | None:
        ids = list((await self._tests.ids_of([key])).values())
        return next(iter((await self._tests.definitions(ids)).values()), None) if ids else None
