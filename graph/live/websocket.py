"""graphql-transport-ws, as specified: subscriptions, and queries and mutations too, on one connection.

A server that can be handed ready frames offers `scope["extensions"][FRAMES]`; answers of feeds then go straight to the
transport, the same bytes for all who follow under the same id, without a task waking for each. A client whose transport
is full, or any client of another server, is served by its subscription's task, which takes the newest answer when there
is room: it falls behind by at most one answer a subscription.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import orjson
from starlette.types import Message, Receive, Scope, Send

from app.auth.limiting import RateLimit
from app.auth.principals import Principal
from app.errors import DomainError, InvalidInput
from app.store.database import is_unavailable
from graph.context import Context, Services
from graph.errors import refusal, refusals
from graph.http import request_of
from graph.live.feeds import Feeds
from graph.live.followers import Follower, News
from graph.live.sessions import Sessions
from graph.operations import Answer, Operations, Request

PROTOCOL = "graphql-transport-ws"
FRAMES = "winnow.frames"
INIT_SECONDS = 10.0
CLOSING_SECONDS = 5.0
TRY_AGAIN_LATER = 1013
INVALID_MESSAGE, UNAUTHORIZED, FORBIDDEN, NO_SUBPROTOCOL, INIT_TIMEOUT = 4400, 4401, 4403, 4406, 4408
SUBSCRIBER_EXISTS, TOO_MANY_INITS = 4409, 4429
LONGEST_REASON = 120
"""Bytes; a WebSocket's closing frame has room for 123."""

type Authenticate = Callable[[str], Awaitable[Principal]]


class Frames(Protocol):
    """A connection that takes ready frames."""

    writable: asyncio.Event

    def push(self, frame: bytes) -> bool:
        """Send a frame now; say whether there was room for it."""
        ...


class Closing(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:LONGEST_REASON].decode(errors="ignore")


class LiveDoor:
    """The WebSocket door of the graph; an ASGI application."""

    def __init__(
        self,
        operations: Operations,
        services: Services,
        feeds: Feeds,
        *,
        sessions: Sessions,
        authenticate: Authenticate,
        allowed_origins: tuple[str, ...],
        max_subscriptions: int,
        limit: RateLimit,
        init_seconds: float = INIT_SECONDS,
    ) -> None:
        self.operations = operations
        self.services = services
        self.feeds = feeds
        self.sessions = sessions
        self.authenticate = authenticate
        self.max_subscriptions = max_subscriptions
        self.limit = limit
        self.init_seconds = init_seconds
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await receive()
        if not self._may_connect(scope):
            await send({"type": "websocket.close", "code": FORBIDDEN, "reason": "Foreign origin"})
        elif PROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": NO_SUBPROTOCOL, "reason": "Subprotocol not acceptable"})
        else:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await Connection(self, scope, receive, send).serve()

    def _may_connect(self, scope: Scope) -> bool:
        headers: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        return origin is None or origin in self._allowed_origins or _host(origin) == headers.get(b"host")


