from datetime import UTC, datetime, timedelta

import pytest

from app.campaigns.metrics import Interval, Window
from app.campaigns.portfolio import CampaignMetric, PortfolioAnalysis, Ranked
from app.errors import InvalidInput
from app.store.currencies import CurrencyStore

NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def analysis(performance, campaign_store, clock, catalogue) -> PortfolioAnalysis:
    return PortfolioAnalysis(performance, campaign_store, clock, currencies=CurrencyStore(catalogue))


@pytest.fixture
async def history(record) -> None:
    """Campaign 1: 2 of 4 converted, for 20.00 at 10.00. Campaign 2: 1 of 4, for 30.00 at 5.00. Campaign 3: 2 sent."""
    await record("SENT", "2025-12-01T12:30", campaign=1, times=5)
    await record("DELIVERED", "2025-12-01T12:30", campaign=1, times=4)
    await record("CONVERTED", "2025-12-03T12:30", campaign=1, times=2, value=10_000_000, offer=5_000_000)
    await record("DELIVERED", "2025-12-02T12:30", campaign=2, times=4, channel=2)
    await record("CONVERTED", "2025-12-02T12:30", campaign=2, value=30_000_000, offer=5_000_000, channel=2)
    await record("SENT", "2025-12-02T12:30", campaign=3, times=2, channel=3)


async def test_all_together(analysis: PortfolioAnalysis, history: None) -> None:
    found = await analysis.portfolio()
    assert (found.campaigns, found.active) == (3, 2)
    measures = found.metrics.measures
    assert (measures.sent, measures.delivered, measures.converted) == (7, 8, 3)
    assert found.metrics.roi == (50 - 15) / 15


async def test_money_by_currency(analysis: PortfolioAnalysis, history: None, catalogue) -> None:
    await catalogue.execute("UPDATE campaign SET currency = 'JPY' WHERE id = 2")
    dollars, yen = await analysis.by_currency()
    assert (dollars.currency, dollars.campaigns, dollars.metrics.revenue) == ("USD", 2, 20)
    assert (dollars.metrics.measures.sent, dollars.metrics.roi) == (7, (20 - 10) / 10)
    assert (yen.currency, yen.campaigns, yen.metrics.revenue) == ("JPY", 1, 30)
    later = await analysis.by_currency(Window(NOON + timedelta(days=1, hours=12), None))
    assert [one.metrics.revenue for one in later] == [20, 0]


async def test_an_empty_portfolio(analysis: PortfolioAnalysis) -> None:
    found = await analysis.portfolio()
    assert (found.campaigns, found.metrics.measures.sent, found.metrics.roi) == (3, 0, None)
    assert (await analysis.trend(), await analysis.by_merchant(), await analysis.by_channel()) == ([], [], [])


async def test_a_window_cuts_hours(analysis: PortfolioAnalysis, history: None) -> None:
    half_past = NOON + timedelta(minutes=30)
    within = await analysis.portfolio(Window(half_past, half_past + timedelta(microseconds=1)))
    assert (within.metrics.measures.sent, within.campaigns) == (5, 3)
    after = await analysis.portfolio(Window(half_past + timedelta(microseconds=1), None))
    assert (after.metrics.measures.sent, after.metrics.measures.delivered) == (2, 4)


async def test_the_trend_of_all(analysis: PortfolioAnalysis, history: None) -> None:
    days = await analysis.trend()
    assert [(point.starts_at.day, point.metrics.measures.sent) for point in days] == [(1, 5), (2, 2), (3, 0)]
    with pytest.raises(InvalidInput, match="narrow the window"):
        await analysis.trend(Interval.HOUR, window=Window(NOON, NOON + timedelta(hours=5_001)))


async def test_merchants_by_revenue(analysis: PortfolioAnalysis, history: None, record) -> None:
    found = await analysis.by_merchant()
    assert [(m.rank, m.merchant_id, m.metrics.revenue) for m in found] == [(1, 1, 50), (2, 2, 0)]
    await record("CONVERTED", "2025-12-02T12:30", campaign=3, value=60_000_000)
    assert [m.merchant_id for m in await analysis.by_merchant(first=1)] == [2]


async def test_channels(analysis: PortfolioAnalysis, history: None) -> None:
    found = await analysis.by_channel()
    assert [(part.segment, part.metrics.conversion_rate) for part in found] == [
        ("PUSH", 0.5),
        ("EMAIL", 0.25),
        ("SMS", None),
    ]


@pytest.mark.parametrize(
    ("by", "best"),
    [
        (CampaignMetric.ROI, [(2, 5), (1, 1)]),
        (CampaignMetric.REVENUE, [(2, 30), (1, 20), (3, 0)]),
        (CampaignMetric.CONVERTED, [(1, 2), (2, 1), (3, 0)]),
        (CampaignMetric.CONVERSION_RATE, [(1, 0.5), (2, 0.25)]),
        (CampaignMetric.AVERAGE_ORDER_VALUE, [(2, 30), (1, 10)]),
        (CampaignMetric.COST_PER_CONVERSION, [(1, 5), (2, 5)]),
        (CampaignMetric.DELIVERY_RATE, [(1, 0.8), (3, 0)]),
        (CampaignMetric.OPEN_RATE, [(1, 0), (2, 0)]),
        (CampaignMetric.CLICK_THROUGH_RATE, []),
    ],
)
async def test_top_campaigns(analysis: PortfolioAnalysis, history: None, by: CampaignMetric, best: list) -> None:
    found = await analysis.top_campaigns(by)
    assert found == [Ranked(rank=rank, value=v, campaign_id=id_) for rank, (id_, v) in enumerate(best, start=1)]


async def test_the_lowest_cost_is_best(analysis: PortfolioAnalysis, history: None, record) -> None:
    await record("CONVERTED", "2025-12-02T12:30", campaign=2, cost=1_000_000)
    assert [r.campaign_id for r in await analysis.top_campaigns(CampaignMetric.COST_PER_CONVERSION)] == [2, 1]


async def test_top_campaigns_of_a_window_that_sent_enough(analysis: PortfolioAnalysis, history: None) -> None:
    day = Window(NOON, NOON + timedelta(hours=1))
    assert [r.campaign_id for r in await analysis.top_campaigns(CampaignMetric.REVENUE, window=day)] == [1]
    enough = await analysis.top_campaigns(CampaignMetric.REVENUE, minimum_sent=2)
    assert [r.campaign_id for r in enough] == [1, 3]
    assert await analysis.top_campaigns(CampaignMetric.REVENUE, 1) == [Ranked(rank=1, value=30, campaign_id=2)]


@pytest.mark.parametrize(
    ("first", "minimum_sent", "path"), [(-1, 0, "first"), (101, 0, "first"), (1, -1, "minimumSent")]
)
async def test_what_cannot_be_asked(analysis: PortfolioAnalysis, first: int, minimum_sent: int, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await analysis.top_campaigns(CampaignMetric.ROI, first, minimum_sent=minimum_sent)
    assert refused.value.path == (path,)


async def test_statements_do_not_grow(analysis: PortfolioAnalysis, history: None, statements) -> None:
    for question, number in (
        (analysis.portfolio(), 2),
        (analysis.trend(), 1),
        (analysis.by_merchant(), 1),
        (analysis.by_channel(), 1),
        (analysis.top_campaigns(), 1),
    ):
        with statements.watched() as seen:
            await question
        assert len(seen) == number
