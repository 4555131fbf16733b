"""`POST /v1/events`: NDJSON in, a receipt out, once everything in the receipt is durable."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.auth.limiting import RateLimit
from app.auth.principals import Permission
from app.auth.refusals import STATUS, principal_of, refuse
from app.errors import DomainError, InvalidInput
from app.ingestion.batches import Batch, read_lines, too_long
from app.ingestion.bodies import Chunk, chunks, limited, too_large, unpacked
from app.ingestion.pipeline import Ingestion
from app.ingestion.rejections import Receipt, Rejected

MAX_LISTED = 10_000
"""Refused lines named in one answer; the rest are counted as `unlisted`."""

MAX_UNLISTED = 90_000
"""A body with more than these refused beside those is not read on: it is no list of events."""


@dataclass(slots=True)
class Report:
    """What became of a body so far."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    unlisted: int = 0

    def add(self, receipt: Receipt, lines: Sequence[int]) -> None:
        """Add a chunk's receipt; `lines` are the numbers of its lines."""
        self.accepted += receipt.accepted
        self.duplicates += receipt.duplicates
        room = MAX_LISTED - len(self.rejected)
        self.rejected += [_entry(rejected, lines) for rejected in receipt.rejected[:room]]
        self.unlisted += max(0, len(receipt.rejected) - room)

    def body(self) -> dict[str, Any]:
        """Return the answer's members."""
        said = {"accepted": self.accepted, "duplicates": self.duplicates, "rejected": self.rejected}
        return said | ({"unlisted": self.unlisted} if self.unlisted else {})


class EventsEndpoint:
    """The door for events: `Route("/v1/events", endpoint.post, methods=["POST"])`.

    `limit` counts events by key. `max_bytes` is the largest body, unpacked.
    """

    def __init__(self, ingestion: Ingestion, *, limit: RateLimit, max_bytes: int) -> None:
        self._ingestion = ingestion
        self._limit = limit
        self._max_bytes = max_bytes

    async def post(self, request: Request) -> Response:
        """Record the body's events.

        A body that breaks half-way is answered with what was stored of it, beside the error: nothing is stored that no
        answer names.
        """
        report = Report()
        try:
            key = principal_of(request.scope, Permission.RECORD_EVENTS).key_id
            self._ingestion.admit()
            await self._record(self._stream(request), report, key)
        except DomainError as error:
            return _broken(error, report)
        return _answer(report.body())

    async def _record(self, stream: AsyncIterator[bytes], report: Report, key: int) -> None:
        async for chunk in chunks(stream):
            if chunk.first_line == 1:
                _refuse_array(chunk.data)
            batch = _read(chunk)
            self._limit.take(key, len(batch.events))
            report.add(await self._ingestion.record(batch.events), batch.lines)
            if report.unlisted > MAX_UNLISTED:
                raise InvalidInput(
                    f"More than {MAX_LISTED + MAX_UNLISTED:,} lines are refused: correct what makes them, "
                    "and send the body again."
                )
            await asyncio.sleep(0)  # others have their turn, whatever this body is

    def _stream(self, request: Request) -> AsyncIterator[bytes]:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._max_bytes:
            raise too_large(self._max_bytes)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding in {"gzip", "x-gzip"}:
            return unpacked(request.stream(), max_bytes=self._max_bytes)
        if encoding not in {"", "identity"}:
            raise InvalidInput(f"The body is packed by {encoding!r}: send it plain or by gzip.")
        return limited(request.stream(), max_bytes=self._max_bytes)


def _read(chunk: Chunk) -> Batch:
    if chunk.too_long:
        return Batch([too_long()], [chunk.first_line])
    return read_lines(chunk.data, first_line=chunk.first_line)


def _refuse_array(data: bytes) -> None:
    if data[:1024].lstrip().startswith(b"["):
        raise InvalidInput("The body is a JSON array: send one event a line (NDJSON), without brackets and commas.")


def _entry(rejected: Rejected, lines: Sequence[int]) -> dict[str, Any]:
    entry: dict[str, Any] = {"line": lines[rejected.index], "id": rejected.id, "code": rejected.code}
    return entry | {"field": rejected.field, "message": rejected.message}


def _answer(body: dict[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _broken(error: DomainError, report: Report) -> Response:
    refusal = refuse(error)
    body = {"code": error.code.value, "message": error.message, **report.body()}
    headers = {name: value for name, value in refusal.headers.items() if name not in {"content-length", "content-type"}}
    return Response(orjson.dumps(body), STATUS[error.code], headers, media_type="application/json")
