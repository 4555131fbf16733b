from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.campaigns.metrics import (
    CampaignMetrics,
    Dimension,
    Interval,
    Measures,
    Metrics,
    Window,
    ranked_parts,
    roi,
)
from app.errors import InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2025, 12, day, hour, tzinfo=UTC)


@pytest.fixture
def metrics(performance, clock) -> CampaignMetrics:
    return CampaignMetrics(performance, clock)


@pytest.fixture
async def history(record) -> None:
    """Campaign 1: 10 sent, 8 delivered, 4 opened, 2 clicked, 2 converted.

    Worth 30.00, for rewards of 5.00 and 1.50, and 0.40 for delivery.
    """
    await record("SENT", "2025-12-01T10:30", times=10, cost=40_000)
    await record("DELIVERED", "2025-12-01T10:31", times=8)
    await record("OPENED", "2025-12-01T23:59:59.999999", times=4)
    await record("CLICKED", "2025-12-02T00:00", times=2)
    await record("CONVERTED", "2025-12-02T09:15", value=20_000_000, offer=5_000_000)
    await record("CONVERTED", "2025-12-05T09:15", value=10_000_000, cost=1_500_000, offer=5_000_000, user=2)


async def test_the_counts_and_the_seven_calculated_metrics(metrics: CampaignMetrics, history: None) -> None:
    found = (await metrics.metrics([1]))[1]
    counts = found.measures
    assert (counts.sent, counts.delivered, counts.opened, counts.clicked, counts.converted) == (10, 8, 4, 2, 2)
    assert (found.revenue, found.cost) == (Decimal(30), Decimal("6.9"))
    assert (found.delivery_rate, found.open_rate, found.click_through_rate) == (0.8, 0.5, 0.5)
    assert found.conversion_rate == 0.25
    assert found.average_order_value == Decimal(15)
    assert found.cost_per_conversion == Decimal("3.45")
    assert found.roi == pytest.approx(23.1 / 6.9, rel=1e-15)
    assert found.as_of == NOW


async def test_no_events_are_zeros_and_no_rates(metrics: CampaignMetrics, history: None) -> None:
    found = await metrics.metrics([2, 99])
    assert [found[id_].measures for id_ in (2, 99)] == [Measures(), Measures()]
    nothing = found[2]
    rates = (nothing.delivery_rate, nothing.open_rate, nothing.click_through_rate, nothing.conversion_rate, nothing.roi)
    assert {*rates, nothing.average_order_value, nothing.cost_per_conversion} == {None}
    assert (nothing.revenue, nothing.cost) == (0, 0)


async def test_a_window_is_half_open(metrics: CampaignMetrics, history: None) -> None:
    first_day = (await metrics.metrics([1], Window(at(1), at(2))))[1].measures
    assert (first_day.opened, first_day.clicked) == (4, 0)
    second_day = (await metrics.metrics([1], Window(at(2), at(3))))[1].measures
    assert (second_day.opened, second_day.clicked, second_day.converted) == (0, 2, 1)


async def test_merchants_are_all_their_campaigns(metrics: CampaignMetrics, record, history: None) -> None:
    await record("SENT", "2025-12-01T10:30", campaign=2, times=3)
    await record("SENT", "2025-12-01T10:30", campaign=3, times=5)
    found = await metrics.merchant_metrics([1, 2])
    assert {id_: merchant.measures.sent for id_, merchant in found.items()} == {1: 13, 2: 5}


async def test_segments_are_ranked_by_conversion_rate(metrics: CampaignMetrics, record) -> None:
    await record("DELIVERED", "2025-12-01T10:00", user=1, times=4)
    await record("CONVERTED", "2025-12-01T11:00", user=1)
    await record("DELIVERED", "2025-12-01T10:00", user=2, times=2)
    await record("CONVERTED", "2025-12-01T11:00", user=2)
    await record("SENT", "2025-12-01T10:00", user=3)
    found = (await metrics.segments([1]))[1]
    assert [(part.rank, part.segment, part.metrics.conversion_rate) for part in found] == [
        (1, "new", 0.5),
        (2, "vip", 0.25),
        (3, "(none)", None),
    ]


async def test_segments_by_channel_hour_and_day(metrics: CampaignMetrics, record) -> None:
    await record("DELIVERED", "2025-12-01T00:59:59", channel=2, times=2)  # a Monday
    await record("CONVERTED", "2025-12-01T00:59:59", channel=2)
    await record("DELIVERED", "2025-12-07T23:00", channel=0)  # a Sunday

    async def names(by: Dimension) -> list[str]:
        return [part.segment for part in (await metrics.segments([1], by=by))[1]]

    assert await names(Dimension.CHANNEL) == ["EMAIL", "(none)"]
    assert await names(Dimension.HOUR_OF_DAY) == ["00", "23"]
    assert await names(Dimension.DAY_OF_WEEK) == ["MONDAY", "SUNDAY"]


def test_parts_that_tie_come_by_conversions_then_by_name() -> None:
    half = Measures(delivered=2, converted=1)
    parts = {"b": half, "a": half, "c": half + half, "x": Measures(), "y": Measures(converted=1)}
    assert [part.segment for part in ranked_parts(parts, Dimension.SEGMENT, as_of=NOW)] == ["c", "a", "b", "y", "x"]


