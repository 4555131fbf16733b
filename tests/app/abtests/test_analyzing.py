"""Analyses saved as history: what was shown then is what is shown later."""

from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec

import numpy as np
import pytest

from app.abtests.analyzing import Analyzing, Asked, saved_analysis
from app.abtests.saving import figures
from app.auth.auditing import Audit
from app.errors import DomainErrors, InvalidInput, NotEnoughData, NotFound, Unavailable
from app.runtime.compute import InlineCompute
from app.store.access import AccessStore
from engine.errors import NotConverged

WEEK = 7


@pytest.fixture
def begun(process, by, metrics, expose, population):
    """Start a test ten days ago and expose units to it."""

    async def begun(size: int = 400, *, metric: str = "bought", key: str = "spring", units=None, **given):
        definition = await process.create(key=key, metric=metrics[metric], **given)
        at = process.clock.now() - timedelta(days=10)
        definition = await process.lifecycle.start(definition.test.id, at=at, principal=by)
        await expose(definition, units or population(size, rates=(0.3, 0.5)))
        return definition

    return begun


async def history(process, definition):
    page = (await process.services.test_lists.analyses([definition.test.id]))[definition.test.id]
    return page.rows


@pytest.mark.parametrize("metric", ["bought", "opens", "spent", "per_click"])
async def test_a_saved_analysis_is_shown_as_it_was(process, by, begun, expose, population, metrics, metric) -> None:
    guardrail = replace(metrics["opens"], key="guard")
    definition = await begun(
        metric=metric, guardrails=(guardrail,), target_sample_size=900, minimum_detectable_effect=0.2
    )
    analyzing = process.services.analyzing
    saved = await analyzing.analyze(definition.test.id, principal=by)
    then = (await analyzing.results({definition.test.id: definition}))[definition.test.id]
    assert figures(saved.results) == figures(then)
    assert (saved.requested_by, saved.hierarchical) == ("7 ann", False)

    # afterwards: more events, another target, another effect, and the test's end
    more = population(500, rates=(0.9, 0.1), seed=9)
    await expose(definition, more)
    await process.database.execute(
        "UPDATE ab_test SET target_sample_size = 5, minimum_detectable_effect = 0.9, power = 0.5, "
        "confidence_level = 0.6"
    )
    process.clock.advance(WEEK * 86_400)
    ended = await analyzing.end(definition.test.id, principal=by)
    now = (await analyzing.results({ended.test.id: ended}))[ended.test.id]
    assert figures(now)["totals"] != figures(then)["totals"]

    last, first = [saved_analysis(ended, row) for row in await history(process, ended)]
    assert figures(first.results) == figures(then)
    assert first.results.as_of == then.as_of
    assert figures(last.results)["totals"] == figures(now)["totals"]


async def test_the_last_analysis_is_of_what_counts_in_the_end(process, by, begun) -> None:
    definition = await begun(100)
    test_id = definition.test.id
    ahead = process.clock.now() + timedelta(seconds=20)  # a sender's clock that is ahead
    await process.record({"testId": "spring", "variantKey": "control", "userId": "ahead", "occurredAt": ahead})
    ended = await process.services.analyzing.end(test_id, principal=by)
    (row,) = await history(process, ended)
    counted = [one["exposed"] for one in row.results["figures"]["totals"]]
    assert counted == [50, 50]
    totals = await process.totals(test_id)
    assert [totals["control"][0], totals["treatment"][0]] == counted


async def test_what_cannot_end_leaves_no_analysis(process, by, begun, stored) -> None:
    definition = await begun(20)
    draft = await process.create(key="draft")
    analyzing = process.services.analyzing
    await analyzing.end(definition.test.id, principal=by)
    before = await stored()
    for test_id, winner in ((definition.test.id, None), (draft.test.id, None), (draft.test.id, 10**9), (10**9, None)):
        with pytest.raises(DomainErrors):
            await analyzing.end(test_id, winner_id=winner, principal=by)
    with pytest.raises(DomainErrors, match="start the test first"):
        await analyzing.analyze(draft.test.id, principal=by)
    with pytest.raises(DomainErrors):
        await analyzing.analyze(10**9, principal=by)
    with pytest.raises(NotFound, match="no metric"):
        await analyzing.analyze(definition.test.id, principal=by, asked=Asked(metric_key="nonsense"))
    assert await stored() == before


async def test_an_analysis_is_audited_with_its_decision(process, by, begun) -> None:
    definition = await begun(60)
    saved = await process.services.analyzing.analyze(definition.test.id, principal=by)
    entry = await process.database.fetchrow("SELECT * FROM audit_entry WHERE action = 'test.analyze'")
    assert (entry["actor"], entry["subject_kind"], entry["subject_id"]) == ("7 ann", "test", str(definition.test.id))
    assert entry["after"] == {"analysis": saved.id, "decision": "keep_running"}


