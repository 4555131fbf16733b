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
