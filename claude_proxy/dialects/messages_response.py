"""Our events to a Messages stream. Pure.

Every block starts empty and is filled by deltas, whatever way the upstream sent it: not all clients read what a start
holds. Source: https://docs.anthropic.com/en/api/messages-streaming.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from claude_proxy.canon.blocks import Json, Opaque, RedactedThinking, Text, Thinking, ToolUse
from claude_proxy.canon.codec import encode_block
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
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.json_text import json_text
from claude_proxy.dialects.messages_error import error_object
from claude_proxy.dialects.messages_parameters import Shown
from claude_proxy.dialects.messages_request import MessagesOptions
from claude_proxy.errors import ProxyError, UpstreamError
from claude_proxy.framing import sse_event

PING = sse_event("ping", b'{"type":"ping"}')

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'

_MAY_BE_EMPTY = frozenset(("max_tokens", "model_context_window_exceeded", "refusal", "stop_sequence"))
"""The ends that a reply may come to before its first word."""


@dataclass(slots=True)
class _Open:
    """The block under way. ``whole`` is a tool use's input that came with its start."""

    is_hidden: bool = False
    is_bare: bool = False
    """It is shown without its text."""
    whole: Json = field(default_factory=dict)
    signature: str = ""


@dataclass(slots=True)
class MessagesStream:
    """Renders one reply as the Messages API's SSE events.

    Reasoning that nobody asked for is left out, and the blocks are counted without it. ``feed`` raises
    ``UpstreamError`` where the reply turns out to be empty.
    """

    parsed: Parsed
    stamp: Stamp
    _index: int = -1
    _block: _Open = field(default_factory=_Open)
    _has_content: bool = False
    _usage: Usage = field(default_factory=Usage)
    _end: MessageDelta | None = None

    def feed(self, event: AnyEvent) -> bytes:
        """Frames for the next event of a legal sequence."""
        if self._block.is_hidden and not isinstance(event, Ping):
            self._block.is_hidden = not isinstance(event, BlockStop)
            return b""
        return _RENDER[type(event)](self, event)

    def finish(self) -> bytes:
        """Nothing: ``message_stop`` was the last."""
        return b""

    def fail(self, error: ProxyError) -> bytes:
        """The error's frame, after which nothing comes."""
        return sse_event("error", json_text(error_object(error)))

    @property
    def _thinking(self) -> Shown:
        options: MessagesOptions = self.parsed.options
        return options.thinking

    def ping(self, _: Ping) -> bytes:
        """The upstream's sign of life is ours."""
        return PING

    def begin(self, event: MessageStart) -> bytes:
        """The message, still empty."""
        self._usage = event.usage
        message: Json = {
            "id": event.id or f"msg_{self.stamp.id}",
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(event.usage),
        }
        return _frame({"type": "message_start", "message": message})

    def open(self, event: BlockStart) -> bytes:
        """An empty block, and what it came with as its first delta."""
        block = event.block
        is_thinking = isinstance(block, Thinking | RedactedThinking)
        self._has_content = self._has_content or not isinstance(block, Text)
        self._block = _Open(is_hidden=is_thinking and self._thinking == "hidden")
        if self._block.is_hidden:
            return b""
        self._index += 1
        raw, first = self._emptied(block)
        return _frame({"type": "content_block_start", "index": self._index, "content_block": raw}) + first

    def _emptied(self, block: Text | Thinking | RedactedThinking | ToolUse | Opaque) -> tuple[Json, bytes]:
        raw, first = encode_block(block), b""
        match block:
            case Text(text=said):
                raw["text"], first = "", self._text(said)
            case Thinking(thinking=thought, signature=signature):
                self._block.is_bare = self._thinking == "omitted"
                self._block.signature = signature
                raw |= {"thinking": "", "signature": ""}
                first = self._thought(thought)
            case ToolUse(input=whole):
                self._block.whole = whole
                raw["input"] = {}
        return raw, first

    def _delta(self, kind: bytes, name: bytes, value: str) -> bytes:
        if not value:
            return b""
        return _DELTA % (self._index, b'{"type":"%b","%b":%b}' % (kind, name, json_text(value)))

    def _text(self, text: str) -> bytes:
        self._has_content = self._has_content or bool(text)
        return self._delta(b"text_delta", b"text", text)

    def _thought(self, text: str) -> bytes:
        return b"" if self._block.is_bare else self._delta(b"thinking_delta", b"thinking", text)

    def text(self, event: TextDelta) -> bytes:
        """More of a text."""
        return self._text(event.text)

    def thinking(self, event: ThinkingDelta) -> bytes:
        """More of the reasoning, for who asked to read it."""
        return self._thought(event.thinking)

    def sign(self, event: SignatureDelta) -> bytes:
        """Nothing yet: a signature is told whole, at the block's end."""
        self._block.signature += event.signature
        return b""

    def input(self, event: InputJsonDelta) -> bytes:
        """More of a tool use's input."""
        frames = self._delta(b"input_json_delta", b"partial_json", event.partial_json)
        if frames:
            self._block.whole = {}
        return frames

    def opaque(self, event: OpaqueDelta) -> bytes:
        """What we don't know, as it came."""
        return _DELTA % (self._index, json_text(event.raw))

    def close(self, _: BlockStop) -> bytes:
        """What the block still lacks, and its end."""
        block, frames = self._block, b""
        if block.whole:
            frames = self._delta(b"input_json_delta", b"partial_json", json_text(block.whole).decode())
        if block.signature:
            frames += self._delta(b"signature_delta", b"signature", block.signature)
        return frames + _STOP % self._index

    def note_end(self, event: MessageDelta) -> bytes:
        """Nothing yet: a later event may still correct it."""
        self._end = event
        self._usage = self._usage.merged(event.usage)
        return b""

    def end(self, _: MessageStop) -> bytes:
        """How the reply ended, all that was counted, and the end."""
        assert self._end is not None
        if not self._has_content and self._end.stop_reason not in _MAY_BE_EMPTY:
            raise UpstreamError("the model's reply was empty")
        # A reply's end always has a reason. Where the upstream tells none, it just ended.
        delta = {"stop_reason": self._end.stop_reason or "end_turn", "stop_sequence": self._end.stop_sequence}
        frames = _frame({"type": "message_delta", "delta": delta, "usage": usage_object(self._usage)})
        return frames + _frame({"type": "message_stop"})


