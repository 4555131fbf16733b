"""Keys stay out of logs, answers and spans, wherever a caller puts them, and whatever goes wrong."""

import io
import json
import logging

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from app.auth.keys import KEY_PREFIX
from app.operations.access_log import access_log
from app.operations.observing import ObservingMiddleware, RequestMeasures
from app.runtime.clock import SystemClock
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
from app.runtime.tracing import tracing

SECRET = KEY_PREFIX + "SecretSecretSecretSecretSecret0123456789"
DOORS = [
    "/graphql",
    "/graphql/stream",
    "/v1/events",
    "/ofrep/v1/evaluate/flags/a",
    "/v1/export/tests/t/results.csv",
    "/x",
]
MISUSES = {
    "as a bearer": {"headers": {"Authorization": f"Bearer {SECRET}"}},
    "as a basic password": {"headers": {"Authorization": f"Basic {SECRET}"}},
    "with a word too many": {"headers": {"Authorization": f"Bearer {SECRET} {SECRET}"}},
    "in the header for keys": {"headers": {"X-API-Key": SECRET}},
    "as the request's id": {"headers": {"X-Request-ID": SECRET}},
    "as a media type": {"headers": {"Accept": SECRET, "Content-Type": SECRET}},
    "as a packing": {"headers": {"Content-Encoding": SECRET}},
    "as an origin": {"headers": {"Origin": f"https://{SECRET}"}},
    "as a trace": {"headers": {"Traceparent": SECRET, "User-Agent": SECRET, "Referer": f"https://x/{SECRET}"}},
    "as a cookie": {"headers": {"Cookie": f"key={SECRET}"}},
    "in the address": {"params": {"key": SECRET, "query": SECRET, "variables": SECRET, "operationName": SECRET}},
    "in the body": {"content": json.dumps({"key": SECRET, "query": f'{{ campaign(id: "{SECRET}") {{ id }} }}'})},
    "as the body": {"content": SECRET},
    "as an event": {"content": json.dumps({"id": SECRET, "type": SECRET, "userId": SECRET, "occurredAt": SECRET})},
    "as a variable": {"content": json.dumps({"query": "query ($a: Int) { __typename }", "variables": {"a": SECRET}})},
    "as a field": {"content": json.dumps({"query": f"{{ {SECRET} }}"})},
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_key_in_a_wrong_place_is_not_logged(target, name) -> None:
    before = len(target.log())
    asked = MISUSES[name]
    headers = {"Content-Type": "application/json", **target.headers, **asked.get("headers", {})}
    with target.client() as client:
        for path in DOORS:
            for method in ("GET", "POST"):
                answer = client.request(method, path, **{**asked, "headers": headers})
                assert answer.status_code != 500
                if "headers" in asked:
                    said = answer.text + str(answer.headers.multi_items())
                    assert SECRET not in said, "a header is not said back"
    written = target.log()[before:]
    assert written
    assert SECRET not in written
    assert target.key not in written


def test_a_key_in_a_path_is_masked(target) -> None:
    before = len(target.log())
    paths = (
        f"/{SECRET}",
        f"/v1/{SECRET}/x",
        f"/ofrep/v1/evaluate/flags/{SECRET}",
        f"/assets/{SECRET}",
        f"/tests/{SECRET}",
    )
    for path in paths:
        target.get(path)
    assert f"/{KEY_PREFIX}***" in target.log()[before:]
    assert SECRET not in target.log()[before:]
    assert SECRET not in target.get("/metrics").text


@pytest.mark.parametrize(
    "message",
    [
        {"type": "connection_init", "payload": {"Authorization": f"Bearer {SECRET}"}},
        {"type": "connection_init", "payload": {"x-api-key": SECRET}},
        {"type": "connection_init", "payload": SECRET},
        {"type": "connection_init", "payload": {"authorization": [SECRET]}},
        {"type": SECRET},
        {"type": "subscribe", "id": SECRET, "payload": {"query": SECRET}},
        SECRET,
    ],
    ids=range(7),
)
def test_a_key_in_a_websocket_message_is_not_logged(target, message) -> None:
    before = len(target.log())
    url = target.url.replace("http", "ws") + f"/graphql?key={SECRET}"
    with connect(url, subprotocols=["graphql-transport-ws"]) as socket:
        socket.send(json.dumps(message))
        with pytest.raises(Exception, match=r"4400|4401|4403"):
            socket.recv()
    with pytest.raises(InvalidHandshake):
        connect(url, additional_headers={"Authorization": f"Bearer {SECRET}"})
    assert SECRET not in target.log()[before:]


def test_answers_to_what_is_unforeseen_say_no_more_than_a_number(target, attacker) -> None:
    """Every door's refusals, of everything above: no file, no line, no statement, no version."""
    with target.client(headers=target.headers) as client:
        for asked in MISUSES.values():
            for path in DOORS:
                answer = client.post(
                    path, **{**asked, "headers": {"Content-Type": "application/json", **target.headers}}
                )
                for said in ("Traceback", ".py", "SELECT", "asyncpg", "postgres", "uvicorn", "/app/"):
                    assert said not in answer.text
                assert "server" not in answer.headers


# ------------------------------------------------------------------------------------------------ inside one process


async def broken(_: object):
    local = f"Bearer {SECRET}"  # in a local variable, in the message, and in a header's form
    raise RuntimeError(f"it broke: X-API-Key: {SECRET}, {local}, postgresql://winnow:{SECRET}@db/winnow")


async def fine(_: object):
    structlog.get_logger("winnow.test").info(
        "said", keys=[SECRET], raw=SECRET.encode(), nested={"api_key": "a", "deep": (SECRET,)}, token="b"
    )
    return PlainTextResponse("")


@pytest.fixture
def application() -> Starlette:
    settings = Settings(log_format="json")
    observing = Middleware(
        ObservingMiddleware,
        clock=SystemClock(),
        measures=RequestMeasures(CollectorRegistry()),
        log=access_log(settings.model_copy(update={"log_format": "console"})),
    )
    return Starlette(routes=[Route("/broken", broken), Route("/fine/{x:path}", fine)], middleware=[observing])


@pytest.mark.parametrize("form", ["json", "console"])
async def test_an_error_that_holds_a_key_is_logged_without_it(application, monkeypatch, form) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    configure_logging(Settings(log_format=form))
    try:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://winnow") as client:
            assert (await client.get("/broken")).text == "Internal Server Error"
            await client.get(f"/fine/{SECRET}")
            try:
                await broken(None)
            except RuntimeError:
                structlog.get_logger("winnow.test").exception("it failed")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    assert "it broke" in written.getvalue()
    assert "said" in written.getvalue()
    assert SECRET not in written.getvalue()


async def test_spans_have_no_key_in_them(application) -> None:
    spans = InMemorySpanExporter()
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    with tracing(Settings(), exporter=spans):
        async with httpx.AsyncClient(transport=transport, base_url="http://winnow") as client:
            await client.get(f"/fine/{SECRET}", params={"key": SECRET}, headers={"Authorization": f"Bearer {SECRET}"})
            await client.get("/broken")
    found = spans.get_finished_spans()
    assert [span.attributes["url.path"] for span in found] == [f"/fine/{KEY_PREFIX}***", "/broken"]
    assert found[1].attributes["error.type"] == "RuntimeError"
    assert SECRET not in "".join(span.to_json() for span in found)


def test_no_path_moves_the_cursor_of_a_terminal() -> None:
    log = access_log(Settings(log_format="console"))
    with structlog.testing.capture_logs() as entries:
        log({"path": "/a\r\n\x1b[2Jdone\u202e", "method": "GET", "status": 404})
    assert entries[0]["path"] == "/a\\r\\n\\x1b[2Jdone\\u202e"
