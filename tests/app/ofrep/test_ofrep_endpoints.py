"""The OpenFeature door of a real server: answers, refusals, ETags, exposure, and input that means harm."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.auth.principals import Role

SPECIFICATION = Path(__file__).parents[4] / "shared/data/ofrep_spec/openapi.yaml"


# ------------------------------------------------------------------------------------------------ the specification


@pytest.fixture(scope="session")
def conforms():
    """Check a body against a schema of the protocol's own description, where that is there."""
    if not SPECIFICATION.exists():
        pytest.skip("the protocol's openapi.yaml is not on this machine")
    yaml = pytest.importorskip("yaml")
    jsonschema = pytest.importorskip("jsonschema")
    document = yaml.safe_load(SPECIFICATION.read_text())
    _relax_overlaps(document)

    def check(body: Any, schema: str) -> None:
        wanted = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
        jsonschema.Draft202012Validator(wanted).validate(body)

    return check


def _relax_overlaps(node: Any) -> None:
    """A whole number fits the schemas of an integer, of a float and of no value at once: `oneOf` there means anyOf."""
    if isinstance(node, dict):
        if "oneOf" in node:
            node["anyOf"] = node.pop("oneOf")
        for value in node.values():
            _relax_overlaps(value)
    elif isinstance(node, list):
        for value in node:
            _relax_overlaps(value)


async def test_answers_are_as_specified(flags, conforms, payloads) -> None:
    for key in payloads:
        response = await flags.post(key)
        assert response.status_code == 200
        conforms(response.json(), "serverEvaluationSuccess")
    everything = (await flags.post()).json()
    conforms(everything, "bulkEvaluationSuccess")
    for flag in everything["flags"]:
        conforms(flag, "evaluationSuccess")
    conforms((await flags.post("nowhere")).json(), "flagNotFound")
    conforms((await flags.post("of-none", json={})).json(), "evaluationFailure")
    conforms((await flags.post(json={})).json(), "bulkEvaluationFailure")


# ------------------------------------------------------------------------------------------------ one flag


async def test_values_keep_their_types(flags, payloads) -> None:
    for key, payload in payloads.items():
        body = (await flags.post(key)).json()
        expected = body["variant"] if payload is None else payload
        assert (body["value"], type(body["value"])) == (expected, type(expected))
        assert (body["key"], body["reason"]) == (key, "SPLIT")
        assert body["metadata"] == {"policyVersion": 1, "probability": 0.5}
        assert body["variant"] in {"control", "treatment"}


async def test_it_decides_as_the_graph_does(flags) -> None:
    query = """mutation($user: ID!) {
      assignUser(testId: "of-none", userId: $user, expose: false) { assignment { variant { key } } }
    }"""
    for number in range(20):
        user = f"Jürgen 😀 {number}"
        assigned = (await flags.ask(query, user=user))["assignUser"]["assignment"]["variant"]["key"]
        assert (await flags.post("of-none", user=user)).json()["variant"] == assigned


async def test_a_unit_that_is_not_in_the_test_gets_the_controls_value(flags) -> None:
    await flags.start("of-targeted", targeting={"plan": {"$in": ["prö"]}})
    outside = (await flags.post("of-targeted", attributes={"plan": "free"})).json()
    assert (outside["reason"], outside["variant"], outside["value"]) == ("DEFAULT", "control", "control")
    assert outside["metadata"] == {"policyVersion": 1, "inTest": False, "why": "not targeted"}
    assert (await flags.post("of-targeted", attributes={"plan": "prö"})).json()["reason"] == "SPLIT"


async def test_new_weights_are_answered_at_once(flags) -> None:
    await flags.start("of-weights")
    assert {(await flags.post("of-weights", user=f"u{n}")).json()["variant"] for n in range(20)} == {
        "control",
        "treatment",
    }
    await flags.ask(
        """mutation { setWeights(id: "of-weights", weights: [{key: "control", weight: 0},
        {key: "treatment", weight: 1}]) { errors { message } } }"""
    )
    answers = [(await flags.post("of-weights", user=f"u{n}")).json() for n in range(20)]
    assert {one["variant"] for one in answers} == {"treatment"}
    assert answers[0]["metadata"] == {"policyVersion": 2, "probability": 1.0}


async def test_a_paused_flag_keeps_whom_it_exposed(flags) -> None:
    await flags.start("of-paused")
    shown = {f"u{n}": (await flags.post("of-paused", user=f"u{n}", params={"expose": "true"})).json() for n in range(6)}
    await flags.ask('mutation { pauseTest(id: "of-paused") { errors { message } } }')
    for user, answer in shown.items():
        assert (await flags.post("of-paused", user=user)).json() == answer
        bulk = (await flags.post(user=user)).json()["flags"]
        assert answer in bulk
    other = (await flags.post("of-paused", user="new")).json()
    assert (other["reason"], other["metadata"]["why"]) == ("DEFAULT", "not running")