def _frame(event: Json) -> bytes:
    return sse_event(event["type"], json_text(event))


def usage_object(usage: Usage) -> Json:
    """Give the counts as the API has them, all that the upstream gave.

    Input and output are always numbers, since the API promises them and clients add them up: 0 where the upstream
    doesn't count, which no real reply has. Any other count that isn't known isn't there.
    """
    counts: Json = {"input_tokens": usage.input_tokens or 0}
    for name in ("cache_creation_input_tokens", "cache_read_input_tokens"):
        if (count := getattr(usage, name)) is not None:
            counts[name] = count
    counts["output_tokens"] = usage.output_tokens or 0
    if usage.thinking_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.thinking_tokens}
    return counts | usage.extra


_RENDER: dict[type, Callable[[MessagesStream, Any], bytes]] = {
    TextDelta: MessagesStream.text,
    InputJsonDelta: MessagesStream.input,
    ThinkingDelta: MessagesStream.thinking,
    SignatureDelta: MessagesStream.sign,
    OpaqueDelta: MessagesStream.opaque,
    BlockStart: MessagesStream.open,
    BlockStop: MessagesStream.close,
    MessageStart: MessagesStream.begin,
    MessageDelta: MessagesStream.note_end,
    MessageStop: MessagesStream.end,
    Ping: MessagesStream.ping,
}
