"""Our events to Chat Completions, streamed and not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from chat_asking import (
    STAMP,
    ask,
    completed,
    deltas,
    function,
    reply,
    streamed,
    text,
    thinking,
    tool_use,
)

from claude_proxy.canon.blocks import Opaque, RedactedThinking, Text, Thinking
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageStart,
    MessageStop,
    OpaqueDelta,
    Ping,
    SignatureDelta,
    TextDelta,
    Usage,
)
from claude_proxy.dialects.chat import CHAT
from claude_proxy.errors import UpstreamError

PLAIN = ask(stream=True)
COUNTED = ask(stream=True, stream_options={"include_usage": True})
REASONING = ask(stream=True, reasoning_effort="low")
OLDER = ask(stream=True, functions=[{"name": "f"}])


def message(parsed: Any, events: list[AnyEvent]) -> Any:
    """Give the message of the reply that isn't streamed."""
    return completed(parsed, events)["choices"][0]["message"]


def finish_reason(parsed: Any, events: list[AnyEvent]) -> str:
    """Give the finish reason, having seen that it is the same streamed and not."""
    told: str = completed(parsed, events)["choices"][0]["finish_reason"]
    last = [chunk for chunk in streamed(parsed, events)[:-1] if chunk["choices"]][-1]
    assert last["choices"][0]["finish_reason"] == told
    return told


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("never_heard_of", "stop"),
        (None, "stop"),
    ],
)
def test_c30_finish_reasons(stop: str | None, expected: str) -> None:
    """C30: each end has its name; one that we don't know is a stop."""
    assert finish_reason(PLAIN, reply(text("a"), stop=stop)) == expected


def test_c30_tool_calls() -> None:
    """C30: the reply ends for its calls; without any, a client that looks for them would find none."""
    assert finish_reason(PLAIN, reply(tool_use("a"), stop="tool_use")) == "tool_calls"
    assert finish_reason(PLAIN, reply(text("a"), stop="tool_use")) == "stop"


def test_c30_the_last_message_delta_counts() -> None:
    """C30: an upstream may correct itself before the end."""
    events = reply(text("a"))
    events.insert(-1, MessageDelta(stop_reason="max_tokens"))
    assert finish_reason(PLAIN, events) == "length"


