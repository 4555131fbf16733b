"""Writes the simulated world into a database, by the ways any sender uses; once, and resumed after a break."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from app.auth.principals import COMMAND_LINE
from app.campaigns.editing import CampaignDraft, CampaignEditing, MerchantDraft, UserDraft
from app.demo.experimenting import Experimenting, Step, steps_of
from app.demo.population import CITIES, SEGMENTS, Campaign, Population
from app.demo.visits import PICTURES, Visits
from app.demo.wording import Wording
from app.demo.world import SEED, Events, World
from app.ingestion.pipeline import Ingestion
from app.runtime.clock import Clock
from app.store.campaigns import CampaignStore
from app.store.imports import ImportRunRow, ImportStore

SOURCE = "the demo's world"
PREFIX = "demo"
USERS_AT_ONCE = 1_000
EVENTS_AT_ONCE = 4_000

type Progress = Callable[[int, int], object]
"""Called with how many events are stored, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """The use cases that loading goes through."""

    campaigns: CampaignStore
    editing: CampaignEditing
    ingestion: Ingestion
    experimenting: Experimenting
    runs: ImportStore
    clock: Clock
    at_once: int = EVENTS_AT_ONCE

    async def load(
        self, *, seed: int = SEED, size: float = 1.0, progress: Progress = lambda _done, _all: None
    ) -> World:
        """Return the world of this seed, after seeing to it that the database holds its history.

        The history ends when it was first loaded, whatever the time is now.
        """
        run, world = await begin(self.runs, clock=self.clock, seed=seed, size=size)
        if run.finished_at is None:
            await self._load_catalogue(world)
            events = await asyncio.to_thread(lambda: world.history().events.until(world.anchor))
            await self._load_history(world, events, run, progress)
            await self._load_visits(world, events)
            await self.runs.finish(run.id, at=self.clock.now())
        return world

    async def _load_catalogue(self, world: World) -> None:
        await self._load_merchants(world.population)
        await self._load_campaigns(world)
        drafts = user_drafts(world.population)
        for start in range(0, len(drafts), USERS_AT_ONCE):
            await self.editing.upsert_users(drafts[start : start + USERS_AT_ONCE], by=COMMAND_LINE)

    async def _load_merchants(self, population: Population) -> None:
        known = await self.campaigns.merchants([merchant.key for merchant in population.merchants])
        for draft in merchant_drafts(population):
            if draft.key not in known:
                await self.editing.create_merchant(draft, by=COMMAND_LINE)

    async def _load_campaigns(self, world: World) -> None:
        known = await self.campaigns.campaigns([campaign.key for campaign in world.population.campaigns])
        for campaign in world.population.campaigns:
            if campaign.key not in known:
                await self.editing.create_campaign(campaign_draft(world, campaign), by=COMMAND_LINE)

    async def _load_history(self, world: World, events: Events, run: ImportRunRow, progress: Progress) -> None:
        coming = _placed(steps_of(world.experiments), events)
        wording, start = Wording(world.population), run.rows_done
        while start < len(events):
            progress(start, len(events))
            await self._take(coming, until=start)
            end = min(start + self.at_once, len(events), *(place for place, _ in coming[:1]))
            batch = wording.word(events.take(slice(start, end)), prefix=PREFIX)
            receipt = await self.ingestion.record(batch)
            await self.runs.advance(run.id, rows=len(batch), receipt=receipt, at=self.clock.now())
            start = end
        await self._take(coming, until=len(events))
        progress(len(events), len(events))

    async def _load_visits(self, world: World, events: Events) -> None:
        """Let the bandit live through its hours, step by step; what was stored before is not stored again."""
        visits = world_visits(world)
        await self.experimenting.begin(PICTURES, at=visits.began)
        for step in visits.steps(events):
            await self.experimenting.reallocate(PICTURES.key, version=step.version, at=step.at)
            await self.ingestion.record(step.events)

    async def _take(self, coming: list[tuple[int, Step]], *, until: int) -> None:
        """Take the steps whose time has come once so many events are stored."""
        while coming and coming[0][0] <= until:
            await self.experimenting.take(coming.pop(0)[1])


def _placed(steps: Sequence[Step], events: Events) -> list[tuple[int, Step]]:
    """Return steps with how many events come before each."""
    places: list[int] = np.searchsorted(events.at, [step.at for step in steps]).tolist()
    return list(zip(places, steps, strict=True))


async def begin(runs: ImportStore, *, clock: Clock, seed: int = SEED, size: float = 1.0) -> tuple[ImportRunRow, World]:
    """Return the world of this seed and how far it is loaded; it ends when this was first called on this database."""
    digest = hashlib.sha256(f"{SOURCE} {seed} {size}".encode()).hexdigest()
    run = await runs.begin(digest, source=SOURCE, at=_whole_hour(clock.now()))
    return run, World(run.started_at, seed=seed, size=size)


def world_visits(world: World) -> Visits:
    """Return the visits to the home screen before the world's anchor."""
    return Visits(world.population, anchor=world.anchor, seed=world.seed)


def merchant_drafts(population: Population) -> list[MerchantDraft]:
    """Return the population's merchants as they are created."""
    places = population.merchant_places.tolist()
    return [
        MerchantDraft(key=shop.key, name=shop.name, category=shop.category, latitude=place[0], longitude=place[1])
        for shop, place in zip(population.merchants, places, strict=True)
    ]


def campaign_draft(world: World, campaign: Campaign) -> CampaignDraft:
    """Return one of the world's campaigns as it is created."""
    midnight = datetime.combine(world.start, datetime.min.time(), UTC)
    ends = None if campaign.last_day is None else midnight + timedelta(days=campaign.last_day)
    everybody = len(campaign.segments) == len(SEGMENTS)
    return CampaignDraft(
        key=campaign.key,
        name=campaign.name,
        merchant=world.population.merchants[campaign.merchant].key,
        channels=campaign.channels,
        offer_amount=campaign.amount,
        budget=campaign.budget,
        starts_at=midnight + timedelta(days=campaign.first_day),
        ends_at=ends,
        status=campaign.status,
        targeting=None if everybody else {"segment": [SEGMENTS[segment].name for segment in campaign.segments]},
    )


def user_drafts(population: Population) -> Sequence[UserDraft]:
    """Return the population's users as they are upserted."""
    users = population.users
    rows: zip[tuple[Any, ...]] = zip(
        users.external_id,
        (SEGMENTS[int(segment)] for segment in users.segment.flat),
        (CITIES[int(city)] for city in users.city.flat),
        users.places.tolist(),
        users.birth_year.tolist(),
        strict=True,
    )
    return [
        UserDraft(
            external_id=external_id,
            segment=segment.name,
            timezone=city.timezone,
            attributes={"city": city.name, "birthYear": year},
            latitude=place[0],
            longitude=place[1],
        )
        for external_id, segment, city, place, year in rows
    ]


def _whole_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
