"""GraphQL over HTTP, at the real server."""

import gzip
import json

import httpx
import pytest

from graph.http import negotiated

PLAIN = "application/json; charset=utf-8"
GRAPHQL = "application/graphql-response+json; charset=utf-8"
CREATE = 'mutation { createMerchant(input: { key: "by-get", name: "A", category: "B" }) { errors { code } } }'


async def test_a_query_by_post(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "query($n: Int) { campaigns(first: $n) { totalCount } }"})
    assert (response.status_code, response.headers["content-type"]) == (200, PLAIN)
    assert set(response.json()) == {"data"}


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/plain", ""])
async def test_json_is_answered_as_json_and_faults_with_200(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post("/graphql", json={"query": "{ nothing }"}, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, PLAIN)
    assert set(response.json()) == {"errors"}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json;q=0.5, application/graphql-response+json;q=0.4", "application/json"),
        ("application/json, application/graphql-response+json", "application/graphql-response+json"),
        ("APPLICATION/GRAPHQL-RESPONSE+JSON; charset=utf-8", "application/graphql-response+json"),
        ("application/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0, */*", "application/graphql-response+json"),
        ("application/graphql-response+json;q=0, */*", "application/json"),
        ("application/graphql-response+json;q=0", None),
        ("text/event-stream", None),
        ("application/json;q=much", None),
    ],
)
def test_the_media_type_is_the_one_liked_best(accept: str, media_type: str | None) -> None:
    assert negotiated(accept) == media_type


async def test_an_answer_that_is_not_acceptable_is_not_made(client: httpx.AsyncClient) -> None:
    headers = {"Accept": "text/event-stream"}
    for response in (
        await client.post("/graphql", json={"query": CREATE}, headers=headers),
        await client.get("/graphql", params={"query": "{ __typename }"}, headers=headers),
    ):
        assert response.status_code == 406
        assert "application/json" in response.json()["errors"][0]["message"]
    found = await client.post("/graphql", json={"query": '{ merchant(id: "by-get") { id } }'})
    assert found.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_an_unknown_document_is_no_operation(client: httpx.AsyncClient) -> None:
    hashed = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    for body, said in (({"documentId": "x"}, "register it"), (hashed, "PersistedQueryNotSupported")):
        response = await client.post("/graphql", json=body, headers={"Accept": GRAPHQL})
        assert response.status_code == 400
        assert said in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("{ __typename }", 200), ("{ nothing }", 400), ("{", 400), ('{ campaign(id: "none") { id } }', 200)],
)
async def test_the_graphql_media_type_tells_faults_by_status(
    client: httpx.AsyncClient, query: str, status: int
) -> None:
    accept = "application/graphql-response+json, application/json;q=0.9"
    response = await client.post("/graphql", json={"query": query}, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (status, GRAPHQL)
    assert ("data" in response.json()) is (status == 200)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"query": "{ __typename }", "variables": {"x": NaN}}', "not JSON"),
        (b"7", "not a JSON object"),
        (b'[{"query": "{ __typename }"}]', "one request each"),
        (b"{}", "`query`"),
        (b'{"query": 7}', "`query`"),
        (b'{"query": ""}', "`query`"),
        (b'{"query": "{ __typename }", "variables": []}', "`variables`"),
        (b'{"query": "{ __typename }", "operationName": {}}', "`operationName`"),
    ],
)
async def test_malformed_bodies_are_refused(client: httpx.AsyncClient, content: bytes, said: str) -> None:
    response = await client.post("/graphql", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert said in error["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_form_of_another_site_could_send_is_refused(client: httpx.AsyncClient, content_type: str) -> None:
    content = json.dumps({"query": CREATE}).encode()
    response = await client.post("/graphql", content=content, headers={"Content-Type": content_type})
    assert response.status_code == 415
    assert "application/json" in response.json()["errors"][0]["message"]


async def test_bodies_past_the_limit_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ __typename }" + " " * 1_000_000})
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "TOO_LARGE"


async def test_a_query_by_get(client: httpx.AsyncClient) -> None:
    parameters = {
        "query": "query A($n: Int) { campaigns(first: $n) { nodes { id } } } query B { __typename }",
        "operationName": "A",
        "variables": '{"n": 1}',
    }
    response = await client.get("/graphql", params=parameters)
    assert response.status_code == 200
    assert "campaigns" in response.json()["data"]


async def test_a_mutation_by_get_is_refused_and_leaves_no_trace(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql", params={"query": CREATE})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    found = await client.post("/graphql", json={"query": '{ merchant(id: "by-get") { id } }'})
    assert found.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("parameters", [{}, {"query": ""}, {"query": "{ __typename }", "variables": "{"}])
async def test_malformed_parameters_are_refused(client: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    response = await client.get("/graphql", params=parameters)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql", json={"query": "{ __typename }"})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wnw_wrong"}])
@pytest.mark.parametrize(
    "query", ["{ __typename }", "{ __schema { queryType { name } } }", "{ campaigns { totalCount } }"]
)
async def test_without_a_key_there_is_nothing(server, headers: dict[str, str], query: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as stranger:
        for response in (
            await stranger.post("/graphql", json={"query": query}, headers=headers),
            await stranger.get("/graphql", params={"query": query}, headers=headers),
        ):
            assert response.status_code == 401
            assert response.headers["www-authenticate"]
            assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key"])
async def test_a_key_travels_in_either_header(server, name: str) -> None:
    value = f"Bearer {server.key}" if name == "Authorization" else server.key
    async with httpx.AsyncClient(base_url=server.url, headers={name: value}) as known:
        assert (await known.post("/graphql", json={"query": "{ __typename }"})).json() == {
            "data": {"__typename": "Query"}
        }


async def test_browsers_get_a_page_that_stands_alone(server) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers={"Accept": "text/html,application/xhtml+xml"}) as browser:
        page = await browser.get("/graphql")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "http://" not in page.text
        assert "https://" not in page.text
        for name in ("page.js", "page.css"):
            asset = await browser.get(f"/graphql/static/{name}")
            assert asset.status_code == 200
            assert "https://" not in asset.text


async def test_probes_and_scrapers_need_no_key(server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as stranger:
        assert (await stranger.get("/healthz")).status_code == 200
        assert (await stranger.get("/readyz")).json() == {"status": "ready"}
        assert "winnow_http_requests" in (await stranger.get("/metrics")).text


async def test_events_have_a_door_of_their_own(client: httpx.AsyncClient) -> None:
    event = {"id": "door-1", "type": "SENT", "occurredAt": "2026-01-01T00:00:00Z", "userId": "door-user"}
    body = gzip.compress(json.dumps(event).encode())
    response = await client.post("/v1/events", content=body, headers={"Content-Encoding": "gzip"})
    assert response.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
