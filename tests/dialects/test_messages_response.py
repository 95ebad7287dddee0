"""Our events to the Messages API's, streamed and whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_asking import reply, text, thinking, tool_use
from messages_asking import STAMP, ask, completed, frames, inside, read, streamed

from claude_proxy.canon.blocks import Opaque, RedactedThinking, Text, Thinking
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    OpaqueDelta,
    Ping,
    SignatureDelta,
    TextDelta,
    Usage,
)
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import RateLimited, UpstreamError

PLAIN = ask()
THINKING = ask(thinking={"type": "adaptive"})
OMITTED = ask(thinking={"type": "adaptive", "display": "omitted"})


def signed(index: int = 0) -> list[AnyEvent]:
    """Give a signed thinking block's events."""
    *events, stop = thinking("Hm", ".", index=index)
    return [*events, SignatureDelta(index=index, signature="c2ln"), stop]


def block(start: Any, *deltas: AnyEvent, index: int = 0) -> list[AnyEvent]:
    """Give a block's events."""
    return [BlockStart(index=index, block=start), *deltas, BlockStop(index=index)]


def test_m11_a_stream_has_all_that_the_api_sends() -> None:
    """M11: named events, indexes, a stop for each block, usage at the begin and at the end, and nothing after."""
    usage = Usage(input_tokens=9, output_tokens=1, cache_read_input_tokens=3, extra={"service_tier": "standard"})
    events = reply(text("a", "b"), tool_use("t", '{"a"', ":1}", index=1), stop="tool_use", usage=usage)
    events[-2] = MessageDelta(stop_reason="tool_use", usage=Usage(output_tokens=5, thinking_tokens=2))
    counts = {"input_tokens": 9, "cache_read_input_tokens": 3, "service_tier": "standard"}
    assert streamed(PLAIN, events) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-5",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**counts, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ":1}"}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {**counts, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2}},
        },
        {"type": "message_stop"},
    ]


def test_m11_nothing_follows_the_end() -> None:
    """M11: ``[DONE]`` is OpenAI's."""
    assert MESSAGES.stream(PLAIN, STAMP).finish() == b""


def test_a_whole_message_is_what_the_stream_says() -> None:
    """One object, all counts in it."""
    events = reply(text("a", "b"), tool_use("t", '{"a"', ":1}", index=1), usage=Usage(input_tokens=9, output_tokens=1))
    events[-2] = MessageDelta(stop_reason="stop_sequence", stop_sequence="END", usage=Usage(output_tokens=5))
    assert completed(PLAIN, events) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{"type": "text", "text": "ab"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
        "stop_reason": "stop_sequence",
        "stop_sequence": "END",
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }


def test_a_reply_without_an_id_gets_one() -> None:
    """The API's replies all have one."""
    events = [MessageStart(id="", model="m"), *reply(text("a"))[1:]]
    assert completed(PLAIN, events)["id"] == "msg_abc"


def test_m04_a_ping_is_handed_on_and_is_the_sign_of_life() -> None:
    """M04: also inside a block that is hidden."""
    events = reply(thinking("Hm"), text("a", index=1))
    events.insert(2, Ping())
    assert [event["type"] for event in streamed(PLAIN, events)][:3] == ["message_start", "ping", "content_block_start"]
    assert read(MESSAGES.keepalive) == [{"type": "ping"}]
    assert completed(PLAIN, events)["content"] == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize(
    ("parsed", "shown"),
    [
        (PLAIN, []),
        (THINKING, ["thinking", "redacted_thinking"]),
        (OMITTED, ["thinking", "redacted_thinking"]),
    ],
)
def test_c38_reasoning_is_shown_to_who_asked_for_it(parsed: Any, shown: list[str]) -> None:
    """C38: to others it isn't there at all, redacted or not, and the indexes have no gap."""
    hidden = block(RedactedThinking(data="eHg="), OpaqueDelta(index=1, raw={"type": "x"}), index=1)
    events = reply(signed(), hidden, text("a", index=2), tool_use("t", "{}", index=3))
    found = inside(parsed, events)
    starts = [(index, content["type"]) for kind, index, content in found if kind == "start"]
    assert starts == list(enumerate([*shown, "text", "tool_use"]))
    assert [index for kind, index, _ in found if kind == "stop"] == list(range(len(starts)))
    assert [content["type"] for content in completed(parsed, events)["content"]] == [*shown, "text", "tool_use"]


