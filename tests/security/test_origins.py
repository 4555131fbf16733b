"""Pages of other sites: what a browser would let them send, and what it would let them read."""

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

QUERY = {"query": "{ __typename }"}
FRIEND, STRANGER = "https://app.example", "https://evil.example"
FLAGS = "/ofrep/v1/evaluate/flags"
DOORS = ["/graphql", "/graphql/stream", "/v1/events", FLAGS, "/v1/export/tests/t/results.csv"]


@pytest.fixture
def browser(target) -> httpx.Client:
    """A page's requests: no key, since none is kept where a browser would send it by itself."""
    with target.client() as client:
        yield client


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
def test_a_request_that_needs_no_permission_changes_nothing_even_with_a_key(target, path, kind) -> None:
    mutation = 'mutation { createMerchant(input: {key: "forged", name: "n", category: "c"}) { errors { message } } }'
    headers = target.headers | ({"Content-Type": kind} if kind else {})
    for content in (f'{{"query": {mutation!r}}}'.replace("'", '"'), f"query={mutation}", mutation):
        answer = target.post(path, content=content, headers=headers)
        assert answer.status_code in {400, 415}
    for parameters in ({"query": mutation}, {"query": "mutation M { __typename }", "operationName": "M"}):
        answer = target.get(path, params=parameters, headers=target.headers)
        assert answer.status_code == 405 or "send it by POST" in answer.text
    found = httpx.post(
        f"{target.url}/graphql", json={"query": '{ merchant(id: "forged") { id } }'}, headers=target.headers
    )
    assert found.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", DOORS)
def test_nothing_is_answered_without_a_key_in_a_header(browser, path, method) -> None:
    key = "admin-key-of-the-tests"
    asked = {"key": key, "api_key": key, "x-api-key": key, "authorization": f"Bearer {key}", "access_token": key}
    answer = browser.request(
        method, path, params=asked | QUERY, json=asked | QUERY, headers={"Cookie": f"key={key}; X-API-Key={key}"}
    )
    assert answer.status_code in {401, 405}
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", DOORS)
def test_a_foreign_page_may_read_nothing_and_gets_no_permission(target, browser, path) -> None:
    asked = {"Origin": STRANGER, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    preflight = browser.options(path, headers=asked)
    assert preflight.status_code == 400
    for origin in (
        STRANGER,
        "null",
        FRIEND + ".evil.example",
        "https://app.example@evil.example",
        "http://app.example",
    ):
        answer = browser.post(path, json=QUERY, headers={"Origin": origin, **target.headers})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", DOORS)
def test_a_page_that_is_let_may_read_without_cookies(target, browser, path) -> None:
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    preflight = browser.options(path, headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == FRIEND
    answer = browser.post(path, json=QUERY, headers={"Origin": FRIEND, **target.headers})
    for headers in (preflight.headers, answer.headers):
        assert "access-control-allow-credentials" not in headers
        assert "origin" in headers["vary"].lower()


@pytest.mark.parametrize(
    "origin",
    [
        STRANGER,
        "null",
        "",
        "http://[",
        "http://[::1",
        "http://{host}.evil.example",
        "http://{host}@evil.example",
        "http://evil.example/{host}",
        "http://evil.example#{host}",
        "{host}",
        FRIEND + ":8443",
        FRIEND.upper() + "/",
        "x" * 5_000,
    ],
)
def test_a_websocket_of_a_foreign_page_is_refused_even_with_a_key(target, origin) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(target, origin.replace("{host}", target.host))
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", [None, FRIEND, "http://{host}", "https://{host}"])
def test_a_websocket_of_ones_own_page_is_let_in(target, origin) -> None:
    with open_socket(target, origin and origin.replace("{host}", target.host)) as socket:
        socket.send('{"type": "connection_init"}')
        assert '"connection_ack"' in socket.recv()


def open_socket(target, origin: str | None):
    headers = target.headers if origin is None else target.headers | {"Origin": origin}
    url = target.url.replace("http", "ws") + "/graphql"
    return connect(url, subprotocols=["graphql-transport-ws"], additional_headers=headers)
