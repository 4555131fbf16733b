import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.auth.principals import Principal
from app.operations.observing import ObservingMiddleware, RequestMeasures
from app.runtime.clock import ManualClock
from app.store.models.codes import Role

CLOCK = ManualClock()


async def thing(request: Request):
    CLOCK.advance(0.2)
    request.scope["state"]["principal"] = Principal(5, "app", Role.CLIENT)
    structlog.get_logger("winnow.test").info("inside")
    return PlainTextResponse(request.scope["state"]["request_id"])


async def broken(_: Request):
    raise RuntimeError("no")


async def healthz(_: Request):
    return PlainTextResponse("")


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def lines():
    return []


@pytest.fixture
async def client(registry, lines):
    measures = RequestMeasures(registry)
    app = Starlette(
        routes=[Route("/things/{id}", thing), Route("/broken", broken), Route("/healthz", healthz)],
        middleware=[Middleware(ObservingMiddleware, clock=CLOCK, measures=measures, log=lines.append)],
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://winnow") as client:
        yield client


@pytest.fixture
def logged():
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as entries:
        yield entries


async def test_a_request_is_logged_once_without_secrets(client, lines):
    await client.get("/things/7?token=hidden", headers={"Authorization": "Bearer wnw_hidden", "Cookie": "hidden"})
    (line,) = lines
    assert (line["method"], line["path"], line["status"], line["key"]) == ("GET", "/things/7", 200, 5)
    assert line["milliseconds"] == pytest.approx(200)
    assert "hidden" not in repr(lines)


async def test_the_id_is_in_the_answer_and_in_every_line(client, logged, lines):
    answer = await client.get("/things/7", headers={"X-Request-ID": "mobile-42"})
    assert answer.headers["x-request-id"] == answer.text == "mobile-42"
    assert [entry["request_id"] for entry in [*logged, *lines]] == ["mobile-42", "mobile-42"]


@pytest.mark.parametrize("given", ["two words", "x" * 65, "é".encode("latin-1"), "a\tb"])
async def test_an_id_that_could_forge_log_lines_is_replaced(client, given):
    answer = await client.get(
        "/things/7", headers=[(b"X-Request-ID", given if isinstance(given, bytes) else given.encode())]
    )
    assert len(answer.headers["x-request-id"]) == 16


async def test_requests_are_counted_by_route_and_status(client, registry):
    for path in ("/things/1", "/things/2", "/nowhere/3", "/nowhere/4"):
        await client.get(path)
    count = "winnow_http_requests_total"
    assert registry.get_sample_value(count, {"method": "GET", "route": "/things/{id}", "status": "200"}) == 2
    assert registry.get_sample_value(count, {"method": "GET", "route": "other", "status": "404"}) == 2
    assert registry.get_sample_value("winnow_http_request_seconds_sum", {"route": "/things/{id}"}) == pytest.approx(0.4)


async def test_an_unforeseen_error_is_counted_too(client, registry):
    await client.get("/broken")
    labels = {"method": "GET", "route": "/broken", "status": "500"}
    assert registry.get_sample_value("winnow_http_requests_total", labels) == 1


async def test_methods_made_up_by_clients_make_no_series(client, registry):
    await client.request("BREW", "/healthz")
    labels = {"method": "other", "route": "/healthz", "status": "405"}
    assert registry.get_sample_value("winnow_http_requests_total", labels) == 1