def test_m03_reasoning_comes_with_its_signature() -> None:
    """M03: told whole at the end of its block, so that it can go back unchanged."""
    events = reply(signed(), text("a", index=1))
    assert inside(THINKING, events)[:5] == [
        ["start", 0, {"type": "thinking", "thinking": "", "signature": ""}],
        ["delta", 0, {"type": "thinking_delta", "thinking": "Hm"}],
        ["delta", 0, {"type": "thinking_delta", "thinking": "."}],
        ["delta", 0, {"type": "signature_delta", "signature": "c2ln"}],
        ["stop", 0, None],
    ]
    assert completed(THINKING, events)["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def test_c38_omitted_reasoning_is_a_signature_alone() -> None:
    """C38: ``display: omitted`` asks for the block, but not for its text."""
    events = reply(signed(), text("a", index=1))
    assert inside(OMITTED, events)[:3] == [
        ["start", 0, {"type": "thinking", "thinking": "", "signature": ""}],
        ["delta", 0, {"type": "signature_delta", "signature": "c2ln"}],
        ["stop", 0, None],
    ]
    assert completed(OMITTED, events)["content"][0] == {"type": "thinking", "thinking": "", "signature": "c2ln"}


def test_what_comes_with_a_start_is_told_in_deltas() -> None:
    """For clients that read no start: text, reasoning, its signature, a call's input."""
    events = reply(
        block(Thinking(thinking="Hm", signature="c2")),
        block(Text(text="a"), TextDelta(index=1, text="b"), index=1),
        tool_use("t", index=2, whole={"a": 1}),
        tool_use("u", "", "{}", index=3, whole={"b": 1}),
    )
    deltas = [(index, content) for kind, index, content in inside(THINKING, events) if kind == "delta"]
    assert deltas == [
        (0, {"type": "thinking_delta", "thinking": "Hm"}),
        (0, {"type": "signature_delta", "signature": "c2"}),
        (1, {"type": "text_delta", "text": "a"}),
        (1, {"type": "text_delta", "text": "b"}),
        (2, {"type": "input_json_delta", "partial_json": '{"a":1}'}),
        (3, {"type": "input_json_delta", "partial_json": "{}"}),
    ]
    content = completed(THINKING, events)["content"]
    assert content[0] == {"type": "thinking", "thinking": "Hm", "signature": "c2"}
    assert [use["input"] for use in content[2:]] == [{"a": 1}, {}]


def test_what_we_do_not_know_passes_as_it_came() -> None:
    """Blocks of the upstream's own tools, their streamed input, citations, deltas of any kind."""
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "x"}]}
    events = reply(
        block(Opaque(search), InputJsonDelta(index=0, partial_json='{"query":"x"}')),
        block(Opaque(found), index=1),
        block(
            Text(text=""),
            OpaqueDelta(index=2, raw={"type": "citations_delta", "citation": {"url": "x"}}),
            OpaqueDelta(index=2, raw={"type": "citations_delta", "citation": {"url": "y"}}),
            index=2,
        ),
        block(
            Opaque({"type": "compaction", "content": None}),
            OpaqueDelta(index=3, raw={"type": "c", "content": "z"}),
            index=3,
        ),
    )
    assert inside(PLAIN, events)[:3] == [
        ["start", 0, search],
        ["delta", 0, {"type": "input_json_delta", "partial_json": '{"query":"x"}'}],
        ["stop", 0, None],
    ]
    assert completed(PLAIN, events)["content"] == [
        {**search, "input": {"query": "x"}},
        found,
        {"type": "text", "text": "", "citations": [{"url": "x"}, {"url": "y"}]},
        {"type": "compaction", "content": "z"},
    ]


@pytest.mark.parametrize(
    ("told", "reason"), [("pause_turn", "pause_turn"), ("never_heard_of", "never_heard_of"), (None, "end_turn")]
)
def test_a_reply_ends_with_a_reason(told: str | None, reason: str) -> None:
    """The upstream's own; where it has none the reply just ended."""
    assert completed(PLAIN, reply(text("a"), stop=told))["stop_reason"] == reason


