"""Tortoise rows without behaviour, a file a domain.

Tables with composite keys (events and totals) have no model: set-based SQL writes and reads them.
"""

from app.store.models.abtests import AbTest, AbTestMetric, AbTestVariant, Allocation, Analysis
from app.store.models.access import ApiKey, AuditEntry
from app.store.models.catalogue import Campaign, Merchant, User
from app.store.models.jobs import ImportRun, Job
from app.store.models.learning import (
    CampaignEffect,
    CampaignResponse,
    MerchantAffinity,
    OfferCurve,
    Recommendation,
    SegmentRank,
    SendTimeProfile,
    TrainedModel,
)

__all__ = [
    "AbTest",
    "AbTestMetric",
    "AbTestVariant",
    "Allocation",
    "Analysis",
    "ApiKey",
    "AuditEntry",
    "Campaign",
    "CampaignEffect",
    "CampaignResponse",
    "ImportRun",
    "Job",
    "Merchant",
    "MerchantAffinity",
    "OfferCurve",
    "Recommendation",
    "SegmentRank",
    "SendTimeProfile",
    "TrainedModel",
    "User",
]
