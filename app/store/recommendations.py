"""Advice that stands, in pages, and new advice in place of the old.

What makes two pieces of advice the same is their kind, what they concern (campaign, test), and `subject`, which their
evidence keeps: the channel, segment or hour advised. The same advice made again keeps its id and the time it was first
made; only its words and figures change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.store.cursors import LARGEST_ID, Page, check_first, read_cursor
from app.store.database import Connection, Database, Record
from app.store.listing import NEWEST, Conditions, page_of
from app.store.models.codes import RecommendationKind
from engine.effects import IntervalEstimate

_LOCK = 0x41445649  # "ADVI"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationFilter:
    """Which recommendations a list holds."""

    kind: RecommendationKind | None = None
    campaign_id: int | None = None


EVERY_KIND = RecommendationFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A piece of advice to be kept; `gain` is expected, in the campaign's currency, where it can be told."""

    kind: RecommendationKind
    title: str
    rationale: str
    campaign_id: int | None = None
    test_id: int | None = None
    subject: str = ""
    gain: IntervalEstimate | None = None
    evidence: Mapping[str, Any]

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what makes it the same advice."""
        return (self.kind.value, self.campaign_id, self.test_id, self.subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationRow:
    """A piece of advice that stands."""

    id: int
    kind: RecommendationKind
    campaign_id: int | None
    test_id: int | None
    title: str
    rationale: str
    gain: IntervalEstimate | None
    evidence: Any
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """How many pieces of advice are new, how many stand as before, and how many stand no longer."""

    added: int
    kept: int
    superseded: int


class RecommendationStore:
    """Reads and replaces what is advised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, first: int = 20, after: str | None = None, *, where: RecommendationFilter = EVERY_KIND
    ) -> Page[RecommendationRow]:
        """Return the `first` (0 to 100) newest recommendations that stand, after a cursor."""
        check_first(first)
        conditions = _standing(where)
        conditions.add("id < {}", LARGEST_ID if after is None else read_cursor(after, order=NEWEST.name).id)
        rows = await self._database.fetch(
            f"SELECT {COLUMNS}, NULL::text AS order_value FROM recommendation {conditions} "
            f"ORDER BY id DESC LIMIT ${len(conditions.arguments) + 1}",
            *(*conditions.arguments, first + 1),
        )
        return page_of(rows, _recommendation, first=first, after=after, order=NEWEST.name)

    async def count(self, where: RecommendationFilter = EVERY_KIND) -> int:
        """Return how many recommendations stand."""
        conditions = _standing(where)
        return await self._database.fetchval(f"SELECT count(*) FROM recommendation {conditions}", *conditions.arguments)

    async def of_campaigns(self, campaign_ids: Sequence[int]) -> dict[int, list[RecommendationRow]]:
        """Return what stands for each campaign, newest first."""
        found: dict[int, list[RecommendationRow]] = {id_: [] for id_ in campaign_ids}
        for row in await self._database.fetch(OF_CAMPAIGNS, list(found)):
            found[row["campaign_id"]].append(_recommendation(row))
        return found

    async def replace(self, advice: Sequence[Advice], *, at: datetime) -> Replaced:
        """Let this advice stand and no other; one process at a time."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            known = {_identity(row): row["id"] for row in await connection.fetch(STANDING)}
            wanted = {one.identity: one for one in advice}
            gone = [id_ for identity, id_ in known.items() if identity not in wanted]
            kept = {known[identity]: one for identity, one in wanted.items() if identity in known}
            new = [one for identity, one in wanted.items() if identity not in known]
            await connection.execute(SUPERSEDE, gone, at)
            await _write(connection, UPDATE, [(id_, *_figures(one)) for id_, one in kept.items()])
            await _write(connection, INSERT, [(*_owners(one), at, *_figures(one)) for one in new])
        return Replaced(added=len(new), kept=len(kept), superseded=len(gone))

    async def forget(self, before: datetime) -> int:
        """Forget what no longer stood before a time; return how many pieces of advice that were."""
        return len(await self._database.fetch(FORGET, before))


async def _write(connection: Connection, statement: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        await connection.executemany(statement, rows)


def _standing(where: RecommendationFilter) -> Conditions:
    conditions = Conditions()
    conditions.add("superseded_at IS NULL")
    if where.kind is not None:
        conditions.add("kind = {}", where.kind.value)
    if where.campaign_id is not None:
        conditions.add("campaign_id = {}", where.campaign_id)
    return conditions


def _owners(advice: Advice) -> tuple[object, ...]:
    return (advice.kind.value, advice.campaign_id, advice.test_id)


def _figures(advice: Advice) -> tuple[object, ...]:
    gain = advice.gain
    ends = (None, None, None) if gain is None else (gain.point, gain.low, gain.high)
    return (advice.title, advice.rationale, *ends, {**advice.evidence, "subject": advice.subject})


def _identity(row: Record) -> tuple[object, ...]:
    return (row["kind"], row["campaign_id"], row["test_id"], row["subject"] or "")


def _recommendation(row: Record) -> RecommendationRow:
    return RecommendationRow(
        id=row["id"],
        kind=RecommendationKind(row["kind"]),
        campaign_id=row["campaign_id"],
        test_id=row["test_id"],
        title=row["title"],
        rationale=row["rationale"],
        gain=_gain(row),
        evidence=row["evidence"],
        created_at=row["created_at"],
    )


def _gain(row: Record) -> IntervalEstimate | None:
    if row["gain_point"] is None:
        return None
    return IntervalEstimate(point=row["gain_point"], low=row["gain_low"], high=row["gain_high"])


COLUMNS = "id, kind, campaign_id, test_id, title, rationale, gain_point, gain_low, gain_high, evidence, created_at"
OF_CAMPAIGNS = f"""
SELECT {COLUMNS} FROM recommendation
WHERE campaign_id = ANY ($1::bigint[]) AND superseded_at IS NULL ORDER BY id DESC
"""
STANDING = """
SELECT id, kind, campaign_id, test_id, evidence ->> 'subject' AS subject FROM recommendation WHERE superseded_at IS NULL
"""
SUPERSEDE = "UPDATE recommendation SET superseded_at = $2 WHERE id = ANY ($1::bigint[])"
FORGET = "DELETE FROM recommendation WHERE superseded_at < $1 RETURNING id"
UPDATE = """
UPDATE recommendation
SET title = $2, rationale = $3, gain_point = $4, gain_low = $5, gain_high = $6, evidence = $7
WHERE id = $1
"""
INSERT = """
INSERT INTO recommendation (kind, campaign_id, test_id, created_at, title, rationale, gain_point, gain_low, gain_high,
                            evidence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
