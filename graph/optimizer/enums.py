"""The enums of models and advice, described for clients once and taken from here."""

import strawberry

from app.store.models.codes import Evidence, ModelKind, RecommendationKind

strawberry.enum(
    Evidence,
    description="Whose data an answer rests on: the user's own, those of the user's segment, or everyone's.",
)
strawberry.enum(
    ModelKind,
    description="What a model tells: RESPONSE who responds, and in which segments because of the offer; OFFER which "
    "amount; SEND_TIME which hour; AFFINITY which merchant.",
)
strawberry.enum(
    RecommendationKind,
    description="What a recommendation is about: the amount, hour, channel or segment of a campaign; a test to start "
    "or to end; or budget to move to a campaign.",
)

__all__ = ["Evidence", "ModelKind", "RecommendationKind"]
