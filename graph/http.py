"""GraphQL over HTTP: POST with JSON, GET for queries, and GraphiQL for browsers.

A key travels in a header that no other site's page can set: a request forged by one carries none and is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request as HTTPRequest
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.auth.principals import Principal
from app.auth.refusals import refuse
from app.errors import InvalidInput, Unauthenticated
from graph.context import Context, Services
from graph.errors import refusal
from graph.operations import Answer, NotByGet, Operations, Request

STATIC = Path(__file__).parent / "static"
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'"
)


class GraphDoor:
    """Answers GraphQL requests; an ASGI application."""

    def __init__(self, operations: Operations, services: Services) -> None:
        self._operations = operations
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = HTTPRequest(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: HTTPRequest) -> Response:
        accept = request.headers.get("accept", "")
        if request.method == "POST":
            return await self._post(request, accept)
        if request.method not in {"GET", "HEAD"}:
            return plain(
                InvalidInput("GraphQL is asked by POST or GET: use one of these."), 405, {"Allow": "GET, POST"}
            )
        if "query" not in request.query_params and "text/html" in accept:
            return FileResponse(STATIC / "graphiql.html", headers={"Content-Security-Policy": PAGE_POLICY})
        return await self._get(request, accept)

    async def _post(self, request: HTTPRequest, accept: str) -> Response:
        principal = _principal(request)
        if principal is None:
            return _unauthenticated()
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != JSON:
            return plain(InvalidInput("A GraphQL request is JSON: send it as Content-Type: application/json."), 415)
        try:
            asked = read_body(await request.body())
        except InvalidInput as error:
            return plain(error, 400)
        return _response(await self._operations.execute(asked, Context(principal, self._services)), accept)

    async def _get(self, request: HTTPRequest, accept: str) -> Response:
        principal = _principal(request)
        if principal is None:
            return _unauthenticated()
        try:
            asked = read_parameters(request.query_params)
            context = Context(principal, self._services)
            return _response(await self._operations.execute(asked, context, only_queries=True), accept)
        except InvalidInput as error:
            return plain(error, 400)
        except NotByGet:
            return plain(InvalidInput("A mutation changes things: send it by POST."), 405, {"Allow": "POST"})


def graph_routes(operations: Operations, services: Services) -> list[BaseRoute]:
    """Return the graph's doors."""
    return [
        Route("/graphql", GraphDoor(operations, services)),
        Mount("/graphql/static", StaticFiles(directory=STATIC)),
    ]


def read_body(body: bytes) -> Request:
    """Return the request in a JSON body; raise InvalidInput where there is none."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The body is not JSON ({error}): send an object with `query` and `variables`.") from error
    if isinstance(content, list):
        raise InvalidInput("Several operations in one request are not taken: send one request each.")
    if not isinstance(content, dict):
        raise InvalidInput("The body is not a JSON object: send one with `query` and `variables`.")
    return request_of(cast("dict[str, Any]", content))


def read_parameters(parameters: QueryParams) -> Request:
    """Return the request in a URL's parameters; raise InvalidInput where there is none."""
    try:
        variables = orjson.loads(parameters.get("variables") or "null")
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The parameter `variables` is not JSON ({error}): send an object.") from error
    return request_of({**parameters, "variables": variables})


def request_of(content: Mapping[str, Any]) -> Request:
    """Return the request in a JSON object; raise InvalidInput where there is none."""
    query, variables, name = (content.get(field) for field in ("query", "variables", "operationName"))
    if not isinstance(query, str) or not query:
        raise InvalidInput("The operation is missing: send its text as the string `query`.", path=("query",))
    if not isinstance(variables, dict | None):
        raise InvalidInput("`variables` is not an object: send one, or leave it out.", path=("variables",))
    if not isinstance(name, str | None):
        raise InvalidInput("`operationName` is not a string: send one, or leave it out.", path=("operationName",))
    return Request(query, cast("dict[str, Any]", variables or {}), name or None)


def _principal(request: HTTPRequest) -> Principal | None:
    return request.scope.get("state", {}).get("principal")


def _response(answer: Answer, accept: str) -> Response:
    prefers_graphql = GRAPHQL_JSON in accept
    status = 400 if prefers_graphql and not answer.executed else 200
    content_type = f"{GRAPHQL_JSON if prefers_graphql else JSON}; charset=utf-8"
    return Response(answer.encoded(), status, media_type=content_type)


def plain(error: InvalidInput, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request that never became an operation."""
    body: dict[str, Sequence[object]] = {"errors": [refusal(error)]}
    return Response(orjson.dumps(body), status, headers=headers, media_type=JSON)


def _unauthenticated() -> Response:
    return refuse(
        Unauthenticated("The graph needs a key: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.")
    )
