"""Our events to a Chat Completions stream. Pure.

Source: https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json, Text, Thinking, ToolUse
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
from claude_proxy.dialects.chat_error import error_object
from claude_proxy.dialects.chat_json_object import JsonObjectText
from claude_proxy.dialects.chat_request import ChatOptions
from claude_proxy.dialects.json_text import json_text
from claude_proxy.errors import ProxyError, UpstreamError
from claude_proxy.framing import sse_data

_encode = msgspec.json.encode

_CHUNK = b'%b"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]%b'
"""A frame, between what is the same at the begin and at the end of all of a reply's frames."""

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_MAY_BE_EMPTY = frozenset(("max_tokens", "model_context_window_exceeded", "refusal", "stop_sequence"))
"""The ends that a reply may come to before its first word."""


@dataclass(slots=True)
class _Call:
    """The tool call under way: what to send if no arguments come."""

    whole: Json
    is_argued: bool = False


@dataclass(slots=True)
class ChatStream:
    """Renders one reply as ``chat.completion.chunk`` frames.

    ``feed`` raises ``UpstreamError`` where the reply turns out to be none: empty, or not the JSON that was asked for.
    """

    parsed: Parsed
    stamp: Stamp
    _head: bytes = b""
    _tail: bytes = b"}\n\n"
    _call: _Call | None = None
    _calls: int = 0
    _has_text: bool = False
    _has_blocks: bool = False
    _json: JsonObjectText | None = None
    _usage: Usage = field(default_factory=Usage)
    _stop_reason: str | None = None

    def feed(self, event: AnyEvent) -> bytes:
        """Frames for the next event of a legal sequence."""
        render = _RENDER.get(type(event))
        return render(self, event) if render is not None else b""

    def finish(self) -> bytes:
        """Frames after ``message_stop``."""
        return sse_data(b"[DONE]")

    def fail(self, error: ProxyError) -> bytes:
        """The error's frame. No ``[DONE]`` follows: a failure is no clean end."""
        return sse_data(_encode(error_object(error)))

    @property
    def _options(self) -> ChatOptions:
        options: ChatOptions = self.parsed.options
        return options

    def _delta(self, delta: bytes, finish_reason: bytes = b"null") -> bytes:
        return _CHUNK % (self._head, delta, finish_reason, self._tail)

    def begin(self, event: MessageStart) -> bytes:
        """The first chunk, with the role; and what is the same in all chunks is made once."""
        head = {
            "id": f"chatcmpl-{self.stamp.id}",
            "object": "chat.completion.chunk",
            "created": self.stamp.created,
            "model": event.model,
        }
        self._head = b"data: " + _encode(head)[:-1] + b","
        if self._options.include_usage:
            self._tail = b',"usage":null}\n\n'
        if self._options.json_object:
            self._json = JsonObjectText()
        self._usage = event.usage
        return self._delta(b'{"role":"assistant","content":null}')

    def open(self, event: BlockStart) -> bytes:
        """A tool call's id and name; of another block what it already holds."""
        match event.block:
            case Text(text=text):
                return self._text(text)
            case Thinking(thinking=thinking):
                return self._thinking(thinking)
            case ToolUse():
                return self._open_call(event.block)
            case _:
                # What Chat Completions has no word for: hidden reasoning, tools that ran upstream.
                self._has_blocks = True
                return b""

    def _open_call(self, block: ToolUse) -> bytes:
        self._call = _Call(block.input)
        self._calls += 1
        if not self._options.legacy:
            function = {"name": block.name, "arguments": ""}
            call = {"index": self._calls - 1, "id": block.id, "type": "function", "function": function}
            return self._delta(_encode({"tool_calls": [call]}))
        if self._calls > 1:
            raise UpstreamError("the model made several calls, and a function_call can only tell one")
        return self._delta(_encode({"function_call": {"name": block.name, "arguments": ""}}))

    def text(self, event: TextDelta) -> bytes:
        """More of the text."""
        return self._text(event.text)

    def _text(self, text: str) -> bytes:
        shown = text if self._json is None else self._json.feed(text)
        return self._content(shown)

    def _content(self, text: str) -> bytes:
        if not text:
            return b""
        self._has_text = True
        return self._delta(b'{"content":' + json_text(text) + b"}")

    def thinking(self, event: ThinkingDelta) -> bytes:
        """More of the reasoning, for who asked for it."""
        return self._thinking(event.thinking)

    def _thinking(self, text: str) -> bytes:
        self._has_blocks = True
        if not text or not self.parsed.request.reasoning.visible:
            return b""
        return self._delta(b'{"reasoning_content":' + json_text(text) + b"}")

    def arguments(self, event: InputJsonDelta) -> bytes:
        """More of the open call's arguments."""
        return self._arguments(event.partial_json)

    def _arguments(self, piece: str) -> bytes:
        if self._call is None or not piece:
            return b""
        self._call.is_argued = True
        function = b'{"arguments":' + json_text(piece) + b"}"
        if self._options.legacy:
            return self._delta(b'{"function_call":' + function + b"}")
        return self._delta(b'{"tool_calls":[{"index":%d,"function":%b}]}' % (self._calls - 1, function))

    def close(self, _: BlockStop) -> bytes:
        """The arguments of a call that streamed none."""
        call = self._call
        frames = b"" if call is None or call.is_argued else self._arguments(_encode(call.whole).decode())
        self._call = None
        return frames

    def note_end(self, event: MessageDelta) -> bytes:
        """Nothing yet: a later event may still correct it."""
        self._stop_reason = event.stop_reason
        self._usage = self._usage.merged(event.usage)
        return b""

    def end(self, _: MessageStop) -> bytes:
        """The last chunks: the finish reason, then the usage for who asked for it."""
        frames = self._content(self._json.close()) if self._json else b""
        if not (self._has_text or self._calls):
            if not self._has_blocks and self._stop_reason not in _MAY_BE_EMPTY:
                raise UpstreamError("the model's reply was empty")
            frames += self._delta(b'{"content":""}')
        if self._json and self._stop_reason == "end_turn" and not self._calls:
            self._json.check()
        return frames + self._delta(b"{}", _encode(self._finish_reason())) + self._usage_chunk()

    def _finish_reason(self) -> str:
        reason = _FINISH_REASONS.get(self._stop_reason or "", "stop")
        if reason != "tool_calls":
            return reason
        if not self._calls:
            # The tools were the upstream's own. A client that looks for calls here would find none.
            return "stop"
        return "function_call" if self._options.legacy else reason

    def _usage_chunk(self) -> bytes:
        counts = usage_object(self._usage) if self._options.include_usage else None
        return b"" if counts is None else self._head + b'"choices":[],"usage":' + _encode(counts) + b"}\n\n"


def usage_object(usage: Usage) -> Json | None:
    """Give the counts as OpenAI has them; ``None`` where the upstream didn't tell enough. Nothing is guessed."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = usage.cache_read_input_tokens
    prompt = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (cached or 0)
    counts: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
    }
    if cached is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    if usage.thinking_tokens is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.thinking_tokens}
    return counts


_RENDER: dict[type, Callable[[ChatStream, Any], bytes]] = {
    TextDelta: ChatStream.text,
    InputJsonDelta: ChatStream.arguments,
    ThinkingDelta: ChatStream.thinking,
    BlockStart: ChatStream.open,
    BlockStop: ChatStream.close,
    MessageStart: ChatStream.begin,
    MessageDelta: ChatStream.note_end,
    MessageStop: ChatStream.end,
}
