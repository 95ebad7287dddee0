"""Chat Completions answers as our events: text, reasoning, ends, usage and everything that goes wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from legal_events import replies
from openai_chunks import DONE, call, chunk, end, frame, read, reading

from claude_proxy.backends.openai.reply import ChatReply
from claude_proxy.canon.blocks import Text, Thinking, ToolUse
from claude_proxy.canon.collect import collect
from claude_proxy.canon.events import AnyEvent, MessageStart, TextDelta, Usage
from claude_proxy.canon.request import Message, Reasoning, Request
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.chat_request import ChatOptions
from claude_proxy.errors import (
    BadRequest,
    ContextTooLong,
    Overloaded,
    ProxyError,
    RateLimited,
    UnknownModel,
    UpstreamError,
)

HELLO = chunk({"role": "assistant", "content": ""}) + chunk({"content": "Hel"}) + chunk({"content": "lo"}) + end()


def test_a_plain_stream() -> None:
    """Text, its model, its id and its end."""
    reply = read(HELLO)

    assert reply.content == (Text(text="Hello"),)
    assert (reply.id, reply.model, reply.stop_reason) == ("chatcmpl-1", "m-1", "end_turn")


def test_text_comes_as_it_comes() -> None:
    """Each delta is an event at once, before the stream goes on."""
    reply = ChatReply("m", "tok")

    assert [type(event) for event in reply.feed(chunk({"content": "a"}))][-1] is TextDelta
    assert [type(event) for event in reply.feed(chunk({"content": "b"}))] == [TextDelta]


RICH = (
    b": keep-alive\n\n"
    + chunk({"reasoning_content": "hm"})
    + call(index=0, id="c1", name="a", arguments='{"x":')
    + call(index=0, arguments='"é👩‍👩‍👧‍👦"}')
    + call(index=1, id="c2", name="b", arguments="{}")
    + chunk({}, "tool_calls")
    + frame({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
    + DONE
)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_any_split_of_the_bytes_gives_the_same_events(line_end: bytes) -> None:
    """At every offset, with either line end."""
    data = RICH.replace(b"\n", line_end)
    whole = list(reading(data))
    assert len(whole) > 8
    for at in range(len(data)):
        again = read(data[:at], data[at:])
        assert again == read(data)
    assert list(reading(*(data[at : at + 1] for at in range(len(data))))) == whole


@given(events=replies(), cut=st.integers(0, 4000))
def test_what_our_own_dialect_writes_is_read_back(events: list[AnyEvent], cut: int) -> None:
    """Any legal reply, rendered as a Chat Completions stream, has the same content when read again."""
    request = Request(
        model="m",
        messages=(Message(role="user", content=(Text(text="x"),)),),
        reasoning=Reasoning(mode="on", visible=True),
    )
    parsed = Parsed(request=request, stream=True, options=ChatOptions(include_usage=True))
    stream = CHAT.stream(parsed, Stamp("1", 1))
    try:
        data = b"".join(map(stream.feed, events)) + stream.finish()
    except UpstreamError:
        return  # an empty reply is no Chat Completions reply
    given, found = collect(events), read(data[:cut], data[cut:])

    for kind, field in ((Text, "text"), (Thinking, "thinking")):
        said = ["".join(getattr(b, field) for b in reply.content if isinstance(b, kind)) for reply in (given, found)]
        assert said[0] == said[1]
    uses = [[b for b in reply.content if isinstance(b, ToolUse)] for reply in (given, found)]
    assert [(b.id, b.name, b.input) for b in uses[0]] == [(b.id, b.name, b.input) for b in uses[1]]
    if given.usage.input_tokens is not None and given.usage.output_tokens is not None:
        assert found.usage.output_tokens == given.usage.output_tokens
        assert found.usage.cache_read_input_tokens == given.usage.cache_read_input_tokens


# -- reasoning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_thinking_block(field: str) -> None:
    """By either name."""
    reply = read(chunk({field: "h"}) + chunk({field: "m"}) + chunk({"content": "Yes"}) + end())

    assert reply.content == (Thinking(thinking="hm"), Text(text="Yes"))


def test_reasoning_under_both_names_is_told_once() -> None:
    """One upstream gives it twice."""
    reply = read(chunk({"reasoning_content": "hm", "reasoning": "hm"}) + end())

    assert reply.content == (Thinking(thinking="hm"),)


def test_reasoning_nobody_asked_for_is_not_told() -> None:
    """C38, as a field or among the parts."""
    parts = [{"type": "thinking", "thinking": "psst"}, {"type": "text", "text": "Yes"}]
    reply = read(chunk({"reasoning": "hm"}) + chunk({"content": parts}) + end(), thinking=False)

    assert reply.content == (Text(text="Yes"),)


def test_content_may_come_in_parts() -> None:
    """One upstream gives its reasoning among them; what is no part of these kinds is passed over."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, 5]},
        {"type": "thinking", "thinking": "m"},
        {"type": "text", "text": "Yes"},
        "odd",
        {"type": "reference"},
    ]
    reply = read(chunk({"content": parts}) + end())

    assert reply.content == (Thinking(thinking="hm"), Text(text="Yes"))


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "end_turn"),
        ("never_heard_of", "never_heard_of"),
    ],
)
def test_finish_reasons(finish: str, reason: str) -> None:
    """C30, the other way round; tool calls that aren't there were the upstream's own; a new one is passed on."""
    assert read(chunk({"content": "a"}) + end(finish)).stop_reason == reason


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "tool_use"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("never_heard_of", "tool_use"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
    ],
)
def test_finish_reasons_beside_tool_calls(finish: str, reason: str) -> None:
    """A "stop" after a call is a call; a call that was cut is cut."""
    assert read(call(index=0, id="c", name="a", arguments="{}") + end(finish)).stop_reason == reason


