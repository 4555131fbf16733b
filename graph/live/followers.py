"""Who follows: one answer made for many, and the newest of them for each follower."""

import asyncio
import struct
from collections.abc import Callable

_FINAL_TEXT = 0x81
_SHORT, _MEDIUM = 126, 0x10000


class News:
    """One answer, serialised once. Followers whose messages begin alike share even the WebSocket frame."""

    __slots__ = ("_frame", "_prefix", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._prefix = b""
        self._frame = b""

    def frame(self, prefix: bytes) -> bytes:
        """Return the unmasked, unfragmented WebSocket frame of the message that begins with `prefix`."""
        if prefix != self._prefix:
            self._prefix = prefix
            self._frame = b"".join((_head(len(prefix) + len(self.text) + 1), prefix, self.text, b"}"))
        return self._frame


type Push = Callable[[News], bool]
"""Sends an answer at once; says whether it could."""


class Follower:
    """One subscriber: the newest answer it has not taken yet.

    Where `push` can send an answer at once, nobody has to wake up for it. Otherwise it waits in the place of the one
    before it, which is then skipped.
    """

    __slots__ = ("_news", "_push", "_told", "finished")

    def __init__(self, push: Push | None = None) -> None:
        self._push = push
        self._news: News | None = None
        self._told = asyncio.Event()
        self.finished = False

    def offer(self, news: News) -> None:
        """Send an answer, or keep it in the place of the one not taken."""
        if self._news is None and self._push is not None and self._push(news):
            return
        self._news = news
        self._told.set()

    def finish(self) -> None:
        """Say that nothing more will come."""
        self.finished = True
        self._told.set()

    async def wait(self) -> None:
        """Return once there is an answer to take, or none will come."""
        while self._news is None and not self.finished:
            self._told.clear()
            await self._told.wait()

    def take(self) -> News | None:
        """Return the newest answer, once."""
        news, self._news = self._news, None
        return news


def _head(length: int) -> bytes:
    if length < _SHORT:
        return bytes((_FINAL_TEXT, length))
    if length < _MEDIUM:
        return struct.pack("!BBH", _FINAL_TEXT, 126, length)
    return struct.pack("!BBQ", _FINAL_TEXT, 127, length)
