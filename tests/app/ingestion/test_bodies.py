"""Bodies are unpacked and cut at line ends, whatever the pieces in which they come."""

import gzip
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, TooLarge
from app.ingestion.batches import MAX_LINE_BYTES
from app.ingestion.bodies import CHUNK_BYTES, CHUNK_LINES, LineCutter, chunks, limited, unpacked

MEGABYTE = 1_000_000


async def _stream(*pieces: bytes):
    for piece in pieces:
        yield piece


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def _unpacked(*pieces: bytes, max_bytes: int = MEGABYTE) -> bytes:
    return b"".join([piece async for piece in unpacked(_stream(*pieces), max_bytes=max_bytes)])


async def _until(error: type[Exception], pieces) -> bytes:
    """Return what came before the error."""
    seen = b""
    try:
        async for piece in pieces:
            seen += piece
    except error:
        return seen
    pytest.fail(f"{error.__name__} did not come")


@pytest.mark.parametrize("size", [1, 7, 1000, MEGABYTE])
async def test_gzip_comes_in_any_pieces(size):
    data = b"".join(b'{"id":"%d"}\n' % n for n in range(5_000))
    assert await _unpacked(*_pieces(gzip.compress(data), size)) == data


async def test_gzip_files_may_follow_one_another():
    assert await _unpacked(gzip.compress(b"a\n") + gzip.compress(b"b\n"), gzip.compress(b"c\n")) == b"a\nb\nc\n"


async def test_nothing_is_nothing():
    assert await _unpacked() == b""
    assert [chunk async for chunk in chunks(_stream())] == []


async def test_what_is_no_gzip_is_refused():
    with pytest.raises(InvalidInput, match="gzip"):
        await _unpacked(b"plain text")
    with pytest.raises(InvalidInput, match="gzip"):
        await _unpacked(gzip.compress(b"a\n") + b"rubbish")


async def test_gzip_that_ends_early_gives_what_it_had_and_then_says_so():
    packed = gzip.compress(bytes(range(256)) * 50, compresslevel=0)
    assert len(await _until(InvalidInput, unpacked(_stream(packed[:-100]), max_bytes=MEGABYTE))) > 12_000


async def test_a_packed_body_is_measured_unpacked():
    data = bytes(zlib.crc32(bytes([n % 251])) % 251 for n in range(200_000))
    with pytest.raises(TooLarge):
        await _unpacked(gzip.compress(data), max_bytes=199_999)


async def test_a_bomb_is_stopped_long_before_the_limit():
    bomb = gzip.compress(b"\n" * 300 * MEGABYTE)
    stopped = await _until(TooLarge, unpacked(_stream(*_pieces(bomb, 1_000)), max_bytes=1000 * MEGABYTE))
    assert len(stopped) < MEGABYTE


async def test_a_plain_body_is_measured_as_it_comes():
    with pytest.raises(TooLarge):
        _ = [piece async for piece in limited(_stream(b"x" * 60, b"x" * 41), max_bytes=100)]


@given(
    st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=40),
    st.integers(1, 50),
    st.booleans(),
)
def test_cutting_loses_no_byte_and_no_line_number(lines, size, ended):
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    cutter = LineCutter(chunk_bytes=100)
    found = [chunk for piece in _pieces(data, size) for chunk in cutter.feed(piece)] + cutter.end()
    assert b"".join(chunk.data for chunk in found) == data
    for chunk, following in itertools.pairwise(found):
        assert chunk.data.endswith(b"\n")
        assert following.first_line == chunk.first_line + chunk.data.count(b"\n")


async def test_a_line_that_is_too_long_is_skipped_and_named_in_bounded_memory():
    long = b"x" * (CHUNK_BYTES * 3)
    pieces = [b"a\n", *_pieces(long, 10_000), b"\nb\n", b"c"]
    found = [chunk async for chunk in chunks(_stream(*pieces))]
    assert [(chunk.data, chunk.first_line, chunk.too_long) for chunk in found] == [
        (b"a\n", 1, False),
        (b"", 2, True),
        (b"b\n", 3, False),
        (b"c", 4, False),
    ]


async def test_an_endless_last_line_is_named_too():
    found = [chunk async for chunk in chunks(_stream(b"a\n", b"x" * (MAX_LINE_BYTES + 1)))]
    assert [(chunk.data[:3], chunk.first_line, chunk.too_long) for chunk in found] == [
        (b"a\n", 1, False),
        (b"", 2, True),
    ]


async def test_of_very_short_lines_few_are_cut_at_once_and_keep_their_numbers():
    data = b"{}\n" * (2 * CHUNK_LINES + 3) + b"{}"
    found = [chunk async for chunk in chunks(_stream(*_pieces(data, 50_000)))]
    assert b"".join(chunk.data for chunk in found) == data
    assert max(chunk.data.count(b"\n") for chunk in found) == CHUNK_LINES
    assert [chunk.first_line for chunk in found] == [1, CHUNK_LINES + 1, 2 * CHUNK_LINES + 1, 2 * CHUNK_LINES + 4]
