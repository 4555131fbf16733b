"""Contextual bandits and what a step knew, as clients see them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.abtests.contextual import model_of
from app.ingestion.batches import read_mappings
from graph.context import Services

type Ask = Callable[..., Awaitable[dict[str, Any]]]

CREATE = """mutation ($input: CreateTestInput!) { createTest(input: $input) {
    test { key floor discount reallocateEveryMinutes contextAttributes allocationPolicy }
    errors { code message path } } }"""
START = """mutation ($at: DateTime) { startTest(id: "spring", at: $at) { errors { message } } }"""
REALLOCATE = """mutation { reallocate(testId: "spring") { errors { code message } allocation {
    policyVersion asOf discount seed watermark model shares { variant { key } probability } } } }"""
ASSIGN = """mutation ($user: ID!, $attributes: JSON, $expose: Boolean) {
    assignUser(testId: "spring", userId: $user, attributes: $attributes, expose: $expose) {
        assignment { variant { key } probability policyVersion } errors { message } } }"""
HISTORY = """{ test(id: "spring") { allocation { policyVersion asOf } allocationHistory { totalCount nodes {
    policyVersion policy floor asOf discount seed watermark model shares { probability } } } } }"""
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


def draft(**given: Any) -> dict[str, Any]:
    return {
        "key": "spring",
        "name": "Spring",
        "variants": [{"key": "a", "weight": 0.5, "isControl": True}, {"key": "b", "weight": 0.5}],
        "metric": {"key": "converted", "kind": "CONVERSION", "event": "CONVERTED"},
        "allocationPolicy": "CONTEXTUAL_THOMPSON",
        "contextAttributes": ["plan"],
    } | given


async def learned(ask: Ask, services: Services, **given: Any) -> None:
    """A test whose pro users convert by b, and whose free ones by a, before its second version."""
    assert (await ask(CREATE, input=draft(**given)))["data"]["createTest"]["errors"] == []
    assert (await ask(START, at=LONG_AGO.isoformat()))["data"]["startTest"]["errors"] == []
    events: list[dict[str, Any]] = []
    for number in range(240):
        plan, key = ("free", "pro")[number % 2], "ab"[number // 2 % 2]
        shared = {"userId": f"u{number}", "occurredAt": LONG_AGO + timedelta(days=1)}
        exposure = {"id": f"e{number}", "type": "EXPOSED", "testId": "spring", "variantKey": key}
        events.append(shared | exposure | {"properties": {"plan": plan}})
        if (plan, key) in (("free", "a"), ("pro", "b")) and number % 3:
            events.append(shared | {"id": f"c{number}", "type": "CONVERTED"})
    receipt = await services.ingestion.record(read_mappings(events))
    assert receipt.rejected == ()


async def test_a_contextual_test_is_created_learns_and_assigns_by_what_is_known(ask: Ask, services: Services) -> None:
    await learned(ask, services, discount=0.9)
    payload = (await ask(REALLOCATE))["data"]["reallocate"]
    allocation = payload["allocation"]
    assert payload["errors"] == []
    assert (allocation["policyVersion"], allocation["discount"], allocation["seed"]) == (2, 0.9, "spring")
    assert sum(share["probability"] for share in allocation["shares"]) == pytest.approx(1.0)
    for plan, key in (("free", "a"), ("pro", "b")):
        answers = [
            (await ask(ASSIGN, user=f"n{number}", attributes={"plan": plan}, expose=False))["data"]["assignUser"]
            for number in range(10)
        ]
        assert [one["errors"] for one in answers] == [[]] * 10
        got = {one["assignment"]["variant"]["key"]: one["assignment"]["probability"] for one in answers}
        assert got[key] == pytest.approx(0.9, abs=0.01)
        own = model_of(allocation["model"], floor=0.1).parts({"plan": plan}).probabilities
        assert got == pytest.approx({k: own["ab".index(k)] for k in got}, abs=1e-12)


async def test_history_shows_what_each_step_knew(ask: Ask, services: Services) -> None:
    await learned(ask, services, discount=0.8, floor=0.05)
    before = datetime.now(UTC)
    await ask(REALLOCATE)
    test = (await ask(HISTORY))["data"]["test"]
    second, first = test["allocationHistory"]["nodes"]
    assert test["allocationHistory"]["totalCount"] == 2
    assert test["allocation"] == {"policyVersion": 2, "asOf": second["asOf"]}
    assert before <= datetime.fromisoformat(second["asOf"]) <= datetime.now(UTC)
    assert (second["discount"], second["floor"], second["seed"]) == (0.8, 0.05, "spring")
    counted = {
        one["variant"]: (one["policy_version"], one["counted"], one["open"]) for one in second["watermark"]["sums"]
    }
    assert counted == {"a": (1, 120, 0), "b": (1, 120, 0)}
    assert [feature["kind"] for feature in second["model"]["features"]] == ["constant", "other", "text", "text"]
    assert (first["asOf"], first["discount"], first["watermark"], first["model"]) == (None, None, None, None)
    assert [share["probability"] for share in first["shares"]] == [0.5, 0.5]


@pytest.mark.parametrize("policy", ["THOMPSON", "FIXED"])
async def test_a_plain_test_has_no_model_and_forgets_nothing_unless_told(ask: Ask, policy: str) -> None:
    given = draft(allocationPolicy=policy, contextAttributes=[])
    created = (await ask(CREATE, input=given))["data"]["createTest"]
    assert created["errors"] == []
    assert created["test"]["discount"] is None
    assert created["test"]["contextAttributes"] == []
    await ask(START, at=LONG_AGO.isoformat())
    await ask(REALLOCATE)
    nodes = (await ask(HISTORY))["data"]["test"]["allocationHistory"]["nodes"]
    assert len(nodes) == (2 if policy == "THOMPSON" else 1)
    assert [(node["discount"], node["model"]) for node in nodes] == [(None, None)] * len(nodes)


async def test_what_a_test_was_created_with_is_shown(ask: Ask) -> None:
    given = draft(discount=0.5, floor=0.2, reallocateEveryMinutes=15, contextAttributes=["plan", "age"])
    assert (await ask(CREATE, input=given))["data"]["createTest"] == {
        "test": {
            "key": "spring",
            "floor": 0.2,
            "discount": 0.5,
            "reallocateEveryMinutes": 15,
            "contextAttributes": ["plan", "age"],
            "allocationPolicy": "CONTEXTUAL_THOMPSON",
        },
        "errors": [],
    }


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ({"contextAttributes": None}, ["contextAttributes"], "name some"),
        ({"allocationPolicy": "THOMPSON"}, ["contextAttributes"], "Only CONTEXTUAL_THOMPSON"),
        ({"allocationPolicy": "FIXED", "contextAttributes": [], "discount": 0.9}, ["discount"], "FIXED"),
        ({"discount": 0}, ["discount"], "above 0"),
        ({"floor": 0.3, "variants": "uneven"}, ["variants", "1", "weight"], "below the floor"),
    ],
)
async def test_bad_input_is_refused_with_words_and_a_path(
    ask: Ask, clean_database: Any, given: dict[str, Any], path: list[str], words: str
) -> None:
    if given.get("variants") == "uneven":
        given["variants"] = [{"key": "a", "weight": 0.8, "isControl": True}, {"key": "b", "weight": 0.2}]
    payload = (await ask(CREATE, input=draft(**given)))["data"]["createTest"]
    assert payload["test"] is None
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID_INPUT", path)]
    assert words in payload["errors"][0]["message"]
    assert await clean_database.fetchval("SELECT count(*) FROM ab_test") == 0


async def test_models_of_a_whole_history_are_one_statement(ask: Ask, services: Services, statements: Any) -> None:
    await learned(ask, services)
    counts = []
    for steps in (1, 4):
        for _ in range(steps):
            await ask(REALLOCATE)
        with statements.watched() as seen:
            answer = await ask(HISTORY)
        assert orjson.dumps(answer["data"]["test"]["allocationHistory"]["nodes"][0]["model"]) != b"null"
        counts.append(len(seen))
    assert counts[0] == counts[1]
