"""What a request brings, read whole; doors that take their bodies as a stream have their own ways."""

from starlette.requests import ClientDisconnect
from starlette.types import Receive


async def whole_body(receive: Receive) -> bytes:
    """Return a request's body; raise ClientDisconnect where the client leaves before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
