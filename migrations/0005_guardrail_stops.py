"""Guardrails that pause a test, and the pauses they caused.

Each statement may run twice: Tortoise marks a migration as applied only after its transaction.
"""

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.migrations.operations import AddField, RunSQL
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State


class KnownField(AddField):
    """A field whose column a statement makes, where it is not there yet."""

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        """Leave it to the statement."""

    async def database_backward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        """Leave it to the statement."""


class Migration(migrations.Migration):
    """Two columns, each with a default that the previous release need not know."""

    dependencies = [("winnow", "0004_job_queue")]
    initial = False

    operations = [
        RunSQL(
            [
                "ALTER TABLE ab_test_metric ADD COLUMN IF NOT EXISTS stops boolean NOT NULL DEFAULT false",
                "ALTER TABLE ab_test ADD COLUMN IF NOT EXISTS guardrail_stops jsonb",
            ],
            [
                "ALTER TABLE ab_test_metric DROP COLUMN IF EXISTS stops",
                "ALTER TABLE ab_test DROP COLUMN IF EXISTS guardrail_stops",
            ],
        ),
        KnownField(model_name="AbTestMetric", name="stops", field=fields.BooleanField(db_default=False)),
        KnownField(
            model_name="AbTest",
            name="guardrail_stops",
            field=fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads),
        ),
    ]
