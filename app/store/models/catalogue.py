"""Who offers what to whom: merchants, campaigns, users."""
# pyright: reportIncompatibleVariableOverride=false, reportUnknownVariableType=false
# Tortoise types neither its Meta nor the relations and JSON of its fields.

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

from app.store.models.codes import CampaignStatus


class Merchant(Model):
    """A shop whose campaigns are run."""

    id = fields.BigIntField(primary_key=True)
    key = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=200)
    category = fields.CharField(max_length=100)
    latitude = fields.FloatField(null=True)
    longitude = fields.FloatField(null=True)
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name."""

        table = "merchant"


class Campaign(Model):
    """An offer sent to users over channels."""

    id = fields.BigIntField(primary_key=True)
    key = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=200)
    merchant = fields.ForeignKeyField("winnow.Merchant", related_name="campaigns", on_delete=fields.RESTRICT)
    status = fields.CharEnumField(CampaignStatus, max_length=16, db_default=CampaignStatus.DRAFT.value)
    channels = ArrayField(element_type="smallint")
    offer_amount = fields.DecimalField(max_digits=14, decimal_places=2)
    currency = fields.CharField(max_length=3, db_default="USD")
    budget = fields.DecimalField(max_digits=16, decimal_places=2, null=True)
    starts_at = fields.DatetimeField(null=True)
    ends_at = fields.DatetimeField(null=True)
    targeting = fields.JSONField(null=True)
    created_at = fields.DatetimeField(db_default=Now())
    updated_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name and the indexes that lists and filters use."""

        table = "campaign"
        indexes = (
            Index(fields=("merchant_id", "id"), name="campaign_by_merchant"),
            Index(fields=("status", "id"), name="campaign_by_status"),
            Index(fields=("name", "id"), name="campaign_by_name"),
            Index(fields=("starts_at", "id"), name="campaign_by_start"),
        )


class User(Model):
    """A person who gets offers."""

    id = fields.BigIntField(primary_key=True)
    external_id = fields.CharField(max_length=200, unique=True)
    segment = fields.CharField(max_length=100, db_default="")
    timezone = fields.CharField(max_length=64, null=True)
    attributes = fields.JSONField(null=True)
    latitude = fields.FloatField(null=True)
    longitude = fields.FloatField(null=True)
    created_at = fields.DatetimeField(db_default=Now())
    updated_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; `user` is a reserved word. The index serves the optimizer's segment scans."""

        table = "app_user"
        indexes = (Index(fields=("segment", "id"), name="app_user_by_segment"),)