class Connection:
    """One client."""

    __slots__ = ("_acknowledged", "_door", "_frames", "_principal", "_receive", "_revoked", "_send", "_task", "_tasks")

    def __init__(self, door: LiveDoor, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._receive = receive
        self._send = send
        self._frames: Frames | None = scope.get("extensions", {}).get(FRAMES)
        self._principal: Principal | None = scope.get("state", {}).get("principal")
        self._acknowledged = False
        self._revoked = False
        self._task: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Read until the client leaves or is sent away."""
        self._task = asyncio.current_task()
        try:
            with suppress(OSError):  # of sending to a client that has left
                await self._read()
        except Closing as closing:
            await self._close(closing)
        except asyncio.CancelledError:
            if not self._revoked or self._task is None or self._task.uncancel():
                raise
            await self._close(Closing(FORBIDDEN, "Forbidden: this key was revoked"))
        finally:
            tasks = tuple(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._door.init_seconds):
                while not self._acknowledged:
                    if not await self._handle_next():
                        return
        except TimeoutError as error:
            raise Closing(INIT_TIMEOUT, "Connection initialisation timeout") from error
        with self._door.sessions.opened(cast("Principal", self._principal), self._end):
            while await self._handle_next():
                pass

    def _end(self) -> None:
        """Send the client away: its key is worth nothing any more."""
        if self._task is not None and not self._revoked:
            self._revoked = True
            self._task.cancel()

    async def _handle_next(self) -> bool:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return False
        await self._handle(_decoded(message))
        return True

    async def _close(self, closing: Closing) -> None:
        with suppress(TimeoutError, OSError):  # a client that reads nothing is not waited for
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})

    async def _handle(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                await self._post({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                self._complete(message.get("id"))
            case other:
                raise Closing(INVALID_MESSAGE, f"Unknown message type {str(other)[:50]}")

    async def _init(self, payload: object) -> None:
        if self._acknowledged:
            raise Closing(TOO_MANY_INITS, "Too many initialisation requests")
        if not isinstance(payload, dict | None):
            raise Closing(INVALID_MESSAGE, "The payload of connection_init is an object")
        credential = _credential(cast("Mapping[str, object]", payload or {}))
        if credential is not None:
            self._principal = await self._authenticated(credential)
        if self._principal is None:
            raise Closing(FORBIDDEN, "Forbidden: send a key in connection_init")
        self._acknowledged = True
        await self._post({"type": "connection_ack"})

    async def _authenticated(self, credential: str) -> Principal:
        try:
            return await self._door.authenticate(credential)
        except DomainError as error:
            raise Closing(FORBIDDEN, "Forbidden") from error
        except Exception as error:
            if not is_unavailable(error):
                raise
            raise Closing(TRY_AGAIN_LATER, "Try again later") from error

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        principal = self._principal
        if not self._acknowledged or principal is None:
            raise Closing(UNAUTHORIZED, "Unauthorized")
        id_, request = _subscription(message)
        if id_ in self._tasks:
            raise Closing(SUBSCRIBER_EXISTS, f"Subscriber for {id_} already exists")
        try:
            self._check_room(principal)
        except DomainError as error:
            await self._post({"id": id_, "type": "error", "payload": [refusal(error)]})
            return
        context = Context(principal, self._door.services, self._door.services.staleness.reading())
        task = asyncio.create_task(self._run(id_, request, context), name="operation")
        self._tasks[id_] = task
        task.add_done_callback(lambda done: self._tasks.pop(id_, None) if self._tasks.get(id_) is done else None)

    def _check_room(self, principal: Principal) -> None:
        most = self._door.max_subscriptions
        if len(self._tasks) >= most:
            raise InvalidInput(f"One connection has at most {most} operations at once: complete one first.")
        self._door.limit.take(principal.key_id)

    def _complete(self, id_: object) -> None:
        if not isinstance(id_, str):
            raise Closing(INVALID_MESSAGE, "A complete message has an id")
        if (task := self._tasks.pop(id_, None)) is not None:
            task.cancel()

    async def _run(self, id_: str, request: Request, context: Context) -> None:
        with suppress(OSError):  # of sending to a client that has left
            try:
                if self._door.operations.is_subscription(request):
                    await self._follow(id_, request, context)
                else:
                    await self._conclude(id_, await self._door.operations.execute(request, context))
            except Exception as error:
                if isinstance(error, OSError) and not is_unavailable(error):
                    raise
                await self._post({"id": id_, "type": "error", "payload": refusals(error)})

    async def _follow(self, id_: str, request: Request, context: Context) -> None:
        prefix = b'{"id":' + orjson.dumps(id_) + b',"type":"next","payload":'
        follower = Follower(self._pushing(prefix))
        async with self._door.feeds.follow(request, context, follower) as refused:
            if refused is not None:
                await self._conclude(id_, refused)
                return
            await self._forward(prefix, follower)
        await self._post({"id": id_, "type": "complete"})

    async def _forward(self, prefix: bytes, follower: Follower) -> None:
        while True:
            await follower.wait()
            if self._frames is not None:
                await self._frames.writable.wait()
            news = follower.take()
            if news is None:
                return
            await self._send({"type": "websocket.send", "text": f"{prefix.decode()}{news.text.decode()}}}"})

    def _pushing(self, prefix: bytes) -> Callable[[News], bool] | None:
        frames = self._frames
        return None if frames is None else lambda news: frames.push(news.frame(prefix))

    async def _conclude(self, id_: str, answer: Answer) -> None:
        if not answer.executed:
            await self._post({"id": id_, "type": "error", "payload": answer.errors})
            return
        await self._post({"id": id_, "type": "next", "payload": orjson.Fragment(answer.encoded())})
        await self._post({"id": id_, "type": "complete"})

    async def _post(self, message: Mapping[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})


def _host(origin: str) -> str | None:
    """Return the host and port of an origin; None where it names none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _subscription(message: Mapping[str, Any]) -> tuple[str, Request]:
    id_, payload = message.get("id"), message.get("payload")
    if not isinstance(id_, str) or not id_ or not isinstance(payload, dict):
        raise Closing(INVALID_MESSAGE, "A subscribe message has an id and a payload")
    try:
        return id_, request_of(cast("dict[str, Any]", payload))
    except InvalidInput as error:
        raise Closing(INVALID_MESSAGE, error.message) from error


def _decoded(message: Message) -> Mapping[str, Any]:
    text = message.get("text")
    if text is None:
        raise Closing(INVALID_MESSAGE, "A message is text")
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Closing(INVALID_MESSAGE, "A message is JSON") from error
    if not isinstance(content, dict) or not isinstance(cast("dict[str, Any]", content).get("type"), str):
        raise Closing(INVALID_MESSAGE, "A message is an object with a type")
    return cast("dict[str, Any]", content)


def _credential(payload: Mapping[str, object]) -> str | None:
    named = {name.lower(): value for name, value in payload.items()}
    value = named.get("authorization") or named.get("x-api-key")
    return value if isinstance(value, str) else None