def test_a_later_end_corrects_an_earlier_one() -> None:
    """Only the last is told, with all counts."""
    *events, stop = reply(text("a"))
    events.append(MessageDelta(stop_reason="max_tokens", usage=Usage(output_tokens=7)))
    ends = [event for event in streamed(PLAIN, [*events, stop]) if event["type"] == "message_delta"]
    assert [(end["delta"]["stop_reason"], end["usage"]["output_tokens"]) for end in ends] == [("max_tokens", 7)]


def test_counts_that_are_not_known() -> None:
    """The two that the API promises are 0, the others aren't there."""
    assert completed(PLAIN, reply(text("a")))["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_every_count_is_told() -> None:
    """The upstream's own details win over what we read of them."""
    usage = Usage(
        input_tokens=1,
        output_tokens=2,
        cache_creation_input_tokens=3,
        cache_read_input_tokens=0,
        thinking_tokens=4,
        extra={
            "cache_creation": {"ephemeral_1h_input_tokens": 3},
            "output_tokens_details": {"thinking_tokens": 4, "x": 1},
        },
    )
    assert completed(PLAIN, reply(text("a"), usage=usage))["usage"] == {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_1h_input_tokens": 3},
        "output_tokens_details": {"thinking_tokens": 4, "x": 1},
    }


@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded", "refusal", "stop_sequence"])
def test_some_ends_may_come_before_the_first_word(stop: str) -> None:
    """The client learns by the reason why there is nothing."""
    assert completed(PLAIN, reply(stop=stop))["content"] == []


@pytest.mark.parametrize("stop", ["end_turn", "tool_use", None])
def test_c35_any_other_empty_reply_is_an_error(stop: str | None) -> None:
    """C35: never a 200 with nothing in it."""
    with pytest.raises(UpstreamError, match="empty"):
        completed(PLAIN, reply(text("", ""), stop=stop))


def test_c35_reasoning_alone_is_no_empty_reply() -> None:
    """C35: the model said something, though not to this client."""
    assert completed(PLAIN, reply(thinking("Hm")))["content"] == []


def test_m04_an_error_in_a_stream_is_the_last_event() -> None:
    """M04: in the API's shape, and with the time to come back."""
    error = RateLimited("the plan's limit is reached", retry_after=7, reset_at=1_800_000_000)
    assert read(MESSAGES.stream(PLAIN, STAMP).fail(error)) == [
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "the plan's limit is reached",
                "retry_after": 7,
                "reset_at": "2027-01-15T08:00:00Z",
            },
        }
    ]


@pytest.mark.parametrize("said", ["👩‍👩‍👧‍👦", "a\r\nb\n\nc", "\0", "\u2028\u2029\x85", "é" * 1000, "x" * (1 << 20)])
def test_c36_text_is_exact(said: str) -> None:
    """C36: and no client sees a line end where there is none."""
    raw = frames(PLAIN, reply(text(said)))
    assert len(raw.decode().splitlines()) == raw.count(b"\n")
    assert inside(PLAIN, reply(text(said)))[1][2]["text"] == said
    assert completed(PLAIN, reply(text(said)))["content"][0]["text"] == said


def test_an_input_that_was_cut_off_is_empty_in_the_whole_message() -> None:
    """What isn't a JSON object can't be one."""
    assert completed(PLAIN, reply(tool_use("t", '{"cut": "of'), stop="max_tokens"))["content"][0]["input"] == {}


def test_names_are_the_clients() -> None:
    """What a backend calls lost is told in the API's words."""
    assert MESSAGES.names["output_schema"] == "output_config.format"
    assert MESSAGES.names["reasoning"] == "thinking"
    assert MESSAGES.names["user_id"] == "metadata.user_id"


def test_m04_an_error_body_names_the_request() -> None:
    """M04: type, message and request id."""
    assert json.loads(MESSAGES.error(UpstreamError("broken"), "req_1")) == {
        "type": "error",
        "error": {"type": "api_error", "message": "broken"},
        "request_id": "req_1",
    }


def test_events_after_the_last_message_are_not_made_up() -> None:
    """A reply that broke off has no end."""
    begun: list[AnyEvent] = reply(text("a"))[:-2]
    assert [event["type"] for event in streamed(PLAIN, begun)][-1] == "content_block_stop"
    assert [event["type"] for event in streamed(PLAIN, [*begun, MessageDelta(stop_reason="end_turn"), MessageStop()])][
        -2:
    ] == ["message_delta", "message_stop"]
