"""How long campaign analytics take with 10,000 campaigns and 3 million rows of hourly totals over 100 days.

The totals are generated in SQL, the same on every run and in the order of time, as events would have made them: three
segments, two channels, three rows a campaign and day, with the wider totals that belong to them. `--slots` spreads each
over as many rows as concurrent writers would.

Every question is asked `--rounds` times, each time about another campaign; the median counts. It is asked of the use
cases in this process, and over HTTP of a server in a process of its own: there the time runs from sending the request
to having read the whole answer, on a connection that stays open. The limits are those the project has set itself.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.claims import Claim, Row
from bench.serving import Serving, winnow_serve

KEY = "wnw_" + "b" * 40
DAYS = 100
PORT = 8124
LAST = datetime(2026, 9, 9, tzinfo=UTC)
FIRST = LAST - timedelta(days=DAYS)
MEASURES = (
    "sent, delivered, opened, clicked, activated, converted, geofence_entries, revenue_micros, reward_micros, "
    "delivery_micros"
)
SUMS = ", ".join(f"sum({name})" for name in MEASURES.split(", "))

# The values of $campaigns, $merchants, $slots and $first are put in by `filling`.
FILLING = {
    "merchants and campaigns": """
        INSERT INTO merchant (key, name, category)
        SELECT 'bench-' || n, 'Merchant ' || n, 'grocery' FROM generate_series(1, $merchants) n;
        INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount, starts_at)
        SELECT 'bench-' || n, 'Campaign ' || n, 1 + (n - 1) % $merchants,
               (ARRAY['ACTIVE', 'ACTIVE', 'PAUSED', 'ENDED'])[1 + n % 4], '{1,2}', 5, '$first'
        FROM generate_series(1, $campaigns) n
    """,
    "campaign_hour": f"""
        INSERT INTO campaign_hour (campaign_id, hour, segment, channel, slot, {MEASURES})
        SELECT c, timestamptz '$first' + d * interval '1 day' + (c * 7 + d * 5 + s * 11) % 24 * interval '1 hour',
               (ARRAY['lapsed', 'loyal', 'new'])[s + 1], 1 + (c + d + s) % 2, (c + d + s) % $slots,
               n, n - n / 10, n / 2, n / 5, n / 8, n / (15 + c % 11), n / 30, n / (15 + c % 11) * 25000000::bigint,
               n / (15 + c % 11) * 5000000::bigint, n * (10000 + c % 97)::bigint
        FROM generate_series(0, {DAYS - 1}) d, generate_series(1, $campaigns) c, generate_series(0, 2) s,
             LATERAL (SELECT 100 + (c * 31 + d * 17 + s * 13) % 400 AS n) AS x
        ORDER BY d, c, s
    """,
    "campaign_day": f"""
        INSERT INTO campaign_day (campaign_id, day, slot, {MEASURES})
        SELECT campaign_id, hour::date, slot, {SUMS} FROM campaign_hour GROUP BY 2, 1, 3 ORDER BY 2, 1, 3
    """,
    "merchant_day": f"""
        INSERT INTO merchant_day (merchant_id, day, channel, slot, {MEASURES})
        SELECT merchant_id, hour::date, channel, slot, {SUMS}
        FROM campaign_hour JOIN campaign ON campaign.id = campaign_id GROUP BY 2, 1, 3, 4 ORDER BY 2, 1, 3, 4
    """,
    "campaign_total": f"""
        INSERT INTO campaign_total (campaign_id, slot, {MEASURES})
        SELECT campaign_id, slot, {SUMS} FROM campaign_day GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "statistics": "VACUUM ANALYZE",
}

