"""Which variant an exposure is of that names none, and whether others decide too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.abtests.assigning import Assigning, Decision
from app.abtests.definitions import AssigningTest
from app.errors import DomainErrors
from app.runtime.broadcast import Broadcast
from app.store.abtests import TestStore
from app.store.notifications import TESTS

type Properties = Mapping[str, object]
"""What a sender says beside: of a contextual test's attributes, what is known of the unit."""


SAME_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedExposure:
    """An exposure whose sender names the variant, and perhaps how it was chosen."""

    user_id: str
    variant_key: str
    at: datetime
    probability: float | None = None
    policy_version: int | None = None
    properties: Properties


class ExposureDeciding:
    """Chooses for exposures as `assignUser` does, and notices when somebody else chooses differently."""

    def __init__(self, assigning: Assigning, *, tests: TestStore, broadcast: Broadcast) -> None:
        self._assigning = assigning
        self._tests = tests
        self._broadcast = broadcast

    async def choose(self, test_id: int, user_id: str, properties: Properties) -> Decision | None:
        """Return the decision for a unit; None where the test does not run."""
        try:
            test = await self._assigning.test(test_id)
            given = {} if test is None else _context_in(test, properties)
            return await self._assigning.decide(test_id, user_id, attributes=given)
        except DomainErrors:
            return None

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Mark tests in which a unit has another variant than its hash gives, so that exposures are looked up."""
        foreign = sorted({one[0] for one in named if await self._is_foreign(*one)})
        if foreign:
            await self._tests.mark_decided_elsewhere(foreign)
            await self._assigning.reread(foreign)
            await self._broadcast.publish(TESTS, map(str, foreign))

    async def explain(self, test_id: int, named: NamedExposure) -> Decision | None:
        """Return the decision of the policy in force that gave the variant named; None where it cannot have.

        Of a contextual test the unit's context is returned even so, in a decision without a variant.
        """
        test = await self._assigning.test(test_id)
        if test is None or test.definition.allocation is None or not (test.is_contextual or named.probability is None):
            return None
        unit = await self._assigning.unit(named.user_id)
        known = await self._assigning.known(test, unit, _context_in(test, named.properties))
        decision = self._assigning.in_context(test, unit, known)
        if _explains(decision, named):
            return decision
        return replace(decision, variant=None, probabilities=None) if test.is_contextual else None

    async def _is_foreign(self, test_id: int, user_id: str, key: str) -> bool:
        test = await self._assigning.test(test_id)
        if test is None:
            return True
        if test.may_differ:
            return False
        index = test.variant_of(await self._assigning.unit(user_id))
        return index is None or test.definition.variants[index].key != key


def _explains(decision: Decision, named: NamedExposure) -> bool:
    """Say whether a decision is the one that gave a unit the variant named, by the version named or else in force."""
    if decision.variant is None or decision.variant.key != named.variant_key:
        return False
    if named.probability is not None and abs(named.probability - decision.probability) > SAME_PROBABILITY:
        return False
    if named.policy_version is not None:
        return decision.policy_version == named.policy_version
    allocation = decision.test.definition.allocation
    return allocation is not None and named.at >= allocation.created_at


def _context_in(test: AssigningTest, properties: Properties) -> dict[str, object]:
    return {name: properties[name] for name in test.context_attributes if name in properties}
