"""Contextual bandits on real PostgreSQL: shares by what is known of a unit, and a log from which they can be told."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from app.abtests.contextual import LONGEST_TEXT, context_of, model_of, stored_model
from app.abtests.drafting import MetricDraft, VariantDraft
from app.abtests.replaying import logged_test
from app.errors import DomainErrors
from app.store.abtest_rows import TestDefinition
from app.store.contexts import Counting, attribute_summaries, context_sums
from app.store.exports import ASSIGNMENTS, ExportStore
from app.store.models.codes import AllocationPolicy, EventType, MetricKind
from app.store.policies import PolicyStore
from app.store.unit_rebuilding import UnitRebuilding
from engine.bandits.encoding import AttributeSummary, FeatureKind, learn_encoding
from engine.bandits.inference import BatchLog, Estimator, moments
from engine.bandits.linear import LinearTotals, fit
from engine.bandits.propensities import InverseSums

KEYS = "abc"
THREE = tuple(VariantDraft(key=key, weight=1 / 3, is_control=key == "a") for key in KEYS)
REVENUE = MetricDraft(key="revenue", kind=MetricKind.REVENUE, event=EventType.CONVERTED)
NAMES = ["plan", "age", "member"]
RATES = {"free": (0.6, 0.1, 0.1), "pro": (0.1, 0.6, 0.1), "odd": (0.1, 0.1, 0.6)}
"""What each plan's units convert with, by variant."""


def advance(process: Any, **time: float) -> None:
    process.clock.advance(timedelta(**time).total_seconds())


async def contextual(process: Any, **given: Any) -> TestDefinition:
    defaults = {
        "allocation_policy": AllocationPolicy.CONTEXTUAL_THOMPSON,
        "context_attributes": NAMES,
        "variants": THREE,
    }
    return await process.running(**(defaults | given))


def people(count: int, *, seed: int) -> list[dict[str, Any]]:
    """What is known of units: now and then nothing, or something odd."""
    rng = np.random.default_rng(seed)
    known = [
        {
            "plan": str(rng.choice(list(RATES))),
            "age": round(float(rng.normal(40, 10)), 1),
            "member": bool(rng.random() < 0.3),
        }
        for _ in range(count)
    ]
    for number in range(0, count, 10):
        del known[number]["age"]
    for number in range(5, count, 50):
        known[number] |= {"age": "old", "plan": ["odd"], "member": None}
    return known


async def served(process: Any, units: Sequence[dict[str, Any]], *, name: str, value: float | None = None) -> None:
    """Assign units and expose them; some convert an hour later, by their plan and variant."""
    rng = np.random.default_rng(len(name) + len(units))
    decisions = await asyncio.gather(
        *(process.assign(f"{name}-{number}", expose=True, **known) for number, known in enumerate(units))
    )
    at, outcomes = process.clock.now() + timedelta(minutes=30), []
    for number, (known, decision) in enumerate(zip(units, decisions, strict=True)):
        rate = RATES.get(str(known["plan"]), (0.3, 0.3, 0.3))[decision.variant.position]
        if rng.random() < rate:
            outcomes.append({"type": "CONVERTED", "userId": f"{name}-{number}", "occurredAt": at, "value": value})
    await process.record(*outcomes)


async def stepped(process: Any, definition: TestDefinition) -> TestDefinition:
    """Let all windows close, and make a step."""
    advance(process, days=4)
    assert await process.services.reallocating.reallocate_due() == 1
    return await process.lifecycle.definition(definition.test.id)


async def model(process: Any, definition: TestDefinition) -> dict[str, Any]:
    return (await process.services.tests.models([definition.allocation.id]))[definition.allocation.id]


async def log(process: Any) -> list[dict[str, Any]]:
    rows = await process.database.fetch(
        "SELECT a.*, u.external_id, v.key FROM ab_test_assignment a JOIN app_user u ON u.id = a.user_id "
        "JOIN ab_test_variant v ON v.id = a.variant_id ORDER BY u.external_id"
    )
    return [dict(row) for row in rows]


@pytest.fixture
async def learned(process: Any) -> TestDefinition:
    """A test that has learnt from 600 units, and stands at its second policy version."""
    definition = await contextual(process)
    await served(process, people(600, seed=1), name="first")
    return await stepped(process, definition)