def test_c31_c37_tool_calls_stream_as_they_come() -> None:
    """C31, C37: dense indexes, id, type and name once, arguments in the pieces in which they came."""
    events = reply(
        text("so"), tool_use("toolu_A", '{"a"', "", ": 1}", index=1), tool_use("x-y_Z", "{}", index=2), stop="tool_use"
    )
    assert deltas(PLAIN, events) == [
        {"content": "so"},
        {"tool_calls": [_opened(0, "toolu_A")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        {"tool_calls": [_opened(1, "x-y_Z")]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def _opened(index: int, call_id: str) -> dict[str, Any]:
    return {"index": index, "id": call_id, "type": "function", "function": {"name": "f", "arguments": ""}}


def test_c31_arguments_are_not_held_back() -> None:
    """C31: each piece gives its frame at once."""
    stream = CHAT.stream(PLAIN, STAMP)
    sizes = [len(stream.feed(event)) for event in reply(tool_use("a", '{"a"', ": 1}"), stop="tool_use")]
    assert [size > 0 for size in sizes] == [True, True, True, True, False, False, True]


@pytest.mark.parametrize(("whole", "expected"), [(None, "{}"), ({"a": [1]}, '{"a":[1]}')])
def test_c31_a_call_without_streamed_arguments(whole: dict[str, Any] | None, expected: str) -> None:
    """C31: no arguments are an empty object; those that came with the start are told."""
    events = reply(tool_use("a", "", whole=whole), stop="tool_use")
    assert deltas(PLAIN, events)[1:] == [{"tool_calls": [{"index": 0, "function": {"arguments": expected}}]}]
    assert message(PLAIN, events)["tool_calls"][0]["function"] == {"name": "f", "arguments": expected}


def test_c32_the_chunks_of_a_stream() -> None:
    """C32: the first has the role, all share id, model and time, ``[DONE]`` is last."""
    *chunks, done = streamed(PLAIN, reply(text("a", "b")))
    assert done == "[DONE]"
    head = {
        "id": "chatcmpl-abc",
        "object": "chat.completion.chunk",
        "created": 1_800_000_000,
        "model": "claude-sonnet-5",
    }
    assert chunks == [
        {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        for delta, reason in (
            ({"role": "assistant", "content": None}, None),
            ({"content": "a"}, None),
            ({"content": "b"}, None),
            ({}, "stop"),
        )
    ]


def test_c32_the_first_chunk_goes_out_with_the_first_event() -> None:
    """C32: a client sees at once that it is answered."""
    assert b'"role":"assistant"' in CHAT.stream(PLAIN, STAMP).feed(MessageStart(id="m", model="x"))


def test_c32_a_completion() -> None:
    """C32: all that OpenAI's has, and null where there is nothing."""
    usage = Usage(input_tokens=3, output_tokens=4)
    assert completed(PLAIN, reply(text("a", "b"), usage=usage)) == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "claude-sonnet-5",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def test_c32_content_is_null_for_a_reply_of_calls_only() -> None:
    """C32: not an empty text."""
    events = reply(tool_use("a", "{}"), stop="tool_use")
    assert message(PLAIN, events)["content"] is None
    assert not any("content" in delta for delta in deltas(PLAIN, events))


def test_c06_ids_come_back_as_the_upstream_made_them() -> None:
    """C06, C37: the client gets the very id, whatever it looks like."""
    events = reply(tool_use("toolu_01AbC-x_9"), stop="tool_use")
    assert message(PLAIN, events)["tool_calls"][0]["id"] == "toolu_01AbC-x_9"


# usage


USAGE = Usage(
    input_tokens=10,
    output_tokens=20,
    cache_creation_input_tokens=300,
    cache_read_input_tokens=4000,
    thinking_tokens=5,
)
TOLD = {
    "prompt_tokens": 4310,
    "completion_tokens": 20,
    "total_tokens": 4330,
    "prompt_tokens_details": {"cached_tokens": 4000},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def test_c33_usage_counts_cached_tokens_as_prompt() -> None:
    """C33: what was read from the cache and written to it was in the prompt."""
    assert completed(PLAIN, reply(text("a"), usage=USAGE))["usage"] == TOLD


def test_c33_usage_is_streamed_to_who_asks_for_it() -> None:
    """C33: in a last chunk without choices; the others say that there is none yet."""
    *chunks, _ = streamed(COUNTED, reply(text("a"), usage=USAGE))
    assert chunks[-1]["choices"] == []
    assert [chunk["usage"] for chunk in chunks] == [None] * (len(chunks) - 1) + [TOLD]
    assert chunks[-1]["id"] == chunks[0]["id"]


def test_c33_usage_is_not_streamed_to_others() -> None:
    """C33: a chunk without choices breaks clients that don't expect it."""
    *chunks, _ = streamed(PLAIN, reply(text("a"), usage=USAGE))
    assert not any("usage" in chunk or not chunk["choices"] for chunk in chunks)


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=3), Usage(output_tokens=3)])
def test_c33_unknown_counts_are_not_made_up(usage: Usage) -> None:
    """C33: no usage is better than a guess."""
    assert "usage" not in completed(PLAIN, reply(text("a"), usage=usage))
    assert all(chunk["choices"] for chunk in streamed(COUNTED, reply(text("a"), usage=usage))[:-1])


def test_c33_the_final_counts_are_told() -> None:
    """C33: those of ``message_delta`` go over those of ``message_start``."""
    events = reply(text("a"), usage=Usage(input_tokens=3, output_tokens=1))
    events[-2] = MessageDelta(stop_reason="end_turn", usage=Usage(output_tokens=9))
    assert completed(PLAIN, events)["usage"] == {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}


# reasoning


def test_c34_reasoning_is_told_alike_streamed_and_not() -> None:
    """C34: as ``reasoning_content``, pieces as they come; signatures and redacted parts are not for reading."""
    events = reply(
        [
            BlockStart(index=0, block=Thinking(thinking="h")),
            *thinking("m", "", "!")[1:-1],
            SignatureDelta(index=0, signature="secret"),
            BlockStop(index=0),
        ],
        [BlockStart(index=1, block=RedactedThinking(data="secret")), BlockStop(index=1)],
        text("so", index=2),
    )
    assert deltas(REASONING, events) == [
        {"reasoning_content": "h"},
        {"reasoning_content": "m"},
        {"reasoning_content": "!"},
        {"content": "so"},
    ]
    told = message(REASONING, events)
    assert (told["reasoning_content"], told["content"]) == ("hm!", "so")
    assert "secret" not in str([streamed(REASONING, events), told])


@pytest.mark.parametrize("parsed", [PLAIN, ask(reasoning={"effort": "low", "exclude": True})])
def test_c38_reasoning_nobody_asked_for_is_not_shown(parsed: Any) -> None:
    """C38: nor any that the client doesn't want to see."""
    events = reply(thinking("hm"), text("so", index=1))
    assert deltas(parsed, events) == [{"content": "so"}]
    assert "reasoning_content" not in message(parsed, events)


# empty and odd replies


@pytest.mark.parametrize("stop", ["end_turn", "tool_use", None, "never_heard_of"])
@pytest.mark.parametrize("blocks", [[], [text()], [text("", "")]])
def test_c35_an_empty_reply_is_an_error(stop: str | None, blocks: list[list[AnyEvent]]) -> None:
    """C35: never a 200 with nothing in it."""
    for render in (streamed, completed):
        with pytest.raises(UpstreamError, match="empty"):
            render(PLAIN, reply(*blocks, stop=stop))


@pytest.mark.parametrize(
    ("blocks", "stop"),
    [
        ([], "max_tokens"),
        ([], "refusal"),
        ([], "stop_sequence"),
        ([], "model_context_window_exceeded"),
        ([thinking("hm")], "end_turn"),
        ([[BlockStart(index=0, block=Opaque({"type": "new"})), BlockStop(index=0)]], "end_turn"),
    ],
)
def test_c35_a_reply_may_end_before_its_first_word(blocks: list[list[AnyEvent]], stop: str) -> None:
    """C35: where its end says why, or something was done that can't be shown; content is a text then."""
    events = reply(*blocks, stop=stop)
    assert deltas(PLAIN, events) == [{"content": ""}]
    assert message(PLAIN, events)["content"] == ""


def test_blocks_that_chat_has_no_word_for_are_passed_over() -> None:
    """Pings, unknown blocks and unknown deltas change nothing."""
    odd: list[AnyEvent] = [BlockStart(index=0, block=Opaque({"type": "server_tool_use"})), Ping(), BlockStop(index=0)]
    cited: list[AnyEvent] = [
        BlockStart(index=1, block=Text(text="a")),
        OpaqueDelta(index=1, raw={"type": "citations_delta"}),
        TextDelta(index=1, text="b"),
        BlockStop(index=1),
    ]
    assert deltas(PLAIN, reply(odd, cited)) == [{"content": "a"}, {"content": "b"}]


def test_arguments_without_a_call_are_passed_over() -> None:
    """A tool that ran upstream streams its input too: it is nobody's call here."""
    odd: list[AnyEvent] = [
        BlockStart(index=0, block=Opaque({"type": "server_tool_use"})),
        *tool_use("x", '{"query": "a"}')[1:],
    ]
    assert deltas(PLAIN, reply(odd, text("so", index=1))) == [{"content": "so"}]


@pytest.mark.parametrize(
    "awkward", ["👩‍👩‍👧‍👦", "a\r\nb", "\0", "\n\ndata: [DONE]\n\n", '"\\', "\ud7ff\ue000", "é" * 500_000]
)
def test_c36_text_is_exact(awkward: str) -> None:
    """C36: whatever it holds, whole or character by character."""
    assert message(PLAIN, reply(text(awkward)))["content"] == awkward
    pieces = text(*awkward[:40])
    assert "".join(delta["content"] for delta in deltas(PLAIN, reply(pieces))) == awkward[:40]


def test_c36_no_frame_holds_what_only_unicode_calls_a_line_end() -> None:
    """C36: clients that split lines as ``str.splitlines`` does read whole frames, and the text unchanged."""
    awkward = "a\u2028b\u2029c\x85d\x0b\x0c\x1c\x1ee"
    events = reply(thinking(awkward), text(awkward, index=1), tool_use("a", f'{{"x":"{awkward}"}}', index=2))
    stream = CHAT.stream(REASONING, STAMP)
    frames = b"".join(stream.feed(event) for event in events).decode()
    assert frames.splitlines() == frames.split("\n")[:-1]
    told = message(REASONING, events)
    assert (told["content"], told["reasoning_content"]) == (awkward, awkward)
    assert told["tool_calls"][0]["function"]["arguments"] == f'{{"x":"{awkward}"}}'


# the older API


def test_c11_an_older_client_gets_a_function_call() -> None:
    """C11: in the words it knows, streamed and not, without an id."""
    events = reply(tool_use("toolu_1", '{"a"', ":1}"), stop="tool_use")
    assert deltas(OLDER, events) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"arguments": ":1}"}},
    ]
    told = message(OLDER, events)
    assert (told["function_call"], told["content"]) == ({"name": "f", "arguments": '{"a":1}'}, None)
    assert "tool_calls" not in told
    assert finish_reason(OLDER, events) == "function_call"


