"""Our types to the Messages API's JSON and back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from claude_proxy import errors
from claude_proxy.canon.blocks import (
    AnyBlock,
    Document,
    Image,
    Opaque,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.codec import (
    decode_block,
    decode_event,
    decode_usage,
    encode_block,
    encode_message,
    error_from_json,
)
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
    ThinkingDelta,
    Usage,
)
from claude_proxy.canon.request import Message

CACHE = {"type": "ephemeral"}
PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "hé\0"},
    {"type": "text", "text": "hi", "cache_control": CACHE},
    {"type": "image", "source": PNG},
    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}, "cache_control": CACHE},
    {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "title": "t", "context": "c"},
    {"type": "document", "source": {"type": "content", "content": [1]}, "citations": {"enabled": True}},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "redacted_thinking", "data": "x"},
    {"type": "tool_use", "id": "t", "name": "n", "input": {"a": [None]}},
    {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "text", "text": "r"}, {"type": "image", "source": PNG}, {"type": "odd", "x": 1}],
        "is_error": True,
        "cache_control": CACHE,
    },
    {"type": "tool_result", "tool_use_id": "t", "content": []},
    {"type": "server_tool_use", "id": "s", "anything": {"deep": [1]}},
]


@pytest.mark.parametrize("raw", BLOCKS)
def test_a_block_survives_the_round_trip(raw: dict[str, Any]) -> None:
    """What the API sends is what it gets back, blocks that we don't know included."""
    assert encode_block(decode_block(raw)) == raw


@pytest.mark.parametrize(
    ("raw", "block"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "image", "source": PNG}, Image(source=Source(**PNG))),
        ({"type": "document", "source": PNG}, Document(source=Source(**PNG))),
        ({"type": "thinking", "thinking": "a"}, Thinking(thinking="a")),
        ({"type": "redacted_thinking", "data": "a"}, RedactedThinking(data="a")),
        ({"type": "tool_use", "id": "a", "name": "b", "input": {}}, ToolUse(id="a", name="b", input={})),
        ({"type": "tool_result", "tool_use_id": "a"}, ToolResult(tool_use_id="a")),
        (
            {"type": "tool_result", "tool_use_id": "a", "content": "r", "is_error": None},
            ToolResult(tool_use_id="a", content=(Text(text="r"),)),
        ),
    ],
)
def test_known_blocks_become_ours(raw: dict[str, Any], block: AnyBlock) -> None:
    """Each known type has its struct; a result's content may be plain text."""
    assert decode_block(raw) == block


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"type": "new"},
        {"type": ["text"]},
        {"type": "text", "text": 1},
        {"type": "tool_use", "id": "a", "name": "b", "input": "{}"},
        {"type": "tool_result"},
        {"type": "tool_result", "tool_use_id": "a", "content": ["r"]},
    ],
)
def test_other_blocks_stay_as_they_came(raw: dict[str, Any]) -> None:
    """A type we don't know, or a known one in an odd shape, travels unread."""
    assert decode_block(raw) == Opaque(raw)


def test_a_message_is_role_and_blocks() -> None:
    """A message's JSON is the API's."""
    message = Message(role="user", content=(ToolResult(tool_use_id="a", content=(Text(text="r"),)), Opaque({"x": 1})))
    assert encode_message(message) == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "r"}]},
            {"x": 1},
        ],
    }


def test_usage_is_what_was_told() -> None:
    """Counts that are there are read, those that aren't stay unknown, the rest is kept."""
    raw = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": None,
        "cache_creation_input_tokens": True,
        "output_tokens_details": {"thinking_tokens": 3},
        "service_tier": "standard",
    }
    usage = decode_usage(raw)
    assert (usage.input_tokens, usage.output_tokens, usage.thinking_tokens) == (1, 2, 3)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (None, None)
    assert usage.extra == {"output_tokens_details": {"thinking_tokens": 3}, "service_tier": "standard"}
    assert decode_usage(None) == Usage()


