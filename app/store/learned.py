"""What the models have learned, as it is served: the rows of each kind's active version. One statement a call."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.store.database import Database, Record
from app.store.models.codes import Evidence, ModelKind
from engine.effects import IntervalEstimate

EFFECT = "effect"
"""What a refusal is of that says nothing of what a campaign changes; one of its segments names nothing."""
NO_CONTROL = (
    "What sending changes is not known: chance left nobody out. Start a test of the campaign with a holdout, or with a"
    " control, and train again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One version of a model, without its artefact."""

    id: int
    kind: ModelKind
    version: int
    trained_at: datetime
    training_rows: int
    seconds: float
    scores: Any
    feature_importances: Any
    active: bool
    refusals: Any
    window_start: datetime | None
    window_end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferCurveRow:
    """A campaign's expected profit by amount, and the amount advised; money in the campaign's currency."""

    id: int
    campaign_id: int
    model_id: int
    amount: Decimal
    low: Decimal
    high: Decimal
    expected_conversion_rate: float
    expected_profit_per_user: Decimal
    curve: Any
    evidence: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTimeRow:
    """Open rate by local hour: of a user, of a segment, or, where both are None, of everyone."""

    user_id: int | None
    segment: str | None
    hour: int
    day_of_week: int | None
    sends: int
    open_probability: float
    low: float
    high: float
    by_hour: Any
    evidence: Evidence
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTimeRows:
    """What is known of some users: their own rows, their segments', and everyone's, which None stands for."""

    by_user: Mapping[int, SendTimeRow]
    by_segment: Mapping[str, SendTimeRow]
    everyone: SendTimeRow | None

    def of(self, user_id: int, segment: str | None) -> SendTimeRow | None:
        """Return the narrowest row there is for a user."""
        own = self.by_user.get(user_id)
        return own or (self.by_segment.get(segment) if segment else None) or self.everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityRow:
    """A merchant's place for a user; for everyone where `user_id` is None."""

    user_id: int | None
    merchant_id: int
    rank: int
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRow:
    """How likely a user is to convert by a campaign, and how much because of it; None where chance left nobody out."""

    user_id: int
    campaign_id: int
    rank: int
    probability: float
    effect: IntervalEstimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """What a campaign changes on average, a difference of conversion rates; and what that rests on, by name."""

    campaign_id: int
    effect: IntervalEstimate
    evidence: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRankRow:
    """A segment's place by what a campaign adds to its conversion rate, a fraction."""

    campaign_id: int
    segment: str
    rank: int
    expected_lift: float
    low: float
    high: float
    reasons: tuple[str, ...]
    created_at: datetime


