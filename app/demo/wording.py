"""The simulated world's events as a sender would word them."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from app.abtests.drafting import TestDraft
from app.abtests.exposing import exposure_id
from app.demo.abtests import PLANS
from app.demo.population import Population
from app.demo.world import NONE, Events
from app.ingestion.batches import IncomingEvent
from app.store.models.codes import Channel, EventType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: dict[int, Any] = {int(kind): kind.name for kind in EventType}
_CHANNELS: dict[int, Any] = {int(channel): channel.name if channel else None for channel in Channel}


class Wording:
    """Words events of one population; the same event always gets the same id."""

    def __init__(self, population: Population) -> None:
        self._users = dict(enumerate(population.users.external_id))
        self._campaigns = {number: campaign.key for number, campaign in enumerate(population.campaigns)}

    def word(self, events: Events, *, prefix: str) -> list[IncomingEvent]:
        """Return events as they are sent, in order; ids are `prefix`, the send's number and the type's, of
        exposures those of test, variant and user."""
        columns: zip[tuple[Any, ...]] = zip(
            events.sends.tolist(),
            events.types.tolist(),
            events.at.tolist(),
            events.users.tolist(),
            events.campaigns.tolist(),
            events.channels.tolist(),
            events.values.tolist(),
            events.costs.tolist(),
            events.amounts.tolist(),
            events.probabilities.tolist(),
            events.places.tolist(),
            strict=True,
        )
        exposures = iter(self._exposures(events.take(np.flatnonzero(events.types == EventType.EXPOSED))))
        return [
            next(exposures)
            if kind == EventType.EXPOSED
            else IncomingEvent(
                id=f"{prefix}-{send}-{kind}",
                type=_TYPES[kind],
                occurred_at=_EPOCH + timedelta(microseconds=at),
                user_id=self._users[user],
                campaign_id=self._campaigns[campaign],
                channel=_CHANNELS[channel],
                value=_hundredths(value),
                cost=_millionths(cost),
                offer_amount=_hundredths(amount),
                probability=_present(probability),
                latitude=_present(place[0]),
                longitude=_present(place[1]),
            )
            for send, kind, at, user, campaign, channel, value, cost, amount, probability, place in columns
        ]

    def _exposures(self, events: Events) -> list[IncomingEvent]:
        """Return exposures with the ids that the server itself would give them."""
        columns: zip[tuple[int, int, int, int, float]] = zip(
            events.at.tolist(),
            events.users.tolist(),
            events.tests.tolist(),
            events.variants.tolist(),
            events.probabilities.tolist(),
            strict=True,
        )
        return [
            self._exposure(PLANS[test].draft, self._users[user], variant, at=at, probability=probability)
            for at, user, test, variant, probability in columns
        ]

    def _exposure(self, draft: TestDraft, user: str, variant: int, *, at: int, probability: float) -> IncomingEvent:
        key = draft.variants[variant].key
        return IncomingEvent(
            id=exposure_id(draft.key, key, user),
            type="EXPOSED",
            occurred_at=_EPOCH + timedelta(microseconds=at),
            user_id=user,
            test_id=draft.key,
            variant_key=key,
            probability=probability,
        )


def _money(decimals: int) -> Callable[[int], Decimal | None]:
    return lambda amount: None if amount == NONE else Decimal(amount).scaleb(-decimals)


_hundredths = _money(2)
_millionths = _money(6)


def _present(number: float) -> float | None:
    return None if math.isnan(number) else number
