"""What the models have learned and advise."""
# pyright: reportIncompatibleVariableOverride=false, reportUnknownVariableType=false
# Tortoise types neither its Meta nor the relations and JSON of its fields.

from tortoise import fields
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

from app.store.models.codes import ModelKind, RecommendationKind


class TrainedModel(Model):
    """One version of a model with its scores."""

    id = fields.BigIntField(primary_key=True)
    kind = fields.CharEnumField(ModelKind, max_length=16)
    version = fields.IntField()
    trained_at = fields.DatetimeField(db_default=Now())
    training_rows = fields.BigIntField()
    seconds = fields.FloatField()
    scores = fields.JSONField()
    feature_importances = fields.JSONField(null=True)
    artefact = fields.BinaryField(null=True)
    active = fields.BooleanField(db_default=False)

    class Meta:
        """Table name; a version is made once."""

        table = "trained_model"
        unique_together = (("kind", "version"),)


class OfferCurve(Model):
    """A campaign's expected profit by amount, and the amount advised."""

    id = fields.BigIntField(primary_key=True)
    campaign = fields.OneToOneField("winnow.Campaign", related_name="offer_curve", on_delete=fields.CASCADE)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="offer_curves", on_delete=fields.CASCADE)
    amount = fields.DecimalField(max_digits=14, decimal_places=2)
    low = fields.DecimalField(max_digits=14, decimal_places=2)
    high = fields.DecimalField(max_digits=14, decimal_places=2)
    expected_conversion_rate = fields.FloatField()
    expected_profit_per_user = fields.DecimalField(max_digits=14, decimal_places=2)
    curve = fields.JSONField()
    evidence = fields.TextField()
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name."""

        table = "offer_curve"


class SendTimeProfile(Model):
    """Open rate by local hour of a user, a segment or everyone."""

    id = fields.BigIntField(primary_key=True)
    user = fields.OneToOneField("winnow.User", related_name="send_time", null=True, on_delete=fields.CASCADE)
    segment = fields.CharField(max_length=100, null=True, unique=True)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="send_times", on_delete=fields.CASCADE)
    hour = fields.SmallIntField()
    day_of_week = fields.SmallIntField(null=True)
    sends = fields.BigIntField()
    open_probability = fields.FloatField()
    low = fields.FloatField()
    high = fields.FloatField()
    by_hour = fields.JSONField()
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; a row without user and segment is everyone's."""

        table = "send_time_profile"


class MerchantAffinity(Model):
    """How likely a user is to visit a merchant."""

    id = fields.BigIntField(primary_key=True)
    user = fields.ForeignKeyField("winnow.User", related_name="affinities", on_delete=fields.CASCADE)
    merchant = fields.ForeignKeyField("winnow.Merchant", related_name="affinities", on_delete=fields.CASCADE)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="affinities", on_delete=fields.CASCADE)
    rank = fields.SmallIntField()
    score = fields.FloatField()
    reasons = fields.JSONField()

    class Meta:
        """Table name; a pair is ranked once."""

        table = "merchant_affinity"
        unique_together = (("user", "merchant"),)
        indexes = (Index(fields=("user_id", "rank"), name="merchant_affinity_by_rank"),)


class SegmentRank(Model):
    """Which segments respond because of the offer."""

    id = fields.BigIntField(primary_key=True)
    campaign = fields.ForeignKeyField("winnow.Campaign", related_name="segment_ranks", on_delete=fields.CASCADE)
    segment = fields.CharField(max_length=100)
    rank = fields.SmallIntField()
    expected_lift = fields.FloatField()
    low = fields.FloatField()
    high = fields.FloatField()
    reasons = fields.JSONField()
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; a segment is ranked once a campaign."""

        table = "segment_rank"
        unique_together = (("campaign", "segment"),)


class Recommendation(Model):
    """One piece of advice with its evidence."""

    id = fields.BigIntField(primary_key=True)
    kind = fields.CharEnumField(RecommendationKind, max_length=16)
    campaign = fields.ForeignKeyField(
        "winnow.Campaign", related_name="recommendations", null=True, on_delete=fields.CASCADE
    )
    test = fields.ForeignKeyField("winnow.AbTest", related_name="recommendations", null=True, on_delete=fields.CASCADE)
    title = fields.CharField(max_length=200)
    rationale = fields.TextField()
    gain_point = fields.FloatField(null=True)
    gain_low = fields.FloatField(null=True)
    gain_high = fields.FloatField(null=True)
    evidence = fields.JSONField(null=True)
    created_at = fields.DatetimeField(db_default=Now())
    superseded_at = fields.DatetimeField(null=True)

    class Meta:
        """Table name and the index of what stands."""

        table = "recommendation"
        indexes = (Index(fields=("kind", "id"), name="recommendation_by_kind"),)
