"""Which variant a unit gets: by the hash until it is exposed, and the same one ever after."""

import asyncio
from typing import Any

import numpy as np
import pytest

from app.abtests.assigning import NoVariant
from app.abtests.drafting import VariantDraft
from app.errors import DomainErrors, ErrorCode
from engine.assignment.allocation import variant_of_unit, variant_probabilities, variant_table
from engine.assignment.hashing import hash_fraction

USERS = [f"user-{number}" for number in range(400)]


async def decisions(process, test: str = "spring", users=USERS, **attributes: Any) -> dict[str, str | NoVariant | None]:
    found = await asyncio.gather(*(process.assign(user, test, **attributes) for user in users))
    return {one.user_id: one.variant.key if one.variant else one.reason for one in found}


def of(decisions: dict[str, Any], answer: Any) -> set[str]:
    return {user for user, given in decisions.items() if given == answer}


async def test_the_hash_decides_as_growthbook_does(process) -> None:
    await process.running(seed="a seed")
    expected = {user: ("control", "treatment")[hash_fraction(user, seed="a seed") >= 0.5] for user in USERS}
    assert await decisions(process) == expected


async def test_an_unknown_a_draft_and_an_ended_test_are_not_found(process, by) -> None:
    await process.create()
    ended = await process.running(key="over")
    await process.lifecycle.end(ended.test.id, principal=by)
    for reference in ("nowhere", "spring", "over", 99, ended.test.id):
        with pytest.raises(DomainErrors) as refused:
            await process.assign("ann", reference)
        assert [(one.code, one.path) for one in refused.value.problems] == [(ErrorCode.NOT_FOUND, ("testId",))]


async def test_coverage_holdout_and_reasons(process) -> None:
    await process.running(coverage=0.5)
    await process.running(key="held", holdout=0.25)
    covered = await decisions(process)
    fractions = {user: hash_fraction(user, seed="spring") for user in USERS}
    assert of(covered, NoVariant.NOT_COVERED) == {user for user, at in fractions.items() if at % 0.5 >= 0.25}
    held = of(await decisions(process, "held"), NoVariant.HELD_OUT)
    assert held == {user for user in USERS if hash_fraction(user, seed="held-holdout") < 0.25}
    assert 60 < len(held) < 140


async def test_no_unit_is_in_two_tests_of_an_exclusion_group(process) -> None:
    await process.running(key="first", exclusion=("checkout", 0.0, 0.4))
    await process.running(key="second", exclusion=("checkout", 0.4, 1.0))
    await process.running(key="free")
    first, second = await decisions(process, "first"), await decisions(process, "second")
    out = [of(one, NoVariant.EXCLUDED) for one in (first, second)]
    assert out[0] | out[1] == set(USERS)
    assert out[0] & out[1] == set()
    assert 200 < len(out[0]) < 280
    assert of(await decisions(process, "free"), NoVariant.EXCLUDED) == set()


async def test_targeting_looks_at_what_is_given_then_at_what_is_stored(process) -> None:
    await process.running(targeting={"segment": "vip", "age": {"$gte": 18}})
    await process.database.execute(
        "INSERT INTO app_user (external_id, segment, attributes) "
        """VALUES ('known', 'vip', '{"age": 30}'), ('young', 'vip', '{"age": 3}')"""
    )
    assert (await process.assign("known")).variant is not None
    assert (await process.assign("known", age=17)).reason is NoVariant.NOT_TARGETED
    assert (await process.assign("young")).reason is NoVariant.NOT_TARGETED
    assert (await process.assign("young", age=18)).variant is not None
    assert (await process.assign("stranger")).reason is NoVariant.NOT_TARGETED
    assert (await process.assign("stranger", segment="vip", age=18)).variant is not None


@pytest.mark.parametrize("weights", [(1 / 3, 1 / 3, 1 / 3), (0.123456, 0.876544), (0.00001, 0.99999)])
@pytest.mark.parametrize("coverage", [1.0, 0.37])
async def test_the_probability_kept_is_the_exact_share_of_the_table(process, weights, coverage: float) -> None:
    variants = [VariantDraft(key=f"v{n}", weight=weight, is_control=n == 0) for n, weight in enumerate(weights)]
    await process.running(variants=variants, coverage=coverage)
    table = variant_table(weights, coverage=coverage)
    shares = variant_probabilities(table, variants=len(weights))
    for user in USERS[:40]:
        decision = await process.assign(user, expose=True)
        if decision.variant is not None:
            exact = np.count_nonzero(table == decision.variant.position) / np.count_nonzero(table >= 0)
            assert decision.probability == pytest.approx(exact, abs=1e-15)
    kept = await process.database.fetch(
        "SELECT v.position, a.probability, e.probability AS sent FROM ab_test_assignment a "
        "JOIN ab_test_variant v ON v.id = a.variant_id JOIN event e ON e.user_id = a.user_id"
    )
    exact = shares / shares.sum()
    assert kept
    assert all(row["probability"] == row["sent"] == pytest.approx(exact[row["position"]], abs=1e-15) for row in kept)


# ------------------------------------------------------------------------------------------------ sticky


