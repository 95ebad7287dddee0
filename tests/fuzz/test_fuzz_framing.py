"""Bytes of an upstream's, cut anywhere: whole streams give what they give whole, and nothing else than a failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fuzzing import tried
from hypothesis import example, given
from hypothesis import strategies as st

from claude_proxy.backends.anthropic.reply import Reply
from claude_proxy.backends.anthropic.watch import Watch as AnthropicWatch
from claude_proxy.backends.http import failures
from claude_proxy.backends.openai.failures import from_object
from claude_proxy.backends.openai.reply import ChatReply
from claude_proxy.backends.openai.watching import Watch as OpenAIWatch
from claude_proxy.canon.grammar import Grammar
from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import ProxyError
from claude_proxy.framing import Lines
from claude_proxy.server.failures import for_anyone, respond

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = {"id": "m", "model": "x", "role": "assistant", "content": [], "usage": {"input_tokens": 1}}
ANTHROPIC: list[Any] = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi 👋 \n\n data: [DONE]"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
    {"type": "ping"},
    {"type": "error", "error": {"type": "overloaded_error", "message": "no"}},
]


def chunk(delta: Any, finish: str | None = None) -> Any:
    """Give a chunk of a Chat Completions stream."""
    return {"id": "c", "model": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


CALL = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
OPENAI: list[Any] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hi 👋"}),
    chunk({"reasoning_content": "hm"}),
    chunk({"tool_calls": [CALL]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
    chunk({}, "stop"),
    chunk({}, "tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    {"error": {"message": "no", "code": 503}},
]


@st.composite
def streams(draw: st.DrawFn, known: Sequence[Any]) -> bytes:
    """Give a stream of events, some of them not of this world."""
    parts = []
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    for _ in range(draw(st.integers(0, 8))):
        match draw(st.integers(0, 7)):
            case 0:
                parts.append(b"data: " + json.dumps(draw(JSON)).encode() + 2 * end)
            case 1:
                odd = [b": hi", b"data: [DONE]", b"event: error", b"id: 1", b"", b"data:", b"{", b'{"error":"no"}']
                parts.append(draw(st.sampled_from(odd)) + end * draw(st.integers(1, 2)))
            case 2:
                parts.append(draw(st.binary(max_size=20)))
            case 3:
                raw = json.dumps(draw(st.sampled_from(known)), ensure_ascii=False).encode()
                at = draw(st.integers(0, len(raw)))
                parts.append(b"data: " + raw[:at] + draw(st.binary(max_size=2)) + raw[at + 1 :] + 2 * end)
            case _:
                event = draw(st.sampled_from(known))
                name = b"event: " + str(event.get("type", "x")).encode() + end
                parts.append(name + b"data: " + json.dumps(event, ensure_ascii=False).encode() + 2 * end)
    return b"".join(parts)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes anywhere."""
    at = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def cut(known: Sequence[Any]) -> st.SearchStrategy[list[bytes]]:
    """Give streams, cut."""
    return streams(known).flatmap(cuts)


def read(make: Callable[[], Any], pieces: Sequence[bytes]) -> tuple[list[Any], str]:
    """Give the events that a reader gives, and how that ended."""
    reader, events, grammar = make(), [], Grammar()
    try:
        for piece in pieces:
            for event in reader.feed(piece):
                grammar.check(event)
                events.append(event)
        events += reader.end()
    except ProxyError as error:
        return events, repr(error)
    return events, ""


@pytest.mark.parametrize(
    ("make", "known"),
    [(Reply, ANTHROPIC), (lambda: ChatReply("x", "t"), OPENAI)],
    ids=["anthropic", "openai"],
)
def test_a_reply_is_read_alike_however_it_is_cut(make: Callable[[], Any], known: Sequence[Any]) -> None:
    """Legal events, and at the end at most a failure of ours."""

    # What was found: text that is none, in a name.
    @example([b'data: {"type":"message_start","mess\x9f\x8fe":1}\n\n'])
    @tried(100)
    @given(cut(known))
    def check(pieces: list[bytes]) -> None:
        assert read(make, pieces) == read(make, [b"".join(pieces)])

    check()


