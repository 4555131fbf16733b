"""`POST /ofrep/v1/evaluate/flags[/{key}]`: one flag, or all of them with an ETag.

Evaluating does not expose. `?expose=true`, or the header `X-Winnow-Expose: true`, records the exposure before the
answer; else the application sends an EXPOSED event when it shows the variant.

Applications ask here on every page, so that this door is plain ASGI, beside the others rather than behind them: it is
counted, but writes no line in the log for each request.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from time import perf_counter
from urllib.parse import parse_qs

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.abtests.assigning import Assigning
from app.abtests.definitions import AssigningTest
from app.abtests.exposing import Exposing
from app.abtests.targeting import Attributes
from app.auth.limiting import RateLimit
from app.auth.middleware import BodyLimitMiddleware, key_among
from app.auth.principals import Permission, Principal
from app.auth.refusals import refuse
from app.errors import DomainError, DomainErrors, ErrorCode, TooLarge, Unauthenticated
from app.ofrep.answers import (
    FLAG_NOT_FOUND,
    INVALID_CONTEXT,
    FlagAnswers,
    Refused,
    answer,
    decode_context,
    failure,
)
from app.operations.receiving import whole_body
from app.store.database import refusal_of

PATH = "/ofrep/v1/evaluate/flags"
JSON = (b"content-type", b"application/json")
CLIENT_GONE = 499
_TRUE = ("true", "1")

log = structlog.stdlib.get_logger(__name__)

type Headers = Mapping[bytes, bytes]
type Note = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and what goes with it."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One request: for whom, what is known of them, and what else was sent."""

    user_id: str
    attributes: Attributes
    body: bytes
    headers: Headers
    exposes: bool


def is_flags_path(path: str) -> bool:
    """Tell whether a request is for this door."""
    return path.startswith(PATH) and (len(path) == len(PATH) or path[len(PATH)] == "/")


class FlagEvaluation:
    """Evaluates running tests as flags."""

    def __init__(self, assigning: Assigning, exposing: Exposing) -> None:
        self._assigning = assigning
        self._exposing = exposing
        self._answers: dict[int, FlagAnswers] = {}

    async def one(self, key: str, asked: Evaluation) -> Answer:
        """Evaluate one flag."""
        test = await self._assigning.test(key)
        if test is None:
            raise Refused(FLAG_NOT_FOUND, f"No running test has the key {key!r}: start it, or correct the key.")
        return Answer(await self._evaluate(test, asked))

    async def all(self, asked: Evaluation) -> Answer:
        """Evaluate every test; 304 where the client has this very answer."""
        flags = await asyncio.gather(*(self._evaluate(test, asked) for test in self._assigning.live()))
        body = b'{"flags":[' + b",".join(flags) + b"]}"
        tag = _entity_tag(body, asked.body)
        if _has(asked.headers.get(b"if-none-match", b""), tag):
            return Answer(b"", 304, ((b"etag", tag),))
        return Answer(body, 200, (JSON, (b"etag", tag)))

    async def unit(self, user_id: str) -> str:
        """Return the caller's own id of a user."""
        return await self._assigning.unit(user_id)

    async def _evaluate(self, test: AssigningTest, asked: Evaluation) -> bytes:
        if not asked.exposes:
            assignment = self._assigning.at_once(test, asked.user_id, asked.attributes)
            if assignment is not None:
                return self._written(test).of(assignment)
        decision = await self._assigning.decide_for(test, asked.user_id, attributes=asked.attributes)
        if asked.exposes:
            await self._exposing.expose(decision)
        return answer(decision)

    def _written(self, test: AssigningTest) -> FlagAnswers:
        written = self._answers.get(test.id)
        if written is None or written.test is not test:
            written = self._answers[test.id] = FlagAnswers(test)
        return written


