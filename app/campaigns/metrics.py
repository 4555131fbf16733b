"""How campaigns perform: counts, the seven calculated metrics, segments, trends and return.

Everything takes many ids at once and answers by id, in a number of statements that does not depend on how many. An id
without events gets zeros. Windows are half open, exact to the instant, in UTC.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from app.errors import InvalidInput
from app.runtime.clock import Clock
from app.store.measures import Measures
from app.store.performance import Breakdown, Part, PerformanceStore, channel_name
from app.store.windows import EVERYTHING, Interval, Window, floor

__all__ = [
    "EVERYTHING",
    "CampaignMetrics",
    "Dimension",
    "Interval",
    "Measures",
    "Metrics",
    "Roi",
    "SegmentPerformance",
    "TrendPoint",
    "Window",
]


MAX_POINTS = 5_000
UNREACHABLE = 2**31 - 1
NONE = "(none)"
NOTHING = Measures()
RESOLUTION = timedelta(microseconds=1)


class Dimension(StrEnum):
    """What segments split a campaign's events by (the contract's SegmentDimension)."""

    SEGMENT = "SEGMENT"
    CHANNEL = "CHANNEL"
    HOUR_OF_DAY = "HOUR_OF_DAY"
    DAY_OF_WEEK = "DAY_OF_WEEK"


class Metrics(Struct, frozen=True, gc=False, kw_only=True):
    """Measures and what is calculated from them; a rate is None where its denominator is 0.

    Money is exact and not rounded, in the campaign's currency.
    """

    measures: Measures
    as_of: datetime

    @property
    def revenue(self) -> Decimal:
        """Return the value of all conversions."""
        return money(self.measures.revenue_micros)

    @property
    def cost(self) -> Decimal:
        """Return rewards paid and delivery together."""
        return money(self.measures.cost_micros)

    @property
    def delivery_rate(self) -> float | None:
        """Return delivered / sent."""
        return _ratio(self.measures.delivered, self.measures.sent)

    @property
    def open_rate(self) -> float | None:
        """Return opened / delivered."""
        return _ratio(self.measures.opened, self.measures.delivered)

    @property
    def click_through_rate(self) -> float | None:
        """Return clicked / opened."""
        return _ratio(self.measures.clicked, self.measures.opened)

    @property
    def conversion_rate(self) -> float | None:
        """Return converted / delivered."""
        measures = self.measures
        return measures.converted / measures.delivered if measures.delivered else None

    @property
    def average_order_value(self) -> Decimal | None:
        """Return revenue / converted."""
        return _each(self.revenue, self.measures.converted)

    @property
    def cost_per_conversion(self) -> Decimal | None:
        """Return cost / converted."""
        return _each(self.cost, self.measures.converted)

    @property
    def roi(self) -> float | None:
        """Return (revenue - cost) / cost."""
        measures = self.measures
        cost = measures.reward_micros + measures.delivery_micros
        return (measures.revenue_micros - cost) / cost if cost else None


class SegmentPerformance(Struct, frozen=True, kw_only=True):
    """One part of a campaign's events; `segment` is "(none)" where the events name none."""

    segment: str
    rank: int
    metrics: Metrics


class TrendPoint(Struct, frozen=True, gc=False, kw_only=True):
    """One interval of a trend.

    `starts_at` is the aligned start of the interval, even where the window begins within it and counts a part of it.
    """

    starts_at: datetime
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """Return on what was spent. Money is exact and not rounded, in the campaign's currency.

    `break_even_conversions` is how many conversions, at the margin had so far, pay for the delivery. It is None without
    a margin, and where it is past 2**31.
    """

    revenue: Decimal
    reward_cost: Decimal
    delivery_cost: Decimal
    profit: Decimal
    roi: float | None
    break_even_conversions: int | None


