"""One step of a contextual bandit: from what its units did, in their contexts, to the next policy version's model."""

from datetime import datetime

import numpy as np

from app.abtests.contextual import ContextualModel, stored_model
from app.abtests.learning import Shares
from app.abtests.summarising import MICROS
from app.store.abtest_rows import TestDefinition
from app.store.contexts import Counting, attribute_summaries, context_sums, recent_contexts
from app.store.database import Connection
from app.store.models.codes import MetricKind
from app.store.policies import DueTest
from engine.arrays import FloatArray
from engine.assignment.hashing import POSITIONS
from engine.bandits.encoding import Encoding, learn_encoding
from engine.bandits.linear import LinearPosterior, LinearTotals, fit
from engine.errors import EngineError

CONTEXTS_AVERAGED = 1_000
"""Units, those exposed last, over whose contexts the average shares are taken."""


async def learn_from_contexts(
    connection: Connection, definition: TestDefinition, due: DueTest, *, at: datetime
) -> Shares:
    """Return a test's next policy version, by five statements."""
    counting = _counting(definition, due, at)
    names = list(definition.test.context_attributes or ())
    encoding = learn_encoding(await attribute_summaries(connection, due.id, names))
    variants = [variant.id for variant in definition.variants]
    totals = await context_sums(connection, counting, encoding, variants=variants)
    try:
        posterior = posterior_of(totals, higher_is_better=definition.metrics[0].higher_is_better)
    except EngineError as error:
        return Shares(probabilities=None, reason=str(error))
    contexts = encoding.encode_all(await recent_contexts(connection, due.id, most=CONTEXTS_AVERAGED))
    return next_model(definition, encoding, posterior, contexts)


def posterior_of(totals: LinearTotals, *, higher_is_better: bool) -> LinearPosterior:
    """Return the posterior of each arm; before any unit, an arm is believed to earn what all earn on average.

    Where less is better, a unit's reward is its value taken from 0.
    """
    sign = 1.0 if higher_is_better else -1.0
    rewards = LinearTotals(
        squares=totals.squares,
        products=sign * totals.products,
        squared_rewards=totals.squared_rewards,
        pulls=totals.pulls,
    )
    prior = np.zeros(totals.squares.shape[-1])
    prior[0] = rewards.products[:, 0].sum() / max(float(rewards.pulls.sum()), 1.0)  # the constant's sum is the rewards'
    return fit(rewards, prior=prior)


def next_model(
    definition: TestDefinition, encoding: Encoding, posterior: LinearPosterior, contexts: FloatArray
) -> Shares:
    """Return the version's average shares over contexts, and its model with what estimates need to know of it."""
    model = ContextualModel(encoding=encoding, posterior=posterior, floor=definition.test.floor)
    shares = model.shares(contexts)
    average = shares.mean(axis=0)
    stored = stored_model(encoding, posterior) | {
        "contexts": len(contexts),
        "mean_inverse_shares": [_mean_inverse(column) for column in shares.T],
    }
    probabilities = tuple(float(share) for share in average / average.sum())
    return Shares(probabilities=probabilities, model=stored)


def _counting(definition: TestDefinition, due: DueTest, at: datetime) -> Counting:
    return Counting(
        test_id=due.id,
        at=at,
        policy_version=1 if definition.allocation is None else definition.allocation.policy_version,
        discount=due.discount or 1.0,
        scale=MICROS if definition.metrics[0].kind is MetricKind.REVENUE else 1,
    )


def _mean_inverse(shares: FloatArray) -> float | None:
    """Return the mean of 1 / share over contexts; None where some context leaves an arm no place on the line."""
    return None if float(shares.min()) < 1.0 / POSITIONS else float((1.0 / shares).mean())
