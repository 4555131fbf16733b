"""What the models have learned and advise.

Rows of predictions name the version that made them; those of a kind's active version are the ones served, so that
activating an earlier version brings its predictions back. A job writes all rows of a version in one transaction.
Tables with rows for every user are not held to the user's, merchant's and model's tables by foreign keys, which would
double the time of writing them.
"""
# pyright: reportIncompatibleVariableOverride=false, reportUnknownVariableType=false
# Tortoise types neither its Meta nor the relations and JSON of its fields.

from tortoise import fields
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

from app.store.models.codes import Evidence, ModelKind, RecommendationKind


class TrainedModel(Model):
    """One version of a model with its scores.

    `refusals` says what it could not be made for, and why: [{"campaign_id", "reason"}], [] where nothing was refused.
    `window_start` and `window_end` bound the events it learned from. `job_id` names the job that made it.
    """

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
    refusals = fields.JSONField(null=True)
    window_start = fields.DatetimeField(null=True)
    window_end = fields.DatetimeField(null=True)
    job_id = fields.BigIntField(null=True)

    class Meta:
        """Table name; a version is made once, and one a kind by a job."""

        table = "trained_model"
        unique_together = (("kind", "version"), ("kind", "job_id"))


class OfferCurve(Model):
    """A campaign's expected profit by amount, and the amount advised."""

    id = fields.BigIntField(primary_key=True)
    campaign = fields.ForeignKeyField("winnow.Campaign", related_name="offer_curves", on_delete=fields.CASCADE)
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
        """Table name; a version has one curve a campaign."""

        table = "offer_curve"
        unique_together = (("model", "campaign"),)


class SendTimeProfile(Model):
    """Open rate by local hour of a user, a segment or everyone.

    `evidence` says whose data a row rests on: a user's may rest on the segment's, where there is little of its own.
    `day_of_week` is from 1 (Monday) to 7, null where no day is worth waiting for.
    """

    id = fields.BigIntField(primary_key=True)
    user = fields.ForeignKeyField("winnow.User", related_name="send_times", null=True, db_constraint=False)
    segment = fields.CharField(max_length=100, null=True)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="send_times", db_constraint=False)
    hour = fields.SmallIntField()
    day_of_week = fields.SmallIntField(null=True)
    sends = fields.BigIntField()
    open_probability = fields.FloatField()
    low = fields.FloatField()
    high = fields.FloatField()
    by_hour = fields.JSONField()
    evidence = fields.CharEnumField(Evidence, max_length=16, db_default=Evidence.GLOBAL.value)
    reason = fields.TextField(null=True)
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; a row without user and segment is everyone's, of which there is one a version."""

        table = "send_time_profile"
        unique_together = (("model", "user"), ("model", "segment"))


class MerchantAffinity(Model):
    """How likely a user is to visit a merchant; a row without user tells what is popular with everyone."""

    id = fields.BigIntField(primary_key=True)
    user = fields.ForeignKeyField("winnow.User", related_name="affinities", null=True, db_constraint=False)
    merchant = fields.ForeignKeyField("winnow.Merchant", related_name="affinities", db_constraint=False)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="affinities", db_constraint=False)
    rank = fields.SmallIntField()
    score = fields.FloatField()
    reasons = fields.JSONField()

    class Meta:
        """Table name; a version ranks a user's merchants once."""

        table = "merchant_affinity"
        unique_together = (("model", "user", "rank"),)


class CampaignResponse(Model):
    """How likely a user is to convert by a campaign that was live at the training.

    `probability` is a fraction. The model is of kind RESPONSE.
    """

    id = fields.BigIntField(primary_key=True)
    user = fields.ForeignKeyField("winnow.User", related_name="campaign_responses", db_constraint=False)
    campaign = fields.ForeignKeyField("winnow.Campaign", related_name="campaign_responses", db_constraint=False)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="campaign_responses", db_constraint=False)
    rank = fields.SmallIntField()
    probability = fields.FloatField()

    class Meta:
        """Table name; a version ranks a user's campaigns once, best first."""

        table = "campaign_response"
        unique_together = (("model", "user", "rank"),)


class CampaignEffect(Model):
    """What a campaign changes in a user, where chance decided who was left out; a row without user is the average.

    `effect`, `low` and `high` are differences of conversion rates, fractions; `evidence`, of the average alone, says
    what was compared and how far users are told apart. The model is of kind RESPONSE.
    """

    id = fields.BigIntField(primary_key=True)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="campaign_effects", db_constraint=False)
    campaign = fields.ForeignKeyField("winnow.Campaign", related_name="campaign_effects", db_constraint=False)
    user = fields.ForeignKeyField("winnow.User", related_name="campaign_effects", null=True, db_constraint=False)
    effect = fields.FloatField()
    low = fields.FloatField()
    high = fields.FloatField()
    evidence = fields.JSONField(null=True)
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; a version knows a campaign's average once, and each user's effect."""

        table = "campaign_effect"
        unique_together = (("model", "user", "campaign"),)


class SegmentRank(Model):
    """Which segments respond because of the offer; the model is of kind RESPONSE."""

    id = fields.BigIntField(primary_key=True)
    campaign = fields.ForeignKeyField("winnow.Campaign", related_name="segment_ranks", on_delete=fields.CASCADE)
    model = fields.ForeignKeyField("winnow.TrainedModel", related_name="segment_ranks", on_delete=fields.CASCADE)
    segment = fields.CharField(max_length=100)
    rank = fields.SmallIntField()
    expected_lift = fields.FloatField()
    low = fields.FloatField()
    high = fields.FloatField()
    reasons = fields.JSONField()
    created_at = fields.DatetimeField(db_default=Now())

    class Meta:
        """Table name; a version ranks a segment once a campaign."""

        table = "segment_rank"
        unique_together = (("model", "campaign", "segment"),)


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