async def test_one_tests_refusal_does_not_fail_the_others(process, begun, metrics) -> None:
    one = await begun(60, key="one", guardrails=(metrics["opens"],))
    two = await begun(60, key="two", metric="per_click")
    both = {one.test.id: one, two.test.id: two}
    analyzing = process.services.analyzing
    by_metric = await analyzing.attempts(both, Asked(metric_key="opens"))
    assert by_metric[one.test.id].question.metric.key == "opens"
    assert isinstance(by_metric[two.test.id], NotFound)
    adjusted = await analyzing.attempts(both, Asked(adjusted=True))
    assert adjusted[one.test.id].question.adjusted
    assert isinstance(adjusted[two.test.id], InvalidInput)
    with pytest.raises(InvalidInput, match="leave `adjusted` out"):
        await analyzing.results(both, Asked(adjusted=True))
    by_segment = await analyzing.attempts(both, Asked(segment="elsewhere"))
    assert {type(answer) for answer in by_segment.values()} == {NotFound}


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0, float("nan")])
async def test_a_level_is_a_fraction(process, begun, level: float) -> None:
    definition = await begun(10)
    with pytest.raises(InvalidInput, match=r"0\.95 for 95 percent") as refused:
        await process.services.analyzing.results({definition.test.id: definition}, Asked(confidence_level=level))
    assert refused.value.path == ("confidenceLevel",)


# ------------------------------------------------------------------------------------------------ hierarchical


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pymc") is None, reason="the models extra is not installed")
async def test_segments_are_pooled_in_a_worker_and_kept_as_they_were(process, by, begun, expose, population) -> None:
    units = population(4_000, rates=(0.25, 0.45), segments=("new", "old", "rare"))
    definition = await begun(units=units)
    analyzing = process.services.analyzing
    saved = await analyzing.analyze(definition.test.id, hierarchical=True, principal=by)
    bayesian = saved.results.bayesian
    assert saved.hierarchical
    assert bayesian.model == "hierarchical"
    assert bayesian.r_hat <= 1.01
    assert bayesian.effective_sample_size >= 400
    rates = [units.of(variant, "bought").mean() for variant in (0, 1)]
    assert [one.mean.point for one in bayesian.variants] == pytest.approx(rates, abs=0.02)
    assert bayesian.variants[1].probability_beats_control > 0.99
    density = bayesian.variants[1].density(64)
    assert np.trapezoid(density.density, density.x) == pytest.approx(1, abs=0.01)

    more = population(400, rates=(0.9, 0.0), seed=3)
    await expose(definition, more)
    (row,) = await history(process, definition)
    again = saved_analysis(definition, row)
    assert figures(again.results) == figures(saved.results)
    assert again.results.bayesian.variants[1].density(64).density.tolist() == density.density.tolist()
    assert again.results.verdict == saved.results.verdict
    assert len(again.results.bayesian.variants[0].density(10).x) == 10


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pymc") is None, reason="the models extra is not installed")
async def test_revenue_is_pooled_with_its_zeros(process, by, begun, population) -> None:
    units = population(3_000, rates=(0.4, 0.7), segments=("new", "old"))
    definition = await begun(metric="spent", units=units)
    saved = await process.services.analyzing.analyze(definition.test.id, hierarchical=True, principal=by)
    bayesian = saved.results.bayesian
    assert bayesian.model == "hierarchical-hurdle"
    means = [units.of(variant, "spent").mean() for variant in (0, 1)]
    for one, mean in zip(bayesian.variants, means, strict=True):
        assert one.mean.point == pytest.approx(mean, rel=0.1)
        assert one.mean.low < mean < one.mean.high
    assert bayesian.variants[1].probability_beats_control > 0.99


@pytest.mark.parametrize(
    ("metric", "segments", "says", "error"),
    [
        ("opens", ("new",), "not COUNT", InvalidInput),
        ("per_click", ("new",), "not RATIO", InvalidInput),
        ("bought", tuple(f"s{number}" for number in range(60)), "120 cells", InvalidInput),
    ],
)
async def test_what_is_not_pooled_is_refused_without_a_trace(
    process, by, begun, population, stored, metric, segments, says, error
) -> None:
    definition = await begun(metric=metric, units=population(2_000, segments=segments))
    before = await stored()
    with pytest.raises(DomainErrors, match=says) as refused:
        await process.services.analyzing.analyze(definition.test.id, hierarchical=True, principal=by)
    assert [type(problem) for problem in refused.value.problems] == [error]
    assert await stored() == before


async def test_nobody_exposed_is_not_enough_to_pool(process, by, begun, population) -> None:
    definition = await begun(units=population(0))
    with pytest.raises(DomainErrors, match="wait") as refused:
        await process.services.analyzing.analyze(definition.test.id, hierarchical=True, principal=by)
    assert isinstance(refused.value.problems[0], NotEnoughData)


class WorkerThatRaises(InlineCompute):
    """A worker whose work ends in an error, as it would where PyMC is missing or does not converge."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, function, /, *args, **kwargs):
        raise self._error


def with_compute(process, compute):
    return Analyzing(
        process.database,
        tests=process.services.tests,
        lifecycle=process.lifecycle,
        audit=Audit(AccessStore(process.database)),
        clock=process.clock,
        compute=compute,
    )


async def test_draws_that_did_not_converge_are_not_reported(process, by, begun, stored) -> None:
    definition = await begun(100)
    before = await stored()
    analyzing = with_compute(process, WorkerThatRaises(NotConverged("The sampler did not converge: wait for more.")))
    with pytest.raises(DomainErrors, match="did not converge") as refused:
        await analyzing.analyze(definition.test.id, hierarchical=True, principal=by)
    assert isinstance(refused.value.problems[0], NotEnoughData)
    assert await stored() == before


async def test_a_missing_extra_says_what_to_install(process, by, begun, stored) -> None:
    definition = await begun(100)
    before = await stored()
    analyzing = with_compute(process, WorkerThatRaises(ModuleNotFoundError("No module named 'pymc'", name="pymc")))
    with pytest.raises(Unavailable, match=r"winnow\[models\]"):
        await analyzing.analyze(definition.test.id, hierarchical=True, principal=by)
    assert await stored() == before