class CampaignMetrics:
    """Reads how campaigns and merchants perform."""

    def __init__(self, store: PerformanceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def metrics(self, campaign_ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Metrics]:
        """Return each campaign's metrics."""
        return self._of_each(campaign_ids, await self._store.campaigns(campaign_ids, window))

    def of_totals(self, totals: Sequence[Measures]) -> list[Metrics]:
        """Return the metrics of totals that were read by somebody else just now."""
        as_of = self._clock.now()
        return [Metrics(measures=measures, as_of=as_of) for measures in totals]

    async def merchant_metrics(self, merchant_ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Metrics]:
        """Return each merchant's metrics: all its campaigns together."""
        return self._of_each(merchant_ids, await self._store.merchants(merchant_ids, window))

    async def segments(
        self, campaign_ids: Sequence[int], window: Window = EVERYTHING, *, by: Dimension = Dimension.SEGMENT
    ) -> dict[int, list[SegmentPerformance]]:
        """Return each campaign's parts that have events, best conversion rate first; those without a rate come last.

        Channels are named as in the contract, hours "00" to "23", days "MONDAY" to "SUNDAY", both in UTC.
        """
        parts = await self._store.campaign_parts(campaign_ids, window, by=Breakdown(by))
        as_of = self._clock.now()
        return {id_: ranked_parts(parts.get(id_, {}), by, as_of=as_of) for id_ in campaign_ids}

    async def trends(
        self, campaign_ids: Sequence[int], interval: Interval = Interval.DAY, *, window: Window = EVERYTHING
    ) -> dict[int, list[TrendPoint]]:
        """Return each campaign's trend without gaps: an interval without events is zeros.

        An open end of the window reaches to the first, or the last, interval with events.
        Raises InvalidInput where a trend would have more than 5,000 points.
        """
        check_length(interval, window)
        parts = await self._store.campaign_parts(campaign_ids, window, by=Breakdown(interval))
        as_of = self._clock.now()
        return {id_: trend(parts.get(id_, {}), interval, window=window, as_of=as_of) for id_ in campaign_ids}

    def of_days(self, days: Sequence[Sequence[tuple[datetime, Measures]]]) -> list[list[TrendPoint]]:
        """Return the trends of days that were read by somebody else just now."""
        as_of = self._clock.now()
        return [trend(dict[Part, Measures](own), Interval.DAY, window=EVERYTHING, as_of=as_of) for own in days]

    async def rois(self, campaign_ids: Sequence[int], window: Window = EVERYTHING) -> dict[int, Roi]:
        """Return each campaign's return on what was spent."""
        found = await self._store.campaigns(campaign_ids, window)
        return {id_: roi(found.get(id_, NOTHING)) for id_ in campaign_ids}

    def _of_each(self, ids: Sequence[int], found: Mapping[int, Measures]) -> dict[int, Metrics]:
        as_of = self._clock.now()
        return {id_: Metrics(measures=found.get(id_, NOTHING), as_of=as_of) for id_ in ids}


def money(micros: int) -> Decimal:
    """Return an amount in its currency, exactly."""
    return Decimal(micros).scaleb(-6)


def roi(measures: Measures) -> Roi:
    """Return the return on what was spent, and how many conversions would pay for the delivery."""
    profit = measures.revenue_micros - measures.cost_micros
    return Roi(
        revenue=money(measures.revenue_micros),
        reward_cost=money(measures.reward_micros),
        delivery_cost=money(measures.delivery_micros),
        profit=money(profit),
        roi=_ratio(profit, measures.cost_micros),
        break_even_conversions=_break_even(measures),
    )


def ranked_parts(parts: Mapping[Part, Measures], by: Dimension, *, as_of: datetime) -> list[SegmentPerformance]:
    """Return parts by conversion rate, best first and those without one last, then by conversions, then by name."""
    name = _NAMES[by]
    named = [(name(part), Metrics(measures=measures, as_of=as_of)) for part, measures in parts.items()]
    named.sort(key=lambda pair: (-_rate(pair[1]), -pair[1].measures.converted, pair[0]))
    return [
        SegmentPerformance(segment=segment, rank=rank, metrics=metrics)
        for rank, (segment, metrics) in enumerate(named, start=1)
    ]


def trend(parts: Mapping[Part, Measures], interval: Interval, *, window: Window, as_of: datetime) -> list[TrendPoint]:
    """Return the intervals of a window, or from the first to the last with events where it is open, without gaps."""
    starts = [part for part in parts if isinstance(part, datetime)]  # they come in their order
    if window != EVERYTHING or _has_gaps(starts, interval.width):
        starts = _starts(interval, _closed(window, starts))
    return [
        TrendPoint(starts_at=start, metrics=Metrics(measures=parts.get(start, NOTHING), as_of=as_of))
        for start in starts
    ]


def _has_gaps(starts: Sequence[datetime], width: timedelta) -> bool:
    """Tell whether aligned intervals, in order, are not all there are between them, or more than a trend may have."""
    points = len(starts)
    return points > MAX_POINTS or (points > 0 and starts[-1] - starts[0] != (points - 1) * width)


def check_length(interval: Interval, window: Window) -> None:
    """Raise InvalidInput where a trend over a closed window would be too long."""
    if window.from_ is not None and window.to is not None:
        _starts(interval, (window.from_, window.to))


def _closed(window: Window, starts: Sequence[datetime]) -> tuple[datetime, datetime] | None:
    from_ = window.from_ or (starts[0] if starts else None)
    to = window.to or (starts[-1] + RESOLUTION if starts else None)
    return None if from_ is None or to is None else (from_, to)


def _starts(interval: Interval, stretch: tuple[datetime, datetime] | None) -> list[datetime]:
    if stretch is None:
        return []
    width = interval.width
    from_ = floor(stretch[0], width)
    points = -((from_ - stretch[1]) // width)
    if points > MAX_POINTS:
        raise InvalidInput(
            f"The trend has {points:,} points, more than {MAX_POINTS:,}: narrow the window or widen the interval.",
            path=("window",),
        )
    return [from_ + step * width for step in range(points)]


def _break_even(measures: Measures) -> int | None:
    margin = measures.revenue_micros - measures.reward_micros
    if measures.converted == 0 or margin <= 0:
        return None
    conversions = -(-measures.delivery_micros * measures.converted // margin)
    return conversions if conversions <= UNREACHABLE else None


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _each(amount: Decimal, count: int) -> Decimal | None:
    return amount / count if count else None


def _rate(metrics: Metrics) -> float:
    rate = metrics.conversion_rate
    return -1.0 if rate is None else rate


_DAYS = ("", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_NAMES: Mapping[Dimension, Callable[[Part], str]] = {
    Dimension.SEGMENT: lambda part: str(part) or NONE,
    Dimension.CHANNEL: lambda part: channel_name(part) or NONE,
    Dimension.HOUR_OF_DAY: lambda part: f"{part:02d}",
    Dimension.DAY_OF_WEEK: lambda part: _DAYS[int(str(part))],
}
