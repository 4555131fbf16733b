"""Money adds up within a currency alone: what the campaigns of each did."""

from collections.abc import Sequence

import strawberry

from app.campaigns.portfolio import CurrencyPerformance
from graph.campaigns.loaders import PortfolioIn
from graph.campaigns.types import CampaignMetrics, Portfolio
from graph.context import Context
from graph.fields import extend, loads, reading, related


@strawberry.type(name="CurrencyPerformance", description="All campaigns of one currency together.")
class OfCurrency:
    """The row is an `app.campaigns.portfolio.CurrencyPerformance`."""

    currency: str = reading("ISO 4217 code.")
    campaigns: int = reading("Campaigns in it, a count.")
    metrics: CampaignMetrics = reading("Their events in the window; money in this currency.")


extend(
    Portfolio,
    "by_currency",
    list[OfCurrency],
    related(
        "Campaigns by their currency, that of most campaigns first. With more than one, money in `metrics`, `trend`, "
        "`byMerchant` and `byChannel` adds up numbers of different currencies: read it here.",
        size=5,
    ),
)


@loads(Portfolio, "by_currency")
async def portfolio_by_currency(context: Context, portfolios: Sequence[PortfolioIn]) -> list[list[CurrencyPerformance]]:
    """Load what the campaigns of each currency did."""
    return [await context.services.portfolio.by_currency(one.window) for one in portfolios]
