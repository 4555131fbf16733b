"""Exposures that name no variant are decided by Winnow; those that name another than its hash are noticed."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from app.runtime.broadcast import LocalBroadcast


class Silent(LocalBroadcast):
    """Announces nothing."""

    async def publish(self, topic: str, ids: Iterable[str]) -> None:
        del topic, ids


USERS = [f"user-{number}" for number in range(30)]


async def variants_of_events(process) -> dict[str, tuple[str, float]]:
    rows = await process.database.fetch(
        "SELECT u.external_id, v.key, e.probability FROM event e JOIN app_user u ON u.id = e.user_id "
        "JOIN ab_test_variant v ON v.id = e.variant_id"
    )
    return {row["external_id"]: (row["key"], row["probability"]) for row in rows}


async def decided_elsewhere(process) -> bool:
    return await process.database.fetchval("SELECT bool_or(decided_elsewhere) FROM ab_test")


async def test_an_exposure_without_a_variant_gets_the_hashs(process) -> None:
    definition = await process.running()
    receipt = await process.record(*({"testId": "spring", "userId": user} for user in USERS))
    assert (receipt.accepted, receipt.rejected) == (30, ())
    expected = {user: ((await process.assign(user)).variant.key, 0.5) for user in USERS}
    assert await variants_of_events(process) == expected
    assert not await decided_elsewhere(process)
    assert sum(exposed for exposed, _ in (await process.totals(definition.test.id)).values()) == 30


async def test_an_exposed_unit_keeps_its_variant(process, by) -> None:
    test_id = (await process.running()).test.id
    shown = [(await process.assign(user, expose=True)).variant.key for user in USERS]
    await process.lifecycle.set_weights(test_id, {"control": 0.0, "treatment": 1.0}, principal=by)
    process.clock.advance(60)
    await process.record(*({"testId": "spring", "userId": user} for user in USERS))
    rows = await process.database.fetch(
        "SELECT u.external_id, count(DISTINCT e.variant_id) AS variants, count(*) AS events "
        "FROM event e JOIN app_user u ON u.id = e.user_id GROUP BY 1"
    )
    assert {(row["variants"], row["events"]) for row in rows} == {(1, 2)}
    assert set(shown) == {"control", "treatment"}


@pytest.mark.parametrize("status", ["DRAFT", "ENDED"])
async def test_a_test_that_does_not_run_decides_nothing(process, by, status: str) -> None:
    test_id = (await process.create()).test.id
    if status == "ENDED":
        await process.lifecycle.start(test_id, principal=by)
        await process.lifecycle.end(test_id, principal=by)
    receipt = await process.record({"testId": "spring"})
    assert [(one.rejection.reason.name, one.rejection.field) for one in receipt.rejected] == [
        ("NOT_IN_TEST", "variantKey")
    ]
    assert await variants_of_events(process) == {}


async def test_a_unit_outside_the_test_is_told_why(process) -> None:
    await process.running(targeting={"plan": "pro"})
    receipt = await process.record({"testId": "spring"})
    assert "not targeted" in receipt.rejected[0].rejection.message


async def test_the_opaque_id_of_a_user_is_decided_as_its_own(process) -> None:
    await process.running()
    rows = await process.database.fetch(
        "INSERT INTO app_user (external_id) SELECT unnest($1::text[]) RETURNING id, external_id", USERS
    )
    await process.record(*({"testId": "spring", "userId": f"usr_{row['id']}"} for row in rows))
    expected = {user: ((await process.assign(user)).variant.key, 0.5) for user in USERS}
    assert await variants_of_events(process) == expected
    named = [
        {"testId": "spring", "userId": f"usr_{row['id']}", "variantKey": expected[row["external_id"]][0]}
        for row in rows
    ]
    await process.record(*named)
    assert not await decided_elsewhere(process)


async def test_the_hashs_own_choice_named_by_a_sender_is_nothing_foreign(process) -> None:
    await process.running()
    for user in USERS:
        key = (await process.assign(user)).variant.key
        await process.record({"testId": "spring", "userId": user, "variantKey": key})
    assert not await decided_elsewhere(process)


async def test_another_choice_is_noticed(process) -> None:
    await process.running()
    key = (await process.assign("ann")).variant.key
    await process.record({"testId": "spring", "variantKey": "control" if key == "treatment" else "treatment"})
    assert await decided_elsewhere(process)


async def test_another_choice_is_kept_at_once_announced_or_not(process, clean_database, open_process) -> None:
    await process.running()
    async with open_process(Silent()) as other:
        key = (await other.assign("ann")).variant.key
        contrary = "control" if key == "treatment" else "treatment"
        await other.record({"testId": "spring", "variantKey": contrary})
        assert (await other.assign("ann")).variant.key == contrary


async def test_exposures_before_a_start_may_be_anybodys(process, by) -> None:
    test_id = (await process.create()).test.id
    at = process.clock.now() - timedelta(hours=1)
    shown = {user: ("control", "treatment")[number % 2] for number, user in enumerate(USERS)}
    await process.record(
        *({"testId": "spring", "userId": user, "variantKey": key, "occurredAt": at} for user, key in shown.items())
    )
    await process.lifecycle.start(test_id, at=at, principal=by)
    assert {user: (await process.assign(user)).variant.key for user in USERS} == shown


async def test_the_hashs_choice_is_kept_with_its_exact_probability_anothers_with_the_weight(process, by) -> None:
    test_id = (await process.running()).test.id
    await process.lifecycle.set_weights(test_id, {"control": 0.12344, "treatment": 0.87656}, principal=by)
    hashed = {user: (await process.assign(user)).variant.key for user in USERS}
    ours = [user for user in USERS if hashed[user] == "control"][:2]
    theirs = next(user for user in USERS if hashed[user] == "treatment")
    await process.record(
        {"testId": "spring", "userId": ours[0], "variantKey": "control"},
        {"testId": "spring", "userId": ours[1], "variantKey": "control", "probability": 0.9},
        {"testId": "spring", "userId": theirs, "variantKey": "control"},
    )
    rows = await process.database.fetch(
        "SELECT u.external_id, a.probability FROM ab_test_assignment a JOIN app_user u ON u.id = a.user_id"
    )
    assert {row["external_id"]: row["probability"] for row in rows} == {
        ours[0]: 0.1235,  # positions 0 to 1,234 of 10,000 lie below 0.12344
        ours[1]: 0.9,
        theirs: 0.12344,
    }


# ------------------------------------------------------------------------------------------------ policy versions


async def kept(process) -> dict[str, tuple[str, float, int]]:
    rows = await process.database.fetch(
        "SELECT u.external_id, v.key, a.probability, a.policy_version FROM ab_test_assignment a "
        "JOIN app_user u ON u.id = a.user_id JOIN ab_test_variant v ON v.id = a.variant_id"
    )
    return {row["external_id"]: (row["key"], row["probability"], row["policy_version"]) for row in rows}


async def test_until_a_process_hears_of_a_new_version_its_record_names_the_one_before(
    process, open_process, by
) -> None:
    test_id = (await process.running()).test.id
    async with open_process(Silent()) as late:
        await process.lifecycle.set_weights(test_id, {"control": 0.1, "treatment": 0.9}, principal=by)
        process.clock.advance(1)
        for user in USERS:  # decided by the old shares, after the new ones were made
            await late.assign(f"shown-{user}", expose=True)
        await late.record(*({"testId": "spring", "userId": f"sent-{user}"} for user in USERS))
        named = {user: (await late.assign(f"named-{user}")).variant.key for user in USERS}
        await late.record(
            *({"testId": "spring", "userId": f"named-{user}", "variantKey": key} for user, key in named.items())
        )
        for user in USERS:
            await process.assign(f"heard-{user}", expose=True)
    found = await kept(process)
    assert len(found) == 4 * len(USERS)
    for user, (key, probability, version) in found.items():
        shares = (
            {"control": 0.1, "treatment": 0.9}
            if user.startswith("heard")
            else dict.fromkeys(("control", "treatment"), 0.5)
        )
        assert (probability, version) == (shares[key], 2 if user.startswith("heard") else 1), user


async def test_a_sender_says_by_which_version_its_variant_was_chosen(process, by) -> None:
    test_id = (await process.running()).test.id
    before = {user: await process.assign(user) for user in USERS}
    await process.lifecycle.set_weights(test_id, {"control": 0.1, "treatment": 0.9}, principal=by)
    process.clock.advance(1)
    await process.record(
        *(
            {"testId": "spring", "userId": user, "variantKey": one.variant.key, "policyVersion": one.policy_version}
            for user, one in before.items()
        ),
        {"testId": "spring", "userId": "unknown-version", "variantKey": "control", "policyVersion": 99},
    )
    found = await kept(process)
    assert found.pop("unknown-version")[2] == 2  # there is none of this number: that of its time
    assert found == {user: (one.variant.key, 0.5, 1) for user, one in before.items()}


@pytest.mark.parametrize("version", [0, -1, 2**31, "1.5", "two"])
async def test_a_policy_version_is_a_whole_number_from_1(process, version: object) -> None:
    await process.running()
    receipt = await process.record({"testId": "spring", "variantKey": "control", "policyVersion": version})
    assert [(one.rejection.field, "from 1 on" in one.rejection.message) for one in receipt.rejected] == [
        ("policyVersion", True)
    ]
    assert await kept(process) == {}
