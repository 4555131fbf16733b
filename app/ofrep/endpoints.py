"""`POST /ofrep/v1/evaluate/flags[/{key}]`: one flag, or all of them with an ETag.

Evaluating does not expose. `?expose=true`, or the header `X-Winnow-Expose: true`, records the exposure before the
answer; else the application sends an EXPOSED event when it shows the variant.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.abtests.assigning import Assigning, Decision
from app.abtests.exposing import Exposing
from app.auth.principals import Permission
from app.auth.refusals import principal_of
from app.ofrep.answers import FLAG_NOT_FOUND, Refused, decode_context, failure, success

PATH = "/ofrep/v1/evaluate/flags"
JSON = "application/json"
_TRUE = ("true", "1")


class FlagEvaluation:
    """Evaluates running tests as flags."""

    def __init__(self, assigning: Assigning, exposing: Exposing) -> None:
        self._assigning = assigning
        self._exposing = exposing

    async def one(self, request: Request) -> Response:
        """Evaluate one flag."""
        key = request.path_params["key"]
        return await self._answer(request, partial(self._one, key), key=key)

    async def all(self, request: Request) -> Response:
        """Evaluate every running test; 304 where the client has this very answer."""
        return await self._answer(request, self._all)

    async def _answer(self, request: Request, evaluate: "_Evaluate", *, key: str | None = None) -> Response:
        principal_of(request.scope, Permission.ASSIGN_USERS)
        try:
            user_id, attributes = decode_context(await request.body())
            return await evaluate(request, user_id, attributes)
        except Refused as refused:
            status = 404 if refused.code == FLAG_NOT_FOUND else 400
            return Response(orjson.dumps(failure(refused, key)), status_code=status, media_type=JSON)

    async def _one(self, key: str, request: Request, user_id: str, attributes: dict[str, Any]) -> Response:
        test = await self._assigning.test(key)
        if test is None:
            raise Refused(FLAG_NOT_FOUND, f"No running test has the key {key!r}: start it, or correct the key.")
        decision = await self._assigning.decide_for(test, user_id, attributes=attributes)
        await self._expose(request, [decision], attributes)
        return Response(orjson.dumps(success(decision)), media_type=JSON)

    async def _all(self, request: Request, user_id: str, attributes: dict[str, Any]) -> Response:
        tests = self._assigning.live()
        decisions = [await self._assigning.decide_for(test, user_id, attributes=attributes) for test in tests]
        await self._expose(request, decisions, attributes)
        body = orjson.dumps({"flags": [success(decision) for decision in decisions]})
        tag = _entity_tag(body, user_id, attributes)
        if tag in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(body, media_type=JSON, headers={"ETag": tag})

    async def _expose(self, request: Request, decisions: list[Decision], attributes: dict[str, Any]) -> None:
        if _wants_exposure(request):
            for decision in decisions:
                await self._exposing.expose(decision, attributes=attributes)


type _Evaluate = Callable[[Request, str, dict[str, Any]], Awaitable[Response]]


def flag_routes(evaluation: FlagEvaluation) -> list[BaseRoute]:
    """Return the routes of the OpenFeature door."""
    return [
        Route(PATH, evaluation.all, methods=["POST"]),
        Route(PATH + "/{key:path}", evaluation.one, methods=["POST"]),
    ]


def _wants_exposure(request: Request) -> bool:
    asked = request.headers.get("x-winnow-expose") or request.query_params.get("expose", "")
    return asked.lower() in _TRUE


def _entity_tag(body: bytes, user_id: str, attributes: dict[str, Any]) -> str:
    """Return a tag of the answer and of whom it is for: some clients keep the tag when the attributes change."""
    whom = orjson.dumps([user_id, attributes], option=orjson.OPT_SORT_KEYS)
    return f'"{blake2b(body + whom, digest_size=16).hexdigest()}"'
