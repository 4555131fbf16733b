"""What clients see of models, and of what is advised from them."""

from datetime import datetime
from decimal import Decimal

import strawberry

from app.auth.principals import Permission
from graph.abtests.types import ABTest, IntervalEstimate
from graph.campaigns.types import Campaign, Merchant, User
from graph.fields import extend, reading, related
from graph.identifiers import Kind, encode
from graph.optimizer import rows
from graph.optimizer.enums import Evidence, ModelKind, RecommendationKind
from graph.scalars import JSON, BigInt


@strawberry.type(description="When to send to a user.")
class SendTime:
    """The row is an `app.optimizer.timing.SendTime`."""

    hour: int = reading("Local hour to send at, 0 to 23, never a quiet one.")
    day_of_week: int | None = reading("Best local day, 1 (Monday) to 7; null where days make no difference that shows.")
    timezone: str = reading("IANA time zone that `hour` and `byHour` are in; UTC where the user's is not known.")
    open_probability: float = reading("That a message sent at `hour` is opened, a fraction.")
    interval: IntervalEstimate = reading(
        "`openProbability` with its 95 % interval, fractions; at an hour that is not the model's best, as wide as "
        "there on the scale of log-odds."
    )
    evidence: Evidence = reading("Whose data it rests on; a user of whom little is known gets the segment's.")
    by_hour: list[float] = reading(
        "Open probability by local hour, 24 fractions from hour 0 on.", lambda row: list(row.by_hour)
    )
    sends: BigInt = reading(
        "Sends known of the user; of the segment, or of everyone, where none are known of the user; a count."
    )
    quiet_hours: list[int] = reading("Local hours that were left out.", lambda row: list(row.quiet_hours))
    explored: bool = reading("Whether `hour` was drawn at random, so that models learn from hours nobody chose.")
    probability: float = reading(
        "With which `hour` was answered on this day, a fraction: to be kept with the send, so that it can be judged."
    )
    next_at: datetime = reading(
        "The next time at which it is `hour` sharp there, UTC; with `on` that of this day, be it past or to come."
    )
    reasons: list[str] = reading("In words, the weightiest first.", lambda row: list(row.reasons))


@strawberry.type(description="A merchant that a user is likely to come to.")
class MerchantAffinity:
    """The row is an `app.optimizer.affinities.Affinity`."""

    merchant: Merchant = related("The merchant.", through=lambda row: row.merchant)
    score: float = reading("Without a unit, at least 0; comparable within the user.")
    rank: int = reading("Place by score, 1 is best.")
    distance_km: float | None = reading("From the user, kilometres; null where either's place is not known.")
    evidence: Evidence = reading("USER where the model knows the user, GLOBAL where it is what everyone likes.")
    reasons: list[str] = reading("In words, the weightiest first.", lambda row: list(row.reasons))


@strawberry.type(description="A live offer for a user.")
class RecommendedCampaign:
    """The row is an `app.optimizer.recommending.RecommendedOffer`."""

    campaign: Campaign = related(
        "The campaign: active, within its dates and budget, and for this user.", through=lambda row: row.campaign
    )
    score: float = reading("Taste times nearness times response, from 0 to 1; comparable within the user.")
    rank: int = reading("Place by score, 1 is best.")
    distance_km: float | None = reading("From the user to the merchant, kilometres; null where a place is not known.")
    evidence: Evidence = reading("USER where the model knows the user's taste for the merchant, else GLOBAL.")
    expected_effect: IntervalEstimate | None = reading(
        "What sending it adds to the chance that the user converts, a fraction with its 95 % interval; null where "
        "chance left no users out, and for offers beyond the 20 the model ranks for the user.",
        lambda row: row.effect,
    )
    reasons: list[str] = reading("In words, the weightiest first.", lambda row: list(row.reasons))


@strawberry.type(description="What one amount would bring.")
class OfferPoint:
    """The row is a `rows.CurvePoint`."""

    amount: Decimal = reading("The amount offered, money in the campaign's currency.")
    conversion_rate: IntervalEstimate = reading("Users who convert, a fraction with its 95 % interval.")
    profit_per_user: IntervalEstimate = reading(
        "Earned a user offered it, after paying it, with its 95 % interval; money in the campaign's currency."
    )


@strawberry.type(description="The amount that a campaign would earn most with.")
class OfferRecommendation:
    """The row is an `app.store.learned.OfferCurveRow`."""

    campaign: Campaign = related("The campaign.")
    amount: Decimal = reading("To offer, money in the campaign's currency.")
    low: Decimal = reading("Lower end of the 95 % interval in which the best amount lies, money.")
    high: Decimal = reading("Upper end of that interval, money.")
    expected_conversion_rate: float = reading("At `amount`, a fraction of users.")
    expected_profit_per_user: Decimal = reading("At `amount`, after paying it, money in the campaign's currency.")
    curve: list[OfferPoint] = reading("Over the amounts that were tried, least first.", rows.curve)
    evidence: str = reading("What it rests on and what is doubtful, in words.")
    created_at: datetime = reading("When the model made it, UTC.")


@strawberry.type(description="How much a campaign adds to what a segment does.")
class SegmentRank:
    """The row is an `app.store.learned.SegmentRankRow`."""

    segment: str = reading('The segment; "(none)" for users of none.', lambda row: row.segment or "(none)")
    rank: int = reading("Place by expected lift, 1 is best.")
    expected_lift: IntervalEstimate = reading(
        "What is sent adds this to the conversion rate, a fraction with its 95 % interval.", rows.expected_lift
    )
    reasons: list[str] = reading("In words.", lambda row: list(row.reasons))


