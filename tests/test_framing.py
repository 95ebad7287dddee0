"""Lines and SSE frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.framing import Lines, LineTooLong, sse_comment, sse_data, sse_event

FIXTURES = (
    b'{"type":"system"}\n{"type":"stream_event","text":"h\xc3\xa9 \xf0\x9f\x91\xa9"}\r\n\n{"type":"result"}\n',
    b'event: message_start\ndata: {"a":"\\u0000"}\n\n: ping\n\ndata: [DONE]\n\n',
    b"\n\n\nx\n",
)


@pytest.mark.parametrize("data", FIXTURES)
def test_any_split_gives_equal_lines(data: bytes) -> None:
    """Each fixture, cut in two at every offset, gives what it gives whole."""
    whole = Lines().feed(data)
    assert b"\n".join([*whole, b""]) == data
    for offset in range(len(data) + 1):
        lines = Lines()
        assert lines.feed(data[:offset]) + lines.feed(data[offset:]) == whole, offset


@given(st.lists(st.binary(max_size=8) | st.just(b"\n"), max_size=12))
def test_any_pieces_give_equal_lines(pieces: list[bytes]) -> None:
    """However a stream is cut, its lines are those of the bytes joined, and the rest is held."""
    lines = Lines()
    got = [line for piece in pieces for line in lines.feed(piece)]
    assert got == b"".join(pieces).split(b"\n")[:-1]


def test_one_byte_at_a_time() -> None:
    """A line comes out with its last byte, not before."""
    lines = Lines()
    assert [lines.feed(bytes([byte])) for byte in b"ab\n"] == [[], [], [b"ab"]]


def test_a_line_of_the_limit_passes() -> None:
    """The limit itself is allowed, counted anew for each line."""
    lines = Lines(limit=3)
    assert lines.feed(b"abc\nde") == [b"abc"]
    assert lines.feed(b"f\n") == [b"def"]


@pytest.mark.parametrize("pieces", [(b"abcd",), (b"ab", b"cd"), (b"ab", b"cd\n"), (b"a\nbcde",)])
def test_a_line_over_the_limit_is_refused(pieces: tuple[bytes, ...]) -> None:
    """A line that grows too long is an error before its end has come, in whatever pieces it comes."""
    *before, last = pieces
    lines = Lines(limit=3)
    for piece in before:
        assert lines.feed(piece) == []
    with pytest.raises(LineTooLong, match="more than 3 bytes"):
        lines.feed(last)


def test_sse_frames() -> None:
    """Frames are a complete event each: OpenAI's without a name, Anthropic's with one, and the comment."""
    assert sse_data(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert sse_event("ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert sse_comment("keep-alive") == b": keep-alive\n\n"
