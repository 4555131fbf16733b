"""Frames made once, checked by the parser of websockets; and what a follower keeps."""

import json

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from graph.live.followers import Follower, News


def parsed(frame: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(frame)
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as end:
        next(parsing)
    assert reader.buffer == b""
    return end.value.value


@pytest.mark.parametrize("length", [2, 90, 91, 92, 93, 65_501, 65_502, 65_503, 65_504, 200_000])
def test_a_frame_is_one_whole_text_message(length: int) -> None:
    text = b'"' + b"x" * (length - 2) + b'"'
    frame = parsed(News(text).frame(b'{"id":"1","type":"next","payload":'))
    assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
    assert json.loads(frame.data) == {"id": "1", "type": "next", "payload": "x" * (length - 2)}


def test_messages_that_begin_alike_share_their_bytes() -> None:
    news = News(b"{}")
    first, again, other = (news.frame(prefix) for prefix in (b'{"id":"1",', b'{"id":"1",', b'{"id":"2",'))
    assert first is again
    assert parsed(other).data == b'{"id":"2",{}}'


async def test_what_can_be_pushed_is_not_kept_and_what_waits_is_not_overtaken() -> None:
    pushed, room = [], True

    def push(news: News) -> bool:
        if room:
            pushed.append(news)
        return room

    follower = Follower(push)
    first, second, third = News(b"1"), News(b"2"), News(b"3")
    follower.offer(first)
    room = False
    follower.offer(second)
    room = True
    follower.offer(third)  # replaces the one that waits, in its place
    assert pushed == [first]
    await follower.wait()
    assert follower.take() is third
    follower.finish()
    await follower.wait()
    assert follower.take() is None
