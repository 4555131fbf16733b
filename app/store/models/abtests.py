"""Tests, their arms and metrics, and every decision kept about them."""
# pyright: reportIncompatibleVariableOverride=false, reportUnknownVariableType=false
# Tortoise types neither its Meta nor the relations and JSON of its fields.

from tortoise import fields
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

from app.store.models.codes import AllocationPolicy, EventType, MetricKind, TestStatus


class AbTest(Model):
    """An A/B test or a bandit."""

    id = fields.BigIntField(primary_key=True)
    key = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=200)
    hypothesis = fields.TextField(null=True)
    status = fields.CharEnumField(TestStatus, max_length=16, db_default=TestStatus.DRAFT.value)
    campaign = fields.ForeignKeyField("winnow.Campaign", related_name="tests", null=True, on_delete=fields.RESTRICT)
    confidence_level = fields.FloatField(db_default=0.95)
    power = fields.FloatField(db_default=0.8)
    minimum_detectable_effect = fields.FloatField(null=True)
    baseline = fields.FloatField(null=True)
    target_sample_size = fields.BigIntField(null=True)
    allocation_policy = fields.CharEnumField(AllocationPolicy, max_length=32, db_default=AllocationPolicy.FIXED.value)
    floor = fields.FloatField(db_default=0.0)
    reallocate_every_minutes = fields.IntField(db_default=60)
    reallocated_at = fields.DatetimeField(null=True)
    discount = fields.FloatField(null=True)
    context_attributes = fields.JSONField(null=True)
    coverage = fields.FloatField(db_default=1.0)
    holdout = fields.FloatField(db_default=0.0)
    seed = fields.CharField(max_length=200)
    exclusion_group = fields.CharField(max_length=64, null=True)
    exclusion_low = fields.FloatField(null=True)
    exclusion_high = fields.FloatField(null=True)
    targeting = fields.JSONField(null=True)
    decided_elsewhere = fields.BooleanField(db_default=False)
    guardrail_stops = fields.JSONField(null=True)
    winner_id = fields.BigIntField(null=True)
    created_at = fields.DatetimeField(db_default=Now())
    updated_at = fields.DatetimeField(db_default=Now())
    started_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        """Table name and the indexes that lists, filters and the schedule use."""

        table = "ab_test"
        indexes = (
            Index(fields=("status", "id"), name="ab_test_by_status"),
            Index(fields=("campaign_id", "id"), name="ab_test_by_campaign"),
            Index(fields=("name", "id"), name="ab_test_by_name"),
            Index(fields=("started_at", "id"), name="ab_test_by_start"),
            Index(fields=("ended_at", "id"), name="ab_test_by_end"),
        )


class AbTestVariant(Model):
    """One arm of a test."""

    id = fields.BigIntField(primary_key=True)
    test = fields.ForeignKeyField("winnow.AbTest", related_name="variants", on_delete=fields.CASCADE)
    key = fields.CharField(max_length=64)
    name = fields.CharField(max_length=200)
    position = fields.SmallIntField()
    is_control = fields.BooleanField(db_default=False)
    weight = fields.FloatField()
    payload = fields.JSONField(null=True)

    class Meta:
        """Table name; a key is unique within its test."""

        table = "ab_test_variant"
        unique_together = (("test", "key"), ("test", "position"))


class AbTestMetric(Model):
    """What a test is judged by: its metric at position 0, then its guardrails."""

    id = fields.BigIntField(primary_key=True)
    test = fields.ForeignKeyField("winnow.AbTest", related_name="metrics", on_delete=fields.CASCADE)
    key = fields.CharField(max_length=64)
    name = fields.CharField(max_length=200)
    position = fields.SmallIntField()
    kind = fields.CharEnumField(MetricKind, max_length=16)
    event = fields.IntEnumField(EventType)
    denominator = fields.IntEnumField(EventType, null=True)
    higher_is_better = fields.BooleanField(db_default=True)
    window_hours = fields.IntField(db_default=72)
    margin = fields.FloatField(null=True)
    stops = fields.BooleanField(db_default=False)

    class Meta:
        """Table name; a key is unique within its test."""

        table = "ab_test_metric"
        unique_together = (("test", "key"), ("test", "position"))


class Analysis(Model):
    """A saved analysis: the test's history."""

    id = fields.BigIntField(primary_key=True)
    test = fields.ForeignKeyField("winnow.AbTest", related_name="analyses", on_delete=fields.CASCADE)
    created_at = fields.DatetimeField(db_default=Now())
    requested_by = fields.CharField(max_length=200, null=True)
    hierarchical = fields.BooleanField(db_default=False)
    results = fields.JSONField()

    class Meta:
        """Table name and the index of a test's history."""

        table = "analysis"
        indexes = (Index(fields=("test_id", "id"), name="analysis_by_test"),)


class Allocation(Model):
    """One policy version: the whole probability vector, so that its log can be judged later."""

    id = fields.BigIntField(primary_key=True)
    test = fields.ForeignKeyField("winnow.AbTest", related_name="allocations", on_delete=fields.CASCADE)
    policy_version = fields.IntField()
    policy = fields.CharEnumField(AllocationPolicy, max_length=32)
    floor = fields.FloatField()
    probabilities = fields.JSONField()
    watermark = fields.JSONField(null=True)
    seed = fields.BigIntField(null=True)
    model = fields.JSONField(null=True)
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; a version is made once."""

        table = "allocation"
        unique_together = (("test", "policy_version"),)
