"""Exposures on their way in: an exposure that names no variant asks Winnow, one that names it was decided elsewhere.

Each is stored with the policy version by which its variant was chosen, where that is known: a process that has not
heard of a new version yet decides by the one before, and what it recorded has to say so.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.ingestion.batches import DecidedEvent, IncomingEvent, decided
from app.ingestion.rejections import DropReason, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The variant that Winnow chooses for a unit, and how; or why it chooses none.

    `context` and `probabilities`, the whole vector, are a contextual test's.
    """

    variant_key: str | None = None
    probability: float | None = None
    policy_version: int | None = None
    context: Mapping[str, Any] | None = None
    probabilities: tuple[float, ...] | None = None
    reason: str | None = None


class Deciding(Protocol):
    """Port: what the tests decide, given by whoever puts the process together."""

    async def choose(self, test_id: int, event: IncomingEvent) -> Chosen:
        """Return the variant of a unit, by its external id."""
        ...

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Take note of units (test, user, variant's key) whose variant somebody else may have decided."""
        ...

    async def explain(self, test_id: int, event: IncomingEvent) -> Chosen | None:
        """Return how the variant that an exposure names was chosen, where that can be told."""
        ...


class Undecided:
    """Nobody decides: an exposure has to name its variant."""

    async def choose(self, test_id: int, event: IncomingEvent) -> Chosen:
        """Choose nothing."""
        del test_id, event
        return Chosen(reason="no test decides here")

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Take no note."""

    async def explain(self, test_id: int, event: IncomingEvent) -> Chosen | None:
        """Know nothing."""
        del test_id, event


async def decide_exposures(
    events: Mapping[int, IncomingEvent], tests: Mapping[str, int], deciding: Deciding
) -> dict[int, IncomingEvent | Rejection]:
    """Return, by place, exposures with their variant and how it was chosen, or why they are refused."""
    exposed = [(index, event) for index, event in events.items() if event.type == "EXPOSED"]
    await deciding.notice(list(_named((event for _, event in exposed), tests)))
    known = await asyncio.gather(*(_complete(event, tests, deciding) for _, event in exposed))
    return dict(zip((index for index, _ in exposed), known, strict=True))


def _named(events: Iterable[IncomingEvent], tests: Mapping[str, int]) -> Iterable[tuple[int, str, str]]:
    for event in events:
        if event.variant_key is not None and event.test_id is not None:
            yield tests[event.test_id], event.user_id, event.variant_key


async def _complete(event: IncomingEvent, tests: Mapping[str, int], deciding: Deciding) -> IncomingEvent | Rejection:
    if isinstance(event, DecidedEvent) or event.test_id is None:
        return event
    if event.variant_key is None:
        return await _chosen(event, tests[event.test_id], deciding)
    known = await deciding.explain(tests[event.test_id], event)
    return event if known is None else _with(event, known)


async def _chosen(event: IncomingEvent, test_id: int, deciding: Deciding) -> IncomingEvent | Rejection:
    chosen = await deciding.choose(test_id, event)
    if chosen.variant_key is None:
        message = f"This user has no variant in the test ({chosen.reason}): send no exposure, or name the variant."
        return Rejection(DropReason.NOT_IN_TEST, message, "variantKey", event.id)
    return _with(event, chosen)


def _with(event: IncomingEvent, chosen: Chosen) -> IncomingEvent:
    """Return an exposure with what is known of its choice; what its sender says of it stays."""
    return decided(
        event,
        variant_key=chosen.variant_key,
        probability=chosen.probability if event.probability is None else event.probability,
        policy_version=chosen.policy_version if event.policy_version is None else event.policy_version,
        properties=event.properties if chosen.context is None else {**(event.properties or {}), **chosen.context},
        probabilities=chosen.probabilities,
    )
