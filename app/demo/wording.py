"""The simulated world's events as a sender would word them."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

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
        """Return events as they are sent, in order; ids are `prefix`, the send's number and the type's."""
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
        return [
            IncomingEvent(
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


def _money(decimals: int) -> Callable[[int], Decimal | None]:
    return lambda amount: None if amount == NONE else Decimal(amount).scaleb(-decimals)


_hundredths = _money(2)
_millionths = _money(6)


def _present(number: float) -> float | None:
    return None if math.isnan(number) else number