# ------------------------------------------------------------------------------------------------ deciding


async def test_each_unit_gets_what_its_like_convert_by(process: Any, learned: TestDefinition) -> None:
    assert learned.allocation.policy_version == 2
    best = dict(zip(RATES, KEYS, strict=True))
    for plan, key in best.items():
        probabilities = {
            (await process.assign(f"new-{number}", plan=plan, age=40, member=False)).probabilities
            for number in range(20)
        }
        assert len(probabilities) == 1  # one context, one vector
        shares = dict(zip(KEYS, probabilities.pop(), strict=True))
        assert shares[key] > 0.8
        assert min(shares.values()) >= 0.2 / 3 - 1e-4
        assert sum(shares.values()) == pytest.approx(1.0)


async def test_units_are_shared_out_as_their_probabilities_say(process: Any, learned: TestDefinition) -> None:
    decisions = [await process.assign(f"n{number}", plan="pro", age=30, member=True) for number in range(2_000)]
    for position, probability in enumerate(decisions[0].probabilities):
        got = sum(decision.variant.position == position for decision in decisions)
        assert binomtest(got, 2_000, probability).pvalue > 0.001
    assert all(one.probability == one.probabilities[one.variant.position] for one in decisions)
    again = [await process.assign(f"n{number}", plan="pro", age=30, member=True) for number in range(50)]
    assert [one.variant.key for one in again] == [one.variant.key for one in decisions[:50]]


async def test_the_log_says_what_each_unit_was_decided_by(process: Any, learned: TestDefinition) -> None:
    units = people(60, seed=2)
    decisions = [await process.assign(f"second-{n:03}", expose=True, **known) for n, known in enumerate(units)]
    rows = [row for row in await log(process) if row["external_id"].startswith("second")]
    kept = model_of(await model(process, learned), floor=learned.test.floor)
    for row, decision, known in zip(rows, decisions, units, strict=True):
        assert row["policy_version"] == 2
        assert row["context"] == context_of(NAMES, known)
        assert row["context_hash"] is not None
        assert tuple(row["probabilities"]) == decision.probabilities == kept.parts(row["context"]).probabilities
        assert row["probability"] == row["probabilities"][decision.variant.position]
        assert row["key"] == decision.variant.key


async def test_before_there_is_a_model_units_have_the_first_shares_and_a_context(process: Any) -> None:
    await contextual(process)
    decision = await process.assign("ann", expose=True, plan="pro")
    (row,) = await log(process)
    assert decision.probabilities == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=1e-4)
    assert row["context"] == {"plan": "pro", "age": None, "member": None}
    assert (row["policy_version"], tuple(row["probabilities"])) == (1, decision.probabilities)


async def test_what_is_stored_of_a_user_counts_where_nothing_is_given(process: Any, learned: TestDefinition) -> None:
    stored = {"plan": "free", "age": 33}
    await process.database.execute(
        "INSERT INTO app_user (external_id, attributes) VALUES ('eve', $1), ('rob', $1)", stored
    )
    alone = await process.assign("eve", expose=True)
    overlaid = await process.assign("rob", expose=True, plan="pro", member=True)
    assert alone.context == {"plan": "free", "age": 33, "member": None}
    assert overlaid.context == {"plan": "pro", "age": 33, "member": True}
    assert alone.probabilities != overlaid.probabilities
    assert (await process.assign("nobody", expose=True)).context == dict.fromkeys(NAMES)


async def test_an_exposed_unit_keeps_its_variant_whatever_is_known_later(process: Any, learned: TestDefinition) -> None:
    before = [await process.assign(f"k{number}", expose=True, plan="pro") for number in range(30)]
    after = [await process.assign(f"k{number}", plan="free") for number in range(30)]
    assert [one.variant.key for one in after] == [one.variant.key for one in before]
    assert all(one.exposed_before and one.policy_version == 2 for one in after)


@pytest.mark.parametrize("odd", [None, [], {}, "\x00", "\ud800", 10**30, float("nan"), float("-inf"), b"x", object()])
async def test_odd_attributes_never_fail_an_assignment(process: Any, learned: TestDefinition, odd: Any) -> None:
    decision = await process.assign("odd", expose=True, plan=odd, age=odd, member=odd)
    unknown = await process.assign("other", plan=None, age=None, member=None)
    assert decision.context == dict.fromkeys(NAMES)
    assert decision.probabilities == unknown.probabilities