def test_later_usage_goes_over_earlier() -> None:
    """Totals of ``message_delta`` replace those of ``message_start``; what it doesn't tell stays."""
    first = Usage(input_tokens=5, output_tokens=1, extra={"a": 1, "b": 1})
    later = Usage(output_tokens=9, cache_read_input_tokens=0, extra={"b": 2})
    assert first.merged(later) == Usage(
        input_tokens=5, output_tokens=9, cache_read_input_tokens=0, extra={"a": 1, "b": 2}
    )


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (
            {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 1}}},
            MessageStart(id="m", model="x", usage=Usage(input_tokens=1)),
        ),
        (
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            BlockStart(index=1, block=Text(text="")),
        ),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "image", "source": PNG}},
            BlockStart(index=0, block=Opaque({"type": "image", "source": PNG})),
        ),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}},
            TextDelta(index=1, text="a"),
        ),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}},
            InputJsonDelta(index=1, partial_json="{"),
        ),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "a"}},
            ThinkingDelta(index=1, thinking="a"),
        ),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "signature_delta", "signature": "a"}},
            SignatureDelta(index=1, signature="a"),
        ),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"a": 1}}},
            OpaqueDelta(index=1, raw={"type": "citations_delta", "citation": {"a": 1}}),
        ),
        ({"type": "content_block_stop", "index": 2}, BlockStop(index=2)),
        (
            {"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}},
            MessageDelta(stop_reason="stop_sequence", stop_sequence="END"),
        ),
        (
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            MessageDelta(stop_reason="end_turn", usage=Usage(output_tokens=1)),
        ),
        ({"type": "message_delta", "delta": {}, "usage": None}, MessageDelta(stop_reason=None)),
        ({"type": "message_stop"}, MessageStop()),
        ({"type": "ping"}, Ping()),
        ({"type": "tomorrow", "index": 3}, None),
    ],
)
def test_streaming_events(raw: dict[str, Any], event: AnyEvent | None) -> None:
    """Each event type becomes ours; one we don't know is nothing."""
    assert decode_event(json.dumps(raw).encode()) == event
    assert decode_event(msgspec.Raw(msgspec.json.encode(raw))) == event


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type": "ping',
        b'{"type": "\xff"}',
        b'{"type": "message_start"}',
        b'{"type": "message_start", "message": {"id": "m"}}',
        b'{"type": "message_start", "message": {"id": "m", "model": "x", "usage": [1]}}',
        b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": null}}',
        b'{"type": "content_block_start", "content_block": ' + b"[" * 5000,
        b'{"type": "error", "error": "no object"}',
        b'{"type": "error", "error": {"type": ["x"]}}',
    ],
)
def test_what_is_no_event_is_the_upstreams_fault(data: bytes) -> None:
    """Nonsense from the upstream is a 502, never an exception of ours (C35)."""
    with pytest.raises(errors.UpstreamError, match="an event that can't be read"):
        decode_event(data)


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("invalid_request_error", errors.BadRequest),
        ("authentication_error", errors.Unauthorized),
        ("permission_error", errors.Forbidden),
        ("not_found_error", errors.NotFound),
        ("request_too_large", errors.TooLarge),
        ("rate_limit_error", errors.RateLimited),
        ("timeout_error", errors.UpstreamTimeout),
        ("overloaded_error", errors.Overloaded),
        ("api_error", errors.UpstreamError),
        ("tomorrows_error", errors.UpstreamError),
    ],
)
def test_an_error_event_raises_its_error(kind: str, cls: type[errors.ProxyError]) -> None:
    """A failure in the stream is the exception that its type stands for (C35)."""
    with pytest.raises(cls) as raised:
        decode_event(json.dumps({"type": "error", "error": {"type": kind, "message": "said"}}).encode())
    assert type(raised.value) is cls
    assert raised.value.message == "said"


def test_an_error_without_a_message_says_so() -> None:
    """There is always something to read."""
    assert error_from_json({}).message == "the upstream gave an error without a message"


@pytest.mark.parametrize("nothing", ["", None, []])
def test_a_result_of_nothing_has_no_block(nothing: Any) -> None:
    """K05: the API takes an empty string, and refuses an empty text block in its place."""
    raw = {"type": "tool_result", "tool_use_id": "t", "content": nothing}
    assert decode_block(raw) == ToolResult(tool_use_id="t")