# ------------------------------------------------------------------------------------------------ all flags


async def test_all_flags_come_with_a_tag_that_is_honoured(flags) -> None:
    response = await flags.post()
    assert response.status_code == 200
    keys = [flag["key"] for flag in response.json()["flags"]]
    assert keys == sorted(keys)
    assert {"of-object", "of-none"} <= set(keys)
    tag = response.headers["etag"]
    assert tag[0] == tag[-1] == '"'
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await flags.post(headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await flags.post(headers={"If-None-Match": '"other"'})).status_code == 200


async def test_the_tag_depends_on_whom_and_on_what_is_known_of_them(flags) -> None:
    asked = [{}, {"user": "bob"}, {"attributes": {"plan": "pro"}}, {"attributes": {"plan": "free"}}]
    tags = [(await flags.post(**one)).headers["etag"] for one in asked]
    assert len(set(tags)) == 4
    again = await flags.post(attributes={"plan": "pro"}, headers={"If-None-Match": tags[0]})
    assert again.status_code == 200


async def test_the_tag_changes_with_the_answer(flags) -> None:
    before = (await flags.post()).headers["etag"]
    await flags.start("of-tag")
    response = await flags.post(headers={"If-None-Match": before})
    assert response.status_code == 200
    assert response.headers["etag"] != before
    await flags.ask('mutation { endTest(id: "of-tag") { errors { message } } }')
    assert (await flags.post(headers={"If-None-Match": before})).status_code == 304


# ------------------------------------------------------------------------------------------------ exposure


async def exposed(flags, key: str) -> int:
    data = await flags.ask("query($key: ID!) { test(id: $key) { results { totals { exposed } } } }", key=key)
    return sum(one["exposed"] for one in data["test"]["results"]["totals"])


async def test_evaluating_does_not_expose_unless_it_is_asked_for(flags) -> None:
    await flags.start("of-expose")
    await flags.post("of-expose")
    await flags.post("of-expose", params={"expose": "false"})
    await flags.post("of-expose", headers={"X-Winnow-Expose": "0"}, params={"expose": "true"})
    assert await exposed(flags, "of-expose") == 0
    await flags.post("of-expose", params={"expose": "true"})
    await flags.post("of-expose", headers={"X-Winnow-Expose": "true"})
    assert await exposed(flags, "of-expose") == 1
    await flags.post("of-expose", user="Zoë", headers={"X-Winnow-Expose": "1"})
    await flags.post(user="all flags", params={"expose": "true"})
    assert await exposed(flags, "of-expose") == 3


async def test_an_exposure_that_cannot_be_recorded_is_a_bad_request(flags) -> None:
    response = await flags.post("of-none", user="usr_999999999", params={"expose": "true"})
    assert response.status_code == 400
    body = response.json()
    assert (body["key"], body["errorCode"]) == ("of-none", "INVALID_CONTEXT")
    assert "recorded" in body["errorDetails"]


# ------------------------------------------------------------------------------------------------ who may


