"""Between ingestion and tests, which do not know of each other: who decides about exposures, and who records them."""

from collections.abc import Sequence

from app.abtests.assigning import Decision
from app.abtests.deciding import ExposureDeciding, NamedExposure
from app.abtests.exposing import Exposure
from app.errors import InvalidInput
from app.ingestion.batches import DecidedEvent, IncomingEvent
from app.ingestion.exposures import Chosen
from app.ingestion.pipeline import Ingestion


class TestsDecide:
    """What ingestion asks of the tests, answered by them."""

    __test__ = False

    def __init__(self, deciding: ExposureDeciding) -> None:
        self._deciding = deciding

    async def choose(self, test_id: int, event: IncomingEvent) -> Chosen:
        """Return the variant of a unit."""
        decision = await self._deciding.choose(test_id, event.user_id, event.properties or {})
        if decision is None or decision.variant is None:
            return Chosen(reason="not running" if decision is None else str(decision.reason))
        return _chosen(decision)

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Take note of what somebody else decided."""
        await self._deciding.notice(named)

    async def explain(self, test_id: int, event: IncomingEvent) -> Chosen | None:
        """Return how a unit's variant was chosen."""
        named = NamedExposure(
            user_id=event.user_id,
            variant_key=event.variant_key or "",
            at=event.occurred_at,
            probability=event.probability,
            policy_version=event.policy_version,
            properties=event.properties or {},
        )
        decision = await self._deciding.explain(test_id, named)
        if decision is None:
            return None
        unexplained = Chosen(variant_key=event.variant_key, context=decision.context)
        return unexplained if decision.variant is None else _chosen(decision)


def _chosen(decision: Decision) -> Chosen:
    return Chosen(
        variant_key=decision.variant and decision.variant.key,
        probability=decision.probability,
        policy_version=decision.policy_version,
        context=decision.context,
        probabilities=decision.probabilities,
    )


async def record_exposure(ingestion: Ingestion, exposure: Exposure) -> None:
    """Record an exposure as the event that every count rests on."""
    event = DecidedEvent(
        id=exposure.id,
        type="EXPOSED",
        occurred_at=exposure.occurred_at,
        user_id=exposure.user_id,
        test_id=exposure.test_key,
        variant_key=exposure.variant_key,
        probability=exposure.probability,
        policy_version=exposure.policy_version,
        properties=exposure.context,
        probabilities=exposure.probabilities,
    )
    receipt = await ingestion.record([event])
    if receipt.rejected:
        raise InvalidInput(f"The exposure could not be recorded: {receipt.rejected[0].message}")
