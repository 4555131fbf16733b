"""docs/openapi.yaml against the application: the same routes, the same words, and answers as it says."""

import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
import pytest_asyncio
import yaml
from schemathesis import openapi
from starlette.routing import Mount, Route, WebSocketRoute

import app.ofrep.answers as ofrep
from app.abtests.assigning import NoVariant
from app.asgi import create_app
from app.auth.auditing import Audit
from app.auth.keys import KeyRing
from app.auth.principals import Role
from app.auth.refusals import STATUS
from app.errors import ErrorCode
from app.exporting.tests import What
from app.exporting.writing import MEDIA_TYPES, FileFormat
from app.ingestion.batches import MAX_TEXT, IncomingEvent
from app.ingestion.endpoint import MAX_LISTED
from app.ofrep.endpoints import PATH as FLAGS
from app.operations.dashboard import dashboard_routes
from app.runtime.clock import SystemClock
from app.runtime.settings import Settings
from app.store.access import AccessStore
from app.store.database import Database
from app.store.models.codes import Channel, EventType

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
EVENT = {"id": "o1", "type": "SENT", "occurredAt": "2026-01-01T00:00:00Z", "userId": "ann"}
ONE = FLAGS + "/{key}"
EXPORT = "/v1/export/tests/{key}/{file}"
METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> Iterator[tuple[str, str]]:
    return ((method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item)


# ------------------------------------------------------------------------------------------------ the same doors


async def test_each_route_is_in_the_document_and_the_reverse(new_database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(settings: Settings, _clock: object) -> Database:
        return await Database.open(settings.database_url.get_secret_value(), default=False)

    monkeypatch.setattr("app.asgi.open_database", opened)  # another test's may be the process's default
    web = create_app(Settings(database_url=await new_database(), run_worker=False))
    async with web._opened(None):
        routes = web._doors.routes
    pages = {route.path for route in dashboard_routes()}
    served = {("POST", FLAGS), ("POST", ONE)}  # this door stands before the others
    for route in routes:
        if isinstance(route, WebSocketRoute | Mount) or route.path in pages:
            continue
        assert isinstance(route, Route)
        methods = route.methods or ({"GET", "POST"} if route.path == "/graphql" else {"GET"})
        served |= {(method, route.path) for method in methods - {"HEAD"}}
    assert served == set(operations())


def test_it_speaks_the_words_of_the_code() -> None:
    event = SCHEMAS["Event"]
    fields = msgspec.structs.fields(IncomingEvent)
    assert set(event["properties"]) == {field.encode_name for field in fields}
    assert set(event["required"]) == {field.encode_name for field in fields if field.required}
    assert set(event["properties"]["type"]["enum"]) == {kind.name for kind in EventType}
    assert set(event["properties"]["channel"]["enum"]) == {channel.name for channel in Channel if channel} | {None}
    assert SCHEMAS["Name"]["anyOf"][0]["maxLength"] == MAX_TEXT
    assert SCHEMAS["Rejected"]["maxItems"] == MAX_LISTED
    assert set(SCHEMAS["Code"]["enum"]) == set(ErrorCode) == set(STATUS)
    files = {f"{what}.{ending}" for what, ending in itertools.product(What, FileFormat)}
    exported = DOCUMENT["paths"][EXPORT]["get"]
    assert set(exported["parameters"][1]["schema"]["enum"]) == files
    assert set(exported["responses"]["200"]["content"]) == {kind.partition(";")[0] for kind in MEDIA_TYPES.values()}


def test_it_speaks_the_words_of_the_protocol() -> None:
    key = SCHEMAS["EvaluationRequest"]["properties"]["context"]["properties"]["targetingKey"]
    assert key["maxLength"] == ofrep.MAX_TARGETING_KEY
    assert set(SCHEMAS["Evaluation"]["properties"]["metadata"]["anyOf"][1]["properties"]["why"]["enum"]) == set(
        NoVariant
    )
    codes = {ofrep.PARSE_ERROR, ofrep.INVALID_CONTEXT, ofrep.TARGETING_KEY_MISSING, ofrep.FLAG_NOT_FOUND}
    assert set(SCHEMAS["EvaluationFailure"]["properties"]["errorCode"]["enum"]) == codes


# ------------------------------------------------------------------------------------------------ its examples


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Each example with its place and the schema that it is one of."""
    for path, item in DOCUMENT["paths"].items():
        for method in [one for one in METHODS if one in item]:
            operation = item[method]
            for parameter in map(resolved, [*item.get("parameters", ()), *operation.get("parameters", ())]):
                if "example" in parameter:
                    yield f"{path} {parameter['name']}", parameter["schema"], parameter["example"]
            bodies = [("asked", resolved(operation.get("requestBody", {}))), *operation["responses"].items()]
            for name, body in ((name, resolved(body)) for name, body in bodies):
                for media in body.get("content", {}).values():
                    given = [media["example"]] if "example" in media else []
                    given += [example["value"] for example in media.get("examples", {}).values()]
                    for example in given:
                        yield f"{method} {path} {name}", media["schema"], example


@pytest.mark.parametrize(("place", "schema", "example"), list(examples()), ids=lambda value: str(value)[:60])
def test_its_examples_are_what_its_schemas_say(place: str, schema: dict[str, Any], example: Any) -> None:
    del place
    wanted = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(wanted).validate(example)


def test_every_schema_is_one() -> None:
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


# ------------------------------------------------------------------------------------------------ what is answered


class Doors:
    """A running server, every answer of which is held against the document."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._operations = openapi.from_dict(DOCUMENT)

    async def ask(self, method: str, path: str, *, expect: int, of: str | None = None, **given: Any) -> httpx.Response:
        """Ask, and return the answer: its status is `expect`, all else is as the document says of the path `of`."""
        response = await self._client.request(method, path, **given)
        assert response.status_code == expect, response.text
        said = DOCUMENT["paths"][of or path][method.lower()]["responses"]
        assert str(expect) in said, f"{method} {path} answers {expect}, which the document does not say"
        for name, header in resolved(said[str(expect)]).get("headers", {}).items():
            assert not resolved(header).get("required") or name in response.headers, name
        self._operations[of or path][method].validate_response(response)
        return response


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def doors(serve, new_database):
    """A server with a running test `shown`, small limits, and keys by role in its `keys`."""
    url = await new_database()
    with serve(
        url,
        WINNOW_MAX_REQUEST_BYTES="3000",
        WINNOW_MAX_EVENTS_BYTES="3000",
        WINNOW_EVENTS_BURST="100",
        WINNOW_EVENTS_PER_SECOND="20",
    ) as one:
        async with httpx.AsyncClient(base_url=one.url, headers={"X-API-Key": one.key}) as client:
            doors = Doors(client)
            doors.keys = await _keys(url)
            variants = [{"key": key, "weight": 0.5, "isControl": key == "a"} for key in ("a", "b")]
            metric = {"key": "converted", "kind": "CONVERSION", "event": "CONVERTED"}
            given = {"key": "shown", "name": "Shown", "variants": variants, "metric": metric}
            query = "mutation($i: CreateTestInput!) { createTest(input: $i) { errors { message } }"
            query += ' startTest(id: "shown") { errors { message } } }'
            body = {"query": query, "variables": {"i": given}}
            assert '"message"' not in (await doors.ask("POST", "/graphql", expect=200, json=body)).text
            yield doors


async def _keys(url: str) -> dict[Role, str]:
    database = await Database.open(url, default=False)
    store = AccessStore(database)
    ring = KeyRing(store, audit=Audit(store), clock=SystemClock())
    keys = {role: (await ring.create(str(role), role)).key for role in Role}
    await database.close()
    return keys


async def test_flags(doors: Doors) -> None:
    context = {"context": {"targetingKey": "ann"}}
    one = {"method": "POST", "path": FLAGS + "/shown", "of": ONE}
    await doors.ask(**one, expect=200, json=context)
    await doors.ask(**one, expect=200, json=context, params={"expose": "true"})
    await doors.ask(**one, expect=400, content=b"{")
    await doors.ask(**one, expect=400, json={"context": {}})
    await doors.ask(**one, expect=400, json={"context": {"targetingKey": 5}})
    await doors.ask("POST", FLAGS + "/nowhere", of=ONE, expect=404, json=context)
    await doors.ask(**one, expect=413, content=b"x" * 4000)
    answer = await doors.ask("POST", FLAGS, expect=200, json=context)
    await doors.ask("POST", FLAGS, expect=304, json=context, headers={"If-None-Match": answer.headers["etag"]})
    await doors.ask("POST", FLAGS, expect=400, json={})
    for of, path in ((ONE, FLAGS + "/shown"), (FLAGS, FLAGS)):
        await doors.ask("POST", path, of=of, expect=401, json=context, headers={"X-API-Key": "unknown"})
        await doors.ask("POST", path, of=of, expect=401, json=context, headers={"X-API-Key": ""})
        key = {"X-API-Key": doors.keys[Role.ANALYST]}
        await doors.ask("POST", path, of=of, expect=403, json=context, headers=key)


async def test_only_its_own_paths_are_the_flags_door(doors: Doors) -> None:
    for path in (FLAGS + "hown", FLAGS + "-shown", FLAGS + "%2Fshown%2F.."):
        response = await doors._client.post(path, json={"context": {"targetingKey": "ann"}})
        assert response.status_code == 404


async def test_events(doors: Doors) -> None:
    path = "/v1/events"
    line = json.dumps(EVENT).encode()
    answer = await doors.ask("POST", path, expect=200, content=line)
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    numbers = json.dumps(EVENT | {"id": 5, "userId": 6, "value": 12.5}).encode()
    answer = await doors.ask("POST", path, expect=200, content=line + b"\n\nno json\n" + numbers)
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 1)
    assert [rejected["line"] for rejected in answer.json()["rejected"]] == [3]
    packed = {"Content-Encoding": "gzip"}
    await doors.ask("POST", path, expect=200, content=gzip.compress(line), headers=packed)
    await doors.ask("POST", path, expect=400, content=line, headers=packed)
    await doors.ask("POST", path, expect=400, content=line, headers={"Content-Encoding": "br"})
    await doors.ask("POST", path, expect=400, content=b"[" + line + b"]")
    await doors.ask("POST", path, expect=413, content=b"x" * 4000)
    await doors.ask("POST", path, expect=413, content=gzip.compress(b"x" * 500_000), headers=packed)
    await doors.ask("POST", path, expect=401, content=line, headers={"X-API-Key": ""})
    await doors.ask("POST", path, expect=401, content=line, headers={"X-API-Key": "unknown"})
    await doors.ask("POST", path, expect=403, content=line, headers={"X-API-Key": doors.keys[Role.CLIENT]})
    many = b"{}\n" * 900
    sender = {"X-API-Key": doors.keys[Role.SENDER]}
    await doors.ask("POST", path, expect=200, content=many, headers=sender)
    refused = await doors.ask(
        "POST", path, expect=429, content=many, headers=sender
    )  # what came above its burst is owed
    assert int(refused.headers["retry-after"]) >= 1


async def test_exports(doors: Doors) -> None:
    for file in ("assignments.csv", "exposures.parquet", "results.csv"):
        await doors.ask("GET", f"/v1/export/tests/shown/{file}", of=EXPORT, expect=200)
    for path in ("nowhere/results.csv", "shown/results.xml", "shown/nothing.csv"):
        await doors.ask("GET", f"/v1/export/tests/{path}", of=EXPORT, expect=404)
    for key, expect in (("", 401), ("unknown", 401), (doors.keys[Role.CLIENT], 403)):
        await doors.ask(
            "GET", "/v1/export/tests/shown/results.csv", of=EXPORT, expect=expect, headers={"X-API-Key": key}
        )


async def test_the_graph(doors: Doors) -> None:
    query = {"query": "{ __typename }"}
    own = {"Accept": "application/graphql-response+json"}
    for method, given in (("POST", {"json": query}), ("GET", {"params": query})):
        await doors.ask(method, "/graphql", expect=200, **given)
        await doors.ask(method, "/graphql", expect=200, headers=own, **given)
        await doors.ask(method, "/graphql", expect=401, headers={"X-API-Key": ""}, **given)
        await doors.ask(method, "/graphql", expect=406, headers={"Accept": "image/png"}, **given)
        await doors.ask(method, "/graphql/stream", expect=200, headers={"Accept": "text/event-stream"}, **given)
        await doors.ask(method, "/graphql/stream", expect=406, headers={"Accept": "image/png"}, **given)
        await doors.ask(method, "/graphql/stream", expect=401, headers={"X-API-Key": ""}, **given)
    await doors.ask("POST", "/graphql", expect=400, json={"query": "{ nothing }"}, headers=own)
    await doors.ask("POST", "/graphql", expect=400, content=b"{", headers={"Content-Type": "application/json"})
    await doors.ask("POST", "/graphql", expect=415, content=b"{}")
    await doors.ask("POST", "/graphql", expect=413, content=b"x" * 4000)
    await doors.ask("GET", "/graphql", expect=400)
    await doors.ask("GET", "/graphql", expect=200, headers={"Accept": "text/html"})
    mutation = {"query": 'mutation { cancelJob(id: "job_1") { errors { message } } }'}
    await doors.ask("GET", "/graphql", expect=405, params=mutation)
    await doors.ask("POST", "/graphql/stream", expect=400, content=b"{}")
    await doors.ask("POST", "/graphql/stream", expect=413, content=b"x" * 4000)


async def test_probes(doors: Doors) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        await doors.ask("GET", path, expect=200, headers={"X-API-Key": ""})
        await doors.ask("GET", path, expect=401, headers={"X-API-Key": "unknown"})


async def test_other_methods_are_told_which_there_are(doors: Doors) -> None:
    for path, item in DOCUMENT["paths"].items():
        response = await doors._client.request(
            "DELETE", path.replace("{key}", "shown").replace("{file}", "results.csv")
        )
        assert response.status_code == 405
        allowed = {method.strip() for method in response.headers["allow"].split(",")} - {"HEAD"}
        assert allowed == {method.upper() for method in METHODS if method in item}
