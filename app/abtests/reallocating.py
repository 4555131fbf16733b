"""Moves the traffic of bandits: on schedule, for all tests that are due, and at once for one.

Each step is one transaction: the tests' rows are locked, their totals read, the shares worked out, and the new policy
versions stored with what they rest on. Who comes second finds the rows locked and passes by; a process that dies in
between leaves nothing, and the tests stay due.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from app.abtests.context_learning import learn_from_contexts
from app.abtests.definitions import is_contextual
from app.abtests.learning import Learned, Shares, needs_highest_value, needs_versions, next_shares
from app.abtests.lifecycle import Applied, nowhere_else
from app.auth.auditing import Audit
from app.auth.principals import Principal
from app.errors import DomainErrors, InvalidTransition, NotEnoughData, NotFound
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock
from app.runtime.progress import Told
from app.store.abtest_rows import TestDefinition
from app.store.abtests import TestStore
from app.store.database import Connection, Database
from app.store.models.codes import AllocationPolicy, TestStatus
from app.store.notifications import TESTS
from app.store.policies import ArmSums, DueTest, NewAllocation, PolicyStore

TESTS_A_STEP = 500
"""Tests moved in one transaction: enough that a statement is shared by many, few enough that none waits long."""


log = structlog.get_logger(__name__)


async def nobody(progress: float, message: str) -> None:
    """Tell nobody."""
    del progress, message


class Reallocating:
    """Makes policy versions."""

    def __init__(
        self,
        database: Database,
        *,
        tests: TestStore,
        policies: PolicyStore,
        audit: Audit,
        broadcast: Broadcast,
        clock: Clock,
        applied: Applied = nowhere_else,
    ) -> None:
        self._database = database
        self._tests = tests
        self._policies = policies
        self._audit = audit
        self._broadcast = broadcast
        self._clock = clock
        self._applied = applied

    async def count_due(self) -> int:
        """Return how many tests are due."""
        return await self._policies.count_due(at=self._clock.now())

    async def reallocate_due(self, *, told: Told = nobody, most: int = TESTS_A_STEP) -> int:
        """Move every test that is due; return how many were."""
        expected, done = await self.count_due(), 0
        while stepped := await self._step(most):
            done += stepped
            await told(min(done / max(expected, 1), 1.0), f"{done} of {max(expected, done)} tests")
        return done

    async def reallocate(self, test_id: int, *, principal: Principal) -> TestDefinition:
        """Move one running bandit now; its next step on schedule is one interval from now."""
        at = self._clock.now()
        async with self._database.transaction() as connection:
            definition = await self._locked(connection, test_id)
            due = DueTest(id=test_id, discount=await self._policies.discount(connection, test_id))
            shares = (await self._shares(connection, {test_id: definition}, [due], at=at))[0]
            if shares[1].probabilities is None:
                raise DomainErrors([NotEnoughData(shares[1].reason or "", path=("testId",))])
            made = _versions([shares], at)
            await self._policies.add_versions(connection, made, stepped=[test_id], at=at)
            await self._note(connection, principal, definition, made[0])
        await self._announce([test_id])
        return (await self._tests.definitions([test_id]))[test_id]

    async def _step(self, most: int) -> int:
        at = self._clock.now()
        async with self._database.transaction() as connection:
            due = await self._policies.lock_due(connection, at=at, most=most)
            if not due:
                return 0
            definitions = await self._tests.definitions([test.id for test in due], connection)
            shares = await self._shares(connection, definitions, due, at=at)
            made = _versions(shares, at)
            await self._policies.add_versions(connection, made, stepped=[test.id for test in due], at=at)
        await self._announce([one.test_id for one in made])
        return len(due)

    async def _shares(
        self,
        connection: Connection,
        definitions: Mapping[int, TestDefinition],
        due: Sequence[DueTest],
        *,
        at: datetime,
    ) -> list[tuple[Learned, Shares]]:
        learning = [test for test in due if definitions[test.id].test.allocation_policy is not AllocationPolicy.FIXED]
        sums = await self._sums(connection, learning, at=at)
        ranged = [test.id for test in learning if needs_highest_value(definitions[test.id])]
        highest = await self._policies.highest_values(connection, ranged) if ranged else {}
        learned = [
            Learned(
                definition=definitions[test.id],
                sums=sums.get(test.id, ()),
                discount=test.discount,
                highest_value=highest.get(test.id),
            )
            for test in learning
        ]
        of_totals = [one for one in learned if not is_contextual(one.definition)]
        shares = dict(zip((one.definition.test.id for one in of_totals), next_shares(of_totals), strict=True))
        for test, one in zip(learning, learned, strict=True):
            if is_contextual(one.definition):
                shares[test.id] = await learn_from_contexts(connection, one.definition, test, at=at)
        return [(one, shares[one.definition.test.id]) for one in learned]

    async def _sums(self, connection: Connection, due: Sequence[DueTest], *, at: datetime) -> dict[int, list[ArmSums]]:
        forgetting = [test.id for test in due if needs_versions(test.discount)]
        others = [test.id for test in due if not needs_versions(test.discount)]
        found = await self._policies.sums(connection, others, at=at) if others else {}
        if forgetting:
            found |= await self._policies.sums_by_version(connection, forgetting, at=at)
        return found

    async def _locked(self, connection: Connection, test_id: int) -> TestDefinition:
        test = await self._tests.lock(connection, test_id)
        if test is None:
            raise DomainErrors([NotFound("No test has this id: list the tests to find it.", path=("testId",))])
        if test.allocation_policy is AllocationPolicy.FIXED:
            message = "A FIXED test keeps its shares: change them with setWeights."
            raise DomainErrors([InvalidTransition(message, path=("testId",))])
        if test.status is not TestStatus.RUNNING:
            message = f"A test that is {test.status} assigns nobody: reallocate it while it runs."
            raise DomainErrors([InvalidTransition(message, path=("testId",))])
        return (await self._tests.definitions([test_id], connection))[test_id]

    async def _note(
        self, connection: Connection, principal: Principal, definition: TestDefinition, made: NewAllocation
    ) -> None:
        await self._audit.record(
            connection,
            principal,
            action="test.reallocate",
            subject=("test", definition.test.id),
            before={"probabilities": list(definition.probabilities)},
            after={"probabilities": list(made.probabilities), "policy_version": made.policy_version},
        )

    async def _announce(self, test_ids: Sequence[int]) -> None:
        if test_ids:
            await self._applied(list(test_ids))
            await self._broadcast.publish(TESTS, [str(test_id) for test_id in test_ids])


def _versions(shares: Sequence[tuple[Learned, Shares]], at: datetime) -> list[NewAllocation]:
    made: list[NewAllocation] = []
    for learned, one in shares:
        if one.probabilities is None:
            log.info("test_not_reallocated", test=learned.definition.test.key, reason=one.reason)
        else:
            made.append(_version(learned, one, one.probabilities, at=at))
    return made


def _version(learned: Learned, shares: Shares, probabilities: Sequence[float], *, at: datetime) -> NewAllocation:
    definition = learned.definition
    return NewAllocation(
        test_id=definition.test.id,
        policy_version=1 if definition.allocation is None else definition.allocation.policy_version + 1,
        policy=definition.test.allocation_policy,
        floor=definition.test.floor,
        probabilities=probabilities,
        watermark=_watermark(learned, at),
        model=shares.model,
    )


def _watermark(learned: Learned, at: datetime) -> dict[str, Any]:
    """Return what the step knew, whole: the same sums always give the same shares, without a random number.

    Sums are written as texts: squares of money pass what a JSON number keeps.
    """
    definition = learned.definition
    keys = {variant.id: variant.key for variant in definition.variants}
    sums = [
        {
            "variant": keys[one.variant_id],
            "policy_version": one.policy_version,
            "counted": one.counted,
            "open": one.open,
            "value_sum": str(one.value_sum),
            "value_squares": str(one.value_squares),
        }
        for one in learned.sums
    ]
    return {"as_of": at.isoformat(), "seed": definition.test.seed, "discount": learned.discount, "sums": sums}
