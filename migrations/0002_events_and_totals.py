"""Events by month, the totals kept from them, and the views: what models cannot say.

Each statement may run twice: Tortoise marks a migration as applied only after its transaction.
Money in these tables is a whole number of millionths of the campaign's currency, so that sums are exact in any order.
"""

from tortoise import migrations
from tortoise.migrations.operations import RunSQL

MEASURES = """
    sent bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    opened bigint NOT NULL DEFAULT 0,
    clicked bigint NOT NULL DEFAULT 0,
    activated bigint NOT NULL DEFAULT 0,
    converted bigint NOT NULL DEFAULT 0,
    geofence_entries bigint NOT NULL DEFAULT 0,
    revenue_micros bigint NOT NULL DEFAULT 0,
    reward_micros bigint NOT NULL DEFAULT 0,
    delivery_micros bigint NOT NULL DEFAULT 0
"""

EVENTS = [
    # The sender's id makes a retry harmless. A partitioned table cannot be unique by it alone, so a narrow table holds
    # the keys: the id's 128-bit digest.
    """
    CREATE TABLE IF NOT EXISTS event_key (
        key uuid PRIMARY KEY,
        occurred_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS event_key_by_time ON event_key USING brin (occurred_at)",
    # segment, offer_micros: what was true of the user and the campaign when the event was accepted; totals depend on
    # the event alone.
    """
    CREATE TABLE IF NOT EXISTS event (
        key uuid NOT NULL,
        occurred_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL DEFAULT now(),
        user_id bigint NOT NULL,
        campaign_id bigint,
        merchant_id bigint,
        test_id bigint,
        variant_id bigint,
        value_micros bigint,
        cost_micros bigint,
        offer_micros bigint,
        probability double precision,
        latitude double precision,
        longitude double precision,
        type smallint NOT NULL,
        channel smallint NOT NULL DEFAULT 0,
        segment text NOT NULL DEFAULT '',
        event_id text NOT NULL,
        properties jsonb
    ) PARTITION BY RANGE (occurred_at)
    """,
    "CREATE INDEX IF NOT EXISTS event_by_user ON event (user_id, occurred_at)",
    "CREATE INDEX IF NOT EXISTS event_by_campaign ON event (campaign_id, occurred_at) WHERE campaign_id IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS event_by_test ON event (test_id, occurred_at) WHERE test_id IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS event_by_time ON event USING brin (occurred_at) WITH (pages_per_range = 32)",
]

CAMPAIGN_TOTALS = [
    # slot: concurrent writers add to different rows of the same total; readers sum over them.
    f"""
    CREATE TABLE IF NOT EXISTS campaign_hour (
        campaign_id bigint NOT NULL,
        hour timestamptz NOT NULL,
        segment text NOT NULL,
        channel smallint NOT NULL,
        slot smallint NOT NULL,
        {MEASURES},
        PRIMARY KEY (campaign_id, hour, segment, channel, slot)
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX IF NOT EXISTS campaign_hour_by_time ON campaign_hour USING brin (hour) WITH (pages_per_range = 32)",
    f"""
    CREATE TABLE IF NOT EXISTS campaign_day (
        campaign_id bigint NOT NULL,
        day date NOT NULL,
        slot smallint NOT NULL,
        {MEASURES},
        PRIMARY KEY (campaign_id, day, slot)
    ) WITH (fillfactor = 80)
    """,
    f"""
    CREATE TABLE IF NOT EXISTS merchant_day (
        merchant_id bigint NOT NULL,
        day date NOT NULL,
        channel smallint NOT NULL,
        slot smallint NOT NULL,
        {MEASURES},
        PRIMARY KEY (merchant_id, day, channel, slot)
    ) WITH (fillfactor = 80)
    """,
    # One row a day on which a user converted: what the cohorts are made of.
    """
    CREATE TABLE IF NOT EXISTS campaign_user_day (
        campaign_id bigint NOT NULL,
        user_id bigint NOT NULL,
        day date NOT NULL,
        conversions integer NOT NULL,
        PRIMARY KEY (campaign_id, user_id, day)
    )
    """,
    # interval_days: 1 or 7; period: whole intervals since the cohort's.
    """
    CREATE TABLE IF NOT EXISTS campaign_cohort (
        campaign_id bigint NOT NULL,
        interval_days smallint NOT NULL,
        cohort date NOT NULL,
        period integer NOT NULL,
        slot smallint NOT NULL,
        users bigint NOT NULL,
        PRIMARY KEY (campaign_id, interval_days, cohort, period, slot)
    ) WITH (fillfactor = 80)
    """,
]

TEST_TOTALS = [
    # The log of decisions: what was decided, with what probability, by which policy version, in which context.
    """
    CREATE TABLE IF NOT EXISTS ab_test_assignment (
        test_id bigint NOT NULL REFERENCES ab_test (id) ON DELETE CASCADE,
        user_id bigint NOT NULL,
        variant_id bigint NOT NULL,
        assigned_at timestamptz NOT NULL,
        first_exposed_at timestamptz,
        probability double precision NOT NULL,
        policy_version integer NOT NULL,
        multiple_exposures boolean NOT NULL DEFAULT false,
        segment text NOT NULL DEFAULT '',
        context_hash uuid,
        context jsonb,
        PRIMARY KEY (test_id, user_id)
    )
    """,
    "CREATE INDEX IF NOT EXISTS ab_test_assignment_by_user ON ab_test_assignment (user_id, test_id)",
    "CREATE INDEX IF NOT EXISTS ab_test_assignment_by_exposure ON ab_test_assignment (test_id, first_exposed_at)",
    """
    CREATE TABLE IF NOT EXISTS unit_metric (
        test_id bigint NOT NULL REFERENCES ab_test (id) ON DELETE CASCADE,
        metric_id bigint NOT NULL,
        user_id bigint NOT NULL,
        variant_id bigint NOT NULL,
        multiple smallint NOT NULL DEFAULT 0,
        value bigint NOT NULL,
        denominator bigint NOT NULL DEFAULT 0,
        covariate bigint NOT NULL DEFAULT 0,
        segment text NOT NULL DEFAULT '',
        PRIMARY KEY (test_id, metric_id, user_id)
    )
    """,
    # Sufficient statistics, exact: whole numbers and their squares.
    """
    CREATE TABLE IF NOT EXISTS test_totals (
        test_id bigint NOT NULL REFERENCES ab_test (id) ON DELETE CASCADE,
        metric_id bigint NOT NULL,
        variant_id bigint NOT NULL,
        segment text NOT NULL,
        slot smallint NOT NULL,
        exposed bigint NOT NULL DEFAULT 0,
        multiple_exposed bigint NOT NULL DEFAULT 0,
        converted bigint NOT NULL DEFAULT 0,
        value_sum numeric NOT NULL DEFAULT 0,
        value_squares numeric NOT NULL DEFAULT 0,
        denominator_sum numeric NOT NULL DEFAULT 0,
        denominator_squares numeric NOT NULL DEFAULT 0,
        product_sum numeric NOT NULL DEFAULT 0,
        covariate_sum numeric NOT NULL DEFAULT 0,
        covariate_squares numeric NOT NULL DEFAULT 0,
        covariate_product numeric NOT NULL DEFAULT 0,
        log_sum numeric NOT NULL DEFAULT 0,
        log_squares numeric NOT NULL DEFAULT 0,
        PRIMARY KEY (test_id, metric_id, variant_id, segment, slot)
    ) WITH (fillfactor = 80)
    """,
]

VIEWS = [
    """
    CREATE OR REPLACE VIEW campaign_performance AS
    SELECT c.id AS campaign_id, c.key, c.name, c.status, c.currency,
           coalesce(sum(d.sent), 0)::bigint AS sent,
           coalesce(sum(d.delivered), 0)::bigint AS delivered,
           coalesce(sum(d.opened), 0)::bigint AS opened,
           coalesce(sum(d.clicked), 0)::bigint AS clicked,
           coalesce(sum(d.activated), 0)::bigint AS activated,
           coalesce(sum(d.converted), 0)::bigint AS converted,
           coalesce(sum(d.geofence_entries), 0)::bigint AS geofence_entries,
           coalesce(sum(d.revenue_micros), 0) / 1000000.0 AS revenue,
           coalesce(sum(d.reward_micros + d.delivery_micros), 0) / 1000000.0 AS cost,
           sum(d.delivered)::float8 / nullif(sum(d.sent), 0)::float8 AS delivery_rate,
           sum(d.opened)::float8 / nullif(sum(d.delivered), 0)::float8 AS open_rate,
           sum(d.clicked)::float8 / nullif(sum(d.opened), 0)::float8 AS click_through_rate,
           sum(d.converted)::float8 / nullif(sum(d.delivered), 0)::float8 AS conversion_rate,
           (sum(d.revenue_micros) - sum(d.reward_micros + d.delivery_micros))::float8
               / nullif(sum(d.reward_micros + d.delivery_micros), 0)::float8 AS roi
    FROM campaign c LEFT JOIN campaign_day d ON d.campaign_id = c.id
    GROUP BY c.id
    """,
    """
    CREATE OR REPLACE VIEW ab_test_summary AS
    SELECT t.id AS test_id, t.key, t.name, t.status, v.id AS variant_id, v.key AS variant_key, v.is_control,
           m.key AS metric_key, m.kind AS metric_kind,
           coalesce(sum(s.exposed), 0)::bigint AS exposed,
           coalesce(sum(s.converted), 0)::bigint AS converted,
           sum(s.converted)::float8 / nullif(sum(s.exposed), 0)::float8 AS conversion_rate
    FROM ab_test t
    JOIN ab_test_variant v ON v.test_id = t.id
    JOIN ab_test_metric m ON m.test_id = t.id AND m.position = 0
    LEFT JOIN test_totals s ON s.test_id = t.id AND s.metric_id = m.id AND s.variant_id = v.id
    GROUP BY t.id, v.id, m.id
    """,
]

INDEXES = [
    # What a key is looked up by, what waits once, what is due.
    "CREATE INDEX IF NOT EXISTS api_key_active ON api_key (digest) WHERE revoked_at IS NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS job_once ON job (deduplication_key) WHERE status IN ('QUEUED', 'RUNNING')",
    "CREATE UNIQUE INDEX IF NOT EXISTS ab_test_one_control ON ab_test_variant (test_id) WHERE is_control",
    "CREATE UNIQUE INDEX IF NOT EXISTS trained_model_active ON trained_model (kind) WHERE active",
    "CREATE INDEX IF NOT EXISTS ab_test_due ON ab_test (reallocated_at) "
    "WHERE status = 'RUNNING' AND allocation_policy <> 'FIXED'",
]

TABLES = (
    "test_totals unit_metric ab_test_assignment campaign_cohort campaign_user_day merchant_day campaign_day "
    "campaign_hour event event_key"
).split()


class Migration(migrations.Migration):
    """Tables, indexes and views beside the models."""

    dependencies = [("winnow", "0001_initial")]
    initial = False

    operations = [
        RunSQL(EVENTS, [f"DROP TABLE IF EXISTS {table}" for table in ("event", "event_key")]),
        RunSQL(CAMPAIGN_TOTALS, [f"DROP TABLE IF EXISTS {table}" for table in TABLES[3:8]]),
        RunSQL(TEST_TOTALS, [f"DROP TABLE IF EXISTS {table}" for table in TABLES[:3]]),
        RunSQL(
            INDEXES,
            [
                f"DROP INDEX IF EXISTS {name}"
                for name in ("api_key_active", "job_once", "ab_test_one_control", "trained_model_active", "ab_test_due")
            ],
        ),
        RunSQL(VIEWS, ["DROP VIEW IF EXISTS ab_test_summary", "DROP VIEW IF EXISTS campaign_performance"]),
    ]
