"""Assignments that are shown: the decision, and its exposure recorded as the event that every count rests on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from app.abtests.assigning import Assigning, Decision
from app.abtests.targeting import Attributes
from app.store.abtest_rows import VariantRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A unit saw its variant, chosen by a policy version with a probability.

    `context` holds the attributes that a contextual bandit learns from, and no others; `probabilities` are its whole
    vector for this unit.
    """

    id: str
    test_key: str
    variant_key: str
    user_id: str
    occurred_at: datetime
    probability: float
    policy_version: int
    context: dict[str, Any] | None
    probabilities: tuple[float, ...] | None


type Record = Callable[[Exposure], Awaitable[None]]
"""Stores an exposure durably; given by whoever puts the process together, as recording events is another room."""


class Exposing:
    """Decides, and records the exposure where it is asked for."""

    def __init__(self, assigning: Assigning, record: Record) -> None:
        self._assigning = assigning
        self._record = record

    async def assign(
        self, reference: int | str, user_id: str, *, attributes: Attributes | None = None, expose: bool = True
    ) -> Decision:
        """Decide for one unit of a test by id or key, and note that it is exposed to its variant."""
        decision = await self._assigning.decide(reference, user_id, attributes=attributes)
        if expose:
            await self.expose(decision)
        return decision

    async def expose(self, decision: Decision) -> None:
        """Note that a unit is exposed to the variant decided; once only, and never without a variant."""
        if decision.variant is not None and not decision.exposed_before:
            await self._record(exposure(decision, decision.variant))


def exposure(decision: Decision, variant: VariantRow) -> Exposure:
    """Return the exposure of a decision; one unit's to one variant has one id, so that a repetition is harmless."""
    test = decision.test.definition.test
    return Exposure(
        id=exposure_id(test.key, variant.key, decision.user_id),
        test_key=test.key,
        variant_key=variant.key,
        user_id=decision.user_id,
        occurred_at=decision.decided_at,
        probability=decision.probability,
        policy_version=decision.policy_version,
        context=decision.context,
        probabilities=decision.probabilities,
    )


def exposure_id(test_key: str, variant_key: str, user_id: str) -> str:
    """Return the id of a unit's exposure to a variant."""
    text = "\x00".join((test_key, variant_key, user_id))
    return f"exposure-{blake2b(text.encode(), digest_size=16).hexdigest()}"
