"""What an exposure was decided by: the policy version, and a contextual bandit's whole vector for the unit.

Each statement may run twice: Tortoise marks a migration as applied only after its transaction.
"""

from tortoise import migrations
from tortoise.migrations.operations import RunSQL


class Migration(migrations.Migration):
    """Three columns without a default, which the previous release need not know."""

    dependencies = [("winnow", "0005_guardrail_stops")]
    initial = False

    operations = [
        RunSQL(
            [
                "ALTER TABLE event ADD COLUMN IF NOT EXISTS policy_version integer",
                "ALTER TABLE event ADD COLUMN IF NOT EXISTS probabilities double precision[]",
                "ALTER TABLE ab_test_assignment ADD COLUMN IF NOT EXISTS probabilities double precision[]",
            ],
            [
                "ALTER TABLE ab_test_assignment DROP COLUMN IF EXISTS probabilities",
                "ALTER TABLE event DROP COLUMN IF EXISTS probabilities",
                "ALTER TABLE event DROP COLUMN IF EXISTS policy_version",
            ],
        ),
    ]
