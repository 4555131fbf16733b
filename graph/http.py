"""GraphQL over HTTP: POST with JSON, GET for queries, and GraphiQL for browsers.

A key travels in a header that no other site's page can set: a request forged by one carries none and is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, override

import orjson
from starlette.datastructures import QueryParams
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.principals import Principal
from app.auth.refusals import refuse
from app.errors import InvalidInput, Unauthenticated
from app.operations.receiving import whole_body
from app.operations.staleness import SOURCE, Headers
from graph.context import Context, Services
from graph.errors import refusal
from graph.operations import Answer, NotByGet, Operations, Request

STATIC = Path(__file__).parent / "static"
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
_CONTENT_TYPES = {
    media_type: (b"content-type", f"{media_type}; charset=utf-8".encode()) for media_type in (JSON, GRAPHQL_JSON)
}
_READ = frozenset({b"accept", b"content-type", SOURCE})
_ASKING = frozenset({"query", "documentId", "extensions"})
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class GraphDoor:
    """Answers GraphQL requests; an ASGI application."""

    def __init__(self, operations: Operations, services: Services) -> None:
        self._operations = operations
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = _headers(scope)
        try:
            response = await self._respond(scope, receive, headers)
        except InvalidInput as error:
            response = plain(error, 400)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, headers: Mapping[bytes, str]) -> ASGIApp:
        method, accept = scope["method"], headers.get(b"accept", "")
        if method == "POST":
            return await self._post(scope, receive, headers)
        if method not in {"GET", "HEAD"}:
            refused = InvalidInput("GraphQL is asked by POST or GET: use one of these.")
            return plain(refused, 405, {"Allow": "GET, POST"})
        parameters = QueryParams(scope["query_string"])
        if not _ASKING.intersection(parameters) and "text/html" in accept:
            return FileResponse(STATIC / "graphiql.html", headers=PAGE_HEADERS)
        return await self._get(scope, parameters, headers)

    async def _post(self, scope: Scope, receive: Receive, headers: Mapping[bytes, str]) -> ASGIApp:
        principal = _principal(scope)
        if principal is None:
            return _unauthenticated()
        media_type = negotiated(headers.get(b"accept", ""))
        if media_type is None:
            return _not_acceptable()
        if headers.get(b"content-type", "").partition(";")[0].strip().lower() != JSON:
            return plain(InvalidInput("A GraphQL request is JSON: send it as Content-Type: application/json."), 415)
        asked, context = read_body(await whole_body(receive)), self._context(principal, headers)
        answer = await self._operations.execute(asked, context)
        return Written(answer, media_type, self._services.staleness.headers(context.reading))

    def _context(self, principal: Principal, headers: Mapping[bytes, str]) -> Context:
        return Context(principal, self._services, self._services.staleness.reading(headers.get(SOURCE)))

    async def _get(self, scope: Scope, parameters: QueryParams, headers: Mapping[bytes, str]) -> ASGIApp:
        principal = _principal(scope)
        if principal is None:
            return _unauthenticated()
        media_type = negotiated(headers.get(b"accept", ""))
        if media_type is None:
            return _not_acceptable()
        try:
            asked, context = read_parameters(parameters), self._context(principal, headers)
            answer = await self._operations.execute(asked, context, only_queries=True)
            return Written(answer, media_type, self._services.staleness.headers(context.reading))
        except NotByGet:
            return plain(InvalidInput("A mutation changes things: send it by POST."), 405, {"Allow": "POST"})


class Written:
    """An answer on its way; an ASGI application."""

    __slots__ = ("_answer", "_headers", "_media_type")

    def __init__(self, answer: Answer, media_type: str, headers: Headers = ()) -> None:
        self._answer = answer
        self._media_type = media_type
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it. A request that was never executed is told by its status where the media type has that."""
        body = self._answer.encoded()
        refused = self._media_type == GRAPHQL_JSON and not self._answer.executed
        headers = [_CONTENT_TYPES[self._media_type], (b"content-length", str(len(body)).encode()), *self._headers]
        await send({"type": "http.response.start", "status": 400 if refused else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def negotiated(accept: str) -> str | None:
    """Return in which media type to answer, of two liked as much GraphQL's own; None where neither is acceptable.

    Whoever takes anything gets JSON, as before there was a media type of GraphQL's own.
    """
    if accept in {"", "*/*", JSON}:
        return JSON
    found = {media_type: _quality(accept, media_type) for media_type in (GRAPHQL_JSON, JSON)}
    best = max(found, key=lambda media_type: found[media_type])
    return best if found[best] > (0, 0) else None


def _quality(accept: str, media_type: str) -> tuple[float, int]:
    """Return how much a media type is liked, and how closely it is named: a wildcard's likings go to JSON first."""
    ranges = [_range(part) for part in accept.split(",")]
    named = [weight for name, weight in ranges if name == media_type]
    if named:
        return (max(named), 2 if max(named) else 0)
    wild = [weight for name, weight in ranges if name in {"application/*", "*/*"}]
    if not wild or not max(wild):
        return (0, 0)
    return (max(wild), 1 if media_type == JSON else 0)


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [piece.removeprefix("q=") for piece in parameters if piece.startswith("q=")]
    try:
        return name, min(max(float(weights[0]), 0.0), 1.0) if weights else 1.0
    except ValueError:
        return name, 0.0


def graph_routes(operations: Operations, services: Services) -> list[BaseRoute]:
    """Return the graph's doors."""
    return [
        Route("/graphql", GraphDoor(operations, services)),
        Mount("/graphql/static", _Files(directory=STATIC)),
    ]


class _Files(StaticFiles):
    """Files that a browser takes for what they are said to be, and for nothing else."""

    @override
    def file_response(self, *args: Any, **named: Any) -> Response:
        response = super().file_response(*args, **named)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


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
    written = {name: _parameter(parameters, name) for name in ("variables", "extensions")}
    return request_of({**parameters, **written})


def request_of(content: Mapping[str, Any]) -> Request:
    """Return the request in a JSON object; raise InvalidInput where there is none."""
    query, variables, name = content.get("query"), content.get("variables"), content.get("operationName")
    if not isinstance(variables, dict | None):
        raise InvalidInput("`variables` is not an object: send one, or leave it out.", path=("variables",))
    if not isinstance(name, str | None):
        raise InvalidInput("`operationName` is not a string: send one, or leave it out.", path=("operationName",))
    given = cast("dict[str, Any]", variables or {})
    if isinstance(query, str) and query:
        return Request(query, given, name or None)
    document, by_hash = _document_of(content)
    if query or document is None:
        raise InvalidInput("The operation is missing: send its text as the string `query`.", path=("query",))
    return Request("", given, name or None, document, by_hash)


def _parameter(parameters: QueryParams, name: str) -> Any:
    try:
        return orjson.loads(parameters.get(name) or "null")
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The parameter `{name}` is not JSON ({error}): send an object.") from error


def _document_of(content: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the id of a trusted document, and whether it came as Apollo's clients send it."""
    document = content.get("documentId")
    if isinstance(document, str) and document:
        return document, False
    extensions = content.get("extensions")
    persisted = cast("dict[str, Any]", extensions).get("persistedQuery") if isinstance(extensions, dict) else None
    digest = cast("dict[str, Any]", persisted).get("sha256Hash") if isinstance(persisted, dict) else None
    return (digest, True) if isinstance(digest, str) and digest else (None, False)


def _headers(scope: Scope) -> dict[bytes, str]:
    """Return the two headers that matter; of one that comes twice, both values."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _principal(scope: Scope) -> Principal | None:
    return scope.get("state", {}).get("principal")


def _not_acceptable() -> Response:
    return plain(InvalidInput(f"Answers come as {GRAPHQL_JSON} or {JSON}: accept one of these."), 406)


def plain(error: InvalidInput, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request that never became an operation."""
    body: dict[str, Sequence[object]] = {"errors": [refusal(error)]}
    return Response(orjson.dumps(body), status, headers=headers, media_type=JSON)


def _unauthenticated() -> Response:
    return refuse(
        Unauthenticated("The graph needs a key: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.")
    )
