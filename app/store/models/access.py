"""Who may do what, and who did what."""
# pyright: reportIncompatibleVariableOverride=false, reportUnknownVariableType=false
# Tortoise types neither its Meta nor the relations and JSON of its fields.

from tortoise import fields
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

from app.store.models.codes import Role


class ApiKey(Model):
    """A key, kept as its hash."""

    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=100)
    prefix = fields.CharField(max_length=16)
    digest = fields.CharField(max_length=64, unique=True)
    role = fields.CharEnumField(Role, max_length=16)
    created_at = fields.DatetimeField(db_default=Now())
    last_used_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        """Table name."""

        table = "api_key"


class AuditEntry(Model):
    """One change, by whom, from what to what."""

    id = fields.BigIntField(primary_key=True)
    at = fields.DatetimeField(db_default=Now())
    actor = fields.CharField(max_length=200)
    action = fields.CharField(max_length=64)
    subject_kind = fields.CharField(max_length=32)
    subject_id = fields.CharField(max_length=200)
    before = fields.JSONField(null=True)
    after = fields.JSONField(null=True)

    class Meta:
        """Table name and the index of a subject's history."""

        table = "audit_entry"
        indexes = (
            Index(fields=("subject_kind", "subject_id", "id"), name="audit_entry_by_subject"),
            Index(fields=("at",), name="audit_entry_by_time"),
        )
