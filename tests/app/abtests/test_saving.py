"""A saved analysis as JSON: it stands by itself, and gives back what was saved."""

import math
from dataclasses import asdict
from datetime import timedelta
from functools import partial

import numpy as np
import orjson
import pytest

from app.abtests.results import Question, Totals, compute_results
from app.abtests.saving import figures, restored_results, saved_results
from app.abtests.summarising import metric_totals
from engine.bayesian.draws import drawn_density, drawn_posteriors
from engine.bayesian.results import BayesianResult


@pytest.fixture
async def counted(process, by, metrics, expose, population):
    """A test, what is asked of it, and its totals."""
    definition = await process.create(metric=metrics["spent"], guardrails=(metrics["opens"],), target_sample_size=500)
    at = process.clock.now() - timedelta(days=10)
    definition = await process.lifecycle.start(definition.test.id, at=at, principal=by)
    await expose(definition, population(400, rates=(0.5, 0.8)))
    rows = (await process.services.tests.totals([definition.test.id]))[definition.test.id]
    first, second = (metric_totals(definition, metric, rows) for metric in definition.metrics)
    totals = Totals(asked=first, guardrails=(second,), expected_weights=(0.5, 0.5))
    return definition, totals, process.clock.now()


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("adjusted", [False, True])
async def test_it_comes_back_from_json_as_it_was(counted, level: float, adjusted: bool) -> None:
    definition, totals, as_of = counted
    question = Question(metric=definition.metrics[0], level=level, adjusted=adjusted)
    results = compute_results(definition, question, totals, as_of=as_of)
    written = orjson.loads(orjson.dumps(saved_results(results, totals)))
    restored = restored_results(definition, written)
    assert restored == results
    assert written["figures"] == orjson.loads(orjson.dumps(figures(restored)))


async def test_sums_past_what_json_numbers_hold_come_back_whole(counted) -> None:
    definition, totals, as_of = counted
    assert max(row.value_squares for row in totals.asked.rows) > 2**53
    results = compute_results(definition, Question(metric=definition.metrics[0], level=0.95), totals, as_of=as_of)
    written = orjson.loads(orjson.dumps(saved_results(results, totals)))
    assert [int(row["value_squares"]) for row in written["totals"]] == [row.value_squares for row in totals.asked.rows]


async def test_a_pooled_posterior_comes_back_from_its_figures(counted) -> None:
    definition, totals, as_of = counted
    draws = np.random.default_rng(4).normal([20.0, 26.0], [1.0, 1.5], (4_000, 2))
    posterior = BayesianResult(
        model="hierarchical-hurdle",
        level=0.95,
        control=0,
        variants=drawn_posteriors(draws, control=0, level=0.95, higher_is_better=True),
        r_hat=1.002,
        effective_sample_size=1234.5,
    )
    question = Question(metric=definition.metrics[0], level=0.95)
    results = compute_results(definition, question, totals, as_of=as_of, posterior=posterior)
    written = orjson.loads(orjson.dumps(saved_results(results, totals, pooled=True)))
    restored = restored_results(definition, written)
    assert restored == results
    assert restored.bayesian == posterior
    assert asdict(restored.verdict) == asdict(results.verdict)
    kept, drawn = restored.bayesian.variants[1].density(64), partial(drawn_density, draws[:, 1])(64)
    assert kept.x == pytest.approx(drawn.x)
    assert kept.density == pytest.approx(drawn.density)
    fine = restored.bayesian.variants[1].density(500)
    assert math.isclose(np.trapezoid(fine.density, fine.x), 1, abs_tol=0.01)