async def test_coverage_holdout_and_targeting_hold_with_a_context(process: Any, by: Any) -> None:
    definition = await contextual(process, coverage=0.5, holdout=0.2, targeting={"plan": {"$ne": "none"}})
    await served_where_covered(process)
    definition = await stepped(process, definition)
    assert definition.allocation.policy_version == 2
    decisions = [await process.assign(f"z{number}", plan="pro", age=40, member=False) for number in range(1_000)]
    reasons = [str(decision.reason) for decision in decisions if decision.variant is None]
    assert binomtest(reasons.count("held out"), 1_000, 0.2).pvalue > 0.001
    assert binomtest(1_000 - len(reasons), 1_000, 0.4).pvalue > 0.001
    assert str((await process.assign("z1", plan="none")).reason) == "not targeted"
    await process.lifecycle.pause(definition.test.id, principal=by)
    assert str((await process.assign("z1", plan="pro")).reason) == "not running"


async def served_where_covered(process: Any) -> None:
    units = enumerate(people(300, seed=9))
    await asyncio.gather(*(process.assign(f"cov-{number}", expose=True, **known) for number, known in units))
    await process.record(
        *(
            {"type": "CONVERTED", "userId": f"cov-{number}", "occurredAt": process.clock.now() + timedelta(minutes=5)}
            for number in range(0, 300, 3)
        )
    )


# ------------------------------------------------------------------------------------------------ exposures sent


async def test_an_exposure_that_names_no_variant_is_decided_in_its_context(
    process: Any, learned: TestDefinition
) -> None:
    await process.database.execute(
        "INSERT INTO app_user (external_id, attributes) VALUES ('stored', $1)", {"plan": "free", "age": 20}
    )
    receipt = await process.record(
        {"userId": "told", "testId": "spring", "properties": {"plan": "pro", "page": "home"}},
        {"userId": "stored", "testId": "spring"},
    )
    assert (receipt.accepted, receipt.rejected) == (2, ())
    rows = {row["external_id"]: row for row in await log(process)}
    told, stored = rows["told"], rows["stored"]
    assert told["context"] == {"plan": "pro", "page": "home", "age": None, "member": None}
    assert stored["context"] == {"plan": "free", "age": 20, "member": None}
    decided = await process.assign("like-told", plan="pro", age=None, member=None)
    assert tuple(told["probabilities"]) == decided.probabilities
    assert stored["probability"] == stored["probabilities"][KEYS.index(stored["key"])]


async def test_an_exposure_that_names_its_variant_is_explained_where_it_can_be(
    process: Any, learned: TestDefinition
) -> None:
    known = {"plan": "pro", "age": 41.5, "member": False}
    decision = await process.assign("app", **known)
    other = next(key for key in KEYS if key != decision.variant.key)
    await process.record(
        {"userId": "app", "testId": "spring", "variantKey": decision.variant.key, "properties": known},
        {"userId": "app2", "testId": "spring", "variantKey": other, "properties": known, "probability": 0.123},
    )
    rows = {row["external_id"]: row for row in await log(process)}
    assert tuple(rows["app"]["probabilities"]) == decision.probabilities
    assert (rows["app"]["probability"], rows["app"]["policy_version"]) == (decision.probability, 2)
    assert rows["app2"]["probabilities"] is None  # somebody else's choice: how it was made is not known
    assert rows["app2"]["context"] == known


