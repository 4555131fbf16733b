"""How long what models advise takes to be served: loopback HTTP, a whole server, medians of many requests.

The rows are generated in SQL as a training writes them: 20,000 users with 20 merchants and 24 hours each, 100
merchants, 200 campaigns of which `--live` are live, curves of 25 points. Each request asks about another user or
campaign, on a connection that stays open; the first twenty warm up. Run by `scripts/bench optimizer`, or alone.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable

from bench import claims
from bench.campaigns import connect, database_url, questions, server
from bench.optimizer_data import Row

LIMIT_MS = 10.0
SERVED = claims.Claim(name="what models advise, the slowest question", unit="ms", limit=LIMIT_MS)
CLAIMS = (SERVED,)
USERS, MERCHANTS, CAMPAIGNS = 20_000, 100, 200
PORT = 8_790
WARMING, ROUNDS = 20, 300
INTERVAL = "[0.05, 0.04, 0.06]"
FILLING = f"""
INSERT INTO merchant (key, name, category, latitude, longitude)
SELECT 'm' || n, 'Merchant ' || n, 'food', 40.6 + n % 10 * 0.02, -74.1 + n / 10 * 0.02
FROM generate_series(1, {MERCHANTS}) n;
INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount, budget, targeting)
SELECT 'c' || n, 'Campaign ' || n, 1 + n % {MERCHANTS}, CASE WHEN n <= $live THEN 'ACTIVE' ELSE 'ENDED' END, '{{1,2}}',
       5, 100000, CASE WHEN n % 3 = 0 THEN '{{"segment": {{"$in": ["s1", "s2", "s3"]}}}}'::jsonb END
FROM generate_series(1, {CAMPAIGNS}) n;
INSERT INTO campaign_total (campaign_id, slot, sent, delivered, converted, reward_micros)
SELECT c, s, 900, 800, 30, 150000000 FROM generate_series(1, {CAMPAIGNS}) c, generate_series(0, 7) s;
INSERT INTO app_user (external_id, segment, timezone, latitude, longitude)
SELECT 'u' || n, 's' || n % 5, 'America/New_York', 40.6 + n % 97 * 0.002, -74.1 + n % 89 * 0.002
FROM generate_series(1, {USERS}) n;
INSERT INTO trained_model (kind, version, training_rows, seconds, scores, active)
SELECT kind, version, 1000, 1, '{{}}', version = 3
FROM unnest(ARRAY['AFFINITY', 'OFFER', 'RESPONSE', 'SEND_TIME']) kind, generate_series(1, 3) version;
INSERT INTO merchant_affinity (model_id, user_id, merchant_id, rank, score, reasons)
SELECT m.id, u, 1 + (u * 7 + r * 13) % {MERCHANTS}, r, 1.0 / r, '["visited before, and lately"]'
FROM trained_model m, generate_series(1, {USERS}) u, generate_series(1, 20) r
WHERE m.kind = 'AFFINITY' AND m.version > 1 ORDER BY 1, 2, 4;
INSERT INTO merchant_affinity (model_id, merchant_id, rank, score, reasons)
SELECT m.id, r, r, 1.0 / r, '["popular with everyone"]' FROM trained_model m, generate_series(1, {MERCHANTS}) r
WHERE m.kind = 'AFFINITY';
INSERT INTO send_time_profile (model_id, user_id, hour, sends, open_probability, low, high, by_hour, evidence)
SELECT m.id, nullif(u, 0), 20, 30, 0.4, 0.3, 0.5, (SELECT jsonb_agg(0.2 + h * 0.001) FROM generate_series(0, 23) h),
       CASE WHEN u = 0 THEN 'GLOBAL' ELSE 'USER' END
FROM trained_model m, generate_series(0, {USERS}) u WHERE m.kind = 'SEND_TIME' AND m.version > 1 ORDER BY 1, 2;
INSERT INTO campaign_response (model_id, user_id, campaign_id, rank, probability)
SELECT m.id, u, c, c, 0.05 FROM trained_model m, generate_series(1, {USERS}) u, generate_series(1, 20) c
WHERE m.kind = 'RESPONSE' AND m.version > 1 ORDER BY 1, 2, 3;
INSERT INTO offer_curve (model_id, campaign_id, amount, low, high, expected_conversion_rate, expected_profit_per_user,
                         curve, evidence)
SELECT m.id, c, 5, 4, 6, 0.05, 0.4,
       (SELECT jsonb_agg(jsonb_build_object('amount', a, 'conversion_rate', '{INTERVAL}'::jsonb, 'profit_per_user',
                                            '{INTERVAL}'::jsonb)) FROM generate_series(1, 25) a), 'generated'
