"""`assignUser` in the graph: the decision, why there is none, and what is refused, without a trace."""

from typing import Any

import pytest

from app.auth.principals import Principal, Role

CREATE = """mutation($input: CreateTestInput!) {
  createTest(input: $input) { test { id } errors { code path message } }
}"""
START = """mutation($id: ID!) { startTest(id: $id) { test { status } errors { code path } } }"""
ASSIGN = """mutation($test: ID!, $user: ID!, $attributes: JSON, $expose: Boolean) {
  assignUser(testId: $test, userId: $user, attributes: $attributes, expose: $expose) {
    assignment { test { key } variant { key payload } userId probability policyVersion assignedAt }
    reason errors { code path message }
  }
}"""
NEW = {
    "key": "spring",
    "name": "Spring",
    "metric": {"key": "converted", "kind": "CONVERSION", "event": "CONVERTED"},
    "variants": [
        {"key": "control", "weight": 0.5, "isControl": True},
        {"key": "treatment", "weight": 0.5, "payload": {"colour": "grün"}},
    ],
}


async def start(ask, **given: Any) -> str:
    created = (await ask(CREATE, input=NEW | given))["data"]["createTest"]
    assert created["errors"] == []
    assert (await ask(START, id=created["test"]["id"]))["data"]["startTest"]["test"] == {"status": "RUNNING"}
    return created["test"]["id"]


async def assign(ask, test: str = "spring", user: str = "Zoë", **given: Any) -> dict[str, Any]:
    return (await ask(ASSIGN, test=test, user=user, **given))["data"]["assignUser"]


async def test_assigned_at_once_after_the_start_by_key_and_by_id(ask, clean_database) -> None:
    test_id = await start(ask)
    by_key = await assign(ask)
    found = by_key["assignment"]
    assert (by_key["reason"], by_key["errors"], found["test"]) == (None, [], {"key": "spring"})
    assert (found["probability"], found["policyVersion"]) == (0.5, 1)
    assert found["variant"]["payload"] == ({"colour": "grün"} if found["variant"]["key"] == "treatment" else None)
    assert (await assign(ask, test_id))["assignment"]["variant"] == found["variant"]
    assert await clean_database.fetchval("SELECT count(*) FROM event") == 1


async def test_not_exposing_stores_nothing(ask, clean_database) -> None:
    await start(ask)
    assert (await assign(ask, expose=False))["assignment"] is not None
    assert await clean_database.fetchval("SELECT count(*) FROM event") == 0
    assert (await assign(ask, expose=None))["assignment"] is not None
    assert await clean_database.fetchval("SELECT count(*) FROM event") == 1


async def test_why_there_is_none(ask, clean_database) -> None:
    await start(ask, targeting={"plan": "pro"})
    refused = await assign(ask, attributes={"plan": "free"})
    assert (refused["assignment"], refused["reason"], refused["errors"]) == (None, "not targeted", [])
    assert (await assign(ask, attributes={"plan": "pro"}))["assignment"] is not None
    await ask('mutation { pauseTest(id: "spring") { errors { code } } }')
    assert (await assign(ask, user="new", attributes={"plan": "pro"}))["reason"] == "not running"


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"test": "nowhere"}, "NOT_FOUND", ["testId"]),
        ({"test": "tst_99"}, "NOT_FOUND", ["testId"]),
        ({"test": "\x00"}, "NOT_FOUND", ["testId"]),
        ({"user": ""}, "INVALID_INPUT", ["userId"]),
        ({"user": "x" * 201}, "INVALID_INPUT", ["userId"]),
        ({"user": "a\x00"}, "INVALID_INPUT", ["userId"]),
        ({"user": "\ud800"}, "INVALID_INPUT", ["userId"]),
        ({"attributes": [1]}, "INVALID_INPUT", ["attributes"]),
        ({"attributes": "x"}, "INVALID_INPUT", ["attributes"]),
        ({"user": "usr_99"}, "INVALID_INPUT", None),
    ],
)
async def test_refused(ask, clean_database, given: dict[str, Any], code: str, path: list[str] | None) -> None:
    await start(ask)
    refused = await assign(ask, **given)
    assert refused["assignment"] is None
    assert [error["code"] for error in refused["errors"]] == [code]
    assert path is None or refused["errors"][0]["path"] == path
    assert await clean_database.fetchval("SELECT count(*) FROM event") == 0


async def test_winnows_own_id_of_a_user(ask, clean_database) -> None:
    await start(ask)
    number = await clean_database.fetchval("INSERT INTO app_user (external_id) VALUES ('Zoë') RETURNING id")
    found = (await assign(ask, user=f"usr_{number}"))["assignment"]
    assert found["userId"] == "Zoë"
    assert (await assign(ask, user="Zoë", expose=False))["assignment"]["variant"] == found["variant"]


@pytest.mark.parametrize("role", list(Role))
async def test_roles(ask, role: Role) -> None:
    await start(ask)
    body = await ask(ASSIGN, by=Principal(3, "x", role), test="spring", user="ann", expose=False)
    if role in {Role.ADMIN, Role.CLIENT}:
        assert body["data"]["assignUser"]["errors"] == []
    else:
        assert "NOT_ALLOWED" in str(body)


async def test_bad_drafts_come_back_with_their_paths(ask, clean_database) -> None:
    bad = NEW | {"name": "", "targeting": {"age": {"$regex": 1}}, "coverage": 2.0}
    created = (await ask(CREATE, input=bad))["data"]["createTest"]
    assert created["test"] is None
    assert {(error["code"], *error["path"]) for error in created["errors"]} == {
        ("INVALID_INPUT", "name"),
        ("INVALID_INPUT", "targeting"),
        ("INVALID_INPUT", "coverage"),
    }
    assert await clean_database.fetchval("SELECT count(*) FROM ab_test") == 0
