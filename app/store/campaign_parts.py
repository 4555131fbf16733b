"""What can be read of campaigns in the statement that finds them, beside their rows: JSON that PostgreSQL writes."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct

from app.store.measures import Measures, sums_json


class CampaignPart[Value](NamedTuple):
    """A part: the JSON written of each row of `campaign`, as a text, and what makes a value of it."""

    written: str
    read: Callable[[str], Value]


type CampaignParts = tuple[CampaignPart[object], ...]

NO_PARTS: CampaignParts = ()


class MerchantRow(Struct, frozen=True, gc=False):
    """A merchant."""

    id: int
    key: str
    name: str
    category: str
    latitude: float | None
    longitude: float | None
    created_at: datetime


class _WrittenMerchant(MerchantRow, frozen=True, array_like=True):
    """A merchant as PostgreSQL writes it: an array of its fields."""


MERCHANT_COLUMNS = ", ".join(MerchantRow.__struct_fields__)

MERCHANT = CampaignPart(
    f"(SELECT json_build_array({MERCHANT_COLUMNS})::text FROM merchant WHERE merchant.id = campaign.merchant_id)",
    msgspec.json.Decoder(_WrittenMerchant).decode,
)
"""Whose offers it makes."""

TOTALS = CampaignPart(
    f"(SELECT {sums_json()}::text FROM campaign_total WHERE campaign_id = campaign.id)",
    msgspec.json.Decoder(Measures).decode,
)
"""What was counted of its events until now."""

DAYS = CampaignPart(
    f"""
(SELECT coalesce(json_agg(json_build_array(day::timestamp AT TIME ZONE 'UTC', measures) ORDER BY day), '[]')::text
 FROM (SELECT day, {sums_json()} AS measures FROM campaign_day WHERE campaign_id = campaign.id GROUP BY day) AS days)
""",
    msgspec.json.Decoder(list[tuple[datetime, Measures]]).decode,
)
"""What was counted on each day with events, in UTC, in their order."""
