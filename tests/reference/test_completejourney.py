"""The Complete Journey through import and totals, against its files computed by DuckDB, to the cent."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import orjson
import pytest
import pytest_asyncio

from app.asgi import assembled
from app.auth.principals import COMMAND_LINE
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.database import Database
from graph.context import Context
from graph.operations import Operations, Request
from graph.schema import build_schema

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "import-completejourney"
FOLDER = Path(os.environ.get("WINNOW_COMPLETEJOURNEY", ROOT.parent / "shared" / "data" / "completejourney"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (FOLDER / "transactions.parquet").is_file(),
        reason=f"the Complete Journey is not in {FOLDER}; WINNOW_COMPLETEJOURNEY says where else",
    ),
]

# A redeemed coupon, with the lines it sold: those it covers, of that household on that day in the stores' time zone,
# each line to the first of its coupons. Written independently of examples/completejourney/prepare.py.
VIEWS = """
SET TimeZone = 'UTC';
CREATE VIEW line AS
    SELECT *, ((transaction_timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York')::date AS bought_on,
        row_number() OVER () AS line_id
    FROM '{folder}/transactions.parquet';
CREATE TABLE redemption AS
    SELECT household_id, campaign_id, coupon_upc, redemption_date::date AS redeemed_on
    FROM '{folder}/coupon_redemptions.parquet';
CREATE TABLE sold AS
    SELECT r.*, l.transaction_timestamp AS happened_at, l.sales_value_cents AS sales,
        l.coupon_disc_cents + l.coupon_match_disc_cents AS discount
    FROM line l
    JOIN redemption r ON r.household_id = l.household_id AND r.redeemed_on = l.bought_on
    JOIN '{folder}/coupons.parquet' c
        ON c.campaign_id = r.campaign_id AND c.coupon_upc = r.coupon_upc AND c.product_id = l.product_id
    QUALIFY row_number() OVER (PARTITION BY l.line_id ORDER BY r.campaign_id, r.coupon_upc) = 1;
CREATE TABLE basket AS
    SELECT household_id, bought_on, min(transaction_timestamp) AS first_at FROM line GROUP BY ALL;
CREATE TABLE conversion AS
    SELECT r.household_id, r.campaign_id, r.coupon_upc,
        coalesce(min(s.happened_at), any_value(b.first_at)) AS happened_at,
        coalesce(sum(s.sales), 0)::bigint AS revenue, coalesce(sum(s.discount), 0)::bigint AS reward,
        coalesce(any_value(d.income), '') AS segment
    FROM redemption r
    JOIN basket b ON b.household_id = r.household_id AND b.bought_on = r.redeemed_on
    LEFT JOIN sold s ON s.household_id = r.household_id AND s.campaign_id = r.campaign_id
        AND s.coupon_upc = r.coupon_upc AND s.redeemed_on = r.redeemed_on
    LEFT JOIN '{folder}/demographics.parquet' d ON d.household_id = r.household_id
    GROUP BY r.household_id, r.campaign_id, r.coupon_upc, r.redeemed_on;
CREATE TABLE mailing AS
    SELECT c.household_id, c.campaign_id, coalesce(d.income, '') AS segment,
        (start_date AT TIME ZONE 'America/New_York') AT TIME ZONE 'UTC' AS happened_at
    FROM '{folder}/campaigns.parquet' c
    JOIN '{folder}/campaign_descriptions.parquet' USING (campaign_id)
    LEFT JOIN '{folder}/demographics.parquet' d ON d.household_id = c.household_id;
"""


@pytest.fixture(scope="module")
def files():
    """The files' own figures."""
    connection = duckdb.connect()
    for statement in VIEWS.format(folder=FOLDER).split(";\n"):
        if statement.strip():
            connection.execute(statement)
    yield connection
    connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def imported(new_database):
    """A database into which the script brought everything, in processes of its own."""
    url = await new_database()
    environment = {**os.environ, "DATABASE_URL": url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(SCRIPT), str(FOLDER)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)  # noqa: ASYNC221
    assert done.returncode == 0, done.stderr
    database = await Database.open(url, default=False)
    yield database
    await database.close()


ASKED = """
{
  campaigns(first: 100) {
    nodes {
      key
      metrics { sent converted revenue cost conversionRate }
      segments { segment metrics { delivered converted revenue conversionRate } }
      trend(interval: WEEK) { startsAt metrics { converted revenue } }
      roi { revenue rewardCost profit }
      cohorts(interval: WEEK, periods: 60) { startsAt size retained }
    }
  }
  portfolio { campaigns metrics { sent converted revenue } byMerchant { merchant { key } metrics { converted } } }
  topCampaigns(by: REVENUE, first: 100) { value campaign { key } }
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def graph(imported):
    """What the graph answers of everything."""
    async with assembled(imported, LocalBroadcast(), SystemClock()) as assembly:
        operations = Operations(build_schema(), Settings(max_query_complexity=10_000_000))
        answer = await operations.execute(Request(ASKED, {}, None), Context(COMMAND_LINE, assembly.services))
    assert not answer.errors
    return orjson.loads(answer.encoded())["data"]


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


async def _totals(database: Database, query: str) -> list[tuple]:
    return sorted(tuple(row) for row in await database.fetch(query))


def _figures(files: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return sorted(files.execute(query).fetchall())


async def test_everything_came_in(imported, files):
    baskets, cents = files.execute(
        "SELECT count(DISTINCT basket_id), sum(sales_value_cents)::bigint FROM line"
    ).fetchone()
    purchases = await imported.fetchrow(
        "SELECT count(*), sum(value_micros)::bigint FROM event WHERE campaign_id IS NULL AND type = 6"
    )
    assert tuple(purchases) == (baskets, cents * 10_000)
    assert (baskets, cents) == (155_848, 459_603_958)
    assert await imported.fetchval("SELECT count(*) FROM app_user") == 2_469
    assert await imported.fetchval("SELECT count(*) FROM campaign") == 27


async def test_redemptions_revenue_and_cost_of_each_campaign(imported, files):
    of_files = _figures(
        files,
        "SELECT 'campaign-' || campaign_id, (SELECT count(*) FROM mailing m WHERE m.campaign_id = c.campaign_id), "
        "count(*), sum(revenue)::bigint * 10000, sum(reward)::bigint * 10000 FROM conversion c GROUP BY campaign_id",
    )
    of_totals = await _totals(
        imported,
        "SELECT c.key, sum(sent)::bigint, sum(converted)::bigint, sum(revenue_micros)::bigint, "
        "sum(reward_micros)::bigint "
        "FROM campaign_day d JOIN campaign c ON c.id = d.campaign_id GROUP BY c.key HAVING sum(converted) > 0",
    )
    assert of_totals == of_files
    assert sum(row[2] for row in of_totals) == 2_102


async def test_conversion_rates_by_segment(imported, files):
    of_files = _figures(
        files,
        "SELECT campaign_id, segment, m.sent, coalesce(c.converted, 0), coalesce(c.revenue, 0) FROM "
        "(SELECT campaign_id, segment, count(*) AS sent FROM mailing GROUP BY ALL) m LEFT JOIN "
        "(SELECT campaign_id, segment, count(*) AS converted, sum(revenue)::bigint * 10000 AS revenue "
        " FROM conversion GROUP BY ALL) c USING (campaign_id, segment)",
    )
    of_totals = await _totals(
        imported,
        "SELECT substr(c.key, 10)::bigint, segment, sum(delivered)::bigint, sum(converted)::bigint, "
        "sum(revenue_micros)::bigint FROM campaign_hour h JOIN campaign c ON c.id = h.campaign_id "
        "GROUP BY c.key, segment",
    )
    assert of_totals == of_files
    assert len({row[1] for row in of_totals}) == 13, "twelve income bands, and households that told none"


async def test_redemptions_and_revenue_by_week(imported, files):
    of_files = _figures(
        files,
        "SELECT campaign_id, date_trunc('week', happened_at)::date, count(*), sum(revenue)::bigint * 10000 "
        "FROM conversion GROUP BY ALL",
    )
    of_totals = await _totals(
        imported,
        "SELECT substr(c.key, 10)::bigint, date_trunc('week', day::timestamp)::date, sum(converted)::bigint, "
        "sum(revenue_micros)::bigint FROM campaign_day d JOIN campaign c ON c.id = d.campaign_id "
        "GROUP BY 1, 2 HAVING sum(converted) > 0",
    )
    assert of_totals == of_files


async def test_cohorts_by_week(imported, files):
    of_files = _figures(
        files,
        "WITH week AS "
        "(SELECT DISTINCT campaign_id, household_id, date_trunc('week', happened_at)::date AS week FROM conversion), "
        "member AS (SELECT *, min(week) OVER (PARTITION BY campaign_id, household_id) AS cohort FROM week) "
        "SELECT campaign_id, cohort, (week - cohort) // 7, count(*) FROM member GROUP BY ALL",
    )
    of_totals = await _totals(
        imported,
        "SELECT substr(c.key, 10)::bigint, cohort, period, sum(users)::bigint FROM campaign_cohort k "
        "JOIN campaign c ON c.id = k.campaign_id WHERE interval_days = 7 GROUP BY 1, 2, 3 HAVING sum(users) <> 0",
    )
    assert of_totals == of_files


async def test_the_graph_says_of_each_campaign_what_the_files_say(graph, files):
    of_files = _figures(
        files,
        "SELECT 'campaign-' || campaign_id, m.sent, coalesce(c.converted, 0), coalesce(c.revenue, 0), "
        "coalesce(c.reward, 0) FROM (SELECT campaign_id, count(*) AS sent FROM mailing GROUP BY ALL) m LEFT JOIN "
        "(SELECT campaign_id, count(*) AS converted, sum(revenue)::bigint AS revenue, sum(reward)::bigint AS reward "
        " FROM conversion GROUP BY ALL) c USING (campaign_id)",
    )
    assert len(of_files) == 27
    nodes = sorted(graph["campaigns"]["nodes"], key=lambda node: node["key"])
    for node, (key, sent, converted, revenue, reward) in zip(nodes, of_files, strict=True):
        metrics = {"sent": sent, "converted": converted, "revenue": money(revenue), "cost": money(reward)}
        assert (node["key"], node["metrics"]) == (key, {**metrics, "conversionRate": converted / sent})
        profit = f"{(revenue - reward) / 100:.2f}"
        assert node["roi"] == {"revenue": money(revenue), "rewardCost": money(reward), "profit": profit}
    sums = [sum(row[place] for row in of_files) for place in (1, 2, 3)]
    portfolio = graph["portfolio"]
    assert portfolio["campaigns"] == 27
    assert portfolio["metrics"] == {"sent": sums[0], "converted": sums[1], "revenue": money(sums[2])}
    assert portfolio["byMerchant"] == [{"merchant": {"key": "grocer"}, "metrics": {"converted": 2_102}}]
    best = sorted((row for row in of_files), key=lambda row: row[3], reverse=True)
    assert [one["value"] for one in graph["topCampaigns"]] == [row[3] / 100 for row in best]


async def test_the_graph_says_of_segments_weeks_and_cohorts_what_the_files_say(graph, files):
    segments = _figures(
        files,
        "SELECT 'campaign-' || campaign_id, segment, m.sent, coalesce(c.converted, 0), coalesce(c.revenue, 0) FROM "
        "(SELECT campaign_id, segment, count(*) AS sent FROM mailing GROUP BY ALL) m LEFT JOIN "
        "(SELECT campaign_id, segment, count(*) AS converted, sum(revenue)::bigint AS revenue "
        " FROM conversion GROUP BY ALL) c USING (campaign_id, segment)",
    )
    weeks = _figures(
        files,
        "SELECT 'campaign-' || campaign_id, date_trunc('week', happened_at)::date::text || 'T00:00:00Z', count(*), "
        "sum(revenue)::bigint FROM conversion GROUP BY ALL",
    )
    cohorts = _figures(
        files,
        "WITH week AS "
        "(SELECT DISTINCT campaign_id, household_id, date_trunc('week', happened_at)::date AS week FROM conversion), "
        "member AS (SELECT *, min(week) OVER (PARTITION BY campaign_id, household_id) AS cohort FROM week) "
        "SELECT 'campaign-' || campaign_id, cohort::text, (week - cohort) // 7, count(*) FROM member GROUP BY ALL",
    )
    nodes = graph["campaigns"]["nodes"]
    assert segments == sorted(
        (node["key"], "" if part["segment"] == "(none)" else part["segment"], *_counted(part["metrics"]))
        for node in nodes
        for part in node["segments"]
    )
    assert weeks == sorted(
        (node["key"], point["startsAt"], point["metrics"]["converted"], _cents(point["metrics"]["revenue"]))
        for node in nodes
        for point in node["trend"]
        if point["metrics"]["converted"]
    )
    assert cohorts == sorted(
        (node["key"], cohort["startsAt"], period, users)
        for node in nodes
        for cohort in node["cohorts"]
        for period, users in enumerate(cohort["retained"])
        if users
    )


def _counted(metrics: dict) -> tuple[int, int, int]:
    assert metrics["conversionRate"] == metrics["converted"] / metrics["delivered"]
    return metrics["delivered"], metrics["converted"], _cents(metrics["revenue"])


def _cents(amount: str) -> int:
    return round(Decimal(amount) * 100)
