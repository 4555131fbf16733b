"""Which variant an exposure is of that names none, and whether others decide too."""

from collections.abc import Sequence
from datetime import datetime

from app.abtests.assigning import Assigning, Decision
from app.errors import DomainErrors
from app.runtime.broadcast import Broadcast
from app.store.abtests import TestStore
from app.store.notifications import TESTS


class ExposureDeciding:
    """Chooses for exposures as `assignUser` does, and notices when somebody else chooses differently."""

    def __init__(self, assigning: Assigning, *, tests: TestStore, broadcast: Broadcast) -> None:
        self._assigning = assigning
        self._tests = tests
        self._broadcast = broadcast

    async def choose(self, test_id: int, user_id: str) -> Decision | None:
        """Return the decision for a unit; None where the test does not run."""
        try:
            return await self._assigning.decide(test_id, user_id)
        except DomainErrors:
            return None

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Mark tests in which a unit has another variant than its hash gives, so that exposures are looked up."""
        foreign = sorted({one[0] for one in named if await self._is_foreign(*one)})
        if foreign:
            await self._tests.mark_decided_elsewhere(foreign)
            await self._assigning.reread(foreign)
            await self._broadcast.publish(TESTS, map(str, foreign))

    async def probability(self, test_id: int, user_id: str, variant_key: str, at: datetime) -> float | None:
        """Return with what probability the policy in force chose a variant; None where it chose another, or later."""
        test = await self._assigning.test(test_id)
        allocation = None if test is None else test.definition.allocation
        if test is None or allocation is None or at < allocation.created_at:
            return None
        index = test.variant_of(await self._assigning.unit(user_id))
        if index is None or test.definition.variants[index].key != variant_key:
            return None
        return test.probabilities[index]

    async def _is_foreign(self, test_id: int, user_id: str, key: str) -> bool:
        test = await self._assigning.test(test_id)
        if test is None:
            return True
        if test.may_differ:
            return False
        index = test.variant_of(await self._assigning.unit(user_id))
        return index is None or test.definition.variants[index].key != key