@pytest.mark.parametrize(("make", "known"), [(AnthropicWatch, ANTHROPIC), (OpenAIWatch, OPENAI)], ids=["a", "o"])
def test_what_is_handed_on_is_what_came(make: Callable[[], Any], known: Sequence[Any]) -> None:
    """Every byte once, in order, and at the end at most a failure of ours."""

    @example([b'data: {"error":{"mess\x9f\x8fe":1}}\n\n', b'data: {"choices":[],"usage":{"a\x9f":1}}\n\n'])
    @tried(100)
    @given(cut(known))
    def check(pieces: list[bytes]) -> None:
        watch, given_on = make(), b""
        try:
            for piece in pieces:
                given_on += watch.feed(piece)
            given_on += watch.end()
        except ProxyError:
            assert b"".join(pieces).startswith(given_on)
        else:
            assert given_on == b"".join(pieces)

    check()


@pytest.mark.parametrize(("make", "known"), [(AnthropicWatch, ANTHROPIC), (OpenAIWatch, OPENAI)], ids=["a", "o"])
def test_how_a_whole_stream_ended_is_seen_however_it_is_cut(make: Callable[[], Any], known: Sequence[Any]) -> None:
    """Of events that are some, one of which says that it failed."""
    told = [event for event in known if event.get("type") != "message_stop"]
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in told)

    @tried(50)
    @given(cuts(stream))
    def check(pieces: list[bytes]) -> None:
        watch = make()
        for piece in pieces:
            watch.feed(piece)
        assert watch.has_ended
        assert watch.error is not None

    check()


@tried(100)
@given(st.lists(st.binary(max_size=9) | st.just(b"\n"), max_size=20))
def test_lines_are_those_of_the_bytes_joined(pieces: list[bytes]) -> None:
    """However a stream is cut."""
    lines = Lines()
    assert [line for piece in pieces for line in lines.feed(piece)] == b"".join(pieces).split(b"\n")[:-1]


NUMBERS = st.floats().map(str) | st.integers().map(str) | st.sampled_from(["1e300", "-1", "99999999999999", "x", "٣"])
DATES = st.sampled_from(["Wed, 21 Oct 9999 07:28:00 -2300", "Thu, 99 Foo", "9999-12-31T23:59:59-23:00", "0001-01-01"])
_LIMIT = "anthropic-ratelimit-requests"
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "retry-after-ms",
            "location",
            *(f"{_LIMIT}-{kind}" for kind in ("reset", "remaining", "status")),
        ]
    ),
    NUMBERS | DATES | st.sampled_from(["0", "rejected"]) | st.text(max_size=12),
)
ERRORS = st.dictionaries(st.sampled_from(["message", "type", "code", "param", "status"]), JSON | NUMBERS)
BODIES = (
    st.fixed_dictionaries({"error": ERRORS}).map(json.dumps).map(str.encode)
    | JSON.map(json.dumps).map(str.encode)
    | st.binary(max_size=40)
)


# What was found: a limit that resets in no year that there is, which couldn't be written as a date.
@example(429, {f"{_LIMIT}-reset": "1e300", f"{_LIMIT}-status": "rejected"}, b"")
@example(429, {f"{_LIMIT}-reset": "9999-12-31T23:59:59-23:00", f"{_LIMIT}-status": "rejected"}, b"")
@tried(200)
@given(st.integers(300, 599) | st.just(429), HEADERS, BODIES)
def test_a_refusal_of_an_upstream_s_becomes_an_answer(status: int, headers: dict[str, str], body: bytes) -> None:
    """Whatever it says of why, and of when to come back."""
    error = failures.from_answer(status, headers, body, now=1e9)
    for shape in (CHAT.error, MESSAGES.error, for_anyone):
        assert 400 <= respond(error, shape, "req_1").status < 600


@tried(200)
@given(ERRORS | JSON)
def test_an_error_in_a_stream_becomes_one_of_ours(told: Any) -> None:
    """Whatever stands in it."""
    for shape in (CHAT.error, MESSAGES.error):
        assert json.loads(shape(from_object(told), "req_1"))["error"]["message"]