def test_a_refusal_is_text_and_the_reason() -> None:
    """The client sees what the model said instead."""
    reply = read(chunk({"refusal": "I can't"}) + chunk({"refusal": "."}) + end())

    assert (reply.content, reply.stop_reason) == ((Text(text="I can't."),), "refusal")


def test_done_without_a_finish_reason_is_an_end() -> None:
    """Some upstreams say no more than that."""
    assert read(chunk({"content": "a"}) + DONE).stop_reason == "end_turn"


def test_a_finish_reason_without_done_is_an_end() -> None:
    """Others just close."""
    assert read(chunk({"content": "a"}) + chunk({}, "stop")).stop_reason == "end_turn"


def test_a_finish_reason_in_every_chunk_ends_nothing_too_early() -> None:
    """One upstream gives it with each; another the words "null" or ""."""
    reply = read(chunk({"content": "a"}, "stop") + chunk({"content": "b"}, "null") + chunk({"content": "c"}, "") + DONE)

    assert (reply.content, reply.stop_reason) == ((Text(text="abc"),), "end_turn")


def test_the_reply_is_over_with_done() -> None:
    """Nothing waits for the connection's end, and what follows is ignored."""
    reply = ChatReply("m", "tok")
    assert not reply.is_finished
    list(reply.feed(HELLO.removesuffix(DONE)))
    assert (reply.is_finished, reply.is_over) == (True, False)
    list(reply.feed(DONE))
    assert reply.is_over

    assert list(reply.feed(chunk({"content": "more"}))) == []
    assert list(reply.end()) == []


def test_a_stream_that_breaks_off_is_an_error_after_its_events() -> None:
    """C35: never a clean end."""
    events = reading(chunk({"content": "a"}))
    assert [next(events) for _ in range(3)][-1] == TextDelta(index=0, text="a")
    with pytest.raises(UpstreamError, match="broke off"):
        next(events)


@pytest.mark.parametrize("data", [b"", DONE, b": ping\n\n", frame({"choices": []}), frame({"choices": None})])
def test_a_stream_of_nothing_is_an_error(data: bytes) -> None:
    """C35: nobody gets an empty success."""
    with pytest.raises(UpstreamError, match="empty"):
        read(data)


