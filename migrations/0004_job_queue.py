"""The queue of background work: PgQueuer's tables, by names of ours.

Its statements converge: they create what is missing and change nothing that is there, so that they may run twice. The
same migration again, under another number, follows a release of PgQueuer that changes its tables.
"""

from pgqueuer.adapters.persistence.schema_ddl import render_converge, render_uninstall
from tortoise import migrations
from tortoise.migrations.operations import RunSQL

from app.store.queue_tables import QUEUE_TABLES


class Migration(migrations.Migration):
    """The queue's tables."""

    dependencies = [("winnow", "0003_campaign_total")]
    initial = False

    operations = [RunSQL(list(render_converge(QUEUE_TABLES)), render_uninstall(QUEUE_TABLES).split("\n"))]
