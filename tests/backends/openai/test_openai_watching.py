"""A stream that is handed on: unchanged, whole events at a time, and never a clean end after a broken one."""

from __future__ import annotations

import pytest
from openai_chunks import DONE, chunk, end, frame

from claude_proxy.backends.openai.watching import Watch
from claude_proxy.errors import ProxyError, Unavailable, UpstreamError

STREAM = b": hi\n\n" + chunk({"content": "a\n\nb"}) + chunk({"content": "é"}) + end()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_any_split_gives_whole_events_and_the_same_bytes(line_end: bytes) -> None:
    """At every offset, with either line end."""
    data = STREAM.replace(b"\n", line_end)
    blank = line_end * 2
    for at in range(len(data)):
        watch = Watch()
        given = [watch.feed(data[:at]), watch.feed(data[at:]), watch.end()]
        assert b"".join(given) == data
        assert all(part.endswith(blank) for part in given if part)
        assert (watch.is_done, watch.has_ended) == (True, True)
    watch = Watch()
    assert b"".join(watch.feed(data[at : at + 1]) for at in range(len(data))) == data


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "stop"),
        chunk({}, "stop").strip(),
        chunk({}, "length").replace(b": ", b":"),
        DONE,
        b"data:[DONE]",
        frame({"error": {"message": "no"}}),
        frame({"error": "no"}),
    ],
)
def test_what_is_a_proper_end(last: bytes) -> None:
    """Whoever reads it knows how the reply ended, be it badly."""
    watch = Watch()
    given = watch.feed(chunk({"content": "a"}) + last) + watch.end()

    assert given == chunk({"content": "a"}) + last
    assert watch.has_ended


@pytest.mark.parametrize(
    "data",
    [
        b"",
        chunk({"content": "a"}),
        chunk({"content": '"finish_reason":"stop"'}),
        chunk({"content": "\ndata: [DONE]\n\n"}),
        chunk({}, "null"),
        chunk({}, ""),
        chunk({}, "stop")[:-20],
        b'data: {"error": null, "choices": []}\n\n',
    ],
)
def test_what_is_none(data: bytes) -> None:
    """Text that looks like an end isn't one."""
    watch = Watch()
    watch.feed(data)

    with pytest.raises(UpstreamError, match="broke off"):
        watch.end()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (frame({"error": {"message": "busy", "code": 503}}), "busy"),
        (frame({"error": "busy"}), "busy"),
        (b'data: {"error": {"message":\n\n', "can't be read"),
    ],
)
def test_an_error_in_the_middle_is_known_and_handed_on(event: bytes, message: str) -> None:
    """K07: the client reads it for itself, and it is known that the reply failed."""
    watch = Watch()
    data = chunk({"content": "a"}) + event
    assert watch.feed(data) == data
    assert watch.has_ended
    assert watch.error is not None
    assert message in watch.error.message


@pytest.mark.parametrize(
    ("event", "kind"),
    [(frame({"error": {"message": "busy", "code": 503}}), Unavailable), (frame({"object": "error"}), UpstreamError)],
)
def test_a_stream_that_begins_with_an_error_is_that_error(event: bytes, kind: type[ProxyError]) -> None:
    """C35: it still can have its own status."""
    with pytest.raises(kind):
        Watch().feed(b": hello\n\n" + event)


@pytest.mark.parametrize("event", [b'data: {"a": "error" oops\n\n', frame({"choices": [{"name": "error"}]})])
def test_the_word_alone_is_no_error(event: bytes) -> None:
    """Only an error object is one."""
    watch = Watch()
    assert watch.feed(event) == event
    assert watch.error is None