class FlagDoor:
    """The door itself: who asks, how often, what; and the answer, or why there is none."""

    def __init__(
        self,
        evaluation: FlagEvaluation,
        *,
        authenticate: Callable[[str], Awaitable[Principal]],
        limit: RateLimit,
        max_bytes: int,
        count: Callable[[str, str], Note],
    ) -> None:
        self._evaluation = evaluation
        self._authenticate = authenticate
        self._limit = limit
        self._max_bytes = max_bytes
        self._limited = BodyLimitMiddleware(self._serve, default=max_bytes, limits={})
        self._count_one = count("POST", PATH + "/{key}")
        self._count_all = count("POST", PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to PATH or below it."""
        declared = dict(scope["headers"]).get(b"content-length", b"")
        is_small = len(declared) < 10 and declared.isdigit() and int(declared) <= self._max_bytes
        await (self._serve if is_small else self._limited)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        key = scope["path"][len(PATH) + 1 :] or None
        try:
            status = await self._send(await self._answer(scope, receive, key), scope, receive, send)
        except ClientDisconnect:
            status = CLIENT_GONE
        (self._count_all if key is None else self._count_one)(status, perf_counter() - began)

    async def _send(self, given: Answer | Response, scope: Scope, receive: Receive, send: Send) -> int:
        if isinstance(given, Response):
            await given(scope, receive, send)
            return given.status_code
        await _send(given, send)
        return given.status

    async def _answer(self, scope: Scope, receive: Receive, key: str | None) -> Answer | Response:
        if scope["method"] != "POST":
            return Answer(b"", 405, ((b"allow", b"POST"),))
        try:
            headers = dict(reversed(scope["headers"]))  # of a header sent twice, the first
            await self._admit(scope, headers)
            return await self._evaluated(scope, headers, receive, key)
        except Refused as refused:
            return Answer(failure(refused, key), 404 if refused.code == FLAG_NOT_FOUND else 400)
        except (TooLarge, ClientDisconnect):
            raise
        except DomainErrors as error:
            return _refused(error.problems[0], key)
        except DomainError as error:
            return _refused(error, key)
        except Exception as error:  # noqa: BLE001  # the protocol has an answer for it; the log has the error
            return _failed(error)

    async def _admit(self, scope: Scope, headers: Headers) -> None:
        try:
            principal = await self._identified(key_among(headers))
        except Unauthenticated:
            self._limit.take((scope["client"] or ("",))[0])
            raise
        self._limit.take(principal.key_id)
        principal.require(Permission.ASSIGN_USERS)

    async def _identified(self, credential: str | None) -> Principal:
        if credential is None:
            raise Unauthenticated("This needs a key: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.")
        return await self._authenticate(credential)

    async def _evaluated(self, scope: Scope, headers: Headers, receive: Receive, key: str | None) -> Answer:
        body = await whole_body(receive)
        user_id, attributes = decode_context(body)
        if user_id.startswith("usr_"):
            user_id = await self._evaluation.unit(user_id)
        asked = Evaluation(user_id, attributes, body, headers, _wants_exposure(headers, scope["query_string"]))
        return await (self._evaluation.all(asked) if key is None else self._evaluation.one(key, asked))


async def _send(given: Answer, send: Send) -> None:
    length = (b"content-length", b"%d" % len(given.body))
    headers = given.headers if given.status == 304 else (*given.headers, length)
    await send({"type": "http.response.start", "status": given.status, "headers": headers})
    await send({"type": "http.response.body", "body": given.body})


def _refused(error: DomainError, key: str | None) -> Answer | Response:
    """Return a bad request in the protocol's words; all else as at every door."""
    if error.code is ErrorCode.INVALID_INPUT:
        return Answer(failure(Refused(INVALID_CONTEXT, error.message), key), 400)
    return refuse(error)


def _failed(error: Exception) -> Answer | Response:
    refusal = refusal_of(error)
    if refusal is not None:
        return refuse(refusal)
    number = secrets.token_hex(8)
    log.error("request_failed", request_id=number, exc_info=error)
    details = f'{{"errorDetails":"Winnow could not evaluate this; its log says why, under the id {number}."}}'
    return Answer(details.encode(), 500, (JSON, (b"x-request-id", number.encode())))


def _wants_exposure(headers: Headers, query: bytes) -> bool:
    if b"x-winnow-expose" in headers:
        return headers[b"x-winnow-expose"].decode("latin-1").strip().lower() in _TRUE
    return bool(query) and parse_qs(query.decode("latin-1")).get("expose", [""])[-1].lower() in _TRUE


def _has(header: bytes, tag: bytes) -> bool:
    """Say whether If-None-Match names this answer; compared weakly, as RFC 9110 has it for reading."""
    return any(part.strip().removeprefix(b"W/") in (tag, b"*") for part in header.split(b",")) if header else False


def _entity_tag(answered: bytes, asked: bytes) -> bytes:
    """Return a tag of the answer and of whom it is for: some clients keep the tag when the attributes change."""
    return b'"%s"' % blake2b(answered + b"\x00" + asked, digest_size=16).hexdigest().encode()
