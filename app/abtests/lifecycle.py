"""A test's life: DRAFT, RUNNING, PAUSED, ENDED; every step guarded, and audited in the same transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.abtests.drafting import (
    WEIGHT_TOLERANCE,
    MetricDraft,
    TestDraft,
    VariantDraft,
    default_floor,
    problems,
    storable,
    weight_problems,
)
from app.abtests.sizing import target_sample_size
from app.auth.auditing import Audit
from app.auth.principals import Principal
from app.errors import AlreadyExists, DomainError, DomainErrors, InvalidInput, InvalidTransition, NotFound
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock
from app.store import unit_metrics
from app.store.abtest_rows import TestDefinition, TestRow
from app.store.abtests import TestStore
from app.store.campaigns import CampaignStore
from app.store.database import Connection, Database
from app.store.events import EARLIEST_EVENT
from app.store.models.codes import AllocationPolicy, TestStatus
from app.store.notifications import TEST_TOTALS, TESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailStop:
    """Why a guardrail paused a test, and when (ISO 8601)."""

    metric: str
    variant: str
    reason: str
    at: str


type Step = Callable[[Connection], Awaitable[object]]


async def nothing_more(connection: Connection) -> None:
    """Do nothing."""
    del connection


type Applied = Callable[[list[int]], Awaitable[object]]
"""Told of changed tests before the change is answered, so that this process decides by it from then on."""


async def nowhere_else(test_ids: list[int]) -> None:
    """Tell nobody."""
    del test_ids


class TestLifecycle:
    """Creates, starts, pauses and ends tests. What is refused raises `DomainErrors` and leaves nothing."""

    __test__ = False

    def __init__(
        self,
        database: Database,
        *,
        tests: TestStore,
        campaigns: CampaignStore,
        audit: Audit,
        broadcast: Broadcast,
        clock: Clock,
        applied: Applied = nowhere_else,
    ) -> None:
        self._database = database
        self._tests = tests
        self._campaigns = campaigns
        self._audit = audit
        self._broadcast = broadcast
        self._clock = clock
        self._applied = applied

    async def create(self, draft: TestDraft, *, principal: Principal) -> TestDefinition:
        """Create a test in DRAFT."""
        found = problems(draft)
        campaign_id, missing = await self._campaign(draft.campaign)
        if storable(draft.key) and draft.key in await self._tests.ids_of([draft.key]):
            found.append(_taken(draft.key))
        if found or missing:
            raise DomainErrors([*found, *missing])
        async with self._database.transaction() as connection:
            test_id = await self._insert(connection, draft, campaign_id=campaign_id)
            if test_id is None:  # another request made it meanwhile
                raise DomainErrors([_taken(draft.key)])
            await self._note(connection, principal, action="test.create", test_id=test_id, after=asdict(draft))
        return await self._changed(test_id)

    async def start(self, test_id: int, *, at: datetime | None = None, principal: Principal) -> TestDefinition:
        """Start a draft, from `at` on where it ran elsewhere before, or go on with a paused test."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await unit_metrics.hold_tests(connection)
            test = await self._locked(connection, test_id)
            _demand(test, TestStatus.DRAFT, TestStatus.PAUSED, done="started")
            _check_start(test, at, now)
            await self._move(
                connection, principal, test, status=TestStatus.RUNNING, started_at=test.started_at or at or now
            )
            if test.status is TestStatus.DRAFT:
                await self._begin(connection, test, at or now)
        return await self._changed(test_id)

    async def pause(
        self, test_id: int, *, stops: Sequence[GuardrailStop] | None = None, principal: Principal
    ) -> TestDefinition:
        """Stop assigning new units; those exposed keep their variant and are still measured.

        Where guardrails do it, `stops` are all the stops of the test by now.
        """
        async with self._database.transaction() as connection:
            test = await self._locked(connection, test_id)
            _demand(test, TestStatus.RUNNING, done="paused")
            because = {} if stops is None else {"guardrail_stops": [asdict(stop) for stop in stops]}
            await self._move(connection, principal, test, status=TestStatus.PAUSED, **because)
        return await self._changed(test_id)

    async def end(
        self, test_id: int, *, within: Step = nothing_more, winner_id: int | None = None, principal: Principal
    ) -> TestDefinition:
        """End a test for good; exposures from now on do not count. `within` is done in the same transaction."""
        definition = await self.definition(test_id)
        if winner_id is not None and winner_id not in {variant.id for variant in definition.variants}:
            raise DomainErrors(
                [NotFound("The winner is no variant of this test: pass one of its ids.", path=("winner",))]
            )
        async with self._database.transaction() as connection:
            await unit_metrics.hold_tests(connection)
            test = await self._locked(connection, test_id)
            _demand(test, TestStatus.RUNNING, TestStatus.PAUSED, done="ended")
            now = self._clock.now()
            await self._move(connection, principal, test, status=TestStatus.ENDED, ended_at=now, winner_id=winner_id)
            await unit_metrics.end_test(connection, test_id, at=now)
            await within(connection)
        return await self._changed(test_id)

    async def set_weights(self, test_id: int, weights: Mapping[str, float], *, principal: Principal) -> TestDefinition:
        """Change the shares of a test with fixed allocation; exposed units keep their variant."""
        async with self._database.transaction() as connection:
            test = await self._locked(connection, test_id)
            definition = (await self._tests.definitions([test_id], connection))[test_id]
            ordered = _ordered_weights(definition, weights)
            _demand(test, TestStatus.DRAFT, TestStatus.RUNNING, TestStatus.PAUSED, done="given new weights")
            shares = dict(zip((variant.id for variant in definition.variants), ordered, strict=True))
            await self._tests.set_weights(connection, shares)
            if definition.allocation is not None:
                version = definition.allocation.policy_version + 1
                await self._allocate(connection, test, ordered, version=version, at=self._clock.now())
            before = {variant.key: variant.weight for variant in definition.variants}
            await self._note(
                connection, principal, action="test.weights", test_id=test_id, before=before, after=dict(weights)
            )
        return await self._changed(test_id)

    async def definition(self, test_id: int) -> TestDefinition:
        """Return a whole test, or raise NotFound."""
        found = (await self._tests.definitions([test_id])).get(test_id)
        if found is None:
            raise DomainErrors([_unknown()])
        return found

    async def _insert(self, connection: Connection, draft: TestDraft, *, campaign_id: int | None) -> int | None:
        return await self._tests.insert(
            connection,
            _test_values(draft, campaign_id, self._clock.now()),
            variants=[_variant_values(variant) for variant in draft.variants],
            metrics=[_metric_values(metric) for metric in draft.metrics],
        )

    async def _campaign(self, reference: int | str | None) -> tuple[int | None, list[DomainError]]:
        if reference is None:
            return None, []
        if isinstance(reference, str) and not storable(reference):
            return None, [NotFound("No campaign has this id or key: create it first.", path=("campaignId",))]
        found = (await self._campaigns.campaigns([reference])).get(reference)
        if found is None:
            return None, [NotFound("No campaign has this id or key: create it first.", path=("campaignId",))]
        return found.id, []

    async def _locked(self, connection: Connection, test_id: int) -> TestRow:
        test = await self._tests.lock(connection, test_id)
        if test is None:
            raise DomainErrors([_unknown()])
        return test

    async def _begin(self, connection: Connection, test: TestRow, at: datetime) -> None:
        definition = (await self._tests.definitions([test.id], connection))[test.id]
        weights = [variant.weight for variant in definition.variants]
        _check_floor(test, weights)
        await self._allocate(connection, test, weights, version=1, at=at)
        await unit_metrics.rebuild_test(connection, test.id)

    async def _allocate(
        self, connection: Connection, test: TestRow, probabilities: Sequence[float], *, version: int, at: datetime
    ) -> None:
        values = {
            "test_id": test.id,
            "policy_version": version,
            "policy": test.allocation_policy.value,
            "floor": test.floor,
            "probabilities": list(probabilities),
            "created_at": at,
        }
        await self._tests.insert_allocation(connection, values)

    async def _move(self, connection: Connection, principal: Principal, test: TestRow, **values: Any) -> None:
        await self._tests.set_fields(connection, test.id, values)
        before = {name: getattr(test, name) for name in values}
        action = f"test.{str(values['status']).lower()}"
        await self._note(connection, principal, action=action, test_id=test.id, before=before, after=values)

    async def _note(
        self, connection: Connection, principal: Principal, *, action: str, test_id: int, **states: object
    ) -> None:
        await self._audit.record(connection, principal, action=action, subject=("test", test_id), **states)

    async def _changed(self, test_id: int) -> TestDefinition:
        await self._applied([test_id])
        await self._broadcast.publish(TESTS, [str(test_id)])
        await self._broadcast.publish(TEST_TOTALS, [str(test_id)])
        return await self.definition(test_id)


