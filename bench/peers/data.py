"""What every server of the graph bench reads: campaigns, tests, variants, totals, thirty days, made in SQL.

The same on every run. The schema `peer` is for the servers beside Winnow: views over the same rows that do for them
what Winnow does for itself (money in its currency, means and rates), so that nobody has to sum or divide.
"""

import time

from app.store.database import Database

DAYS = 30
FIRST_DAY = "2026-08-11"
TESTS, VARIANTS = 4, 3
MEASURES = (
    "sent, delivered, opened, clicked, activated, converted, geofence_entries, revenue_micros, reward_micros, "
    "delivery_micros"
)
SUMS = ", ".join(f"sum({name})" for name in MEASURES.split(", "))

# $campaigns is put in by `fill`.
FILLING = {
    "merchants and campaigns": """
        INSERT INTO merchant (key, name, category)
        SELECT 'merchant-' || n, 'Merchant ' || n, 'grocery' FROM generate_series(1, 500) n;
        INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount, budget, starts_at)
        SELECT 'campaign-' || n, 'Cash-back ' || n, 1 + (n - 1) % 500,
               (ARRAY['ACTIVE', 'ACTIVE', 'PAUSED', 'ENDED'])[1 + n % 4], '{1,2}', 1 + n % 900 / 100.0,
               CASE WHEN n % 3 = 0 THEN NULL ELSE 1000 + n END,
               timestamptz '$first' - n % 90 * interval '1 day'
        FROM generate_series(1, $campaigns) n
    """,
    "tests": f"""
        INSERT INTO ab_test (key, name, status, campaign_id, allocation_policy, coverage, target_sample_size, seed,
                             started_at, ended_at)
        SELECT 'test-' || c || '-' || t, 'Offer ' || t || ' of campaign ' || c,
               CASE WHEN live THEN 'RUNNING' ELSE 'ENDED' END, c, (ARRAY['FIXED', 'THOMPSON'])[1 + c % 2],
               1 - t / 10.0, 20000, 'seed-' || c || '-' || t, timestamptz '$first' + t * interval '1 hour',
               CASE WHEN live THEN NULL ELSE timestamptz '$first' + interval '30 days' END
        FROM generate_series(1, $campaigns) c, generate_series(1, {TESTS}) t,
             LATERAL (SELECT c > 0.95 * $campaigns AS live) x
        ORDER BY c, t;
        INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight, payload)
        SELECT t, 'variant-' || v, 'Variant ' || v, v, v = 0, (ARRAY[0.5, 0.25, 0.25])[v + 1],
               jsonb_build_object('amount', 5 + v, 'text', 'Save ' || 5 + v)
        FROM generate_series(1, $campaigns * {TESTS}) t, generate_series(0, {VARIANTS - 1}) v ORDER BY t, v;
        INSERT INTO ab_test_metric (test_id, key, name, position, kind, event)
        SELECT t, 'bought', 'Bought within three days', 0, 'CONVERSION', 6
        FROM generate_series(1, $campaigns * {TESTS}) t;
        INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities)
        SELECT id, 1, allocation_policy, 0, '[0.5, 0.25, 0.25]' FROM ab_test
    """,
    "test_totals": """
        INSERT INTO test_totals (test_id, metric_id, variant_id, segment, slot, exposed, multiple_exposed, converted,
                                 value_sum, value_squares)
        SELECT v.test_id, m.id, v.id, '', 0, n, n / 900, n / k, n / k, n / k
        FROM ab_test_variant v JOIN ab_test_metric m USING (test_id),
             LATERAL (SELECT 4000 + v.id * 37 % 3000 AS n, 15 + v.id % 6 AS k) x
        ORDER BY v.test_id, v.id
    """,
    "campaign_day": f"""
        INSERT INTO campaign_day (campaign_id, day, slot, {MEASURES})
        SELECT c, date '$first' + d, 0, n, n - n / 10, n / 2, n / 5, n / 8, n / (15 + c % 11), n / 30,
               n / (15 + c % 11) * (25000000 + c % 7 * 10000)::bigint, n / (15 + c % 11) * 5000000::bigint,
               n * ((1 + c % 5) * 10000)::bigint
        -- whole cents, so that nobody's way of rounding matters
        FROM generate_series(1, $campaigns) c, generate_series(0, {DAYS - 1}) d,
             LATERAL (SELECT 300 + (c * 31 + d * 17) % 400 AS n) AS x
        ORDER BY d, c
    """,
    "campaign_total": f"""
        INSERT INTO campaign_total (campaign_id, slot, {MEASURES})
        SELECT campaign_id, slot, {SUMS} FROM campaign_day GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "what peers see": "$views",
    "statistics": "VACUUM ANALYZE",
}

_CALCULATED = """
    sent::int, delivered::int, opened::int, clicked::int, converted::int,
    round(revenue_micros / 1000000.0, 2) AS revenue,
    round((reward_micros + delivery_micros) / 1000000.0, 2) AS cost,
    converted::float8 / nullif(delivered, 0)::float8 AS conversion_rate,
    (revenue_micros - reward_micros - delivery_micros)::float8
        / nullif(reward_micros + delivery_micros, 0)::float8 AS roi
"""
_RELATED = {
    "variant_total": ("test_id,variant_id", "test_id", "ab_test", "totals"),
    "campaign_metrics": ("campaign_id", "campaign_id", "campaign", "metrics"),
    "campaign_trend": ("campaign_id,starts_at", "campaign_id", "campaign", "trend"),
}
"""Of each view: its key, the column that leads to its owner, the owner, and what the owner calls it."""


def _comments() -> str:
    """Return the comments from which PostGraphile knows how views relate to tables."""
    tags = "@primaryKey {}\\n@foreignKey ({}) references public.{} (id)|@foreignFieldName {}"
    return "".join(f"COMMENT ON VIEW peer.{view} IS E'{tags.format(*how)}';" for view, how in _RELATED.items())


VIEWS = f"""
    CREATE SCHEMA peer;
    CREATE VIEW peer.variant_total AS
    SELECT test_id, variant_id, exposed::int, converted::int, multiple_exposed::int,
           (value_sum / exposed)::float8 AS mean,
           sqrt((value_squares - value_sum * value_sum / exposed)::float8 / (exposed - 1)) AS standard_deviation
    FROM test_totals;
    CREATE VIEW peer.campaign_metrics AS SELECT campaign_id, {_CALCULATED} FROM campaign_total;
    CREATE VIEW peer.campaign_trend AS
    SELECT campaign_id, day::timestamp AT TIME ZONE 'UTC' AS starts_at, {_CALCULATED} FROM campaign_day;
    {_comments()}
"""


async def fill(url: str, campaigns: int) -> None:
    """Make the tables and fill them; print how long each took."""
    database = await Database.open(url, default=False)
    await database.migrate()
    for name, statements in FILLING.items():
        start = time.perf_counter()
        for marker, value in {"$views": VIEWS, "$campaigns": str(campaigns), "$first": FIRST_DAY}.items():
            statements = statements.replace(marker, value)  # filled marker by marker
        await database.execute(statements)
        print(f"  {name} in {time.perf_counter() - start:.1f} s", flush=True)
    await database.close()
