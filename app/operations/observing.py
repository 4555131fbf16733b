"""What is written down about every request: an id, a log line, a count and how long it took."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.operations.access_log import AccessLog
from app.runtime.clock import Clock
from app.runtime.logging import mask_text
from app.runtime.tracing import is_tracing, server_span

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CLIENT_GONE = 499
TOO_SLOW = 408
SERVER_ERROR = 500
TIMED_OUT = "timed_out"
"""Set in a request's `state` by a server that ended it, since its client sent too slowly."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMeasures:
    """Prometheus' count and durations of requests; whatever clients send, the labels take few values."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        labels = ("method", "route", "status")
        self._count = Counter("winnow_http_requests", "HTTP requests answered", labels, registry=registry)
        self._seconds = Histogram(
            "winnow_http_request_seconds",
            "Time to the end of the answer",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._notes: dict[tuple[str, str], Note] = {}

    def of_route(self, method: str, route: str) -> "Note":
        """Return what counts one request to a route: the same as `note`, with its labels looked up once."""
        counts: dict[int, Counter] = {}
        durations = self._seconds.labels(route)

        def note(status: int, seconds: float) -> None:
            count = counts.get(status)
            if count is None:
                count = counts[status] = self._count.labels(method, route, str(status))
            count.inc()
            durations.observe(seconds)

        return note

    def note(self, scope: Scope, *, status: int, seconds: float) -> None:
        """Count one request."""
        key = (_method(scope), _route(scope))
        note = self._notes.get(key)
        if note is None:
            note = self._notes[key] = self.of_route(*key)
        note(status, seconds)


type Note = Callable[[int, float], None]
"""Counts a request, by the status of its answer and the seconds until its end."""


class ObservingMiddleware:
    """Gives each request an id (the caller's X-Request-ID, where it is plain), logs it and counts it.

    The id is in `scope["state"]["request_id"]`, in every log line written meanwhile, and in the answer. Neither query
    strings nor headers nor bodies are logged.
    """

    def __init__(self, app: ASGIApp, *, clock: Clock, measures: RequestMeasures, log: AccessLog) -> None:
        self._app = app
        self._clock = clock
        self._measures = measures
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, watched."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._observe(scope, receive, _Answer(send, request_id))

    async def _observe(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if scope["type"] != "http" or not is_tracing():
            await self._answer(scope, receive, answer)
            return
        method = _method(scope)
        with server_span(
            method, scope["headers"], http__request__method=method, url__path=mask_text(scope["path"])
        ) as request:
            try:
                await self._answer(scope, receive, answer)
            finally:
                request.update_name(f"{method} {_route(scope)}")
                request.set_attribute("http.response.status_code", answer.status)

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        started = self._clock.monotonic()
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            pass  # nobody is left to be answered
        except Exception:
            answer.status = SERVER_ERROR  # what the outermost layer answers, having logged the error
            raise
        finally:
            if answer.status == CLIENT_GONE and TIMED_OUT in scope["state"]:
                answer.status = TOO_SLOW
            if scope["type"] == "http":
                self._note(scope, answer, seconds=self._clock.monotonic() - started)

    def _note(self, scope: Scope, answer: "_Answer", *, seconds: float) -> None:
        self._measures.note(scope, status=answer.status, seconds=seconds)
        self._log(
            {
                "method": scope["method"],
                "path": scope["path"],
                "status": answer.status,
                "milliseconds": round(seconds * 1000, 3),
                "key": _key_id(scope),
                "request_id": answer.request_id,
            }
        )


@dataclass(slots=True)
class _Answer:
    forward: Send
    request_id: str
    status: int = field(default=CLIENT_GONE)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        await self.forward(message)


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) and mask_text(given) == given else secrets.token_hex(8)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "other")


def _key_id(scope: Scope) -> int | None:
    principal = scope["state"].get("principal")
    return None if principal is None else principal.key_id