def _taken(key: str) -> DomainError:
    return AlreadyExists(f"A test has the key {key!r}: choose another.", path=("key",))


def _unknown() -> DomainError:
    return NotFound("No test has this id: list the tests to find it.", path=("id",))


def _demand(test: TestRow, *statuses: TestStatus, done: str) -> None:
    if test.status not in statuses:
        message = f"A test that is {test.status} cannot be {done}: it must be {' or '.join(statuses)}."
        raise DomainErrors([InvalidTransition(message, path=("id",))])


def _check_start(test: TestRow, at: datetime | None, now: datetime) -> None:
    if at is not None and test.started_at is not None:
        raise DomainErrors([InvalidInput("This test has started before: leave `at` out to go on.", path=("at",))])
    if at is not None and at < EARLIEST_EVENT:
        message = f"`at` is before the year {EARLIEST_EVENT.year}, when no event can have been: correct it."
        raise DomainErrors([InvalidInput(message, path=("at",))])
    if at is not None and at > now:
        raise DomainErrors([InvalidInput("`at` lies in the future: start the test when it is time.", path=("at",))])


def _check_floor(test: TestRow, weights: Sequence[float]) -> None:
    """Refuse first shares below a bandit's floor, of a draft from before drafts were asked for it."""
    if test.allocation_policy is not AllocationPolicy.FIXED and min(weights) < test.floor - WEIGHT_TOLERANCE:
        message = f"A weight of this bandit is below its floor of {test.floor:.4g}: create it anew with others."
        raise DomainErrors([InvalidTransition(message, path=("id",))])


