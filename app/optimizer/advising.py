"""Makes recommendations of what was seen, and lets them stand in place of the earlier ones.

Seven kinds: the amount, hour, channel and segments of a campaign, tests to start and to end, budget to move. Each is
made where the data bear it and by no wish to have one of each; where they do not there is none.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.optimizer.advice_on_sending import advise_amount, advise_hour
from app.optimizer.advice_on_spending import advise_budget, advise_channel, advise_segments
from app.optimizer.advice_on_tests import advise_ending, advise_starting
from app.optimizer.situations import DAYS, MICROS, KnownHours, Situation, Situations, TestState
from app.runtime.clock import Clock
from app.runtime.compute import Compute
from app.store.activity import ActivityStore, Earned
from app.store.learned import LearnedStore, ModelRow, SendTimeRow
from app.store.measures import Measures
from app.store.models.codes import ModelKind
from app.store.performance import Breakdown, Part, PerformanceStore
from app.store.recommendations import Advice, RecommendationStore, Replaced
from app.store.triples import estimate_of
from app.store.windows import Window

type Verdicts = Callable[[], Awaitable[Sequence[TestState]]]
"""Port: what both schools say of the tests that run or are paused."""


class Advising:
    """Makes recommendations."""

    def __init__(
        self,
        *,
        activity: ActivityStore,
        performance: PerformanceStore,
        learned: LearnedStore,
        recommendations: RecommendationStore,
        verdicts: Verdicts,
        compute: Compute,
        clock: Clock,
    ) -> None:
        self._activity = activity
        self._performance = performance
        self._learned = learned
        self._recommendations = recommendations
        self._verdicts = verdicts
        self._compute = compute
        self._clock = clock

    async def advise(self) -> Replaced:
        """Make all recommendations anew; those made before and again keep their ids."""
        now = self._clock.now()
        found = await self._compute.run(advise, await self.situations(now))
        return await self._recommendations.replace(found, at=now)

    async def situations(self, now: datetime) -> Situations:
        """Return what advice is made from, in statements whose number does not depend on the campaigns'."""
        start = now - timedelta(days=DAYS)
        campaigns = await self._activity.active_campaigns(now)
        ids, window = [campaign.id for campaign in campaigns], Window(start, now)
        channels = await self._performance.campaign_parts(ids, window, by=Breakdown.CHANNEL)
        segments = await self._performance.campaign_parts(ids, window, by=Breakdown.SEGMENT)
        totals = await self._performance.campaigns(ids)
        earned = _by_campaign(await self._activity.earned(ids, start, now))
        reached = await self._activity.reached(ids, start, now)
        timed = await self._activity.timed(ids, start, now)
        curves = await self._learned.offer_curves(ids)
        ranks = await self._learned.segment_ranks(ids)
        tested = await self._activity.tested(ids)
        profiles = await self._learned.send_time_profiles()
        models = await self._learned.models(ModelKind.SEND_TIME)
        return Situations(
            campaigns=[
                Situation(
                    campaign=campaign,
                    channels=_parts(channels, campaign.id, int),
                    segments=_parts(segments, campaign.id, str),
                    earned=earned.get(campaign.id, ()),
                    reached=reached.get(campaign.id),
                    timed=timed.get(campaign.id),
                    curve=curves.get(campaign.id),
                    ranks=ranks.get(campaign.id, ()),
                    spent=totals.get(campaign.id, Measures()).cost_micros / MICROS,
                    tested=campaign.id in tested,
                )
                for campaign in campaigns
            ],
            tests=await self._verdicts(),
            hours=_known_hours(profiles, models),
            as_of=now,
        )


def advise(situations: Situations) -> list[Advice]:
    """Return what is to be advised. A pure function."""
    each = (
        itertools.chain(
            advise_amount(one),
            advise_hour(one, situations.hours),
            advise_channel(one),
            advise_segments(one),
            advise_starting(one),
        )
        for one in situations.campaigns
    )
    return [*itertools.chain.from_iterable(each), *advise_budget(situations), *advise_ending(situations)]


def _known_hours(profiles: Sequence[SendTimeRow], models: Sequence[ModelRow]) -> KnownHours | None:
    everyone = next((row for row in profiles if row.segment is None), None)
    active = next((row for row in models if row.active), None)
    if everyone is None or active is None:
        return None
    scores: Mapping[str, Any] = active.scores
    judged: Mapping[str, Any] = scores.get("at_advised_hours") or {}
    borne_out: Sequence[float] | None = judged.get("borne_out")
    return KnownHours(
        everyone=everyone,
        loss=scores.get("log_loss"),
        loss_by_everyone=scores.get("log_loss_by_everyones_hours"),
        borne_out=None if borne_out is None else estimate_of(borne_out),
    )


def _by_campaign(rows: Sequence[Earned]) -> dict[int, list[Earned]]:
    found: dict[int, list[Earned]] = {}
    for row in rows:
        found.setdefault(row.campaign_id, []).append(row)
    return found


def _parts[Key: (int, str)](
    parts: Mapping[int, Mapping[Part, Measures]], campaign_id: int, kind: type[Key]
) -> dict[Key, Measures]:
    return {part: each for part, each in parts.get(campaign_id, {}).items() if isinstance(part, kind)}
