"""What is counted and summed of campaigns' events: one definition, for totals and for events read directly.

Money is a whole number of millionths of the campaign's currency. Reward is the cash-back of a conversion: its `cost` where
given, else the amount offered. Delivery is the `cost` of every other event.
"""

from dataclasses import dataclass, fields
from typing import Self

from app.store.models.codes import EventType


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Counts of events and sums of money, in millionths. Adding them merges disjoint sets of events."""

    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    activated: int = 0
    converted: int = 0
    geofence_entries: int = 0
    revenue_micros: int = 0
    reward_micros: int = 0
    delivery_micros: int = 0

    def __add__(self, other: Self) -> "Measures":
        """Return the measures of both sets of events together."""
        return Measures(**{name: getattr(self, name) + getattr(other, name) for name in MEASURES})

    @property
    def cost_micros(self) -> int:
        """Return what rewards and delivery cost together."""
        return self.reward_micros + self.delivery_micros


MEASURES: tuple[str, ...] = tuple(field.name for field in fields(Measures))

COUNTED: dict[str, EventType] = {
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "activated": EventType.ACTIVATED,
    "converted": EventType.CONVERTED,
    "geofence_entries": EventType.GEOFENCE_ENTERED,
}

COLUMNS = ", ".join(MEASURES)
SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in MEASURES)

# The measures of one row of `event`, as columns; `count(*) FILTER` and `sum` over many rows give the same as summing these.
EVENT_COLUMNS = ", ".join(
    [
        *(f"(type = {kind:d})::int::bigint AS {name}" for name, kind in COUNTED.items()),
        f"CASE WHEN type = {EventType.CONVERTED:d} THEN coalesce(value_micros, 0) ELSE 0 END AS revenue_micros",
        f"CASE WHEN type = {EventType.CONVERTED:d} THEN coalesce(cost_micros, offer_micros, 0) ELSE 0 END AS reward_micros",
        f"CASE WHEN type = {EventType.CONVERTED:d} THEN 0 ELSE coalesce(cost_micros, 0) END AS delivery_micros",
    ]
)

# The measures of many rows of `event`, to be grouped.
EVENT_SUMS = ", ".join(
    [
        *(f"count(*) FILTER (WHERE type = {kind:d}) AS {name}" for name, kind in COUNTED.items()),
        *(
            f"coalesce(sum({amount}) FILTER (WHERE type {comparison} {EventType.CONVERTED:d}), 0)::bigint AS {name}"
            for name, amount, comparison in (
                ("revenue_micros", "value_micros", "="),
                ("reward_micros", "coalesce(cost_micros, offer_micros)", "="),
                ("delivery_micros", "cost_micros", "<>"),
            )
        ),
    ]
)