def _ordered_weights(definition: TestDefinition, weights: Mapping[str, float]) -> list[float]:
    keys = [variant.key for variant in definition.variants]
    if definition.test.allocation_policy is not AllocationPolicy.FIXED:
        raise DomainErrors([InvalidTransition("A bandit sets its own shares: weights belong to FIXED.", path=("id",))])
    if set(keys) != set(weights):
        raise DomainErrors([InvalidInput(f"Give a weight for each of {', '.join(keys)}.", path=("weights",))])
    ordered = [weights[key] for key in keys]
    if found := list(weight_problems(ordered, ("weights",))):
        raise DomainErrors(found)
    return ordered


def _test_values(draft: TestDraft, campaign_id: int | None, now: datetime) -> dict[str, Any]:
    group, low, high = draft.exclusion or (None, None, None)
    return {
        "key": draft.key,
        "name": draft.name,
        "hypothesis": draft.hypothesis,
        "status": TestStatus.DRAFT.value,
        "campaign_id": campaign_id,
        "confidence_level": draft.confidence_level,
        "power": draft.power,
        "minimum_detectable_effect": draft.minimum_detectable_effect,
        "baseline": draft.baseline,
        "target_sample_size": target_sample_size(draft),
        "allocation_policy": draft.allocation_policy.value,
        "floor": default_floor(len(draft.variants)) if draft.floor is None else draft.floor,
        "reallocate_every_minutes": draft.reallocate_every_minutes,
        "discount": draft.discount,
        "context_attributes": list(draft.context_attributes) or None,
        "coverage": draft.coverage,
        "holdout": draft.holdout,
        "seed": draft.seed or draft.key,
        "exclusion_group": group,
        "exclusion_low": low,
        "exclusion_high": high,
        "targeting": draft.targeting,
        "created_at": now,
    }


def _variant_values(variant: VariantDraft) -> dict[str, Any]:
    return {
        "key": variant.key,
        "name": variant.name or variant.key,
        "is_control": variant.is_control,
        "weight": variant.weight,
        "payload": variant.payload,
    }


def _metric_values(metric: MetricDraft) -> dict[str, Any]:
    return {
        "key": metric.key,
        "name": metric.name or metric.key,
        "kind": metric.kind.value,
        "event": int(metric.event),
        "denominator": None if metric.denominator is None else int(metric.denominator),
        "higher_is_better": metric.higher_is_better,
        "window_hours": metric.window_hours,
        "margin": metric.margin,
        "stops": metric.stops,
    }