async def test_without_a_key_or_with_a_wrong_one(server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as stranger:
        for headers in ({}, {"Authorization": "Bearer wnw_wrong"}, {"X-API-Key": "ü".encode()}):
            for path in ("/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/of-none"):
                body = {"context": {"targetingKey": "ann"}}
                response = await stranger.post(path, json=body, headers=headers)
                assert response.status_code == 401
                assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", list(Role))
async def test_roles(flags, key_of, role: Role) -> None:
    headers = {"Authorization": f"Bearer {await key_of(role)}"}
    allowed = role in {Role.ADMIN, Role.CLIENT}
    for key in ("of-none", None):
        assert (await flags.post(key, headers=headers)).status_code == (200 if allowed else 403)


async def test_too_many_requests_say_when_to_come_back(new_database, start_server) -> None:
    with start_server(await new_database(), WINNOW_REQUESTS_PER_SECOND="0.2", WINNOW_REQUESTS_BURST="3") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as client:
            body = {"context": {"targetingKey": "ann"}}
            answers = [await client.post("/ofrep/v1/evaluate/flags", json=body) for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 5


# ------------------------------------------------------------------------------------------------ bad input


BAD = [
    (b"", "PARSE_ERROR"),
    (b"{", "PARSE_ERROR"),
    (b"\xff\xfe", "PARSE_ERROR"),
    (b'{"context": {"targetingKey": "\xff"}}', "PARSE_ERROR"),
    (b'{"context": {"targetingKey": "\\ud800"}}', "PARSE_ERROR"),
    (b'{"context": {"targetingKey": "a", "x": "\\udc00"}}', "PARSE_ERROR"),
    (b"[" * 100_000, "INVALID_CONTEXT"),
    (b'{"context":{"targetingKey":"a","x":' + b"[" * 100_000, "PARSE_ERROR"),
    (b"null", "INVALID_CONTEXT"),
    (b"[]", "INVALID_CONTEXT"),
    (b"{}", "INVALID_CONTEXT"),
    (b'{"context": null}', "INVALID_CONTEXT"),
    (b'{"context": []}', "INVALID_CONTEXT"),
    (b'{"context": {}}', "TARGETING_KEY_MISSING"),
    (b'{"context": {"targetingKey": ""}}', "TARGETING_KEY_MISSING"),
    (b'{"context": {"targetingKey": null}}', "TARGETING_KEY_MISSING"),
    (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    (b'{"context": {"targetingKey": "a\\u0000"}}', "INVALID_CONTEXT"),
    (b'{"context": {"targetingKey": "' + b"a" * 201 + b'"}}', "INVALID_CONTEXT"),
]


@pytest.mark.parametrize(("content", "code"), BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("key", ["of-none", None])
async def test_bad_requests_name_their_error_and_what_to_do(flags, content: bytes, code: str, key: str | None) -> None:
    response = await flags.post(key, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    body = response.json()
    assert body["errorCode"] == code
    assert len(body["errorDetails"]) > 20
    assert body.get("key") == key


STRANGE = [
    b'{"context":{"targetingKey":"a","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    b'{"context": {"targetingKey": "a", "x": ' + b"9" * 400 + b"}}",
    b'{"context": {"targetingKey": "a", "x": ' + b"[" * 300 + b"]" * 300 + b"}}",
    b'{"context": {"targetingKey": "a", "x": 1e999}}',
    b'{"context": {"targetingKey": "a", "": {}, "\\u0000": 1}, "more": [1]}',
    b'{"context": {"targetingKey": "a", "targetingKey": "b"}}',
    b'{"context": {"targetingKey": "usr_1"}}',
    '{"context": {"targetingKey": "\\ud83d\\ude00", "name": "Zoë"}}'.encode(),
]


@pytest.mark.parametrize("content", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("params", [{}, {"expose": "true"}])
async def test_strange_requests_never_fail_unforeseen(flags, content: bytes, params: dict[str, str]) -> None:
    for key in ("of-none", None):
        for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", "€".encode()):
            response = await flags.post(key, content=content, headers={"Content-Type": content_type}, params=params)
            assert response.status_code in {200, 400}, response.text
            assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "key", ["nowhere", "UPPER", "ünïcode", "%00", "%FF", "a/b", "a%2Fb", "%20", "x" * 5_000, "tst_1"]
)
async def test_a_key_that_no_running_test_has(flags, key: str) -> None:
    response = await flags.post(key)
    assert response.status_code == 404
    assert response.json()["errorCode"] == "FLAG_NOT_FOUND"


async def test_a_body_that_is_too_large(flags) -> None:
    response = await flags.post("of-none", attributes={"x": "a" * 1_100_000})
    assert response.status_code == 413

    async def parts():
        yield b'{"context": {"targetingKey": "a", "x": "'
        for _ in range(20):
            yield b"a" * 100_000
        yield b'"}}'

    response = await flags.client.post("/ofrep/v1/evaluate/flags/of-none", content=parts())
    assert response.status_code == 413


async def test_a_body_in_parts(flags) -> None:
    async def parts():
        for character in json.dumps({"context": {"targetingKey": "ann"}}):
            yield character.encode()

    response = await flags.client.post("/ofrep/v1/evaluate/flags/of-none", content=parts())
    assert response.json() == (await flags.post("of-none")).json()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_other_methods(flags, method: str) -> None:
    response = await flags.client.request(method, "/ofrep/v1/evaluate/flags/of-none")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_requests_are_counted(flags) -> None:
    await flags.post("of-none")
    await flags.post("nowhere")
    text = (await flags.client.get("/metrics")).text
    for status in ("200", "404"):
        line = f'winnow_http_requests_total{{method="POST",route="/ofrep/v1/evaluate/flags/{{key}}",status="{status}"}}'
        assert line in text


async def test_browsers_of_allowed_origins(new_database, start_server) -> None:
    with start_server(await new_database(), WINNOW_ALLOWED_ORIGINS="https://shop.example") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as client:
            asked = {
                "Origin": "https://shop.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,if-none-match",
            }
            preflight = await client.options("/ofrep/v1/evaluate/flags", headers=asked)
            assert preflight.status_code == 200
            assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
            body = {"context": {"targetingKey": "ann"}}
            response = await client.post("/ofrep/v1/evaluate/flags", json=body, headers={"Origin": asked["Origin"]})
            assert "ETag" in response.headers["access-control-expose-headers"]
