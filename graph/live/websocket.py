"""graphql-transport-ws, as specified: subscriptions, and queries and mutations too, on one connection.

A connection has one writer. Followers only mark what is new; the writer takes the newest of each, so that a slow
client falls behind by at most one answer a subscription.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
from starlette.types import Message, Receive, Scope, Send

from app.auth.principals import Principal
from app.errors import DomainError, InvalidInput
from graph.context import Context, Services
from graph.errors import refusal
from graph.http import request_of
from graph.live.feeds import Feeds, Follower
from graph.operations import Answer, Operations, Request

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
INVALID_MESSAGE, UNAUTHORIZED, FORBIDDEN, INIT_TIMEOUT = 4400, 4401, 4403, 4408
SUBSCRIBER_EXISTS, TOO_MANY_INITS, TOO_MANY_SUBSCRIPTIONS = 4409, 4429, 4429

type Authenticate = Callable[[str], Awaitable[Principal]]


class Closing(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveDoor:
    """The WebSocket door of the graph; an ASGI application."""

    def __init__(
        self,
        operations: Operations,
        services: Services,
        feeds: Feeds,
        *,
        authenticate: Authenticate,
        allowed_origins: tuple[str, ...],
        max_subscriptions: int,
    ) -> None:
        self.operations = operations
        self.services = services
        self.feeds = feeds
        self.authenticate = authenticate
        self.max_subscriptions = max_subscriptions
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await receive()
        if not self._may_connect(scope):
            await send({"type": "websocket.close", "code": FORBIDDEN, "reason": "Foreign origin"})
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        await Connection(self, scope, receive, send).serve()

    def _may_connect(self, scope: Scope) -> bool:
        headers: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if PROTOCOL not in scope.get("subprotocols", ()):
            return False
        origin = headers.get(b"origin")
        return origin is None or origin in self._allowed_origins or urlsplit(origin).netloc == headers.get(b"host")


class Connection:
    """One client."""

    def __init__(self, door: LiveDoor, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._receive = receive
        self._send = send
        self._principal: Principal | None = scope.get("state", {}).get("principal")
        self._acknowledged = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._followers: dict[str, tuple[str, Follower]] = {}
        self._control: deque[str] = deque()
        self._ready = asyncio.Event()
        self._closing: Closing | None = None

    async def serve(self) -> None:
        """Read until the client leaves or is sent away."""
        writer = asyncio.create_task(self._write(), name="websocket-writer")
        try:
            await self._read()
        except Closing as closing:
            self._closing = closing
            self._ready.set()
            await writer
        finally:
            for task in (writer, *self._tasks.values()):
                task.cancel()
            await asyncio.gather(writer, *self._tasks.values(), return_exceptions=True)

    async def _read(self) -> None:
        first = await self._within(INIT_SECONDS)
        while first["type"] != "websocket.disconnect":
            await self._handle(_decoded(first))
            first = await (self._receive() if self._acknowledged else self._within(INIT_SECONDS))

    async def _within(self, seconds: float) -> Message:
        try:
            return await asyncio.wait_for(cast("Any", self._receive()), seconds)
        except TimeoutError as error:
            raise Closing(INIT_TIMEOUT, "Connection initialisation timeout") from error

    async def _handle(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                self._post({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._subscribe(message)
            case "complete":
                self._complete(message.get("id"))
            case other:
                raise Closing(INVALID_MESSAGE, f"Unknown message type {str(other)[:50]}")

    async def _init(self, payload: object) -> None:
        if self._acknowledged:
            raise Closing(TOO_MANY_INITS, "Too many initialisation requests")
        credential = _credential(payload)
        try:
            if credential is not None:
                self._principal = await self._door.authenticate(credential)
        except DomainError as error:
            raise Closing(FORBIDDEN, "Forbidden") from error
        if self._principal is None:
            raise Closing(FORBIDDEN, "Forbidden: send a key in connection_init")
        self._acknowledged = True
        self._post({"type": "connection_ack"})

    def _subscribe(self, message: Mapping[str, Any]) -> None:
        principal = self._principal
        if not self._acknowledged or principal is None:
            raise Closing(UNAUTHORIZED, "Unauthorized")
        id_ = message.get("id")
        if not isinstance(id_, str) or not id_ or not isinstance(message.get("payload"), dict):
            raise Closing(INVALID_MESSAGE, "A subscribe message has an id and a payload")
        if id_ in self._tasks:
            raise Closing(SUBSCRIBER_EXISTS, f"Subscriber for {id_[:50]} already exists")
        if len(self._tasks) >= self._door.max_subscriptions:
            raise Closing(TOO_MANY_SUBSCRIPTIONS, "Too many subscriptions on one connection")
        context = Context(principal, self._door.services)
        task = asyncio.create_task(self._run(id_, message["payload"], context), name="subscription")
        self._tasks[id_] = task
        task.add_done_callback(lambda done: self._tasks.pop(id_, None) if self._tasks.get(id_) is done else None)

    def _complete(self, id_: object) -> None:
        task = self._tasks.pop(id_, None) if isinstance(id_, str) else None
        if task is not None:
            task.cancel()

    async def _run(self, id_: str, payload: Mapping[str, Any], context: Context) -> None:
        try:
            request = request_of(payload)
            if not self._door.operations.is_subscription(request):
                self._conclude(id_, await self._door.operations.execute(request, context))
                return
            await self._follow(id_, request, context)
        except InvalidInput as error:
            self._post({"id": id_, "type": "error", "payload": [refusal(error)]})

    async def _follow(self, id_: str, request: Request, context: Context) -> None:
        finished = asyncio.Event()
        follower = Follower(self._ready.set)
        follower_id = orjson.dumps(id_).decode()
        async with self._door.feeds.follow(request, context, follower) as refused:
            if refused is not None:
                self._conclude(id_, refused)
                return
            follower.when_finished = finished.set
            if follower.finished:
                finished.set()
            self._followers[id_] = (follower_id, follower)
            self._ready.set()
            try:
                await finished.wait()
            finally:
                self._followers.pop(id_, None)
        if (text := follower.take()) is not None:
            self._control.append(_next(follower_id, text))
        self._post({"id": id_, "type": "complete"})

    def _conclude(self, id_: str, answer: Answer) -> None:
        if not answer.executed:
            self._post({"id": id_, "type": "error", "payload": answer.errors})
            return
        self._post({"id": id_, "type": "next", "payload": answer.body()})
        self._post({"id": id_, "type": "complete"})

    def _post(self, message: Mapping[str, Any]) -> None:
        self._control.append(orjson.dumps(message).decode())
        self._ready.set()

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._control:
                await self._send_text(self._control.popleft())
            for id_, follower in tuple(self._followers.values()):
                if (text := follower.take()) is not None:
                    await self._send_text(_next(id_, text))
            if self._closing is not None:
                closing = {"type": "websocket.close", "code": self._closing.code, "reason": self._closing.reason}
                await self._send(closing)
                return

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})


def _next(id_: str, payload: str) -> str:
    return f'{{"id":{id_},"type":"next","payload":{payload}}}'


def _decoded(message: Message) -> Mapping[str, Any]:
    try:
        content = orjson.loads(message.get("text") or message.get("bytes") or b"")
    except orjson.JSONDecodeError as error:
        raise Closing(INVALID_MESSAGE, "A message is JSON") from error
    if not isinstance(content, dict) or not isinstance(cast("dict[str, Any]", content).get("type"), str):
        raise Closing(INVALID_MESSAGE, "A message is an object with a type")
    return cast("dict[str, Any]", content)


def _credential(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return None
    named = {str(name).lower(): value for name, value in cast("dict[object, object]", payload).items()}
    value = named.get("authorization") or named.get("x-api-key")
    return value if isinstance(value, str) else None
