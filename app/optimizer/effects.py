"""What a campaign changes in each user, learned: from units of which chance left some out.

Units have the features they had when they were, or were not, treated, all at one hour of the day: the hours at which
users were sent to since are of the treated alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.optimizer.response import Candidates, asked_of, blocks_of_pairs
from app.optimizer.threads import one_thread
from app.store.triples import triple
from engine.arrays import FloatArray, IntArray
from engine.effects import IntervalEstimate
from engine.errors import NotEnoughData
from engine.frequentist.proportions import newcombe_interval
from engine.learning.features import Offers, Purchases, Sends, response_features
from engine.learning.qini import Holdout
from engine.learning.treatment import TreatmentFit, fit_treatment
from engine.summaries import ProportionSummary

LEAST_ARM = 100
"""Units of either arm with which an average is told, even where they are too few to tell users apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectTrial:
    """A campaign's units, as columns of shape (n,): what each was, or was not, offered; `by_day` if days differ."""

    campaign_id: int
    treatment: str
    offers: Offers
    treated: FloatArray
    converted: FloatArray
    propensity: FloatArray
    by_day: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectInputs:
    """Trials, all sends and purchases, and the users and live campaigns whose effects are wanted."""

    trials: tuple[EffectTrial, ...]
    sends: Sends
    purchases: Purchases
    outcome_days: float
    candidates: Candidates


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedEffect:
    """What a campaign changes on average, and in each of `users` (ids) where they are told apart: shape (n,) each."""

    campaign_id: int
    average: IntervalEstimate
    evidence: dict[str, Any]
    users: IntArray
    effects: FloatArray
    lows: FloatArray
    highs: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedEffects:
    """What came of it: effects, and why other trials tell none."""

    effects: tuple[LearnedEffect, ...]
    refusals: tuple[tuple[int, str], ...]


@one_thread()
def learn_effects(inputs: EffectInputs, *, seed: int, threads: int) -> LearnedEffects:
    """Return the effect of each campaign whose trial bears one."""
    effects: list[LearnedEffect] = []
    refusals: list[tuple[int, str]] = []
    for trial in inputs.trials:
        try:
            effects.append(_learn(trial, inputs, seed=seed, threads=threads))
        except NotEnoughData as refusal:
            refusals.append((trial.campaign_id, f"What is sent changes is not told. {refusal}"))
    return LearnedEffects(effects=tuple(effects), refusals=tuple(refusals))


def _learn(trial: EffectTrial, inputs: EffectInputs, *, seed: int, threads: int) -> LearnedEffect:
    try:
        fit = fit_treatment(
            _features(trial.offers, inputs),
            Holdout.of(trial.converted, trial.treated, propensity=trial.propensity),
            days=trial.offers.days if trial.by_day else None,
            gap=0.0,  # units whose time is not over are not among them
            seed=seed,
            jobs=threads,
        )
    except NotEnoughData as refusal:
        return _average_alone(trial, str(refusal))
    users, effects, lows, highs = _of_users(fit, trial, inputs)
    return LearnedEffect(
        campaign_id=trial.campaign_id,
        average=fit.average,
        evidence=_evidence(trial, fit),
        users=users,
        effects=effects,
        lows=lows,
        highs=highs,
    )


def _features(asked: Offers, inputs: EffectInputs) -> FloatArray:
    return response_features(asked, inputs.sends, purchases=inputs.purchases, outcome_days=inputs.outcome_days)


def _average_alone(trial: EffectTrial, reason: str) -> LearnedEffect:
    """Return the plain difference of the arms' rates; refuse where an arm is small or chances differed."""
    treated, control = (_summary(trial, treated=done) for done in (1.0, 0.0))
    if min(treated.exposed, control.exposed) < LEAST_ARM or np.ptp(trial.propensity) > 0.0:
        raise NotEnoughData(reason)
    return LearnedEffect(
        campaign_id=trial.campaign_id,
        average=newcombe_interval(control, treated),
        evidence=_compared(trial) | {"told_apart": False, "reasons": [f"All get the average. {reason}"]},
        users=np.empty(0, dtype=np.int64),
        effects=np.empty(0),
        lows=np.empty(0),
        highs=np.empty(0),
    )


def _summary(trial: EffectTrial, *, treated: float) -> ProportionSummary:
    mine = trial.treated == treated
    return ProportionSummary(converted=int(trial.converted[mine].sum()), exposed=int(mine.sum()))


def _of_users(
    fit: TreatmentFit, trial: EffectTrial, inputs: EffectInputs
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the users told apart, with effects and their ends; nobody where all get the average."""
    candidates = _of_campaign(inputs.candidates, trial)
    blocks = list(blocks_of_pairs(candidates)) if fit.active.told_apart else []
    if not blocks:
        return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0), np.empty(0)
    chance = float(trial.propensity.mean())
    found = [np.stack(_predicted(fit, _features(asked_of(candidates, block), inputs), chance)) for block in blocks]
    effects, lows, highs = np.concatenate(found, axis=1)
    return candidates.user_ids[np.concatenate(blocks)], effects, lows, highs


def _predicted(fit: TreatmentFit, features: FloatArray, chance: float) -> tuple[FloatArray, ...]:
    return fit.model.effects(features, propensity=chance), *fit.model.intervals(features, propensity=chance)


def _of_campaign(candidates: Candidates, trial: EffectTrial) -> Candidates:
    """Return all users and this campaign alone, if it is live, at the hour at which its units were taken."""
    mine = candidates.campaign_ids == trial.campaign_id
    return Candidates(
        user_ids=candidates.user_ids,
        segments=candidates.segments,
        hours=np.full(len(candidates.user_ids), trial.offers.hours[0], dtype=np.int64),
        campaign_ids=candidates.campaign_ids[mine],
        merchants=candidates.merchants[mine],
        amounts=candidates.amounts[mine],
        day=candidates.day,
    )


def _compared(trial: EffectTrial) -> dict[str, Any]:
    treated = int(trial.treated.sum())
    return {"compared": trial.treatment, "treated": treated, "control": len(trial.treated) - treated}


def _evidence(trial: EffectTrial, fit: TreatmentFit) -> dict[str, Any]:
    active = fit.active
    return _compared(trial) | {
        "told_apart": active.told_apart,
        "learner": str(active.learner),
        "held_out": fit.held_out_rows,
        "slope": triple(active.slope),
        "qini": triple(active.qini),
        "fifths": [{"units": p.units, "predicted": p.predicted, "observed": triple(p.observed)} for p in active.parts],
        "reasons": [fit.reason],
    }


def rows_of(effects: Sequence[LearnedEffect]) -> Iterator[tuple[object, ...]]:
    """Yield the rows to be stored: a campaign's average, which has the evidence, then its users."""
    for one in effects:
        average = one.average
        yield None, one.campaign_id, average.point, average.low, average.high, one.evidence
        columns = (one.users, one.effects, one.lows, one.highs)
        for user, effect, low, high in zip(*(column.tolist() for column in columns), strict=True):
            yield user, one.campaign_id, effect, low, high, None
