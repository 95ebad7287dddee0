"""Short ways to put a Chat Completions request, and to make a reply."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from claude_proxy.canon.blocks import Text as TextBlock
from claude_proxy.canon.blocks import Thinking, ToolUse
from claude_proxy.canon.codec import decode_event, encode_message
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.chat import CHAT
from claude_proxy.errors import BadRequest

STAMP = Stamp(id="abc", created=1_800_000_000)
UNKNOWN = Usage()
HI = {"role": "user", "content": "hi"}


def ask(*messages: Any, **fields: Any) -> Parsed:
    """Parse a request with these messages (``HI`` where there are none) and top-level fields."""
    return CHAT.parse(json.dumps({"model": "sonnet", "messages": list(messages) or [HI], **fields}).encode())


def refused(*messages: Any, **fields: Any) -> BadRequest:
    """Give the ``BadRequest`` that such a request is answered with."""
    with pytest.raises(BadRequest) as raised:
        ask(*messages, **fields)
    return raised.value


def turns(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    """Give the upstream's messages for these."""
    return [encode_message(message) for message in ask(*messages, **fields).request.messages]


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    """Give one of an assistant message's tool calls."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: Any = "done") -> dict[str, Any]:
    """Give a tool message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def function(name: str = "f", **fields: Any) -> dict[str, Any]:
    """Give a tool."""
    return {"type": "function", "function": {"name": name, **fields}}


def reply(*blocks: list[AnyEvent], stop: str | None = "end_turn", usage: Usage = UNKNOWN) -> list[AnyEvent]:
    """Give a whole reply's events; ``blocks`` come from the functions below, each with its index."""
    inside = [event for block in blocks for event in block]
    return [
        MessageStart(id="msg_1", model="claude-sonnet-5", usage=usage),
        *inside,
        MessageDelta(stop_reason=stop),
        MessageStop(),
    ]


def text(*pieces: str, index: int = 0) -> list[AnyEvent]:
    """Give a text block's events."""
    deltas = [TextDelta(index=index, text=piece) for piece in pieces]
    return [BlockStart(index=index, block=TextBlock(text="")), *deltas, BlockStop(index=index)]


def thinking(*pieces: str, index: int = 0) -> list[AnyEvent]:
    """Give a thinking block's events."""
    deltas = [ThinkingDelta(index=index, thinking=piece) for piece in pieces]
    return [BlockStart(index=index, block=Thinking(thinking="")), *deltas, BlockStop(index=index)]


def tool_use(call_id: str, *pieces: str, index: int = 0, whole: dict[str, Any] | None = None) -> list[AnyEvent]:
    """Give a tool use block's events."""
    deltas = [InputJsonDelta(index=index, partial_json=piece) for piece in pieces]
    start = BlockStart(index=index, block=ToolUse(id=call_id, name="f", input=whole or {}))
    return [start, *deltas, BlockStop(index=index)]


def streamed(parsed: Parsed, events: Iterable[AnyEvent]) -> list[Any]:
    """Give the chunks of a streamed reply, ``[DONE]`` as that text."""
    stream = CHAT.stream(parsed, STAMP)
    frames = b"".join([stream.feed(event) for event in events]) + stream.finish()
    assert frames.endswith(b"\n\n")
    payloads = [frame.removeprefix(b"data: ") for frame in frames.removesuffix(b"\n\n").split(b"\n\n")]
    return [payload.decode() if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


def deltas(parsed: Parsed, events: Iterable[AnyEvent]) -> list[Any]:
    """Give the deltas of a streamed reply between the first chunk, which has the role, and the finish reason."""
    chunks = streamed(parsed, events)
    found = [chunk["choices"][0]["delta"] for chunk in chunks[:-1] if chunk["choices"]]
    assert found[0] == {"role": "assistant", "content": None}
    assert found[-1] == {}
    return found[1:-1]


def completed(parsed: Parsed, events: Iterable[AnyEvent]) -> Any:
    """Give the reply that isn't streamed."""
    return json.loads(CHAT.collect(parsed, events, STAMP))


def decoded(raw_events: Iterable[Any]) -> list[AnyEvent]:
    """Give our events for the Messages API's JSON."""
    found = [decode_event(json.dumps(raw).encode()) for raw in raw_events]
    return [event for event in found if event is not None]
