"""From which day on events are kept: what retention dropped is never taken in again, nor counted twice.

Each statement may run twice: Tortoise marks a migration as applied only after its transaction.
"""

from tortoise import migrations
from tortoise.migrations.operations import RunSQL

RETENTION = """
    CREATE TABLE IF NOT EXISTS event_retention (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        kept_from date NOT NULL
    )
"""


class Migration(migrations.Migration):
    """One row: the first day whose events are kept."""

    dependencies = [("winnow", "0007_model_versions")]
    initial = False

    operations = [RunSQL([RETENTION], ["DROP TABLE IF EXISTS event_retention"])]