METRICS = """
    sent delivered opened clicked activated converted geofenceEntries revenue cost deliveryRate openRate
    clickThroughRate conversionRate averageOrderValue costPerConversion roi asOf
"""
CAMPAIGN = "query ($id: ID!, $window: Window) { campaign(id: $id) { %s } }"
WHOLE = "query ($window: Window) { %s }"
PORTFOLIO = f"""
    portfolio(window: $window) {{
        campaigns active metrics {{ {METRICS} }} trend {{ startsAt metrics {{ {METRICS} }} }}
        byMerchant {{ rank merchant {{ name }} metrics {{ {METRICS} }} }}
        byChannel {{ rank segment metrics {{ {METRICS} }} }}
    }}
"""
# The name of a question, its limit in milliseconds, and how it is asked.
OVER_HTTP = {
    "metrics of a campaign": (100, CAMPAIGN % f"metrics(window: $window) {{ {METRICS} }}"),
    "segments of a campaign": (200, CAMPAIGN % f"segments(window: $window) {{ rank segment metrics {{ {METRICS} }} }}"),
    "trend of a campaign": (300, CAMPAIGN % f"trend(window: $window) {{ startsAt metrics {{ {METRICS} }} }}"),
    "ROI of a campaign": (
        150,
        CAMPAIGN % "roi(window: $window) { revenue rewardCost deliveryCost profit roi breakEvenConversions }",
    ),
    "portfolio, all of it": (500, WHOLE % PORTFOLIO),
    "portfolio, counts and metrics": (
        500,
        WHOLE % f"portfolio(window: $window) {{ campaigns active metrics {{ {METRICS} }} }}",
    ),
    "top campaigns by ROI": (
        400,
        WHOLE % f"topCampaigns(window: $window) {{ rank value campaign {{ name metrics {{ {METRICS} }} }} }}",
    ),
}
CLAIMS = tuple(
    Claim(name=f"analytics: {name}", unit="ms", limit=float(limit)) for name, (limit, _query) in OVER_HTTP.items()
)
RAGGED = (FIRST + timedelta(days=50, minutes=17), LAST - timedelta(hours=5, minutes=43))


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=10_000)
    parser.add_argument("--merchants", type=int, default=500)
    parser.add_argument("--slots", type=int, default=1, help="rows a total is spread over, 1 to 8")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    with database_url() as url:
        asyncio.run(run(url, options))


async def run(url: str, options: argparse.Namespace) -> None:
    from app.store.database import Database

    database = await Database.open(url)
    await database.migrate()
    if not await database.fetchval("SELECT EXISTS (SELECT FROM campaign_hour)"):
        await fill(database, options)
    for table in ("campaign", "campaign_hour", "campaign_day", "merchant_day", "campaign_total"):
        print(f"{table}: {await database.fetchval(f'SELECT count(*) FROM {table}'):,} rows")
    print(f"\nUse cases in this process, medians of {options.rounds}:")
    for name, ask in use_cases(database).items():
        await report(name, ask, options)
    await database.close()
    print(f"\nOver HTTP, medians of {options.rounds}:")
    with server(url, options.port):
        connection = await connect(options.port)
        for name, (limit, query) in OVER_HTTP.items():
            await report(name, questions(connection, query, window=None), options, limit=limit)
        for name, (limit, query) in OVER_HTTP.items():
            ragged = {"from": RAGGED[0].isoformat(), "to": RAGGED[1].isoformat()}
            await report(f"{name}, ragged 50 days", questions(connection, query, window=ragged), options, limit=limit)


def speed() -> list[Row]:
    """Measure over HTTP only, and return the table's rows."""
    with database_url() as url:
        return asyncio.run(
            asked_over_http(url, argparse.Namespace(campaigns=10_000, merchants=500, slots=1, rounds=15))
        )


async def asked_over_http(url: str, options: argparse.Namespace) -> list[Row]:
    from app.store.database import Database

    database = await Database.open(url)
    await database.migrate()
    if not await database.fetchval("SELECT EXISTS (SELECT FROM campaign_hour)"):
        await fill(database, options)
    await database.close()
    with server(url, PORT):
        connection = await connect(PORT)
        return [
            claim.within(await report(name, questions(connection, query, window=None), options))
            for claim, (name, (_limit, query)) in zip(CLAIMS, OVER_HTTP.items(), strict=True)
        ]


async def fill(database, options: argparse.Namespace) -> None:
    values = {
        "$campaigns": options.campaigns,
        "$merchants": options.merchants,
        "$slots": options.slots,
        "$first": FIRST,
    }
    for name, statements in FILLING.items():
        start = time.perf_counter()
        for marker, value in values.items():
            statements = statements.replace(marker, str(value))  # filled marker by marker
        await database.execute(statements)
        print(f"generated {name} in {time.perf_counter() - start:.1f} s", flush=True)


