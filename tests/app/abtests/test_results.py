"""Every figure against SciPy, statsmodels or numpy on the raw values of the units, never against our own code."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from app.abtests.analyzing import Asked
from app.abtests.drafting import MetricDraft, VariantDraft
from app.abtests.results import TestResults
from app.store.abtest_rows import TestDefinition
from app.store.models.codes import EventType, MetricKind
from engine.decision import Decision
from engine.frequentist.guardrail import GuardrailStatus

LEVELS = [0.9, 0.95, 0.99, 0.8181]
THREE = (
    VariantDraft(key="a", weight=1 / 3),
    VariantDraft(key="control", weight=1 / 3, is_control=True),
    VariantDraft(key="b", weight=1 / 3),
)


@pytest.fixture
def started(process, by, metrics):
    """Create a test and start it ten days ago."""

    async def started(metric: str = "bought", **given) -> TestDefinition:
        definition = await process.create(metric=metrics[metric], **given)
        at = process.clock.now() - timedelta(days=10)
        return await process.lifecycle.start(definition.test.id, at=at, principal=by)

    return started


@pytest.fixture
def results(process):
    async def results(definition: TestDefinition, **asked) -> TestResults:
        definition = await process.lifecycle.definition(definition.test.id)
        test_id = definition.test.id
        return (await process.services.analyzing.results({test_id: definition}, Asked(**asked)))[test_id]

    return results


def table(values: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([[one.sum(), one.size - one.sum()] for one in values])


async def test_conversion_is_pearsons_test_and_newcombes_interval(started, expose, results, population) -> None:
    definition = await started()
    units = population(600, rates=(0.2, 0.35))
    await expose(definition, units)
    control, treatment = units.of(0, "bought"), units.of(1, "bought")
    reference = stats.chi2_contingency(table([control, treatment]), correction=False)
    for level in LEVELS:
        found = await results(definition, confidence_level=level)
        fixed = found.frequentist
        assert fixed.test == "chi_squared"
        assert (fixed.omnibus.statistic, fixed.omnibus.degrees_of_freedom) == (pytest.approx(reference.statistic), 1)
        assert fixed.p_value == pytest.approx(reference.pvalue)
        assert fixed.significant == (reference.pvalue < 1 - level)
        (one,) = fixed.comparisons
        low, high = confint_proportions_2indep(
            treatment.sum(), treatment.size, control.sum(), control.size, method="newcomb", alpha=1 - level
        )
        assert one.difference.point == pytest.approx(treatment.mean() - control.mean())
        assert (one.difference.low, one.difference.high) == (pytest.approx(low), pytest.approx(high))
    for totals, values in zip(found.totals, (control, treatment), strict=True):
        assert (totals.exposed, totals.converted, totals.multiple_exposed) == (values.size, values.sum(), 0)
        assert totals.mean == pytest.approx(values.mean())
        assert totals.standard_deviation == pytest.approx(values.std(ddof=1))
    betas = [stats.beta(1 + values.sum(), 1 + values.size - values.sum()) for values in (control, treatment)]
    grid = np.linspace(0, 1, 200_001)
    beats = np.trapezoid(betas[1].pdf(grid) * betas[0].cdf(grid), grid)
    posterior = found.bayesian.variants
    assert found.bayesian.model == "beta-binomial"
    assert posterior[1].probability_beats_control == pytest.approx(beats, abs=1e-6)
    assert [one.mean.point for one in posterior] == pytest.approx([beta.mean() for beta in betas])
    assert found.pending is None


@pytest.mark.parametrize("metric", ["opens", "spent"])
async def test_counts_and_revenue_are_welchs_test(started, expose, results, population, metric: str) -> None:
    definition = await started(metric)
    units = population(500, rates=(0.4, 0.7))
    await expose(definition, units)
    control, treatment = units.of(0, metric), units.of(1, metric)
    reference = stats.ttest_ind(treatment, control, equal_var=False)
    for level in LEVELS:
        found = await results(definition, confidence_level=level)
        assert found.frequentist.test == "welch_t"
        assert found.frequentist.p_value == pytest.approx(reference.pvalue)
        (one,) = found.frequentist.comparisons
        interval = reference.confidence_interval(level)
        assert one.difference.point == pytest.approx(treatment.mean() - control.mean())
        assert (one.difference.low, one.difference.high) == pytest.approx((interval.low, interval.high))
    assert [one.mean for one in found.totals] == pytest.approx([control.mean(), treatment.mean()])
    assert [one.standard_deviation for one in found.totals] == pytest.approx(
        [control.std(ddof=1), treatment.std(ddof=1)]
    )
    error = np.sqrt(control.var(ddof=1) / control.size + treatment.var(ddof=1) / treatment.size)
    normal = stats.norm.cdf((treatment.mean() - control.mean()) / error)
    assert found.bayesian.model == {"opens": "gamma-poisson", "spent": "hurdle"}[metric]
    assert found.bayesian.variants[1].probability_beats_control == pytest.approx(normal, abs=0.03)


async def test_a_ratio_is_the_delta_method_on_units(started, expose, results, population) -> None:
    definition = await started("per_click")
    units = population(500, rates=(0.4, 0.7))
    await expose(definition, units)
    ratios, errors = [], []
    for variant in (0, 1):
        amount, clicks = units.of(variant, "spent"), units.clicks[units.variant == variant]
        ratios.append(amount.sum() / clicks.sum())
        linear = (amount - ratios[-1] * clicks) / clicks.mean()
        errors.append(linear.std(ddof=1) / np.sqrt(linear.size))
    error = np.hypot(*errors)
    for level in LEVELS:
        found = await results(definition, confidence_level=level)
        (one,) = found.frequentist.comparisons
        assert found.frequentist.test == "ratio_z"
        assert one.difference.point == pytest.approx(ratios[1] - ratios[0])
        reach = stats.norm.isf((1 - level) / 2) * error
        assert one.difference.high - one.difference.point == pytest.approx(reach)
        assert found.frequentist.p_value == pytest.approx(2 * stats.norm.sf(abs(ratios[1] - ratios[0]) / error))
    assert [one.mean for one in found.totals] == pytest.approx(ratios)
    assert found.bayesian.model == "ratio-normal"


async def test_the_always_valid_interval_is_the_papers(started, expose, results, population) -> None:
    definition = await started("opens", target_sample_size=1_000)
    units = population(600)
    await expose(definition, units)
    control, treatment = units.of(0, "opens"), units.of(1, "opens")
    found = await results(definition)
    # Waudby-Smith and others (2021), Theorem 2.2, for two arms: rho tuned to both arms' target, by their eq. 11
    alpha, n = 0.05, control.size + treatment.size
    log_term = -2 * np.log(alpha)
    r = log_term  # the tuning solves r = log((r + 1) / alpha^2)
    for _ in range(200):
        r = np.log(r + 1) + log_term
    information = r * n / 2_000
    own = control.var(ddof=1) / control.size + treatment.var(ddof=1) / treatment.size
    shared = (control.var(ddof=1) * (control.size - 1) + treatment.var(ddof=1) * (treatment.size - 1)) / (n - 2)
    error = np.sqrt(max(own, shared * (1 / control.size + 1 / treatment.size)))
    half = error * np.sqrt((information + 1) / information * np.log((information + 1) / alpha**2))
    (one,) = found.sequential.comparisons
    assert one.difference.high - one.difference.point == pytest.approx(half)
    fixed = found.frequentist.comparisons[0].difference
    assert half > fixed.high - fixed.point


async def test_segments_sum_to_all_and_each_is_its_own_test(started, expose, results, process, population) -> None:
    definition = await started()
    units = population(600, rates=(0.2, 0.4), segments=("new", "old", ""))
    await expose(definition, units)
    whole = await results(definition)
    assert await process.services.analyzing.segments([definition.test.id]) == {definition.test.id: ["", "new", "old"]}
    parts = [await results(definition, segment=name) for name in ("new", "old", "")]
    for index in (0, 1):
        assert sum(part.totals[index].exposed for part in parts) == whole.totals[index].exposed
        assert sum(part.totals[index].converted for part in parts) == whole.totals[index].converted
    for name, part in zip(("new", "old", ""), parts, strict=True):
        values = [units.of(variant, "bought", name) for variant in (0, 1)]
        reference = stats.chi2_contingency(table(values), correction=False)
        assert part.frequentist.p_value == pytest.approx(reference.pvalue)


@pytest.mark.parametrize("metric", ["bought", "opens", "spent"])
async def test_cuped_takes_out_what_was_there_before(started, expose, results, population, metric: str) -> None:
    definition = await started(metric)
    units = population(600, rates=(0.5, 0.7))
    await expose(definition, units)
    groups = [(units.of(v, metric), units.of(v, metric, before=True)) for v in (0, 1)]
    shared = sum(np.cov(y, x)[0, 1] * (y.size - 1) for y, x in groups)
    spread = sum(x.var(ddof=1) * (x.size - 1) for _, x in groups)
    centre = np.concatenate([x for _, x in groups]).mean()
    control, treatment = (y - shared / spread * (x - centre) for y, x in groups)
    found = await results(definition, adjusted=True)
    reference = stats.ttest_ind(treatment, control, equal_var=False)
    assert found.frequentist.p_value == pytest.approx(reference.pvalue)
    (one,) = found.frequentist.comparisons
    assert one.difference.point == pytest.approx(treatment.mean() - control.mean())
    plain = (await results(definition)).frequentist.comparisons[0].difference
    assert one.difference.high - one.difference.low < plain.high - plain.low
    beats = found.bayesian.variants[1].probability_beats_control
    assert found.bayesian.model == "normal"
    assert beats == pytest.approx(stats.t.cdf(reference.statistic, reference.df), abs=1e-3)


async def test_a_covariate_that_says_nothing_leaves_words_and_the_rest(started, expose, results, population) -> None:
    definition = await started()
    units = population(400, rates=(0.3, 0.5))
    units.purchases_before = [[] for _ in units.purchases]
    await expose(definition, units)
    found = await results(definition, adjusted=True)
    assert (found.frequentist, found.sequential, found.bayesian) == (None, None, None)
    assert "analyse without it" in found.pending
    assert [one.exposed for one in found.totals] == [200, 200]
    assert found.sample_ratio.p_value == pytest.approx(1)
    assert found.verdict.decision is Decision.KEEP_RUNNING


async def test_a_covariate_that_tells_the_metric_is_refused_in_words(started, expose, results, population) -> None:
    definition = await started()
    units = population(400, rates=(0.3, 0.5))
    units.purchases_before = units.purchases
    await expose(definition, units)
    found = await results(definition, adjusted=True)
    assert found.frequentist is None
    assert "tells the metric exactly" in found.pending
    assert (await results(definition)).frequentist is not None


async def test_three_variants_are_compared_at_once(started, expose, results, population) -> None:
    definition = await started(variants=THREE)
    units = population(900, rates=(0.5, 0.3, 0.35))
    await expose(definition, units)
    values = [units.of(variant, "bought") for variant in range(3)]
    found = await results(definition)
    omnibus = stats.chi2_contingency(table(values), correction=False)
    assert found.frequentist.p_value == pytest.approx(omnibus.pvalue)
    assert found.frequentist.omnibus.degrees_of_freedom == 2
    raw = [stats.chi2_contingency(table([values[1], values[i]]), correction=False).pvalue for i in (0, 2)]
    assert [one.p_value for one in found.frequentist.comparisons] == pytest.approx(raw)
    adjusted = multipletests(raw, method="holm")[1]
    assert [one.adjusted_p_value for one in found.frequentist.comparisons] == pytest.approx(adjusted)
    for one, other in zip(found.frequentist.comparisons, (0, 2), strict=True):
        low, high = confint_proportions_2indep(
            values[other].sum(), values[other].size, values[1].sum(), values[1].size, method="newcomb", alpha=0.025
        )
        assert (one.difference.low, one.difference.high) == pytest.approx((low, high))
    assert sum(one.probability_best for one in found.bayesian.variants) == pytest.approx(1, abs=1e-9)
    draws = np.random.default_rng(5).beta(
        [1 + one.sum() for one in values], [1 + one.size - one.sum() for one in values], (400_000, 3)
    )
    best = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert [one.probability_best for one in found.bayesian.variants] == pytest.approx(best, abs=0.004)
    loss = (draws.max(axis=1, keepdims=True) - draws).mean(axis=0)
    assert [one.expected_loss for one in found.bayesian.variants] == pytest.approx(loss, abs=3e-4)
    assert found.bayesian.variants[1].probability_beats_control is None


async def test_less_is_better_where_the_metric_says_so(process, by, expose, results, population) -> None:
    fewer = MetricDraft(key="bought", kind=MetricKind.CONVERSION, event=EventType.CONVERTED, higher_is_better=False)
    opens = MetricDraft(key="opens", kind=MetricKind.COUNT, event=EventType.OPENED, higher_is_better=False)
    definition = await process.create(metric=fewer, guardrails=(opens,))
    at = process.clock.now() - timedelta(days=10)
    definition = await process.lifecycle.start(definition.test.id, at=at, principal=by)
    units = population(1_200, rates=(0.2, 0.6))
    await expose(definition, units)
    found = await results(definition)
    assert (found.verdict.decision, found.verdict.winner) == (Decision.WINNER, 0)
    control, treatment = found.bayesian.variants
    assert control.probability_best > 0.99
    assert treatment.expected_loss == pytest.approx(
        units.of(1, "bought").mean() - units.of(0, "bought").mean(), abs=0.02
    )
    assert treatment.probability_beats_control < 0.01
    ((guarded),) = found.guardrails
    assert guarded.check.difference.point > 0
    assert guarded.check.status is not GuardrailStatus.SAFE


async def test_multiple_exposure_counts_for_the_first_and_warns_from_one_percent(
    started, expose, results, population
) -> None:
    definition = await started()
    units = population(500)
    units.also = {0: 1, 1: 0, 2: 1, 3: 0}
    await expose(definition, units)
    found = await results(definition)
    assert [one.exposed for one in found.totals] == [250, 250]
    assert [one.multiple_exposed for one in found.totals] == [2, 2]
    assert not any("more than one variant" in reason for reason in found.verdict.reasons)
    more = population(500)
    more.also = {4: 1}
    other = await started(key="other")
    more.also = {number: 1 - number % 2 for number in range(5)}
    await expose(other, more)
    assert any(
        reason.startswith("5 units were exposed to more than one variant")
        for reason in (await results(other)).verdict.reasons
    )


async def test_nothing_is_made_up_without_units(started, results) -> None:
    for metric in ("bought", "opens", "spent", "per_click"):
        definition = await started(metric, key=metric, minimum_detectable_effect=0.1)
        for asked in ({}, {"adjusted": metric != "per_click"}, {"segment": "new"}):
            found = await results(definition, **asked)
            assert (found.frequentist, found.sequential, found.bayesian, found.power) == (None,) * 4
            assert found.sample_ratio is None
            assert "wait" in found.pending
            assert [(one.exposed, one.mean, one.standard_deviation) for one in found.totals] == [(0, None, None)] * 2
            assert (found.verdict.decision, found.verdict.agreed) == (Decision.KEEP_RUNNING, False)


@pytest.mark.parametrize("metric", ["bought", "opens", "spent", "per_click"])
async def test_one_side_alone_or_no_outcome_says_what_is_missing(
    started, expose, results, population, metric: str
) -> None:
    definition = await started(metric, minimum_detectable_effect=0.1)
    units = population(40, rates=(0.0, 0.0))
    units.opens, units.opens_before = np.zeros(40, int), np.zeros(40, int)
    one_side = population(20, rates=(0.3,))
    await expose(definition, one_side)
    found = await results(definition)
    assert (found.frequentist, found.sequential, found.bayesian) == (None, None, None)
    assert found.pending
    other = await started(metric, key="none")
    await expose(other, units)
    nothing = await results(other)
    assert (nothing.frequentist, nothing.sequential) == (None, None)
    assert nothing.pending
    assert nothing.verdict.decision is Decision.KEEP_RUNNING
    # the Bayesian school has a prior where it has one: never a certainty out of nothing
    if nothing.bayesian is not None:
        assert 0.2 < nothing.bayesian.variants[1].probability_best < 0.8


async def test_the_expected_shares_are_those_in_force_when_units_came(started, expose, results, process, by) -> None:
    definition = await started()
    process.clock.advance(timedelta(days=1).total_seconds())

    async def come(name: str, control: int, treatment: int) -> None:
        for key, count in (("control", control), ("treatment", treatment)):
            for number in range(count):
                await process.record({"testId": "spring", "variantKey": key, "userId": f"{name}{key}{number}"})

    await come("early", 50, 50)
    process.clock.advance(60)
    await process.lifecycle.set_weights(definition.test.id, {"control": 0.9, "treatment": 0.1}, principal=by)
    process.clock.advance(60)
    await come("late", 90, 10)
    found = await results(definition)
    assert found.sample_ratio.observed == (140, 60)
    assert found.sample_ratio.expected == pytest.approx((140, 60))
    assert found.sample_ratio.p_value == pytest.approx(1)


async def test_power_is_the_textbooks_and_says_what_is_still_needed(started, expose, results, population) -> None:
    definition = await started(minimum_detectable_effect=0.5)
    units = population(400, rates=(0.3, 0.3))
    await expose(definition, units)
    base = units.of(0, "bought").mean()
    lifted, n = base * 1.5, 200
    null = np.sqrt(2 * (base + lifted) / 2 * (1 - (base + lifted) / 2) / n)
    spread = np.sqrt((base * (1 - base) + lifted * (1 - lifted)) / n)
    power = stats.norm.cdf((lifted - base - stats.norm.isf(0.025) * null) / spread)
    found = (await results(definition)).power
    assert found.at_minimum_detectable_effect == pytest.approx(power)
    needed = ((stats.norm.isf(0.025) * null + stats.norm.isf(0.2) * spread) * np.sqrt(n) / (lifted - base)) ** 2
    assert found.remaining_units == 2 * max(0, int(np.ceil(needed)) - n)
    assert found.days_remaining == pytest.approx(found.remaining_units / (400 / 10))


async def test_each_verdict_is_reached(started, expose, results, population) -> None:
    plain = await started(key="winner")
    await expose(plain, population(1_500, rates=(0.2, 0.6)))
    winner = (await results(plain)).verdict
    assert (winner.decision, winner.winner, winner.agreed) == (Decision.WINNER, 1, True)

    same = await started(key="same", baseline=0.26, minimum_detectable_effect=0.5, target_sample_size=700)
    alike = population(1_500, rates=(0.3, 0.3))
    alike.purchases[0::2] = alike.purchases[1::2]
    await expose(same, alike)
    none = (await results(same)).verdict
    assert (none.decision, none.winner) == (Decision.NO_DIFFERENCE, None)
    assert any("within" in reason for reason in none.reasons)

    early = await started(key="early", target_sample_size=10_000)
    await expose(early, population(200, rates=(0.3, 0.35)))
    undecided = (await results(early)).verdict
    assert undecided.decision is Decision.KEEP_RUNNING
    assert any("1% of the planned units" in reason for reason in undecided.reasons)

    skewed = await started(key="skewed")
    units = population(600, rates=(0.2, 0.6))
    units.variant[:200] = 1
    await expose(skewed, units)
    invalid = (await results(skewed)).verdict
    assert (invalid.decision, invalid.winner) == (Decision.INVALID, None)
    assert "Sample ratio mismatch" in invalid.reasons[0]
    counts = np.bincount(units.variant)
    assert (await results(skewed)).sample_ratio.p_value == pytest.approx(stats.chisquare(counts).pvalue)


async def test_a_breached_guardrail_is_no_winner(started, expose, results, population) -> None:
    opens = MetricDraft(key="opens", kind=MetricKind.COUNT, event=EventType.OPENED, margin=0.02)
    definition = await started(guardrails=(opens,))
    units = population(1_500, rates=(0.2, 0.6))
    units.opens = np.where(units.variant == 1, units.opens // 3, units.opens)
    await expose(definition, units)
    found = await results(definition)
    (guarded,) = found.guardrails
    assert guarded.check.status is GuardrailStatus.BREACHED
    assert guarded.check.margin == pytest.approx(0.02 * units.of(0, "opens").mean())
    point = units.of(1, "opens").mean() - units.of(0, "opens").mean()
    assert guarded.check.difference.point == pytest.approx(point)
    assert found.verdict.decision is not Decision.WINNER
    assert any("breaches a guardrail" in reason for reason in found.verdict.reasons)
