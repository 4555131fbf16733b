"""How uvicorn speaks WebSocket here: its own protocol, and ready frames for the graph's subscriptions."""

from typing import override

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

from app.commands.connections import Patience
from graph.live.websocket import FRAMES


class FramingProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, which also sends frames that were made once for many connections.

    Such a frame is right for every connection, since none compresses and a server masks nothing.
    """

    _unread = 0
    """Seconds for which the client has not read what it was sent."""

    @override
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"] = {**(self.scope.get("extensions") or {}), FRAMES: self}  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]  # uvicorn's type has dicts alone

    @override
    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if not self.handshake_complete and message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # a refusal completes it; uvicorn would log an error at each

    def push(self, frame: bytes) -> bool:
        """Send a frame now, unless the transport is full or the connection is ending; say whether it was sent."""
        if not self.writable.is_set() or self.conn.state is not State.OPEN or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def tick(self, patience: Patience) -> None:
        """End the connection where its client does not read, or does not let it close."""
        stuck = self.transport.is_closing() or not self.writable.is_set()
        self._unread = self._unread + 1 if stuck else 0
        if self._unread > patience.slow_seconds:
            self.transport.abort()