FROM trained_model m, generate_series(1, {CAMPAIGNS}) c WHERE m.kind = 'OFFER';
INSERT INTO segment_rank (model_id, campaign_id, segment, rank, expected_lift, low, high, reasons)
SELECT m.id, c, 's' || s, s, 0.05 / s, 0, 0.1, '["generated"]'
FROM trained_model m, generate_series(1, {CAMPAIGNS}) c, generate_series(1, 5) s WHERE m.kind = 'RESPONSE';
INSERT INTO recommendation (kind, campaign_id, title, rationale, evidence)
SELECT kind, c, 'Generated', 'Generated.', '{{}}'
FROM generate_series(1, {CAMPAIGNS}) c, unnest(ARRAY['CHANNEL', 'SEND_TIME', 'START_TEST']) kind;
VACUUM ANALYZE
"""
ESTIMATE = "{ point low high }"
SEND_TIME = f"sendTime {{ hour timezone openProbability interval {ESTIMATE} evidence byHour sends nextAt reasons }}"
AFFINITIES = "affinities { merchant { key name } score rank distanceKm evidence reasons }"
OFFERS = "recommendedCampaigns { campaign { key name offerAmount merchant { name } } score rank distanceKm reasons }"
ADVICE = f"id kind title rationale createdAt expectedGain {ESTIMATE} campaign {{ key }} test {{ key }}"
OFFER = (
    "offerRecommendation { amount low high expectedConversionRate expectedProfitPerUser evidence "
    f"curve {{ amount conversionRate {ESTIMATE} profitPerUser {ESTIMATE} }} }}"
)
USER, CAMPAIGN = "query ($id: ID!) { user(id: $id) { %s } }", "query ($id: ID!) { campaign(id: $id) { %s } }"
ASKED = {
    "sendTime": ("usr", USER % SEND_TIME),
    "affinities": ("usr", USER % AFFINITIES),
    "recommendedCampaigns": ("usr", USER % OFFERS),
    "all three of a user": ("usr", USER % f"{SEND_TIME} {AFFINITIES} {OFFERS}"),
    "offerRecommendation": ("cmp", CAMPAIGN % OFFER),
    "segmentRanking": ("cmp", CAMPAIGN % f"segmentRanking {{ segment rank expectedLift {ESTIMATE} reasons }}"),
    "recommendations of a campaign": ("cmp", CAMPAIGN % f"recommendations {{ {ADVICE} }}"),
    "20 recommendations": ("", f"{{ recommendations {{ totalCount nodes {{ {ADVICE} }} }} }}"),
}


def rows(live: int = 40) -> list[Row]:
    """Return the table's rows."""
    medians = asyncio.run(measured(live))
    return [
        Row(
            f"served: {name}",
            f"at most {LIMIT_MS:g} ms",
            f"{statistics.median(times):.1f} ms",
            statistics.median(times) <= LIMIT_MS,
            f"95th percentile {statistics.quantiles(times, n=20)[-1]:.1f} ms of {len(times)} requests",
        )
        for name, times in medians.items()
    ]


def speed() -> list[claims.Row]:
    """Return the table's rows: the slowest of the questions' medians."""
    return [SERVED.within(max(statistics.median(times) for times in asyncio.run(measured(40)).values()))]


async def measured(live: int) -> dict[str, list[float]]:
    """Return the milliseconds of each request, by what was asked."""
    from app.store.database import Database

    found: dict[str, list[float]] = {}
    with database_url() as url:
        database = await Database.open(url)
        await database.migrate()
        for statement in FILLING.replace("$live", str(live)).split(";\n"):
            await database.execute(statement)
        await database.close()
        with server(url, PORT):
            connection = await connect(PORT)
            for name, (kind, query) in ASKED.items():
                found[name] = await timed(questions_of(connection, kind, query))
    return found


def questions_of(connection, kind: str, query: str) -> Callable:
    by_campaign = questions(connection, query, window=None)
    if kind != "usr":
        return lambda n: by_campaign(1 + n % CAMPAIGNS)

    async def ask(n: int) -> object:
        import json

        body = json.dumps({"query": query, "variables": {"id": f"usr_{1 + n * 97 % USERS}"}}).encode()
        answer = await connection.post(body)
        assert "errors" not in answer, answer["errors"]
        return answer

    return ask


async def timed(ask: Callable) -> list[float]:
    times = []
    for n in range(WARMING + ROUNDS):
        start = time.perf_counter()
        await ask(n)
        times.append(1000 * (time.perf_counter() - start))
    return times[WARMING:]


def main() -> None:
    """Print each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", type=int, default=40, help="live campaigns")
    for row in rows(parser.parse_args().live):
        print(f"{row.what:<45} {row.reached:>9}   {row.beside}", flush=True)


if __name__ == "__main__":
    main()
