"""The body of a request as chunks of whole lines: unpacked and cut in bounded memory."""

import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

from app.errors import InvalidInput, TooLarge
from app.ingestion.batches import MAX_LINE_BYTES

CHUNK_BYTES = 262_144
"""About how much is parsed and stored at once."""

CHUNK_LINES = 4_000
"""How many lines are parsed at once at most: more than CHUNK_BYTES of events have, unless they are no events."""

PIECE_BYTES = 65_536
"""How much is unpacked at once."""

MAX_RATIO = 200
"""A packed body that unpacks to more than this many times its size is refused, past the first piece."""

GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of a body; `first_line` is the number of the first, from 1. `too_long` is a line that was skipped."""

    data: bytes
    first_line: int
    too_long: bool = False


async def unpacked(stream: AsyncIterator[bytes], *, max_bytes: int) -> AsyncIterator[bytes]:
    """Unpack gzip piece by piece; raise InvalidInput where it is broken, TooLarge past `max_bytes` or MAX_RATIO."""
    decoder = zlib.decompressobj(GZIP)
    packed = size = 0
    async for data in stream:
        packed += len(data)
        left = data
        while left:
            if decoder.eof:  # gzip files may follow one another
                decoder = zlib.decompressobj(GZIP)
            piece = _unpack(decoder, left)
            left = decoder.unconsumed_tail or decoder.unused_data
            size += len(piece)
            if size > max_bytes or size > PIECE_BYTES + packed * MAX_RATIO:
                raise too_large(max_bytes)
            yield piece
    if packed and not decoder.eof:
        raise InvalidInput("The gzip body ends too early: send the rest again.")


def too_large(max_bytes: int) -> TooLarge:
    """Return the refusal of a body past its limit."""
    return TooLarge(f"The body is larger than {max_bytes:,} bytes, or unpacks to far more: send it in parts.")


async def limited(stream: AsyncIterator[bytes], *, max_bytes: int) -> AsyncIterator[bytes]:
    """Pass a body on; raise TooLarge past `max_bytes`."""
    size = 0
    async for data in stream:
        size += len(data)
        if size > max_bytes:
            raise too_large(max_bytes)
        yield data


async def chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[Chunk]:
    """Cut a body at line ends into chunks of about CHUNK_BYTES; a line past MAX_LINE_BYTES is skipped and named."""
    cutter = LineCutter()
    async for data in stream:
        for chunk in cutter.feed(data):
            yield chunk
    for chunk in cutter.end():
        yield chunk


class LineCutter:
    """Collects pieces of a body until there are whole lines enough."""

    def __init__(self, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._chunk_bytes = chunk_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._line = 1
        self._skipping = False

    def feed(self, data: bytes) -> list[Chunk]:
        """Take a piece and return what is complete."""
        if self._skipping:
            data = self._skip(data)
        self._pieces.append(data)
        self._size += len(data)
        return self._cut() if self._size >= self._chunk_bytes else []

    def end(self) -> list[Chunk]:
        """Return what is left; the last line needs no line end."""
        found = self._cut()
        rest = b"".join(self._pieces)
        return [*found, Chunk(rest, self._line)] if rest else found

    def _cut(self) -> list[Chunk]:
        data = b"".join(self._pieces)
        whole, end, rest = data.rpartition(b"\n")
        found = list(_few_lines(whole + end, self._line)) if end else []
        self._line += whole.count(b"\n") + len(end)
        if len(rest) > MAX_LINE_BYTES:
            found.append(Chunk(b"", self._line, too_long=True))
            self._skipping, rest = True, b""
        self._pieces, self._size = [rest], len(rest)
        return found

    def _skip(self, data: bytes) -> bytes:
        _, end, rest = data.partition(b"\n")
        self._skipping = not end
        self._line += len(end)
        return rest


def _few_lines(data: bytes, first_line: int) -> Iterator[Chunk]:
    """Divide whole lines into chunks of CHUNK_LINES."""
    if data.count(b"\n") <= CHUNK_LINES:
        yield Chunk(data, first_line)
        return
    lines = data.split(b"\n")[:-1]
    for start in range(0, len(lines), CHUNK_LINES):
        yield Chunk(b"\n".join(lines[start : start + CHUNK_LINES]) + b"\n", first_line + start)


class _Decoder(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _unpack(decoder: _Decoder, data: bytes) -> bytes:
    try:
        return decoder.decompress(data, PIECE_BYTES)
    except zlib.error as error:
        raise InvalidInput(f"The body is not valid gzip ({error}): pack it again and send it again.") from error
