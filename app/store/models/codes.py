"""What the database writes for each name of the contract."""

from enum import IntEnum, StrEnum


class EventType(IntEnum):
    """Small numbers for event types: a narrow column in the largest table."""

    SENT = 1
    DELIVERED = 2
    OPENED = 3
    CLICKED = 4
    ACTIVATED = 5
    CONVERTED = 6
    GEOFENCE_ENTERED = 7
    EXPOSED = 8


class Channel(IntEnum):
    """Small numbers for channels; 0 stands for an event that names none."""

    NONE = 0
    PUSH = 1
    EMAIL = 2
    SMS = 3
    IN_APP = 4


class CampaignStatus(StrEnum):
    """A campaign's place in its life."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class TestStatus(StrEnum):
    """A test's place in its life."""

    __test__ = False

    DRAFT = "DRAFT"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class AllocationPolicy(StrEnum):
    """How a test's traffic is shared among its variants."""

    FIXED = "FIXED"
    THOMPSON = "THOMPSON"
    TOP_TWO_THOMPSON = "TOP_TWO_THOMPSON"
    UCB = "UCB"
    EPSILON_GREEDY = "EPSILON_GREEDY"
    CONTEXTUAL_THOMPSON = "CONTEXTUAL_THOMPSON"


class MetricKind(StrEnum):
    """What a unit's value is made of."""

    CONVERSION = "CONVERSION"
    REVENUE = "REVENUE"
    COUNT = "COUNT"
    RATIO = "RATIO"


class Role(StrEnum):
    """What a key may do, from everything to evaluating flags."""

    ADMIN = "admin"
    ANALYST = "analyst"
    SENDER = "sender"
    CLIENT = "client"


class JobStatus(StrEnum):
    """A job's place in its life."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ModelKind(StrEnum):
    """What a trained model advises on."""

    RESPONSE = "RESPONSE"
    OFFER = "OFFER"
    SEND_TIME = "SEND_TIME"
    AFFINITY = "AFFINITY"


class Evidence(StrEnum):
    """Whose data a send time rests on."""

    USER = "USER"
    SEGMENT = "SEGMENT"
    GLOBAL = "GLOBAL"


class RecommendationKind(StrEnum):
    """What a recommendation is about."""

    OFFER_AMOUNT = "OFFER_AMOUNT"
    SEND_TIME = "SEND_TIME"
    CHANNEL = "CHANNEL"
    SEGMENT = "SEGMENT"
    START_TEST = "START_TEST"
    END_TEST = "END_TEST"
    BUDGET = "BUDGET"
