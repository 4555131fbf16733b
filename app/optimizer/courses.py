"""How each kind of model is trained: what it takes from an extract, what is computed elsewhere, what comes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.optimizer.effects import EffectInputs, LearnedEffects, learn_effects
from app.optimizer.extracting import Extract
from app.optimizer.offers import learn_offers
from app.optimizer.predictions import (
    Predictions,
    of_affinity,
    of_effects,
    of_offers,
    of_response,
    of_segments,
    of_send_times,
)
from app.optimizer.preparing import effect_inputs, offer_inputs, response_inputs, send_time_inputs, visit_inputs
from app.optimizer.response import learn_response
from app.optimizer.segments import rank_splits
from app.optimizer.send_times import learn_send_times
from app.optimizer.visits import LearnedAffinity, blocks_of_users, learn_affinity
from app.runtime.compute import Compute
from app.runtime.settings import Settings
from app.store.learned import EFFECT
from app.store.models.codes import ModelKind
from engine.errors import NotEnoughData


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How models are trained.

    Attributes
    ----------
    days : of events learned from
    outcome_days : after a send, in which an open or a conversion counts as its own
    keep : versions of each kind, so many at least
    quiet : local hours at which no message is advised
    threads : of one fit
    seed : of whatever is drawn
    """

    days: float = 90.0
    outcome_days: float = 7.0
    keep: int = 5
    quiet: tuple[int, ...] = ()
    threads: int = 2
    seed: int = 20_260_101


def plan_of(settings: Settings) -> Plan:
    """Return the plan that the settings make."""
    return Plan(
        days=settings.training_days,
        outcome_days=settings.outcome_days,
        keep=settings.kept_model_versions,
        quiet=settings.quiet_hours,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of one kind's training; predictions by table."""

    rows: int
    scores: Mapping[str, Any]
    predictions: Predictions
    importances: Mapping[str, Any] | None = None
    artefact: bytes | None = None
    refusals: Sequence[Mapping[str, Any]] = ()


type Step = Callable[[], Awaitable[object]]
"""Called when a step is done."""
type Course = Callable[[Extract, Plan, Compute, Step], Awaitable[Made]]
"""Trains one kind; raises NotEnoughData where the data cannot bear a model."""


async def train_offers(extract: Extract, plan: Plan, compute: Compute, step: Step) -> Made:
    """Train curves of conversion by amount."""
    inputs = await asyncio.to_thread(offer_inputs, extract)
    await step()
    learned = await compute.run(learn_offers, inputs, seed=plan.seed)
    return Made(
        rows=len(inputs.campaigns),
        scores=learned.scores,
        predictions=of_offers(learned, at=extract.span.end),
        refusals=[{"campaign_id": campaign, "reason": reason} for campaign, reason in learned.refusals],
    )


async def train_send_times(extract: Extract, plan: Plan, compute: Compute, step: Step) -> Made:
    """Train open rates by local hour."""
    inputs = await asyncio.to_thread(send_time_inputs, extract, quiet=plan.quiet)
    await step()
    learned = await compute.run(learn_send_times, inputs, seed=plan.seed)
    return Made(rows=len(inputs.at), scores=learned.scores, predictions=of_send_times(learned, at=extract.span.end))


async def train_affinity(extract: Extract, plan: Plan, compute: Compute, step: Step) -> Made:
    """Train users' affinity to merchants, in parts that compute processes share where users are many."""
    inputs = await asyncio.to_thread(visit_inputs, extract)
    await step()
    if not len(inputs.days):
        raise NotEnoughData("Nobody came to a merchant in the window: send purchases and geofence entries, and train.")
    parts = blocks_of_users(inputs, seed=plan.seed)
    learned = await asyncio.gather(*(compute.run(learn_affinity, part) for part in parts))
    return Made(
        rows=len(inputs.days),
        scores=_scores_of_parts(learned),
        predictions=of_affinity(learned),
        importances={"weights": [part.weights for part in learned]},
    )


async def train_response(extract: Extract, plan: Plan, compute: Compute, step: Step) -> Made:
    """Train who converts and in whom campaigns change that, and rank users' live campaigns and campaigns' segments."""
    inputs = await asyncio.to_thread(response_inputs, extract)
    trials = await asyncio.to_thread(effect_inputs, extract, seed=plan.seed)
    await step()
    learned, effects = await asyncio.gather(
        compute.run(learn_response, inputs, seed=plan.seed, threads=plan.threads), _effects(trials, plan, compute)
    )
    segments = await asyncio.to_thread(rank_splits, extract.splits)
    at = extract.span.end
    return Made(
        rows=learned.rows,
        scores=learned.scores,
        predictions={
            **of_response(learned.ranked),
            **of_segments(segments, at=at),
            **of_effects(effects, at=at),
        },
        importances=learned.importances,
        artefact=learned.artefact,
        refusals=[
            *({"campaign_id": campaign, "reason": reason} for campaign, reason in segments.refusals),
            *({"campaign_id": campaign, "reason": reason, "of": EFFECT} for campaign, reason in effects.refusals),
        ],
    )


async def _effects(inputs: EffectInputs, plan: Plan, compute: Compute) -> LearnedEffects:
    if not inputs.trials:
        return LearnedEffects(effects=(), refusals=())
    return await compute.run(learn_effects, inputs, seed=plan.seed, threads=plan.threads)


def _scores_of_parts(parts: Sequence[LearnedAffinity]) -> dict[str, Any]:
    """Return the scores; of several parts, each's beside their number."""
    scores = [part.scores for part in parts]
    return scores[0] if len(scores) == 1 else {"parts": scores}


COURSES: Mapping[ModelKind, Course] = {
    ModelKind.RESPONSE: train_response,
    ModelKind.SEND_TIME: train_send_times,
    ModelKind.OFFER: train_offers,
    ModelKind.AFFINITY: train_affinity,
}
"""In the order in which they are begun: what takes longest first, so that processes end together."""