def use_cases(database) -> dict[str, Callable[[int], Awaitable[object]]]:
    from app.campaigns.metrics import CampaignMetrics, Dimension, Interval, Window
    from app.campaigns.portfolio import CampaignMetric, PortfolioAnalysis
    from app.runtime.clock import SystemClock
    from app.store.campaigns import CampaignOrder, CampaignStore
    from app.store.currencies import CurrencyStore
    from app.store.performance import PerformanceStore

    campaigns, clock = CampaignStore(database), SystemClock()
    metrics = CampaignMetrics(PerformanceStore(database), clock)
    portfolio = PortfolioAnalysis(PerformanceStore(database), campaigns, clock, currencies=CurrencyStore(database))
    ragged, days = Window(*RAGGED), Window(FIRST + timedelta(days=50), LAST)
    page = lambda n: range(n, n + 100)  # a page of campaigns
    return {
        "metrics": lambda n: metrics.metrics([n]),
        "metrics, ragged window": lambda n: metrics.metrics([n], ragged),
        "metrics of 100 campaigns": lambda n: metrics.metrics(page(n)),
        "segments": lambda n: metrics.segments([n]),
        "segments by hour of day": lambda n: metrics.segments([n], by=Dimension.HOUR_OF_DAY),
        "segments of 100 campaigns": lambda n: metrics.segments(page(n)),
        "trend by day": lambda n: metrics.trends([n]),
        "trend by hour": lambda n: metrics.trends([n], Interval.HOUR),
        "trend by day of 100 campaigns": lambda n: metrics.trends(page(n)),
        "ROI": lambda n: metrics.rois([n]),
        "metrics of a merchant": lambda n: metrics.merchant_metrics([n % 100]),
        "metrics of a merchant, ragged window": lambda n: metrics.merchant_metrics([n % 100], ragged),
        "portfolio": lambda _: portfolio.portfolio(),
        "portfolio, ragged window": lambda _: portfolio.portfolio(ragged),
        "portfolio by merchant": lambda _: portfolio.by_merchant(),
        "portfolio by channel": lambda _: portfolio.by_channel(),
        "portfolio trend": lambda _: portfolio.trend(),
        "top campaigns by ROI": lambda _: portfolio.top_campaigns(),
        "top campaigns by revenue": lambda _: portfolio.top_campaigns(CampaignMetric.REVENUE),
        "top campaigns of 50 days": lambda _: portfolio.top_campaigns(window=days),
        "top campaigns, ragged window": lambda _: portfolio.top_campaigns(window=ragged),
        "a page of campaigns by ROI": lambda _: campaigns.campaign_page(order=CampaignOrder.ROI),
        "a page of the newest campaigns": lambda _: campaigns.campaign_page(100),
    }


async def report(
    name: str, ask: Callable[[int], Awaitable[object]], options: argparse.Namespace, *, limit: int | None = None
) -> float:
    """Ask about one campaign after another; print and return the median time."""
    times = []
    for n in range(options.rounds + 6):
        start = time.perf_counter()
        await ask(1 + n * 97 % (options.campaigns - 100))
        times.append(time.perf_counter() - start)
    # the first six prepare the statement on its connection, and let PostgreSQL choose its plan
    median, worst = (1000 * choose(times[6:]) for choose in (statistics.median, max))
    compared = "" if limit is None else f"   limit {limit} ms: {limit / median:.0f} times"
    print(f"  {name:<45} {median:>8.1f} ms   worst {worst:>7.1f} ms{compared}", flush=True)
    return median


# ------------------------------------------------------------------------------------------------ over HTTP


class Connection:
    """One HTTP connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, body: bytes) -> dict:
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        content = await self._reader.readexactly(length)
        assert answer.startswith(b"HTTP/1.1 200"), (answer, content)
        return json.loads(content)


def questions(connection: Connection, query: str, *, window: dict | None) -> Callable[[int], Awaitable[object]]:
    async def ask(n: int) -> object:
        variables = {"window": window} | ({"id": f"cmp_{n}"} if "$id" in query else {})
        answer = await connection.post(json.dumps({"query": query, "variables": variables}).encode())
        assert "errors" not in answer, answer["errors"]
        assert all(answer["data"].values()), answer
        return answer

    return ask


async def connect(port: int) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))


def server(url: str, port: int) -> AbstractContextManager[Serving]:
    """Serve the whole application in processes of its own, as the command does."""
    return winnow_serve(port=port, DATABASE_URL=url, WINNOW_BOOTSTRAP_KEY=KEY, WINNOW_LOG_LEVEL="warning")


@contextmanager
def database_url() -> Iterator[str]:
    """Yield BENCH_DATABASE_URL (generated data stays there for the next run), or a PostgreSQL of the bench's own."""
    if given := os.environ.get("BENCH_DATABASE_URL"):
        yield given
        return
    from app.store.embedded.server import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        Path(folder).chmod(0o711)
        postgres = EmbeddedPostgres(Path(folder))
        yield postgres.start().url
        postgres.stop()


if __name__ == "__main__":
    main()
