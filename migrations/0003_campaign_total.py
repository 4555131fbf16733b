"""A campaign's whole history in a few rows, and the days of a window found without reading all days.

Ranking campaigns, and what all of them did so far, must not take longer with every day of history.
Each statement may run twice: Tortoise marks a migration as applied only after its transaction.
"""

from tortoise import migrations
from tortoise.migrations.operations import RunSQL

MEASURES = (
    "sent delivered opened clicked activated converted geofence_entries revenue_micros reward_micros delivery_micros"
).split()

CAMPAIGN_TOTAL = [
    # slot: concurrent writers add to different rows of the same total; readers sum over them. Half of each page stays
    # free, so that adding to a row seldom moves it.
    f"""
    CREATE TABLE IF NOT EXISTS campaign_total (
        campaign_id bigint NOT NULL,
        slot smallint NOT NULL,
        {", ".join(f"{name} bigint NOT NULL DEFAULT 0" for name in MEASURES)},
        PRIMARY KEY (campaign_id, slot)
    ) WITH (fillfactor = 50)
    """,
    f"""
    INSERT INTO campaign_total (campaign_id, slot, {", ".join(MEASURES)})
    SELECT campaign_id, slot, {", ".join(f"sum({name})" for name in MEASURES)} FROM campaign_day GROUP BY 1, 2
    ON CONFLICT (campaign_id, slot) DO NOTHING
    """,
]
INDEXES = [
    f"CREATE INDEX IF NOT EXISTS {table}_by_time ON {table} USING brin (day) WITH (pages_per_range = 32)"
    for table in ("campaign_day", "merchant_day")
]


class Migration(migrations.Migration):
    """Totals over all time, and two indexes by day."""

    dependencies = [("winnow", "0002_events_and_totals")]
    initial = False

    operations = [
        RunSQL(CAMPAIGN_TOTAL, ["DROP TABLE IF EXISTS campaign_total"]),
        RunSQL(INDEXES, ["DROP INDEX IF EXISTS campaign_day_by_time", "DROP INDEX IF EXISTS merchant_day_by_time"]),
    ]
