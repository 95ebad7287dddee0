"""Chat Completions answers as upstreams write them, and what our events make of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from claude_proxy.backends.openai.reply import ChatReply
from claude_proxy.canon.blocks import ToolUse
from claude_proxy.canon.collect import Reply, collect
from claude_proxy.canon.events import AnyEvent

DONE = b"data: [DONE]\n\n"


def frame(document: Any) -> bytes:
    """Give a document as an SSE event."""
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    """Give a chunk with one choice; ``fields`` stand beside the choices."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return frame({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **fields})


def call(**piece: Any) -> bytes:
    """Give a chunk with one piece of a tool call; ``name`` and ``arguments`` are its function's."""
    function = {name: piece.pop(name) for name in ("name", "arguments") if name in piece}
    return chunk({"tool_calls": [{**piece, "function": function}]})


def end(finish: str = "stop") -> bytes:
    """Give the chunks that end a stream."""
    return chunk({}, finish) + DONE


def reading(*parts: bytes, thinking: bool = True) -> Iterator[AnyEvent]:
    """Read an answer that comes in these parts."""
    reply = ChatReply("asked", "tok", with_thinking=thinking)
    for part in parts:
        yield from reply.feed(part)
    yield from reply.end()


def read(*parts: bytes, thinking: bool = True) -> Reply:
    """Give what an answer comes to; its events must be legal."""
    return collect(reading(*parts, thinking=thinking))


def calls(*parts: bytes) -> list[tuple[str, str, Any]]:
    """Give the tool calls of a stream of these parts, as id, name and input."""
    return [
        (block.id, block.name, block.input)
        for block in read(*parts, end("tool_calls")).content
        if isinstance(block, ToolUse)
    ]