# ------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("metric", ["conversion", "revenue"])
@pytest.mark.parametrize("discount", [None, 0.5])
async def test_the_posterior_is_the_regression_of_the_units(
    process: Any, metric: str, better: bool, discount: float | None
) -> None:
    kind = MetricKind.CONVERSION if metric == "conversion" else MetricKind.REVENUE
    chosen = MetricDraft(key="m", kind=kind, event=EventType.CONVERTED, higher_is_better=better)
    definition = await contextual(process, metric=chosen, discount=discount)
    await served(process, people(250, seed=3), name="one", value=12.34)
    definition = await stepped(process, definition)
    await served(process, people(150, seed=4), name="two", value=12.34)
    definition = await stepped(process, definition)
    kept = await model(process, definition)
    encoding = model_of(kept, floor=definition.test.floor).encoding

    rows, values = await log(process), await unit_values(process)
    design = encoding.encode_all([row["context"] for row in rows])
    rewards = np.array([values[row["user_id"]] for row in rows]) / (1 if metric == "conversion" else 1e6)
    rewards = rewards if better else -rewards
    weights = np.array([(discount or 1.0) ** (2 - row["policy_version"]) for row in rows])
    arms = np.array([KEYS.index(row["key"]) for row in rows])
    mean = (weights * rewards).sum() / weights.sum()
    residual = 0.0
    for arm in range(3):
        mine = arms == arm
        root = np.sqrt(weights[mine])[:, None]
        prior = np.zeros(encoding.size)
        prior[0] = mean
        augmented = np.vstack([root * design[mine], np.eye(encoding.size)])
        expected = np.linalg.lstsq(augmented, np.concatenate([root[:, 0] * rewards[mine], prior]))[0]
        assert kept["coefficients"][arm] == pytest.approx(expected, abs=1e-9)
        residual += float((weights[mine] * (rewards[mine] - design[mine] @ expected) ** 2).sum())
    variance = residual / (weights.sum() - 3 * encoding.size)
    mine = arms == 1
    precision = (design[mine].T * weights[mine] @ design[mine] + np.eye(encoding.size)) / variance
    assert np.array(kept["precisions"][1]) == pytest.approx(precision, rel=1e-8, abs=1e-6)


async def unit_values(process: Any) -> dict[int, int]:
    return {row["user_id"]: row["value"] for row in await process.database.fetch("SELECT * FROM unit_metric")}


async def test_sql_and_engine_encode_alike(process: Any) -> None:
    definition = await contextual(process)
    odd = [{"plan": True, "age": "7", "member": 1}, {"plan": 3.5, "age": False, "member": "true"}, {}]
    await served(process, people(120, seed=5), name="u")
    for number, known in enumerate(odd):
        await process.assign(f"w{number}", expose=True, **known)
    # what Winnow itself would not store: a number beyond what is encoded
    await process.database.execute(
        'UPDATE ab_test_assignment SET context = \'{"age": 1e300, "plan": {"a": 1}, "member": [true]}\' '
        "WHERE user_id = (SELECT min(user_id) FROM ab_test_assignment)"
    )
    async with process.database.transaction() as connection:
        summaries = await attribute_summaries(connection, definition.test.id, NAMES)
        encoding = learn_encoding([*summaries, AttributeSummary(name="none", units=123)])
        kinds = {feature.kind for feature in encoding.features}
        assert kinds >= {FeatureKind.NUMBER, FeatureKind.BOOLEAN, FeatureKind.TEXT, FeatureKind.OTHER}
        counting = Counting(test_id=definition.test.id, at=process.clock.now() + timedelta(days=9), policy_version=1)
        variants = [variant.id for variant in definition.variants]
        found = await context_sums(connection, counting, encoding, variants=variants)
    rows, values = await log(process), await unit_values(process)
    expected = LinearTotals.from_units(
        encoding.encode_all([row["context"] for row in rows]),
        np.array([KEYS.index(row["key"]) for row in rows]),
        rewards=np.array([float(values[row["user_id"]]) for row in rows]),
        count=3,
    )
    assert found.pulls.sum() == 123
    for name in ("squares", "products", "squared_rewards", "pulls"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9, err_msg=name)


async def test_a_unit_counts_once_its_window_has_closed_or_it_has_converted(process: Any) -> None:
    definition = await contextual(process)
    await served(process, people(90, seed=6), name="u")
    counting = Counting(test_id=definition.test.id, at=process.clock.now() + timedelta(hours=1), policy_version=1)
    variants = [variant.id for variant in definition.variants]
    async with process.database.transaction() as connection:
        found = await context_sums(connection, counting, learn_encoding([]), variants=variants)
    converted = sum(value > 0 for value in (await unit_values(process)).values())
    assert 0 < converted < 90
    assert found.pulls.sum() == converted
    assert found.products.sum() == converted


