"""What every request passes before it reaches a door: its size, its key, its rate."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth.limiting import RateLimit
from app.auth.principals import Principal
from app.auth.refusals import refuse
from app.errors import DomainError, TooLarge, Unauthenticated
from app.store.database import is_unavailable, unavailable

DISCARDING_SECONDS = 2.0
MAX_DISCARDED_BYTES = 100_000_000
"""How long, and how much, is still read of a body that is refused, so that its sender comes to see the answer."""

Authenticate = Callable[[str], Awaitable[Principal]]
"""Says who shows this credential, or raises Unauthenticated: KeyRing.authenticate."""


class BodyLimitMiddleware:
    """Refuses bodies past a size, by what they declare and by what really comes.

    `limits` are bytes by path; other paths take `default`.
    """

    def __init__(self, app: ASGIApp, *, default: int, limits: Mapping[str, int]) -> None:
        self._app = app
        self._default = default
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _CountedBody(receive, send, self._limits.get(scope["path"], self._default))
        try:
            body.check_declared(scope)
            await self._app(scope, body.receive, body.send)
        except TooLarge as error:
            if body.answering:
                raise
            await refuse(error)(scope, receive, body.send)


class AuthenticationMiddleware:
    """Puts who calls into `scope["state"]["principal"]`: a Principal, or None where no key was shown.

    A key that is shown and not accepted is refused here; whether one is needed is each door's to say.
    """

    def __init__(self, app: ASGIApp, *, authenticate: Authenticate, limit: RateLimit) -> None:
        self._app = app
        self._authenticate = authenticate
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through with its principal."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            principal = await self._admit(scope)
        except DomainError as error:
            await _refuse(error, scope, receive, send)
            return
        except Exception as error:
            if not is_unavailable(error):
                raise
            await _refuse(unavailable(error), scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Principal | None:
        credential = shown_key(scope)
        if credential is None:
            self._limit.take(_address(scope))
            return None
        try:
            principal = await self._authenticate(credential)
        except Unauthenticated:
            self._limit.take(_address(scope))  # or keys could be tried without end
            raise
        self._limit.take(principal.key_id)
        return principal


def shown_key(scope: Scope) -> str | None:
    """Return what a request shows as its key, or None. `X-API-Key` comes first: a proxy may want the other header."""
    return key_among(dict(reversed(scope["headers"])))  # of a header sent twice, the first


def key_among(headers: Mapping[bytes, bytes]) -> str | None:
    """Return what these headers show as a key, or None."""
    value = headers.get(b"x-api-key") or headers.get(b"authorization")
    return None if value is None else value.decode("latin-1")


class _CountedBody:
    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._left = limit
        self._refused = False
        self._more = True
        self.answering = False

    def check_declared(self, scope: Scope) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        message = await self._receive()
        self._more = message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if self._refused and not self.answering:
            await self._discard()
        self.answering = True
        await self._send(message)

    async def _discard(self) -> None:
        # A client that is still sending would see its connection break rather than the answer.
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARDING_SECONDS):
                left = MAX_DISCARDED_BYTES
                while self._more and left > 0:
                    message = await self._receive()
                    self._more = message.get("more_body", False)
                    left -= len(message.get("body", b""))

    def _too_large(self) -> TooLarge:
        self._refused = True
        return TooLarge(f"A request to this path has at most {self._limit:,} bytes: send less at once.")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _refuse(error: DomainError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await refuse(error)(scope, receive, send)
    else:  # before a WebSocket is accepted, closing it answers 403
        await receive()
        await send({"type": "websocket.close", "code": 4401, "reason": error.message[:120]})