class LearnedStore:
    """Reads what was learned; where a kind has no active version there is nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def models(self, kind: ModelKind | None = None) -> list[ModelRow]:
        """Return every version, newest first, of one kind or of all, by kind."""
        return [_model(row) for row in await self._database.fetch(MODELS, None if kind is None else kind.value)]

    async def offer_curves(self, campaign_ids: Sequence[int] | None = None) -> dict[int, OfferCurveRow]:
        """Return the curves of these campaigns, or of all, that have one."""
        rows = await self._database.fetch(OFFER_CURVES, None if campaign_ids is None else list(campaign_ids))
        return {row["campaign_id"]: OfferCurveRow(**dict(row)) for row in rows}

    async def refusals(self, kind: ModelKind, campaign_ids: Iterable[int]) -> dict[int, str]:
        """Return why the model of a kind says nothing of these campaigns, in words, where it gave a reason."""
        rows = await self._database.fetch(REFUSALS, kind.value, list(campaign_ids))
        return {row["campaign_id"]: row["reason"] for row in rows}

    async def effect_refusals(self, campaign_ids: Iterable[int]) -> dict[int, str]:
        """Return why it is not known what these campaigns change, in words; nothing before a model is trained."""
        rows = await self._database.fetch(EFFECT_REFUSALS, list(campaign_ids), EFFECT)
        return {row["campaign_id"]: row["reason"] or NO_CONTROL for row in rows}

    async def effects(self, campaign_ids: Sequence[int]) -> dict[int, EffectRow]:
        """Return what these campaigns change on average, where chance left some users out."""
        rows = await self._database.fetch(EFFECTS, list(campaign_ids))
        return {row["campaign_id"]: _effect(row) for row in rows}

    async def send_times(self, user_ids: Iterable[int], segments: Iterable[str]) -> SendTimeRows:
        """Return the rows of these users and segments, and everyone's."""
        rows = [_send_time(row) for row in await self._database.fetch(SEND_TIMES, list(user_ids), list(segments))]
        return SendTimeRows(
            by_user={row.user_id: row for row in rows if row.user_id is not None},
            by_segment={row.segment: row for row in rows if row.segment is not None},
            everyone=next((row for row in rows if row.user_id is None and row.segment is None), None),
        )

    async def send_time_profiles(self) -> list[SendTimeRow]:
        """Return every segment's row, largest first, after everyone's."""
        return [_send_time(row) for row in await self._database.fetch(SEND_TIME_PROFILES)]

    async def affinities(self, user_ids: Iterable[int], first: int) -> dict[int | None, list[AffinityRow]]:
        """Return the best merchants of these users, by rank; under None what is popular with everyone."""
        found: dict[int | None, list[AffinityRow]] = {}
        for row in await self._database.fetch(AFFINITIES, list(user_ids), first):
            found.setdefault(row["user_id"], []).append(_affinity(row))
        return found

    async def responses(self, user_ids: Iterable[int]) -> dict[int, dict[int, ResponseRow]]:
        """Return how these users are expected to respond, by campaign."""
        found: dict[int, dict[int, ResponseRow]] = {}
        for row in await self._database.fetch(RESPONSES, list(user_ids)):
            found.setdefault(row["user_id"], {})[row["campaign_id"]] = _response(row)
        return found

    async def segment_ranks(self, campaign_ids: Sequence[int] | None = None) -> dict[int, list[SegmentRankRow]]:
        """Return the segments of these campaigns, or of all, best first."""
        found: dict[int, list[SegmentRankRow]] = {}
        for row in await self._database.fetch(SEGMENT_RANKS, None if campaign_ids is None else list(campaign_ids)):
            found.setdefault(row["campaign_id"], []).append(_segment_rank(row))
        return found


def _model(row: Record) -> ModelRow:
    values: dict[str, Any] = {**row, "kind": ModelKind(row["kind"])}
    return ModelRow(**values)


def _send_time(row: Record) -> SendTimeRow:
    values: dict[str, Any] = {**row, "evidence": Evidence(row["evidence"])}
    return SendTimeRow(**values)


def _affinity(row: Record) -> AffinityRow:
    values: dict[str, Any] = {**row, "reasons": tuple(row["reasons"])}
    return AffinityRow(**values)


def _response(row: Record) -> ResponseRow:
    return ResponseRow(
        user_id=row["user_id"],
        campaign_id=row["campaign_id"],
        rank=row["rank"],
        probability=row["probability"],
        effect=None if row["effect"] is None else _interval(row),
    )


def _effect(row: Record) -> EffectRow:
    return EffectRow(
        campaign_id=row["campaign_id"],
        effect=_interval(row),
        evidence=row["evidence"],
        created_at=row["created_at"],
    )


def _interval(row: Record) -> IntervalEstimate:
    return IntervalEstimate(point=row["effect"], low=row["low"], high=row["high"])


def _segment_rank(row: Record) -> SegmentRankRow:
    values: dict[str, Any] = {**row, "reasons": tuple(row["reasons"])}
    return SegmentRankRow(**values)