async def test_new_weights_move_nobody_who_was_exposed(process, by) -> None:
    test_id = (await process.running()).test.id
    shown = {}
    for user in USERS[:100]:
        shown[user] = (await process.assign(user, expose=True)).variant.key
    await process.lifecycle.set_weights(test_id, {"control": 0.05, "treatment": 0.95}, principal=by)
    assert await decisions(process, users=USERS[:100]) == shown
    new = variant_of_unit((0.05, 0.95), seed="spring")
    expected = {user: ("control", "treatment")[new(user)] for user in USERS[100:]}
    assert await decisions(process, users=USERS[100:]) == expected
    assert set(shown.values()) == {"control", "treatment"}
    kept = await process.assign(USERS[0])
    assert (kept.exposed_before, kept.policy_version, kept.probability) == (True, 1, 0.5)
    assert (await process.assign(USERS[-1])).policy_version == 2
    assert (await process.totals(test_id))["control"][0] == sum(key == "control" for key in shown.values())


async def test_exposed_it_stays_when_targeting_no_longer_matches(process) -> None:
    await process.running(targeting={"plan": "pro"})
    shown = await process.assign("ann", expose=True, plan="pro")
    again = await process.assign("ann", plan="free")
    assert (again.variant, again.exposed_before) == (shown.variant, True)
    assert (await process.assign("bob", plan="free")).reason is NoVariant.NOT_TARGETED


async def test_paused_it_keeps_the_exposed_and_takes_no_new_ones(process, by) -> None:
    test_id = (await process.running()).test.id
    shown = await process.assign("ann", expose=True)
    seen = await process.assign("bob")
    await process.lifecycle.pause(test_id, principal=by)
    assert (await process.assign("ann")).variant == shown.variant
    assert (await process.assign("bob", expose=True)).reason is NoVariant.NOT_RUNNING
    assert sum(exposed for exposed, _ in (await process.totals(test_id)).values()) == 1
    await process.lifecycle.start(test_id, principal=by)
    assert (await process.assign("bob")).variant == seen.variant


async def test_somebody_elses_decision_is_kept(process) -> None:
    await process.running()
    hashed = await decisions(process)
    contrary = {user: "treatment" if key == "control" else "control" for user, key in hashed.items()}
    for user in USERS[:20]:
        await process.record({"testId": "spring", "userId": user, "variantKey": contrary[user]})
    assert await decisions(process, users=USERS[:20]) == {user: contrary[user] for user in USERS[:20]}
    assert await decisions(process, users=USERS[20:]) == {user: hashed[user] for user in USERS[20:]}


# ------------------------------------------------------------------------------------------------ users' ids


async def test_winnows_own_id_of_a_user_hashes_as_the_callers(process) -> None:
    test_id = (await process.running()).test.id
    numbers = await process.database.fetch(
        "INSERT INTO app_user (external_id) SELECT unnest($1::text[]) RETURNING id, external_id", USERS[:60]
    )
    for row in numbers:
        own, opaque = await process.assign(row["external_id"]), await process.assign(f"usr_{row['id']}", expose=True)
        assert (opaque.user_id, opaque.variant) == (row["external_id"], own.variant)
        assert (await process.assign(row["external_id"], expose=True)).variant == own.variant
    assert sum(exposed for exposed, _ in (await process.totals(test_id)).values()) == 60
    assert await process.database.fetchval("SELECT count(*) FROM event") == 60


async def test_an_external_id_that_looks_like_winnows_comes_first(process) -> None:
    await process.running()
    await process.database.execute("INSERT INTO app_user (id, external_id) VALUES (5, 'ann'), (6, 'usr_5')")
    assert (await process.assign("usr_5")).user_id == "usr_5"
    assert (await process.assign("usr_6")).user_id == "usr_5"
    assert (await process.assign("usr_99999999999999999999")).user_id == "usr_99999999999999999999"


# ------------------------------------------------------------------------------------------------ what it costs


async def test_what_the_hash_knows_is_not_asked_of_the_database(process, statements) -> None:
    await process.running()
    with statements.watched() as seen:
        await decisions(process)
    assert [one for one in seen if "app_user" in one or "WHERE key" in one] == []


async def test_who_asks_at_the_same_time_is_looked_up_together(process, by, statements) -> None:
    test_id = (await process.running()).test.id
    await process.lifecycle.set_weights(test_id, {"control": 0.2, "treatment": 0.8}, principal=by)
    with statements.watched() as seen:
        await decisions(process)
    assert len([one for one in seen if "app_user" in one]) == 1


async def test_a_look_up_that_fails_is_told_to_all_who_wait_and_is_not_kept(process, by) -> None:
    test_id = (await process.running()).test.id
    await process.lifecycle.set_weights(test_id, {"control": 0.2, "treatment": 0.8}, principal=by)
    await process.database.execute("ALTER TABLE ab_test_assignment RENAME TO hidden")
    try:
        failed = await asyncio.gather(*(process.assign(user) for user in USERS[:5]), return_exceptions=True)
    finally:
        await process.database.execute("ALTER TABLE hidden RENAME TO ab_test_assignment")
    assert len(failed) == 5
    assert all(isinstance(one, Exception) and "ab_test_assignment" in str(one) for one in failed)
    assert (await process.assign(USERS[0])).variant is not None
