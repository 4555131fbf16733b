"""What is counted and summed of campaigns' events: one definition, for totals and for events read directly.

Money is a whole number of millionths of the campaign's currency. Reward is the cash-back of a conversion: its `cost`
where given, else the amount offered. Delivery is the `cost` of every other event.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from msgspec import Struct

from app.store.models.codes import EventType


class Measures(Struct, frozen=True, gc=False, array_like=True):
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


MEASURES: tuple[str, ...] = Measures.__struct_fields__

COUNTED: dict[str, EventType] = {
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "activated": EventType.ACTIVATED,
    "converted": EventType.CONVERTED,
    "geofence_entries": EventType.GEOFENCE_ENTERED,
}

# What one row of `event` adds to each measure.
EVENT_MEASURES: dict[str, str] = {
    **{name: f"(type = {kind:d})::int::bigint" for name, kind in COUNTED.items()},
    "revenue_micros": f"CASE type WHEN {EventType.CONVERTED:d} THEN coalesce(value_micros, 0) ELSE 0 END",
    "reward_micros": f"CASE type WHEN {EventType.CONVERTED:d} THEN coalesce(cost_micros, offer_micros, 0) ELSE 0 END",
    "delivery_micros": f"CASE type WHEN {EventType.CONVERTED:d} THEN 0 ELSE coalesce(cost_micros, 0) END",
}


def columns(names: Iterable[str] = MEASURES) -> str:
    """Return the measures as a list of a totals table's columns."""
    return ", ".join(names)


def event_columns(names: Iterable[str] = MEASURES) -> str:
    """Return the measures of each row of `event`, as a list of columns."""
    return ", ".join(f"{EVENT_MEASURES[name]} AS {name}" for name in names)


def sums(names: Iterable[str] = MEASURES) -> str:
    """Return the sums of many rows, of totals or of `event_columns`, as a list of columns; 0 where there are none."""
    return ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in names)


def sums_json() -> str:
    """Return the sums of many rows of totals as PostgreSQL writes `Measures` in JSON: an array."""
    return f"json_build_array({', '.join(f'coalesce(sum({name}), 0)::bigint' for name in MEASURES)})"


# The sums of many rows of `event`, as a list of columns; 0 where there are none.
EVENT_SUMS = ", ".join(f"coalesce(sum({measure}), 0)::bigint AS {name}" for name, measure in EVENT_MEASURES.items())


@dataclass(frozen=True, slots=True)
class Ratio:
    """A calculated metric over summed rows: what it reads, and its SQL; null where its denominator is 0."""

    measures: tuple[str, ...]
    sql: str
    lowest_first: bool = False


def _ratio(numerator: str, denominator: str) -> Ratio:
    return Ratio((numerator, denominator), f"sum({numerator})::float8 / nullif(sum({denominator}), 0)::float8")


_COST = "(sum(reward_micros) + sum(delivery_micros))"

CALCULATED: dict[str, Ratio] = {
    "DELIVERY_RATE": _ratio("delivered", "sent"),
    "OPEN_RATE": _ratio("opened", "delivered"),
    "CLICK_THROUGH_RATE": _ratio("clicked", "opened"),
    "CONVERSION_RATE": _ratio("converted", "delivered"),
    "AVERAGE_ORDER_VALUE": Ratio(
        ("revenue_micros", "converted"),
        "sum(revenue_micros)::float8 / nullif(sum(converted) * 1000000, 0)::float8",
    ),
    "COST_PER_CONVERSION": Ratio(
        ("reward_micros", "delivery_micros", "converted"),
        f"{_COST}::float8 / nullif(sum(converted) * 1000000, 0)::float8",
        lowest_first=True,
    ),
    "ROI": Ratio(
        ("revenue_micros", "reward_micros", "delivery_micros"),
        f"(sum(revenue_micros) - {_COST})::float8 / nullif({_COST}, 0)::float8",
    ),
    "REVENUE": Ratio(("revenue_micros",), "sum(revenue_micros)::float8 / 1000000"),
    "CONVERTED": Ratio(("converted",), "sum(converted)::float8"),
}
"""What campaigns can be ranked by, by the contract's names."""
