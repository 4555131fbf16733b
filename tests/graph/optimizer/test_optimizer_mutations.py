"""Changing models: tests of amounts, training, and the version that serves."""

from typing import Any

import pytest

from app.auth.principals import Principal, Role

AMOUNTS = """mutation ($input: AmountTestInput!) { createAmountTest(input: $input) {
    test { key name status coverage campaign { key } metric { kind } control { key }
        variants { key weight payload } } errors { code message path } } }"""
GIVEN = {"campaignId": "of-a", "key": "amounts", "amounts": ["2.50", 5, "7.5"], "share": 0.2}


async def tests_there_are(data) -> int:
    return (await data("{ tests { totalCount } }"))["tests"]["totalCount"]


async def test_an_amount_test_is_a_draft_whose_payloads_hold_the_amounts(data, shops) -> None:
    made = (await data(AMOUNTS, input=GIVEN))["createAmountTest"]
    assert made["errors"] == []
    assert made["test"] == {
        "key": "amounts",
        "name": "Amounts of A",
        "status": "DRAFT",
        "coverage": 0.2,
        "campaign": {"key": "of-a"},
        "metric": {"kind": "CONVERSION"},
        "control": {"key": "5.00"},
        "variants": [
            {"key": amount, "weight": pytest.approx(1 / 3), "payload": {"offerAmount": amount}}
            for amount in ("2.50", "5.00", "7.50")
        ],
    }


async def test_it_can_be_started_and_gives_a_user_an_amount(data, shops) -> None:
    await data(AMOUNTS, input=GIVEN | {"share": 1.0})
    await data('mutation { startTest(id: "amounts") { errors { message } } }')
    assigned = await data(
        'mutation { assignUser(testId: "amounts", userId: "ann") { assignment { probability variant { payload } } } }'
    )
    assignment = assigned["assignUser"]["assignment"]
    assert assignment["probability"] == pytest.approx(1 / 3, abs=1e-4)
    assert assignment["variant"]["payload"]["offerAmount"] in {"2.50", "5.00", "7.50"}


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"campaignId": "nowhere"}, "NOT_FOUND", ["campaignId"]),
        ({"amounts": ["1", "2"]}, "INVALID_INPUT", ["amounts"]),
        ({"share": 0.0}, "INVALID_INPUT", ["share"]),
        ({"key": "No key"}, "INVALID_INPUT", ["key"]),
    ],
)
async def test_what_is_refused_leaves_nothing(data, shops, change: dict[str, Any], code: str, path: list[str]) -> None:
    refused = (await data(AMOUNTS, input=GIVEN | change))["createAmountTest"]
    assert refused["test"] is None
    assert [(error["code"], error["path"]) for error in refused["errors"]] == [(code, path)]
    assert await tests_there_are(data) == 0


async def test_a_key_is_taken_once(data, shops) -> None:
    await data(AMOUNTS, input=GIVEN)
    again = (await data(AMOUNTS, input=GIVEN))["createAmountTest"]
    assert [error["code"] for error in again["errors"]] == ["ALREADY_EXISTS"]
    assert await tests_there_are(data) == 1


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_edit_tests_may_make_one(ask, data, shops, role: Role) -> None:
    answer = await ask(AMOUNTS, by=Principal(9, "k", role), input=GIVEN)
    allowed = role in (Role.ADMIN, Role.ANALYST)
    codes = [error["code"] for error in answer["data"]["createAmountTest"]["errors"]]
    assert codes == ([] if allowed else ["NOT_ALLOWED"])
    assert await tests_there_are(data) == int(allowed)


# ------------------------------------------------------------------------------------------------ training

TRAIN = """mutation ($kinds: [ModelKind!]) { trainModels(kinds: $kinds) {
    job { id kind status progress } errors { code message } } }"""
ACTIVATE = """mutation ($id: ID!) { activateModel(id: $id) {
    model { id kind version active } errors { code message path } } }"""


async def train(data, *kinds: str, **given: Any) -> dict[str, Any]:
    return (await data(TRAIN, kinds=list(kinds), **given))["trainModels"]


async def test_training_is_a_job_that_waits_for_a_worker_once(data, clean_database) -> None:
    first, again = await train(data), await train(data)
    assert first["errors"] == again["errors"] == []
    assert (first["job"]["status"], first["job"]["progress"]) == ("QUEUED", 0.0)
    assert again["job"] == first["job"]
    kinds = await clean_database.fetchval("SELECT arguments -> 'kinds' FROM job")
    assert sorted(kinds) == ["AFFINITY", "OFFER", "RESPONSE", "SEND_TIME"]
    followed = await data("query ($id: ID!) { job(id: $id) { status } }", id=first["job"]["id"])
    assert followed["job"] == {"status": "QUEUED"}


async def test_of_some_kinds_only(data, clean_database) -> None:
    job = (await train(data, "SEND_TIME"))["job"]
    other = (await train(data, "OFFER"))["job"]
    assert job["id"] != other["id"]
    assert await clean_database.fetchval("SELECT arguments -> 'kinds' FROM job ORDER BY id LIMIT 1") == ["SEND_TIME"]


async def test_activating_and_going_back(data, learned, shops, clean_database) -> None:
    first = await learned.model("OFFER", version=1)
    second = await learned.model("OFFER", version=2, active=False)
    other = await learned.model("AFFINITY")
    await learned.curve(first, 1, "3.00")
    await learned.curve(second, 1, "8.00")
    amount = '{ campaign(id: "of-a") { offerRecommendation { amount } } }'

    async def activate(model: int) -> dict[str, Any]:
        return (await data(ACTIVATE, id=f"mod_{model}"))["activateModel"]

    forward = await activate(second)
    assert forward == {"model": {"id": "mod_2", "kind": "OFFER", "version": 2, "active": True}, "errors": []}
    assert (await data(amount))["campaign"]["offerRecommendation"] == {"amount": "8.00"}
    back = await activate(first)
    assert back["model"]["active"]
    assert (await data(amount))["campaign"]["offerRecommendation"] == {"amount": "3.00"}
    active = await clean_database.fetch("SELECT id FROM trained_model WHERE active ORDER BY id")
    assert [row["id"] for row in active] == [first, other]
    audited = await clean_database.fetchval("SELECT count(*) FROM audit_entry WHERE action = 'model.activate'")
    assert audited == 2


@pytest.mark.parametrize("id_", ["mod_99", "cmp_1", "x", "mod_0"])
async def test_a_version_that_is_not_there(data, learned, shops, id_: str) -> None:
    await learned.model("OFFER")
    refused = (await data(ACTIVATE, id=id_))["activateModel"]
    assert refused["model"] is None
    assert [(error["code"], error["path"]) for error in refused["errors"]] == [("NOT_FOUND", ["id"])]


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_train_and_activate(ask, learned, shops, clean_database, role: Role) -> None:
    model = await learned.model("OFFER", active=False)
    asked = [
        await ask(TRAIN, by=Principal(9, "k", role)),
        await ask(ACTIVATE, by=Principal(9, "k", role), id=f"mod_{model}"),
    ]
    codes = [[error["code"] for error in next(iter(one["data"].values()))["errors"]] for one in asked]
    allowed = role is Role.ADMIN
    assert codes == ([[], []] if allowed else [["NOT_ALLOWED"], ["NOT_ALLOWED"]])
    assert await clean_database.fetchval("SELECT count(*) FROM job") == int(allowed)
    assert await clean_database.fetchval("SELECT active FROM trained_model") is allowed
