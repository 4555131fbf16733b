"""Work done in the background, and files on their way in."""
# pyright: reportIncompatibleVariableOverride=false, reportUnknownVariableType=false
# Tortoise types neither its Meta nor the relations and JSON of its fields.

from tortoise import fields
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

from app.store.models.codes import JobStatus


class Job(Model):
    """One piece of background work, as clients see it."""

    id = fields.BigIntField(primary_key=True)
    kind = fields.CharField(max_length=64)
    status = fields.CharEnumField(JobStatus, max_length=16, db_default=JobStatus.QUEUED.value)
    progress = fields.FloatField(db_default=0.0)
    message = fields.TextField(null=True)
    arguments = fields.JSONField(null=True)
    result = fields.JSONField(null=True)
    error = fields.TextField(null=True)
    attempts = fields.IntField(db_default=0)
    deduplication_key = fields.CharField(max_length=200, null=True)
    requested_by = fields.CharField(max_length=200, null=True)
    cancel_requested = fields.BooleanField(db_default=False)
    created_at = fields.DatetimeField(db_default=Now())
    started_at = fields.DatetimeField(null=True)
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        """Table name and the index of what waits."""

        table = "job"
        indexes = (Index(fields=("status", "kind", "id"), name="job_by_status"),)


class ImportRun(Model):
    """How far a file has been imported, so that a broken import goes on where it stopped."""

    id = fields.BigIntField(primary_key=True)
    digest = fields.CharField(max_length=64, unique=True)
    source = fields.CharField(max_length=400)
    rows_done = fields.BigIntField(db_default=0)
    accepted = fields.BigIntField(db_default=0)
    duplicates = fields.BigIntField(db_default=0)
    rejected = fields.BigIntField(db_default=0)
    started_at = fields.DatetimeField(db_default=Now())
    updated_at = fields.DatetimeField(db_default=Now())
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        """Table name."""

        table = "import_run"