async def test_a_trend_has_no_gaps(metrics: CampaignMetrics, history: None) -> None:
    days = (await metrics.trends([1]))[1]
    assert [point.starts_at for point in days] == [at(day) for day in range(1, 6)]
    assert [point.metrics.measures.converted for point in days] == [0, 1, 0, 0, 1]
    assert days[2].metrics.measures == Measures()
    assert (await metrics.trends([2]))[2] == []


async def test_a_trend_over_a_window_covers_it_and_counts_within_it(metrics: CampaignMetrics, history: None) -> None:
    window = Window(at(1, 10) + timedelta(minutes=31), at(1, 13))
    hours = await metrics.trends([1, 2], Interval.HOUR, window=window)
    assert [point.starts_at for point in hours[1]] == [at(1, 10), at(1, 11), at(1, 12)]
    assert (hours[1][0].metrics.measures.sent, hours[1][0].metrics.measures.delivered) == (0, 8)
    assert [point.metrics.measures for point in hours[2]] == [Measures()] * 3


async def test_a_trend_with_an_open_end_reaches_to_the_data(metrics: CampaignMetrics, history: None) -> None:
    onwards = (await metrics.trends([1], window=Window(at(4), None)))[1]
    assert [point.starts_at for point in onwards] == [at(4), at(5)]
    until = (await metrics.trends([1], window=Window(None, at(3, 1))))[1]
    assert [point.starts_at for point in until] == [at(1), at(2), at(3)]
    assert (await metrics.trends([1], window=Window(at(9), None)))[1] == []


async def test_weeks_start_on_monday(metrics: CampaignMetrics, record) -> None:
    await record("SENT", "2025-12-07T23:59:59.999999")
    await record("SENT", "2025-12-08T00:00", times=2)
    weeks = (await metrics.trends([1], Interval.WEEK))[1]
    assert [(point.starts_at, point.metrics.measures.sent) for point in weeks] == [(at(1), 1), (at(8), 2)]


async def test_a_trend_is_at_most_5000_points(metrics: CampaignMetrics, record, statements) -> None:
    window = Window(at(1), at(1) + timedelta(hours=5_000))
    assert len((await metrics.trends([1], Interval.HOUR, window=window))[1]) == 5_000
    with statements.watched() as seen, pytest.raises(InvalidInput, match=r"5,001 points.*narrow the window"):
        await metrics.trends([1], Interval.HOUR, window=replace(window, to=window.to + timedelta(microseconds=1)))
    assert seen == []
    await record("SENT", "2020-01-01T00:00")
    await record("SENT", "2025-01-01T00:00")
    with pytest.raises(InvalidInput, match="narrow the window"):
        await metrics.trends([1], Interval.HOUR)


async def test_rois(metrics: CampaignMetrics, history: None) -> None:
    found = await metrics.rois([1, 2])
    one = found[1]
    assert (one.revenue, one.reward_cost, one.delivery_cost) == (Decimal(30), Decimal("6.5"), Decimal("0.4"))
    assert one.profit == Decimal("23.1")
    assert one.roi == pytest.approx(23.1 / 6.9, rel=1e-15)
    assert one.break_even_conversions == 1  # 0.40 / (15.00 - 3.25), rounded up
    assert (found[2].profit, found[2].roi, found[2].break_even_conversions) == (0, None, None)


@pytest.mark.parametrize(
    ("measures", "conversions"),
    [
        (Measures(converted=3, revenue_micros=30, reward_micros=0, delivery_micros=30), 3),
        (Measures(converted=3, revenue_micros=30, reward_micros=0, delivery_micros=31), 4),
        (Measures(converted=3, revenue_micros=30, reward_micros=30, delivery_micros=1), None),
        (Measures(converted=3, revenue_micros=30, reward_micros=40, delivery_micros=1), None),
        (Measures(converted=0, delivery_micros=5), None),
        (Measures(converted=1, revenue_micros=1), 0),
        (Measures(converted=1, revenue_micros=1, delivery_micros=2**31 - 1), 2**31 - 1),
        (Measures(converted=1, revenue_micros=1, delivery_micros=2**31), None),
    ],
)
def test_conversions_to_break_even(measures: Measures, conversions: int | None) -> None:
    assert roi(measures).break_even_conversions == conversions


def test_money_is_exact() -> None:
    metrics = Metrics(measures=Measures(revenue_micros=9_007_199_254_740_993, converted=1), as_of=NOW)
    assert metrics.revenue == metrics.average_order_value == Decimal("9007199254.740993")


async def test_each_question_is_one_statement_however_many_ids(metrics: CampaignMetrics, statements, history) -> None:
    window = Window(at(1, 10) + timedelta(minutes=31), at(5, 13))
    for ids in ([1], [1, 2, 3, *range(10, 500)]):
        for question in (
            metrics.metrics(ids, window),
            metrics.merchant_metrics(ids, window),
            metrics.segments(ids, window),
            metrics.trends(ids, window=window),
            metrics.rois(ids, window),
        ):
            with statements.watched() as seen:
                await question
            assert len(seen) == 1