@strawberry.type(description="What sending a campaign changes, from users of which chance left some out.")
class CampaignEffect:
    """The row is an `app.store.learned.EffectRow`."""

    average: IntervalEstimate = reading(
        "What it adds to the conversion rate, a fraction with its 95 % interval.", lambda row: row.effect
    )
    told_apart: bool = reading(
        "Whether users' own effects differ as predicted, on users not learned from; if not, all get the average.",
        lambda row: row.evidence["told_apart"],
    )
    compared: str = reading("Whom it compares, in words.", lambda row: row.evidence["compared"])
    treated: BigInt = reading("Users sent to, a count.", lambda row: row.evidence["treated"])
    control: BigInt = reading("Users left out, a count.", lambda row: row.evidence["control"])
    reasons: list[str] = reading("In words.", lambda row: list(row.evidence["reasons"]))
    evidence: JSON = reading("The figures it rests on, by name.")
    created_at: datetime = reading("When the model found it, UTC.")


@strawberry.type(description="A piece of advice, from what was seen.")
class Recommendation:
    """The row is an `app.store.recommendations.RecommendationRow`."""

    id: strawberry.ID = reading(
        "Opaque id; the same advice made again keeps it.", lambda row: encode(Kind.RECOMMENDATION, row.id)
    )
    kind: RecommendationKind = reading("What it is about.")
    campaign: Campaign | None = related("The campaign it is about; null when about none.")
    test: ABTest | None = related("The test it is about; null when about none.", permission=Permission.READ_TESTS)
    title: str = reading("What to do, in one line.")
    rationale: str = reading("Why, in words with the figures.")
    expected_gain: IntervalEstimate | None = reading(
        "What following it is expected to earn over the next 30 days, with its 95 % interval, money in the campaign's "
        "currency; null where that cannot be told.",
        lambda row: row.gain,
    )
    evidence: JSON | None = reading("The figures it rests on, by name; null for none.")
    created_at: datetime = reading("When it was first given, UTC.")


@strawberry.type(description="One version of a model.")
class TrainedModel:
    """The row is an `app.store.learned.ModelRow`."""

    id: strawberry.ID = reading("Opaque id.", lambda row: encode(Kind.MODEL, row.id))
    kind: ModelKind = reading("What it tells.")
    version: int = reading("Counts from 1 within the kind.")
    trained_at: datetime = reading("When it was trained, UTC.")
    training_rows: int = reading("Rows it learned from, a count.")
    seconds: float = reading("How long the training took, seconds.")
    scores: JSON = reading("How well it does on data that it did not learn from, by name.")
    feature_importances: JSON | None = reading("What it looks at, by name; null for models without features.")
    active: bool = reading("Whether its answers are served; one version of each kind at most.")
    refusals: JSON | None = reading("What it could not tell, and why: a list; null where it does not say.")
    window_start: datetime | None = reading("Start of what it learned from, UTC; null where not kept.")
    window_end: datetime | None = reading("End of what it learned from, UTC; null where not kept.")


def _of_user(name: str, annotation: object, description: str, size: int = 1) -> None:
    field = related(description, permission=Permission.READ_USERS, size=size)
    extend(User, name, annotation, field)


def _of_campaign(name: str, annotation: object, description: str, size: int = 1) -> None:
    field = related(description, permission=Permission.READ_MODELS, size=size)
    extend(Campaign, name, annotation, field)


_of_user(
    "send_time",
    SendTime,
    "When to send to this user; while little is known of it the segment's hour or everyone's, which `evidence` says. "
    "NOT_ENOUGH_DATA before the first training.",
)
_of_user(
    "affinities",
    list[MerchantAffinity],
    "Merchants the user is likely to come to, best first; what is popular and near while nothing is known of the user; "
    "empty before the first training.",
)
_of_user(
    "recommended_campaigns",
    list[RecommendedCampaign],
    "Live offers for this user, best first: by affinity, nearness and response; what is popular and near while nothing "
    "is known of the user.",
)
_of_campaign(
    "offer_recommendation",
    OfferRecommendation | None,
    "The amount that earns most; null until a model is trained and the campaign has sent three amounts or more.",
)
_of_campaign(
    "offer_refusal",
    str | None,
    "Why there is no `offerRecommendation`, in words; null where there is one, or no model.",
)
_of_campaign(
    "segment_ranking",
    list[SegmentRank],
    "Segments by what the campaign adds to their conversion rate, best first; empty where the data do not tell them "
    "apart.",
    10,
)
_of_campaign(
    "segment_refusal",
    str | None,
    "Why segments are not ranked, in words; null where they are, and where chance divided no users.",
)
_of_campaign(
    "sending_effect",
    CampaignEffect | None,
    "What sending it changes, where a test of the campaign held users out by chance, or has a control; `compared` says "
    "which. Null before the first training, and where `sendingEffectRefusal` says why.",
)
_of_campaign(
    "sending_effect_refusal",
    str | None,
    "Why there is no `sendingEffect`, in words; null where there is one, or no model.",
)
_of_campaign("recommendations", list[Recommendation], "What is advised for the campaign, newest first.", 10)
