"""Server-sent events, one operation a request (graphql-sse's distinct connections): for those behind proxies."""

import asyncio
from collections.abc import AsyncGenerator

import orjson
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response, StreamingResponse

from app.auth.principals import Principal
from app.auth.refusals import refuse
from app.errors import InvalidInput, Unauthenticated
from graph.context import Context, Services
from graph.http import plain, read_body, read_parameters
from graph.live.feeds import Feeds, Follower
from graph.operations import Answer, NotByGet, Operations, Request

KEEP_ALIVE_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class StreamDoor:
    """`/graphql/stream`."""

    def __init__(self, operations: Operations, services: Services, feeds: Feeds) -> None:
        self._operations = operations
        self._services = services
        self._feeds = feeds

    async def respond(self, request: HTTPRequest) -> Response:
        """Answer one operation as a stream of events."""
        principal: Principal | None = request.scope.get("state", {}).get("principal")
        if principal is None:
            return refuse(Unauthenticated("The graph needs a key: send it as `Authorization: Bearer KEY`."))
        try:
            asked = read_body(await request.body()) if request.method == "POST" else _from_url(request)
        except InvalidInput as error:
            return plain(error, 400)
        context = Context(principal, self._services)
        only_queries = request.method != "POST"
        return StreamingResponse(
            self._events(asked, context, only_queries=only_queries), media_type="text/event-stream", headers=HEADERS
        )

    async def _events(self, asked: Request, context: Context, *, only_queries: bool) -> AsyncGenerator[str]:
        try:
            if not self._operations.is_subscription(asked):
                answer = await self._operations.execute(asked, context, only_queries=only_queries)
                yield _next(orjson.dumps(answer.body()).decode())
            else:
                async for text in self._followed(asked, context):
                    yield text
        except NotByGet:
            refused = Answer(executed=False, data=None, errors=[{"message": "A mutation is sent by POST."}])
            yield _next(orjson.dumps(refused.body()).decode())
        yield "event: complete\ndata:\n\n"

    async def _followed(self, asked: Request, context: Context) -> AsyncGenerator[str]:
        told = asyncio.Event()
        follower = Follower(told.set)
        async with self._feeds.follow(asked, context, follower) as refused:
            if refused is not None:
                yield _next(orjson.dumps(refused.body()).decode())
                return
            while True:
                if (text := follower.take()) is not None:
                    yield _next(text)
                elif follower.finished:
                    return
                elif not await _within(told, KEEP_ALIVE_SECONDS):
                    yield ":\n\n"


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    event.clear()
    return True


def _next(payload: str) -> str:
    return f"event: next\ndata: {payload}\n\n"


def _from_url(request: HTTPRequest) -> Request:
    return read_parameters(request.query_params)