@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource"])
def test_a_finish_reason_may_say_that_it_failed(finish: str) -> None:
    """Then it isn't an end."""
    with pytest.raises(UpstreamError, match=finish):
        read(chunk({"content": "a"}) + end(finish))


# -- usage -------------------------------------------------------------------------------------------------------------

COUNTS = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
USAGE = Usage(input_tokens=4, output_tokens=4, cache_read_input_tokens=6, thinking_tokens=3)


@pytest.mark.parametrize(
    "ending",
    [
        chunk({}, "stop") + frame({"choices": [], "usage": COUNTS}) + DONE,
        chunk({}, "stop", usage=COUNTS) + DONE,
        chunk({"content": "b"}, None, usage={"prompt_tokens": 1}) + chunk({}, "stop", usage=COUNTS),
        frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": COUNTS}]}) + DONE,
    ],
)
def test_usage_comes_after_the_end_or_in_it_or_all_along(ending: bytes) -> None:
    """The last one counts, and the cached tokens aren't counted twice."""
    assert read(chunk({"content": "a"}) + ending).usage == USAGE


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (None, Usage()),
        ({}, Usage()),
        ({"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}, Usage(input_tokens=3, output_tokens=1)),
        (
            {"prompt_tokens": 3, "prompt_cache_hit_tokens": 2},
            Usage(input_tokens=1, cache_read_input_tokens=2),
        ),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
            Usage(input_tokens=3, cache_read_input_tokens=5),
        ),
        ({"prompt_tokens": True, "completion_tokens": "4", "prompt_tokens_details": None}, Usage()),
        ({"prompt_tokens_details": {"cached_tokens": 5}}, Usage(cache_read_input_tokens=5)),
    ],
)
def test_what_is_not_counted_is_not_guessed(raw: Any, usage: Usage) -> None:
    """Whatever isn't a number stays unknown."""
    assert read(chunk({"content": "a"}, "stop", usage=raw) + DONE).usage == usage


# -- errors in it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "cls", "status"),
    [
        ({"error": {"message": "no", "code": 502}}, UpstreamError, 502),
        ({"error": {"message": "no", "code": 429}, "choices": [{"delta": {}}]}, RateLimited, 429),
        ({"error": {"message": "no", "type": "invalid_request_error", "param": "n"}}, BadRequest, 400),
        ({"error": {"message": "no", "code": "context_length_exceeded"}}, ContextTooLong, 400),
        ({"error": {"message": "maximum context length is 5", "code": 400}}, ContextTooLong, 400),
        ({"error": {"message": "no", "code": "model_not_found"}}, UnknownModel, 404),
        ({"error": {"message": "no", "type": "overloaded_error"}}, Overloaded, 529),
        ({"error": "no"}, UpstreamError, 502),
        ({"error": {"message": "no", "type": "server_error"}}, UpstreamError, 502),
        ({"object": "error", "message": "no", "code": 400}, BadRequest, 400),
        ([{"error": {"message": "no", "code": 400, "status": "INVALID"}}], BadRequest, 400),
    ],
)
def test_an_error_in_the_stream_is_raised(document: Any, cls: type[ProxyError], status: int) -> None:
    """With its own words and the status it deserves, after the events before it."""
    reply = ChatReply("m", "tok")
    assert len(list(reply.feed(chunk({"content": "a"})))) == 3
    with pytest.raises(ProxyError, match=r"no|maximum") as caught:
        list(reply.feed(frame(document)))

    assert (type(caught.value), caught.value.status) == (cls, status)


def test_an_error_event_by_name_is_raised() -> None:
    """Its data may be the error itself, or hold it."""
    with pytest.raises(RateLimited, match="slow down"):
        read(b'event: error\ndata: {"message": "slow down", "code": 429}\n\n')
    with pytest.raises(RateLimited, match="slow down"):
        read(b'event: error\ndata: {"error": {"message": "slow down", "code": 429}}\n\n')


