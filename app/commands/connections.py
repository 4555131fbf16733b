"""How uvicorn speaks HTTP here: its own protocol, and an end to what a client sends or reads too slowly, or too long.

A connection takes a file descriptor, and one that exports or subscribes more than that. Nothing is spent on a request
but a few additions: connections are looked over once a second.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, override, runtime_checkable

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.operations.observing import TIMED_OUT

MAX_HEAD_BYTES = 65_536
"""Of a request's line and headers; as much again may have been read before it is noticed."""
SLOWEST = 500
"""Bytes a second: a body that comes this fast may take as long as it likes."""

_REFUSALS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long clients are waited for: in seconds, which are counted while the process has time to look."""

    head_seconds: float
    slow_seconds: float


@runtime_checkable
class Watched(Protocol):
    """A connection that is looked over once a second."""

    def tick(self, patience: Patience) -> None:
        """End the connection where its client is too slow."""
        ...


def look_over(connections: Iterable[object], patience: Patience) -> None:
    """Let each connection see whether its client is too slow."""
    for connection in tuple(connections):
        if isinstance(connection, Watched):
            connection.tick(patience)


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with a bound on a head's size and on how slowly a client may send and read."""

    _answered: RequestResponseCycle | None = None
    """The request that is being answered; others, sent before its answer, wait in `pipeline`."""
    _in_head = True
    _received = 0
    """Bytes of the head, or of the body, that is being sent."""
    _waited = 0
    """Seconds for which it was waited for."""
    _unread = 0
    """Seconds for which the client has not read what it was sent."""

    @override
    def data_received(self, data: bytes) -> None:
        self._received += len(data)  # first: it begins anew wherever a head or a body ends
        super().data_received(data)
        if self._in_head and self._received > MAX_HEAD_BYTES and self.transport.get_protocol() is self:
            self._refuse(431)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        answered = self._answered
        if answered is not None and not answered.response_complete:
            answered.disconnected = True  # uvicorn thinks of the request that was sent last alone
            answered.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    @override
    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._received = self._waited = 0

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._received = self._waited = 0

    def tick(self, patience: Patience) -> None:
        """End the connection where its client is too slow."""
        if self.transport.is_closing() or self.flow.write_paused:
            self._unread += 1
            if self._unread > patience.slow_seconds:
                self.transport.abort()
            return
        self._unread = 0
        if self._is_awaited():
            self._waited += 1
            if self._waited > self._allowed(patience):
                self._refuse(408)

    def _is_awaited(self) -> bool:
        """Tell whether it is the client's turn. Between two requests uvicorn's own, shorter limit holds."""
        if not self._in_head:
            return not self.flow.read_paused
        return self._latest is None or (self._latest.response_complete and self._received > 0)

    def _allowed(self, patience: Patience) -> float:
        return patience.head_seconds if self._in_head else patience.slow_seconds + self._received / SLOWEST

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request whose head came last; uvicorn's type leaves out that there may be none yet."""
        return self.cycle

    def _refuse(self, status: int) -> None:
        """Say why, unless something else is being answered, and close the connection."""
        latest = self._latest
        if self.pipeline or (latest is not None and latest.response_started and not latest.response_complete):
            self.transport.abort()
            return
        if latest is not None and not latest.response_complete:
            latest.scope["state"][TIMED_OUT] = True  # pyright: ignore[reportTypedDictNotRequiredAccess]  # uvicorn always sets it
            latest.disconnected = True
            latest.message_event.set()
        if self._in_head or (latest is not None and not latest.response_complete):
            self.transport.write(_refusal(status))
        self.transport.close()


def _refusal(status: int) -> bytes:
    phrase = _REFUSALS[status]
    head = b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\n" % (status, phrase)
    return head + b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(phrase), phrase)
