"""The response model, learned: who converts when sent what, and each user's best live campaigns by it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.optimizer.artefacts import from_artefact, to_artefact
from app.optimizer.spreading import over_cluster
from app.optimizer.threads import one_thread
from engine.arrays import FloatArray, IntArray
from engine.learning.features import Offers, Purchases, Sends, response_features
from engine.learning.response import Candidate, ResponseFit, ResponseModel, fit_response

FIRST = 20
"""Live campaigns kept for each user."""
PAIRS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Whom could be sent what at one moment: every user, every live campaign.

    Attributes
    ----------
    user_ids, segments, hours : ids, segments' numbers, and the hour at which a user is usually sent to, shape (u,)
    campaign_ids, merchants, amounts : ids, merchants' numbers, and what is offered, in units, shape (c,)
    day : the moment, in the days of the sends
    """

    user_ids: IntArray
    segments: IntArray
    hours: IntArray
    campaign_ids: IntArray
    merchants: IntArray
    amounts: FloatArray
    day: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseInputs:
    """All sends and purchases, which of the sends (`rows`) have had their days, and who is to be ranked what."""

    sends: Sends
    purchases: Purchases
    rows: IntArray
    outcome_days: float
    candidates: Candidates


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranked:
    """Users' best campaigns, as columns of shape (n,): ids, ranks from 1 on, probabilities."""

    users: IntArray
    campaigns: IntArray
    ranks: IntArray
    probabilities: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedResponse:
    """What came of a training."""

    artefact: bytes
    ranked: Ranked
    rows: int
    scores: dict[str, Any]
    importances: dict[str, Any]


@one_thread()
def learn_response(inputs: ResponseInputs, *, seed: int, threads: int) -> LearnedResponse:
    """Return the better of two learners, and what it says of every user and live campaign.

    Raises NotEnoughData where too few sends were answered.
    """
    asked = inputs.sends.offers.take(inputs.rows)
    features = _features(asked, inputs)
    with over_cluster():
        fit = fit_response(
            features,
            inputs.sends.answered(within=inputs.outcome_days)[inputs.rows],
            days=asked.days,
            gap=inputs.outcome_days,
            seed=seed,
            jobs=threads,
        )
    return LearnedResponse(
        artefact=to_artefact(fit.model),
        ranked=_rank(fit.model, inputs),
        rows=fit.rows,
        scores=_scores(fit),
        importances={one.feature: asdict(one) for one in fit.active.importances},
    )


@one_thread()
def rank_again(artefact: bytes, inputs: ResponseInputs) -> Ranked:
    """Return what a model that was learned earlier says of the users and campaigns of now."""
    return _rank(from_artefact(artefact), inputs)


def _features(asked: Offers, inputs: ResponseInputs) -> FloatArray:
    return response_features(asked, inputs.sends, purchases=inputs.purchases, outcome_days=inputs.outcome_days)


def _rank(model: ResponseModel, inputs: ResponseInputs) -> Ranked:
    candidates = inputs.candidates
    users, campaigns = len(candidates.user_ids), len(candidates.campaign_ids)
    first = min(FIRST, campaigns)
    best, chances = np.empty((users, first), dtype=np.int64), np.empty((users, first))
    for block in blocks_of_pairs(candidates):
        rates = model.predict(_features(asked_of(candidates, block), inputs)).reshape(len(block), campaigns)
        best[block] = np.argsort(-rates, axis=1, kind="stable")[:, :first]
        chances[block] = np.take_along_axis(rates, best[block], axis=1)
    return Ranked(
        users=np.repeat(candidates.user_ids, first),
        campaigns=candidates.campaign_ids[best].ravel(),
        ranks=np.tile(np.arange(1, first + 1), users),
        probabilities=chances.ravel(),
    )


def blocks_of_pairs(candidates: Candidates) -> Iterator[IntArray]:
    """Yield users' places so that their pairs with the live campaigns fit into memory; none without campaigns."""
    users, campaigns = len(candidates.user_ids), len(candidates.campaign_ids)
    if campaigns:
        step = max(1, PAIRS_AT_ONCE // campaigns)
        yield from (np.arange(start, min(start + step, users)) for start in range(0, users, step))


def asked_of(candidates: Candidates, users: IntArray) -> Offers:
    """Return every pair of these users and the live campaigns, users outermost."""
    campaigns = len(candidates.campaign_ids)
    pairs = len(users) * campaigns
    return Offers(
        users=np.repeat(users, campaigns),
        merchants=np.tile(candidates.merchants, len(users)),
        segments=np.repeat(candidates.segments[users], campaigns),
        amounts=np.tile(candidates.amounts, len(users)),
        days=np.full(pairs, candidates.day),
        hours=np.repeat(candidates.hours[users], campaigns),
    )


def _scores(fit: ResponseFit) -> dict[str, Any]:
    return {
        "active": _candidate(fit.active),
        "challenger": _candidate(fit.challenger),
        "log_loss_by_one_rate": fit.baseline_log_loss,
        "trained_rows": fit.trained_rows,
        "held_out_rows": fit.held_out_rows,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {"learner": str(candidate.learner), "seconds": candidate.seconds, **asdict(candidate.scores)}