async def test_shares_of_a_version_are_the_average_over_units(process: Any, learned: TestDefinition) -> None:
    kept = await model(process, learned)
    units = [row["context"] for row in await log(process)]
    vectors = np.array([model_of(kept, floor=learned.test.floor).parts(context).probabilities for context in units])
    assert learned.allocation.probabilities == pytest.approx(vectors.mean(axis=0), abs=1e-4)
    assert kept["mean_inverse_shares"] == pytest.approx((1 / vectors).mean(axis=0), rel=1e-2)
    assert kept["contexts"] == 600


async def test_too_few_units_make_no_version(process: Any, by: Any) -> None:
    definition = await contextual(process)
    advance(process, days=1)
    assert await process.services.reallocating.reallocate_due() == 1
    with pytest.raises(DomainErrors, match="no more units than coefficients"):
        await process.services.reallocating.reallocate(definition.test.id, principal=by)
    assert (await process.lifecycle.definition(definition.test.id)).allocation.policy_version == 1


async def test_a_contextual_test_and_a_plain_one_step_together(process: Any) -> None:
    first = await contextual(process)
    plain = await process.running(key="plain", allocation_policy=AllocationPolicy.THOMPSON)
    await served(process, people(150, seed=7), name="u")
    advance(process, days=4)
    assert await process.services.reallocating.reallocate_due() == 2
    versions = [(await process.lifecycle.definition(one.test.id)).allocation.policy_version for one in (first, plain)]
    assert versions == [2, 2]


async def test_another_process_decides_by_the_same_model(
    process: Any, learned: TestDefinition, open_process: Any
) -> None:
    async with open_process(process.services.reallocating._broadcast) as other:
        for number, known in enumerate(people(40, seed=8)):
            ours, theirs = [await one.assign(f"both-{number}", **known) for one in (process, other)]
            assert (ours.variant.key, ours.probabilities) == (theirs.variant.key, theirs.probabilities)


# ------------------------------------------------------------------------------------------------ pure


def test_a_model_comes_back_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    encoding = learn_encoding([AttributeSummary(name="x", units=100, numbers=60, mean=1 / 3, deviation=0.1)])
    rows = np.column_stack([np.ones(90), rng.normal(size=(90, encoding.size - 1))])
    posterior = fit(LinearTotals.from_units(rows, np.arange(90) % 2, rewards=rng.normal(size=90), count=2))
    import orjson

    back = model_of(orjson.loads(orjson.dumps(stored_model(encoding, posterior))), floor=0.1)
    assert back.encoding == encoding
    assert (back.posterior.coefficients == posterior.coefficients).all()
    assert (back.posterior.precisions == posterior.precisions).all()


def test_a_context_holds_texts_numbers_and_booleans() -> None:
    known = {"a": "x" * 300, "b": 7, "c": False, "d": None, "e": [1], "more": 1}
    assert context_of(list("abcdef"), known) == {
        "a": "x" * LONGEST_TEXT,
        "b": 7,
        "c": False,
        "d": None,
        "e": None,
        "f": None,
    }


# ------------------------------------------------------------------------------------------------ afterwards


@pytest.fixture
async def shown(process: Any, learned: TestDefinition) -> TestDefinition:
    """A test with two policy versions of units, all windows closed."""
    await served(process, people(500, seed=11), name="later")
    advance(process, days=4)
    return learned


async def test_estimates_weigh_each_unit_by_its_own_probability(process: Any, shown: TestDefinition) -> None:
    found = (await process.services.estimating.estimates({shown.test.id: shown}))[shown.test.id]
    rows, values = await log(process), await unit_values(process)
    ipw = found.estimates[1]
    for arm, key in enumerate(KEYS):
        scores = [(row["key"] == key) * values[row["user_id"]] / row["probability"] for row in rows]
        assert ipw.estimates.values[arm].point == pytest.approx(np.mean(scores), rel=1e-9)
    assert (found.units, found.policy_versions, found.left_out) == (1100, 2, 0)
    expected = log_of_units(shown, rows, values, await model(process, shown))
    best = moments(expected, Estimator.AW_AIPW)
    assert [one.point for one in found.estimates[2].estimates.values] == pytest.approx(best.values.tolist(), rel=1e-9)
    assert all(value.low < 0.27 < value.high for value in found.estimates[2].estimates.values)
    assert "different people" in found.estimates[0].warning


