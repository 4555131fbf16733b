"""Server-sent events, one operation a request (graphql-sse's distinct connections): for those behind proxies."""

import asyncio
from collections.abc import AsyncGenerator

import orjson
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response, StreamingResponse

from app.auth.principals import Principal
from app.auth.refusals import refuse
from app.errors import InvalidInput, Unauthenticated
from app.operations.staleness import SOURCE
from graph.context import Context, Services
from graph.errors import refusals
from graph.http import JSON, plain, read_body, read_parameters
from graph.live.feeds import Feeds
from graph.live.followers import Follower
from graph.live.sessions import Sessions
from graph.operations import Answer, NotByGet, Operations, Request

EVENTS = "text/event-stream"
KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class StreamDoor:
    """`/graphql/stream`."""

    def __init__(
        self,
        operations: Operations,
        services: Services,
        feeds: Feeds,
        *,
        sessions: Sessions,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._operations = operations
        self._services = services
        self._feeds = feeds
        self._sessions = sessions
        self._keep_alive_seconds = keep_alive_seconds
        self._followers: set[Follower] = set()
        self._interrupted = False

    def interrupt(self) -> None:
        """Break off every subscription: without `complete`, so that clients come back, to another process."""
        self._interrupted = True
        for follower in tuple(self._followers):
            follower.finish()

    async def respond(self, request: HTTPRequest) -> Response:
        """Answer one operation as a stream of events."""
        principal: Principal | None = request.scope.get("state", {}).get("principal")
        if principal is None:
            return refuse(Unauthenticated("The graph needs a key: send it as `Authorization: Bearer KEY`."))
        if not _takes_events(request.headers.get("accept", "*/*")):
            return plain(InvalidInput(f"Answers come as a stream here: send Accept: {EVENTS}."), 406)
        try:
            asked = await _asked(request)
        except InvalidInput as error:
            return plain(error, 400)
        reading = self._services.staleness.reading(request.headers.get(SOURCE.decode()))
        context = Context(principal, self._services, reading)
        events = self._events(asked, context, only_queries=request.method != "POST")
        return StreamingResponse(events, media_type=EVENTS, headers=HEADERS)

    async def _events(self, asked: Request, context: Context, *, only_queries: bool) -> AsyncGenerator[bytes]:
        try:
            if self._operations.is_subscription(asked):
                async for event in self._followed(asked, context):
                    yield event
            else:
                yield _next_of(await self._operations.execute(asked, context, only_queries=only_queries))
        except NotByGet:
            yield _failed(InvalidInput("A mutation changes things: send it by POST."))
        except Exception as error:  # noqa: BLE001  # masked and logged; the head of the answer has been sent
            yield _failed(error)
        if not self._interrupted:
            yield COMPLETE

    async def _followed(self, asked: Request, context: Context) -> AsyncGenerator[bytes]:
        follower = Follower()
        self._followers.add(follower)
        try:
            with self._sessions.opened(context.principal, follower.finish):
                async with self._feeds.follow(asked, context, follower) as refused:
                    if refused is not None:
                        yield _next_of(refused)
                        return
                    async for event in self._events_of(follower):
                        yield event
        finally:
            self._followers.discard(follower)

    async def _events_of(self, follower: Follower) -> AsyncGenerator[bytes]:
        while True:
            if not await _within(follower, self._keep_alive_seconds):
                yield KEEP_ALIVE
            elif (news := follower.take()) is not None:
                yield _next(news.text)
            else:
                return


async def _asked(request: HTTPRequest) -> Request:
    if request.method != "POST":
        return read_parameters(request.query_params)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise InvalidInput("A GraphQL request is JSON: send it as Content-Type: application/json.")
    return read_body(await request.body())


async def _within(follower: Follower, seconds: float) -> bool:
    try:
        await asyncio.wait_for(follower.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _takes_events(accept: str) -> bool:
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return not kinds.isdisjoint({EVENTS, "text/*", "*/*"})


def _failed(error: Exception) -> bytes:
    return _next(orjson.dumps({"errors": refusals(error)}))


def _next_of(answer: Answer) -> bytes:
    return _next(answer.encoded())


def _next(payload: bytes) -> bytes:
    return b"event: next\ndata: " + payload + b"\n\n"