def test_c11_several_function_calls_are_an_error() -> None:
    """C11: dropping one in silence would be worse."""
    events = reply(tool_use("a"), tool_use("b", index=1), stop="tool_use")
    with pytest.raises(UpstreamError, match="several calls"):
        completed(OLDER, events)


def test_c11_tools_beside_functions_are_answered_as_tools() -> None:
    """C11: who knows tools is answered with tool calls."""
    parsed = ask(functions=[{"name": "g"}], tools=[function("f")])
    assert "tool_calls" in message(parsed, reply(tool_use("a"), stop="tool_use"))


def test_the_end_of_a_stream_is_told_once() -> None:
    """``[DONE]`` comes from ``finish`` alone."""
    stream = CHAT.stream(PLAIN, STAMP)
    frames = b"".join(stream.feed(event) for event in reply(text("a")))
    assert b"[DONE]" not in frames
    assert stream.feed(MessageStop()) != b""
    assert stream.finish() == b"data: [DONE]\n\n"


def test_a_text_delta_costs_next_to_nothing() -> None:
    """Ten thousand deltas are rendered in far less time than a model takes for ten."""
    stream = CHAT.stream(PLAIN, STAMP)
    stream.feed(MessageStart(id="m", model="x"))
    stream.feed(BlockStart(index=0, block=Text(text="")))
    event = TextDelta(index=0, text="token")
    begun = time.process_time()
    for _ in range(10_000):
        stream.feed(event)
    assert time.process_time() - begun < 1
