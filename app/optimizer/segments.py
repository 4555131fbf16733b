"""Segments ranked by what a treatment adds in them, where chance decided who was treated.

Users that a campaign's test held out are the control of the campaign itself; where nobody was held out, the control
variant of the campaign's largest test is the control of its other variants.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.optimizer.trials import Trial, by_segment, exposed_trial, held_out_trial
from app.store.campaigns import UserRow
from app.store.experiments import ArmRow, ExperimentStore, HoldoutRow
from engine.assignment.allocation import Holdout
from engine.errors import NotEnoughData
from engine.learning.segments import SegmentRanking, rank_segments
from engine.summaries import ProportionSummary

LEAST_HELD_OUT = 100

type Targets = Callable[[object, UserRow], bool]
"""Tells whether a test with this targeting is for a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Units of one segment, treated and not, and how many of each converted."""

    segment: str
    treated: ProportionSummary
    control: ProportionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What chance divided in a campaign: segment by segment, unit by unit, and in words what the treatment was."""

    campaign_id: int
    treatment: str
    segments: tuple[Arms, ...]
    trial: Trial | None = None

    @property
    def units(self) -> int:
        """How many units there are."""
        return sum(arms.treated.exposed + arms.control.exposed for arms in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One segment's place; the lift is a difference of conversion rates, a fraction."""

    campaign_id: int
    segment: str
    rank: int
    lift: float
    low: float
    high: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSegments:
    """What came of it: places, and why other campaigns have none."""

    rows: tuple[SegmentRow, ...]
    refusals: tuple[tuple[int, str], ...]


async def read_splits(
    store: ExperimentStore, *, start: datetime, end: datetime, outcome_days: float, targets: Targets
) -> list[Split]:
    """Return what chance divided in each campaign since `start`: by a holdout, else by its largest test."""
    found: dict[int, Split] = {}
    latest = {row.campaign_id: row for row in reversed(await store.holdouts(start))}
    for row in latest.values():
        split = await _of_holdout(store, row, end=end, outcome_days=outcome_days, targets=targets)
        if sum(arms.control.exposed for arms in split.segments) >= LEAST_HELD_OUT:
            found[row.campaign_id] = split
    for test_id, split in _of_tests(await store.arms(start)):
        if split.campaign_id not in found:
            units = await store.units(test_id, end)
            found[split.campaign_id] = replace(split, trial=exposed_trial(units) if units else None)
    return [found[campaign] for campaign in sorted(found)]


def rank_splits(splits: Iterable[Split]) -> RankedSegments:
    """Return the segments of each campaign whose effects differ by more than chance."""
    rows: list[SegmentRow] = []
    refusals: list[tuple[int, str]] = []
    for split in splits:
        try:
            ranking = _ranking(split)
        except NotEnoughData as refusal:
            refusals.append((split.campaign_id, f"Segments are not ranked. {refusal}"))
            continue
        if ranking.ranked:
            rows += _rows(split, ranking)
        else:
            refusals.append((split.campaign_id, f"Segments are not ranked. {ranking.reason}"))
    return RankedSegments(rows=tuple(rows), refusals=tuple(refusals))


def _ranking(split: Split) -> SegmentRanking:
    return rank_segments([arms.treated for arms in split.segments], [arms.control for arms in split.segments])


def _rows(split: Split, ranking: SegmentRanking) -> list[SegmentRow]:
    return [
        SegmentRow(
            campaign_id=split.campaign_id,
            segment=split.segments[one.segment].segment,
            rank=one.rank,
            lift=one.effect.point,
            low=one.effect.low,
            high=one.effect.high,
            reasons=(one.reason, f"Compared: {split.treatment}.", ranking.reason),
        )
        for one in ranking.segments
        if one.rank is not None
    ]


def _of_tests(rows: Sequence[ArmRow]) -> list[tuple[int, Split]]:
    """Return the largest test of each campaign, with its id."""
    tests: defaultdict[tuple[int, int], list[ArmRow]] = defaultdict(list)
    for row in rows:
        tests[row.campaign_id, row.test_id].append(row)
    splits = [
        (
            test_id,
            Split(
                campaign_id=campaign,
                treatment=f"the variants of {arms[0].test_key} with its control",
                segments=tuple(_arms_of(row) for row in arms),
            ),
        )
        for (campaign, test_id), arms in tests.items()
    ]
    largest = {split.campaign_id: (test_id, split) for test_id, split in sorted(splits, key=lambda one: one[1].units)}
    return list(largest.values())


def _arms_of(row: ArmRow) -> Arms:
    return Arms(
        segment=row.segment,
        treated=ProportionSummary(converted=row.treated_converted, exposed=row.treated),
        control=ProportionSummary(converted=row.control_converted, exposed=row.control),
    )


async def _of_holdout(
    store: ExperimentStore, row: HoldoutRow, *, end: datetime, outcome_days: float, targets: Targets
) -> Split:
    until = end if row.ended_at is None else min(end, row.ended_at + timedelta(days=outcome_days))
    users = [user for user in await store.population(row.started_at) if _is_for(targets, row, user)]
    buyers = await store.buyers(
        campaign_id=row.campaign_id, merchant_id=row.merchant_id, start=row.started_at, end=until
    )
    trial = held_out_trial(users, buyers, Holdout(seed=row.seed, fraction=row.fraction), at=row.started_at)
    return Split(
        campaign_id=row.campaign_id,
        treatment=f"users of {row.test_key} with those it held out, by what they bought at the merchant",
        segments=tuple(_counted(trial)),
        trial=trial,
    )


def _is_for(targets: Targets, row: HoldoutRow, user: UserRow) -> bool:
    return row.targeting is None or targets(row.targeting, user)


def _counted(trial: Trial) -> Iterator[Arms]:
    """Yield each segment's users, held out or not, and how many of each bought."""
    for segment, counts in by_segment(trial):
        done, treated, alone, control = counts.tolist()
        yield Arms(
            segment=segment,
            treated=ProportionSummary(converted=done, exposed=treated),
            control=ProportionSummary(converted=alone, exposed=control),
        )
