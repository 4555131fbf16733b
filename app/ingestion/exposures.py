"""Exposures on their way in: an exposure that names no variant asks Winnow, one that names it was decided elsewhere."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from app.ingestion.batches import IncomingEvent
from app.ingestion.rejections import DropReason, Rejection


@dataclass(frozen=True, slots=True)
class Chosen:
    """The variant that Winnow chooses for a unit, and with what probability; or why it chooses none."""

    variant_key: str | None
    probability: float | None = None
    reason: str | None = None


class Deciding(Protocol):
    """Port: what the tests decide, given by whoever puts the process together."""

    async def choose(self, test_id: int, user_id: str) -> Chosen:
        """Return the variant of a unit, by its external id."""
        ...

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Take note of units (test, user, variant's key) whose variant somebody else may have decided."""
        ...

    async def probability(self, test_id: int, user_id: str, variant_key: str, at: datetime) -> float | None:
        """Return with what probability a test chose a variant for a unit, where it did."""
        ...


class Undecided:
    """Nobody decides: an exposure has to name its variant."""

    async def choose(self, test_id: int, user_id: str) -> Chosen:
        """Choose nothing."""
        del test_id, user_id
        return Chosen(None, reason="no test decides here")

    async def notice(self, named: Sequence[tuple[int, str, str]]) -> None:
        """Take no note."""

    async def probability(self, test_id: int, user_id: str, variant_key: str, at: datetime) -> float | None:
        """Know nothing."""
        del test_id, user_id, variant_key, at


async def decide_exposures(
    events: Mapping[int, IncomingEvent], tests: Mapping[str, int], deciding: Deciding
) -> dict[int, IncomingEvent | Rejection]:
    """Return, by place, exposures with their variant and its probability, or why they are refused."""
    exposed = [(index, event) for index, event in events.items() if event.type == "EXPOSED"]
    await deciding.notice(list(_named((event for _, event in exposed), tests)))
    asked = [(index, event) for index, event in exposed if event.variant_key is None]
    chosen = await asyncio.gather(*(_decided(event, tests, deciding) for _, event in asked))
    named = {index: await _with_probability(event, tests, deciding) for index, event in exposed if event.variant_key}
    return named | dict(zip((index for index, _ in asked), chosen, strict=True))


def _named(events: Iterable[IncomingEvent], tests: Mapping[str, int]) -> Iterable[tuple[int, str, str]]:
    for event in events:
        if event.variant_key is not None and event.test_id is not None:
            yield tests[event.test_id], event.user_id, event.variant_key


async def _decided(event: IncomingEvent, tests: Mapping[str, int], deciding: Deciding) -> IncomingEvent | Rejection:
    chosen = await deciding.choose(tests[event.test_id or ""], event.user_id)
    if chosen.variant_key is None:
        message = f"This user has no variant in the test ({chosen.reason}): send no exposure, or name the variant."
        return Rejection(DropReason.NOT_IN_TEST, message, "variantKey", event.id)
    return msgspec.structs.replace(event, variant_key=chosen.variant_key, probability=chosen.probability)


async def _with_probability(event: IncomingEvent, tests: Mapping[str, int], deciding: Deciding) -> IncomingEvent:
    if event.probability is not None or event.test_id is None or event.variant_key is None:
        return event
    test_id = tests[event.test_id]
    probability = await deciding.probability(test_id, event.user_id, event.variant_key, event.occurred_at)
    return event if probability is None else msgspec.structs.replace(event, probability=probability)