MODELS = """
SELECT id, kind, version, trained_at, training_rows, seconds, scores, feature_importances, active, refusals,
       window_start, window_end
FROM trained_model WHERE $1::text IS NULL OR kind = $1 ORDER BY kind, version DESC
"""
OFFER_CURVES = """
SELECT c.id, c.campaign_id, c.model_id, c.amount, c.low, c.high, c.expected_conversion_rate, c.expected_profit_per_user,
       c.curve, c.evidence, c.created_at
FROM trained_model m JOIN offer_curve c ON c.model_id = m.id
WHERE m.active AND m.kind = 'OFFER' AND ($1::bigint[] IS NULL OR c.campaign_id = ANY ($1))
ORDER BY c.campaign_id
"""
REFUSALS = """
SELECT r.campaign_id, r.reason
FROM trained_model m, jsonb_to_recordset(m.refusals) AS r (campaign_id bigint, reason text, of text)
WHERE m.active AND m.kind = $1 AND r.campaign_id = ANY ($2::bigint[]) AND r.of IS NULL
"""
EFFECT_REFUSALS = """
SELECT c.id AS campaign_id, r.reason
FROM trained_model m CROSS JOIN unnest($1::bigint[]) AS c (id)
LEFT JOIN LATERAL (
    SELECT reason FROM jsonb_to_recordset(m.refusals) AS r (campaign_id bigint, reason text, of text)
    WHERE r.campaign_id = c.id AND r.of = $2 LIMIT 1
) r ON true
WHERE m.active AND m.kind = 'RESPONSE'
  AND NOT EXISTS (SELECT FROM campaign_effect e WHERE e.model_id = m.id AND e.user_id IS NULL AND e.campaign_id = c.id)
"""
_SEND_TIME_COLUMNS = """
p.user_id, p.segment, p.hour, p.day_of_week, p.sends, p.open_probability, p.low, p.high, p.by_hour, p.evidence,
p.created_at
"""
_OF_SEND_TIMES = f"""
SELECT {_SEND_TIME_COLUMNS} FROM trained_model m JOIN send_time_profile p ON p.model_id = m.id
WHERE m.active AND m.kind = 'SEND_TIME' AND
"""
SEND_TIMES = f"""
{_OF_SEND_TIMES} p.user_id = ANY ($1::bigint[])
UNION ALL {_OF_SEND_TIMES} p.user_id IS NULL AND p.segment = ANY ($2::text[])
UNION ALL {_OF_SEND_TIMES} p.user_id IS NULL AND p.segment IS NULL
"""
SEND_TIME_PROFILES = f"{_OF_SEND_TIMES} p.user_id IS NULL ORDER BY p.segment IS NOT NULL, p.sends DESC, p.segment"
_AFFINITY_COLUMNS = "a.user_id, a.merchant_id, a.rank, a.score, a.reasons"
AFFINITIES = f"""
SELECT {_AFFINITY_COLUMNS} FROM trained_model m JOIN merchant_affinity a ON a.model_id = m.id
WHERE m.active AND m.kind = 'AFFINITY' AND a.user_id = ANY ($1::bigint[]) AND a.rank <= $2
UNION ALL
SELECT {_AFFINITY_COLUMNS} FROM trained_model m JOIN merchant_affinity a ON a.model_id = m.id
WHERE m.active AND m.kind = 'AFFINITY' AND a.user_id IS NULL AND a.rank <= $2
ORDER BY 1, 3
"""
RESPONSES = """
SELECT r.user_id, r.campaign_id, r.rank, r.probability, coalesce(e.effect, a.effect) AS effect,
       coalesce(e.low, a.low) AS low, coalesce(e.high, a.high) AS high
FROM trained_model m JOIN campaign_response r ON r.model_id = m.id
LEFT JOIN campaign_effect e ON e.model_id = m.id AND e.user_id = r.user_id AND e.campaign_id = r.campaign_id
LEFT JOIN campaign_effect a ON a.model_id = m.id AND a.user_id IS NULL AND a.campaign_id = r.campaign_id
WHERE m.active AND m.kind = 'RESPONSE' AND r.user_id = ANY ($1::bigint[])
"""
EFFECTS = """
SELECT a.campaign_id, a.effect, a.low, a.high, a.evidence, a.created_at
FROM trained_model m JOIN campaign_effect a ON a.model_id = m.id
WHERE m.active AND m.kind = 'RESPONSE' AND a.user_id IS NULL AND a.campaign_id = ANY ($1::bigint[])
"""
SEGMENT_RANKS = """
SELECT s.campaign_id, s.segment, s.rank, s.expected_lift, s.low, s.high, s.reasons, s.created_at
FROM trained_model m JOIN segment_rank s ON s.model_id = m.id
WHERE m.active AND m.kind = 'RESPONSE' AND ($1::bigint[] IS NULL OR s.campaign_id = ANY ($1))
ORDER BY s.campaign_id, s.rank
"""