def test_an_error_without_words_says_so() -> None:
    """A client gets a sentence in any case."""
    with pytest.raises(UpstreamError, match="gave no reason"):
        read(frame({"error": {"message": " "}}))


@pytest.mark.parametrize(
    "data", [b"data: {oops\n\n", b"data: 5\n\n", b"{oops", b"[]", b"data: " + b"[" * 100_000 + b"\n\n"]
)
def test_what_is_not_a_chunk_is_an_error(data: bytes) -> None:
    """Garbage never ends in a crash."""
    with pytest.raises(UpstreamError):
        read(data)


# -- how it is framed --------------------------------------------------------------------------------------------------


def test_other_framings() -> None:
    """Comments, names, no space, several data lines in an event, no blank lines, no last line end."""
    pretty = json.dumps({"choices": [{"delta": {"content": "a"}}]}, indent=1)
    several = "".join(f"data: {line}\n" for line in pretty.splitlines()).encode() + b"\n"
    tight = chunk({"content": "b"}).replace(b"data: ", b"data:").replace(b"\n\n", b"\n")
    data = b"event: message\nid: 1\n" + several + b": hi\n" + tight + tight + b"data:\n\n" + chunk({}, "stop").strip()

    assert read(data).content == (Text(text="abb"),)


def test_events_without_blank_lines_are_told_with_the_next_one() -> None:
    """The stream doesn't wait for its end."""
    reply = ChatReply("m", "tok")
    data = (chunk({"content": "a"}) + chunk({"content": "b"})).replace(b"\n\n", b"\n")

    assert TextDelta(index=0, text="a") in list(reply.feed(data))


def test_an_endless_line_is_an_error() -> None:
    """It is refused before it is held in full."""
    reply = ChatReply("m", "tok")
    reply._documents._lines.limit = 10
    with pytest.raises(UpstreamError, match="more than 10 bytes"):
        list(reply.feed(b"data: 0123456789"))


WHOLE = {
    "id": "chatcmpl-9",
    "model": "m-9",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Let me see",
                "reasoning": "hm",
                "tool_calls": [
                    {"type": "function", "function": {"name": "a", "arguments": '{"x":1}'}},
                    {"type": "function", "function": {"name": "a", "arguments": '{"x":1}'}},
                ],
            },
        }
    ],
    "usage": COUNTS,
}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_answer_that_is_not_streamed(indent: int | None) -> None:
    """Some upstreams don't stream whatever is asked: the same events then, all at once."""
    reply = read(b"\n" + json.dumps(WHOLE, indent=indent).encode())

    assert reply.content == (
        Thinking(thinking="hm"),
        Text(text="Let me see"),
        ToolUse(id="call_tok_0", name="a", input={"x": 1}),
        ToolUse(id="call_tok_1", name="a", input={"x": 1}),
    )
    assert (reply.id, reply.model, reply.stop_reason, reply.usage) == ("chatcmpl-9", "m-9", "tool_use", USAGE)


def test_what_an_upstream_leaves_out_is_filled_in() -> None:
    """No id, no model: the token, and the model that was asked for. Other choices are passed over."""
    delta = {"delta": {"content": "a"}, "finish_reason": "stop"}
    other = {"index": 1, "delta": {"content": "b"}}
    reply = read(frame({"choices": [other, 7]}) + frame({"choices": [other, delta]}) + frame({"choices": [{"x": 1}]}))

    assert (reply.id, reply.model, reply.content) == ("tok", "asked", (Text(text="a"),))


def test_the_first_event_waits_for_the_first_choice() -> None:
    """One upstream begins with a chunk that names no model."""
    reply = ChatReply("m", "tok")

    assert list(reply.feed(frame({"id": "", "model": "", "choices": [], "prompt_filter_results": []}))) == []
    assert list(reply.feed(chunk({}))) == [MessageStart(id="chatcmpl-1", model="m-1")]
