"""What the totals ladder answers equals counting the events one by one, for any window."""

import random
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.store.database import Database
from app.store.events import EventStore
from app.store.measures import CALCULATED, Measures
from app.store.performance import Breakdown, PerformanceStore
from app.store.windows import Interval, Window

START = datetime(2025, 12, 29, tzinfo=UTC)
DAYS = 6
CAMPAIGNS = {1: 1, 2: 1, 3: 2}
SEGMENTS = {1: "vip", 2: "new", 3: "", 4: "vip"}
COUNTS = {1: "sent", 2: "delivered", 3: "opened", 4: "clicked", 5: "activated", 6: "converted", 7: "geofence_entries"}
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category) VALUES (1, 'bakery', 'Bakery', ''), (2, 'books', 'Books', '');
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES
        (1, 'spring', 'Spring', 1, '{1,2}', 5),
        (2, 'autumn', 'Autumn', 1, '{1}', 2),
        (3, 'winter', 'Winter', 2, '{1}', 3);
    INSERT INTO app_user (id, external_id, segment) VALUES
        (1, 'ann', 'vip'), (2, 'bob', 'new'), (3, 'cyd', ''), (4, 'dan', 'vip')
"""


@dataclass(frozen=True)
class Event:
    at: datetime
    user: int
    campaign: int | None
    kind: int
    channel: int
    value: int | None
    cost: int | None
    offer: int | None

    @property
    def draft(self):
        merchant = CAMPAIGNS.get(self.campaign)
        key = uuid.uuid4()
        return (
            *(key, self.at, self.user, self.campaign, merchant, None, None, self.value, self.cost, self.offer),
            *(None, None, None, self.kind, self.channel, str(key), None, None, None),
        )

    @property
    def measures(self) -> Measures:
        counted = {COUNTS[self.kind]: 1} if self.kind in COUNTS else {}
        if self.kind != 6:
            return Measures(**counted, delivery_micros=self.cost or 0)
        reward = next((amount for amount in (self.cost, self.offer) if amount is not None), 0)
        return Measures(**counted, revenue_micros=self.value or 0, reward_micros=reward)


def made_up_events(number: int = 900) -> list[Event]:
    """Events at whole hours, whole days, a microsecond before them, and anywhere, over a change of months and weeks."""
    rng = random.Random(5)

    def instant() -> datetime:
        at = START + timedelta(microseconds=rng.randrange(DAYS * 86_400 * 10**6))
        whole = at.replace(minute=0, second=0, microsecond=0)
        return rng.choice(
            [at, at, whole, whole - timedelta(microseconds=1), START + timedelta(days=rng.randrange(DAYS))]
        )

    def amount(largest: int) -> int | None:
        return rng.choice([None, 0, rng.randrange(largest)])

    return [
        Event(
            at=instant(),
            user=rng.choice(list(SEGMENTS)),
            campaign=rng.choice([1, 1, 2, 3, None]),
            kind=rng.choice([1, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8]),
            channel=rng.randrange(5),
            value=amount(10**8),
            cost=amount(10**6),
            offer=amount(10**7),
        )
        for _ in range(number)
    ]


EVENTS = made_up_events()


@pytest_asyncio.fixture(scope="module")
async def store(database: Database) -> PerformanceStore:
    await database.execute("TRUNCATE merchant, campaign, app_user, event, event_key CASCADE")
    await database.execute(
        "TRUNCATE campaign_hour, campaign_day, merchant_day, campaign_total, campaign_user_day, campaign_cohort"
    )
    await database.execute(CATALOGUE)
    events = EventStore(database)
    for start in range(0, len(EVENTS), 100):
        await events.append([event.draft for event in EVENTS[start : start + 100]])
    return PerformanceStore(database)


def expected(window: Window, key) -> dict:
    totals = defaultdict(Measures)
    for event in EVENTS:
        inside = (window.from_ is None or window.from_ <= event.at) and (window.to is None or event.at < window.to)
        if inside and event.campaign is not None:
            totals[key(event)] += event.measures
    return dict(totals)


def at(day: int, *clock: int) -> datetime:
    return (
        START.replace(day=1, month=1, year=2026)
        + timedelta(days=day - 1)
        + timedelta(**dict(zip(("hours", "minutes", "seconds", "microseconds"), clock, strict=False)))
    )


WINDOWS = {
    "everything": Window(),
    "whole days": Window(at(-1), at(2)),
    "one day": Window(at(1), at(2)),
    "whole hours": Window(at(-1, 5), at(2, 7)),
    "hours of one day": Window(at(1, 5), at(1, 7)),
    "hours over midnight": Window(at(0, 23), at(1, 1)),
    "ragged": Window(at(-1, 5, 13, 7, 123_456), at(2, 7, 59, 59, 999_999)),
    "within an hour": Window(at(1, 5, 10), at(1, 5, 50)),
    "over one hour's end": Window(at(1, 5, 10), at(1, 6, 10)),
    "from a ragged instant on": Window(at(0, 12, 30), None),
    "until a ragged instant": Window(None, at(0, 12, 30)),
    "a microsecond": Window(at(1), at(1, 0, 0, 0, 1)),
    "before all": Window(None, at(-9)),
    "after all": Window(at(9), None),
}
PARTS = {
    Breakdown.SEGMENT: lambda event: SEGMENTS[event.user],
    Breakdown.CHANNEL: lambda event: event.channel,
    Breakdown.HOUR_OF_DAY: lambda event: event.at.hour,
    Breakdown.DAY_OF_WEEK: lambda event: event.at.isoweekday(),
    Breakdown.HOUR: lambda event: event.at.replace(minute=0, second=0, microsecond=0),
    Breakdown.DAY: lambda event: event.at.replace(hour=0, minute=0, second=0, microsecond=0),
    Breakdown.WEEK: lambda event: (
        event.at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=event.at.weekday())
    ),
}
windows = pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)


@windows
async def test_campaigns(store: PerformanceStore, window: Window) -> None:
    assert await store.campaigns([1, 2, 3], window) == expected(window, lambda event: event.campaign)


@windows
async def test_merchants(store: PerformanceStore, window: Window) -> None:
    by_merchant = expected(window, lambda event: CAMPAIGNS[event.campaign])
    assert await store.merchants([1, 2], window) == by_merchant
    assert await store.merchants(window=window) == by_merchant


@windows
async def test_portfolio(store: PerformanceStore, window: Window) -> None:
    assert await store.portfolio(window) == expected(window, lambda _: None).get(None, Measures())


@windows
@pytest.mark.parametrize("by", Breakdown)
async def test_parts(store: PerformanceStore, window: Window, by: Breakdown) -> None:
    found = await store.campaign_parts([1, 2, 3], window, by=by)
    flat = {(id_, part): measures for id_, parts in found.items() for part, measures in parts.items()}
    assert flat == expected(window, lambda event: (event.campaign, PARTS[by](event)))
    assert await store.portfolio_parts(window, by=by) == expected(window, PARTS[by])


async def test_any_window(store: PerformanceStore) -> None:
    rng = random.Random(11)
    instants = [event.at for event in EVENTS]
    for _ in range(60):
        from_, to = sorted(rng.sample(instants, 2))
        if from_ == to:
            continue
        window = Window(from_, to)
        assert await store.campaigns([1, 2, 3], window) == expected(window, lambda event: event.campaign), window


@windows
@pytest.mark.parametrize("by", CALCULATED)
async def test_top_campaigns(store: PerformanceStore, window: Window, by: str) -> None:
    values = {id_: VALUES[by](m) for id_, m in expected(window, lambda event: event.campaign).items()}
    sign = 1 if by == "COST_PER_CONVERSION" else -1
    best = sorted((sign * value, id_) for id_, value in values.items() if value is not None)
    found = await store.top_campaigns(by, 2, window=window)
    assert [id_ for id_, _ in found] == [id_ for _, id_ in best[:2]]
    assert [value for _, value in found] == pytest.approx([sign * value for value, _ in best[:2]], rel=1e-15)


def ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


VALUES = {
    "DELIVERY_RATE": lambda m: ratio(m.delivered, m.sent),
    "OPEN_RATE": lambda m: ratio(m.opened, m.delivered),
    "CLICK_THROUGH_RATE": lambda m: ratio(m.clicked, m.opened),
    "CONVERSION_RATE": lambda m: ratio(m.converted, m.delivered),
    "AVERAGE_ORDER_VALUE": lambda m: ratio(m.revenue_micros, m.converted * 10**6),
    "COST_PER_CONVERSION": lambda m: ratio(m.reward_micros + m.delivery_micros, m.converted * 10**6),
    "ROI": lambda m: ratio(m.revenue_micros - m.reward_micros - m.delivery_micros, m.reward_micros + m.delivery_micros),
    "REVENUE": lambda m: m.revenue_micros / 10**6,
    "CONVERTED": lambda m: m.converted,
}


async def test_top_campaigns_that_sent_enough(store: PerformanceStore) -> None:
    sent = {id_: m.sent for id_, m in expected(Window(), lambda event: event.campaign).items()}
    most = max(sent.values())
    found = await store.top_campaigns("REVENUE", 10, minimum_sent=most)
    assert [id_ for id_, _ in found] == [id_ for id_, n in sent.items() if n == most]
    assert await store.top_campaigns("REVENUE", 10, minimum_sent=most + 1) == []


@pytest.mark.parametrize(("interval", "days"), [(Interval.DAY, 1), (Interval.WEEK, 7)])
async def test_cohorts(store: PerformanceStore, interval: Interval, days: int) -> None:
    converted = defaultdict(set)
    for event in EVENTS:
        if event.campaign and event.kind == 6:
            day = event.at.date()
            converted[event.campaign, event.user].add(day - timedelta(days=day.weekday()) if days == 7 else day)
    users = defaultdict(int)
    for (campaign, _), intervals in converted.items():
        for one in intervals:
            users[campaign, min(intervals), (one - min(intervals)).days // days] += 1
    found = await store.cohorts([1, 2, 3], interval, periods=9)
    assert {(row.campaign_id, row.cohort, row.period): row.users for row in found} == users
    first_two = await store.cohorts([1, 2, 3], interval, periods=2)
    assert {row.period for row in first_two} == {period for _, _, period in users if period < 2}


@pytest.mark.parametrize(
    ("window", "read"),
    [
        ("everything", {"campaign_total"}),
        ("whole days", {"campaign_day"}),
        ("whole hours", {"campaign_day", "campaign_hour"}),
        ("hours of one day", {"campaign_hour"}),
        ("within an hour", {"event"}),
        ("ragged", {"campaign_day", "campaign_hour", "event"}),
    ],
)
async def test_one_statement_reads_no_more_than_it_must(store, statements, window: str, read: set[str]) -> None:
    for ids in ([1], [1, 2, 3]):
        with statements.watched() as seen:
            await store.campaigns(ids, WINDOWS[window])
        assert len(seen) == 1
        assert {
            table
            for table in ("campaign_total", "campaign_day", "campaign_hour", "event")
            if f"FROM {table} " in seen[0]
        } == read