def log_of_units(definition: TestDefinition, rows: list[dict], values: dict[int, int], kept: dict) -> BatchLog:
    """The engine's log, made unit by unit."""
    batches = np.array([row["policy_version"] - 1 for row in rows])
    arms = np.array([KEYS.index(row["key"]) for row in rows])
    rewards = np.array([float(values[row["user_id"]]) for row in rows])
    pulls, earned, shares = np.zeros((2, 3)), np.zeros((2, 3)), np.array([rows[0]["probabilities"]] * 2)
    np.add.at(pulls, (batches, arms), 1.0)
    np.add.at(earned, (batches, arms), rewards)
    shares[0] = definition.control.weight
    shares[1] = 1 / np.array(kept["mean_inverse_shares"])
    propensities = np.array([row["probability"] for row in rows])
    inverse = InverseSums.of_units(batches, arms, rewards=rewards, propensities=propensities, shares=shares)
    even = np.full((2, 3), 1 / 3)
    return BatchLog(probabilities=even, pulls=pulls, rewards=earned, squared_rewards=earned, inverse=inverse)


async def test_units_of_which_nobody_knows_how_they_got_their_variant_are_left_out(
    process: Any, learned: TestDefinition
) -> None:
    known = {"plan": "pro", "age": 41.5, "member": False}
    chosen = (await process.assign("theirs", **known)).variant.key
    other = next(key for key in KEYS if key != chosen)
    await process.record({"userId": "theirs", "testId": "spring", "variantKey": other, "properties": known})
    advance(process, days=4)
    found = (await process.services.estimating.estimates({learned.test.id: learned}))[learned.test.id]
    assert (found.units, found.left_out) == (600, 1)


async def test_the_sample_ratio_is_judged_by_units_own_probabilities(process: Any, shown: TestDefinition) -> None:
    results = (await process.services.analyzing.results({shown.test.id: shown}))[shown.test.id]
    rows = await log(process)
    expected = np.sum([row["probabilities"] for row in rows], axis=0)
    assert results.sample_ratio.expected == pytest.approx(expected.tolist(), rel=1e-9)
    assert results.sample_ratio.observed == tuple(sum(row["key"] == key for row in rows) for key in KEYS)
    assert not results.sample_ratio.mismatch
    # as many units, but each given the variant its like do not want: the check notices
    await process.database.execute(
        "UPDATE ab_test_assignment SET probabilities = ARRAY[0.98, 0.01, 0.01] WHERE policy_version = 2"
    )
    broken = (await process.services.analyzing.results({shown.test.id: shown}))[shown.test.id]
    assert broken.sample_ratio.mismatch


async def test_another_allocation_is_judged_by_units_own_probabilities(process: Any, shown: TestDefinition) -> None:
    credit = (await process.services.crediting.credits({shown.test.id: shown}, [0.0, 1.0, 0.0]))[shown.test.id]
    rows, values = await log(process), await unit_values(process)
    scores = [(row["key"] == "b") * values[row["user_id"]] / row["probability"] for row in rows]
    assert credit.ips.point == pytest.approx(np.mean(scores))


async def test_a_replay_has_each_units_own_vector(process: Any, shown: TestDefinition) -> None:
    found = await logged_test(
        "spring", tests=process.services.tests, policies=PolicyStore(process.database), at=process.clock.now()
    )
    vectors = sorted(tuple(round(share, 6) for share in row["probabilities"]) for row in await log(process))
    assert sorted(tuple(vector) for vector in found.log.probabilities.round(6).tolist()) == vectors


async def test_rebuilt_from_its_events_the_log_is_the_same(process: Any, shown: TestDefinition) -> None:
    found = await UnitRebuilding(process.database).check(shown.test.id)
    assert set(found.values()) == {0}


async def test_an_export_has_each_units_own_vector(process: Any, learned: TestDefinition) -> None:
    decision = await process.assign("exported", expose=True, plan="pro", age=30, member=True)
    pages = ExportStore(process.database).pages(learned.test.id, ASSIGNMENTS)
    rows = {row["user_id"]: row async for page in pages for row in page}
    assert tuple(rows["exported"]["probabilities"]) == decision.probabilities
    assert rows["exported"]["context"] == decision.context
