"""The events of one reply, in the order that :mod:`claude_proxy.canon.grammar` allows.

They are the Messages API's streaming events, ``content_block_delta`` split by its delta's type, so that a translator
is one table from event class to function. A failure is no event: the iterator raises a ``ProxyError``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json, Opaque, RedactedThinking, Text, Thinking, ToolUse


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts as the upstream gave them; what it didn't give is ``None``, never a guess.

    ``input_tokens`` is without the cached ones, as in the Messages API. ``extra`` holds fields we don't read.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    thinking_tokens: int | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)

    def merged(self, later: Usage) -> Usage:
        """Give these counts with the later event's put over them (counts in ``message_delta`` are totals)."""
        values = {name: getattr(later, name) for name in _COUNTS if getattr(later, name) is not None}
        return msgspec.structs.replace(self, **values, extra={**self.extra, **later.extra})


_COUNTS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "thinking_tokens")


STOP_REASONS = frozenset(
    {
        "end_turn",
        "max_tokens",
        "model_context_window_exceeded",
        "pause_turn",
        "refusal",
        "stop_sequence",
        "tool_use",
    }
)
"""The ways a reply may end that we know of. An upstream may have new ones."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What all events share."""


class MessageStart(Event, frozen=True, kw_only=True):
    """The reply begins. ``model`` is the one that answers."""

    id: str
    model: str
    usage: Usage = Usage()


class BlockStart(Event, frozen=True, kw_only=True):
    """A block opens; ``block`` is as empty as the upstream sent it. ``index`` counts from 0 without gaps."""

    index: int
    block: Text | Thinking | RedactedThinking | ToolUse | Opaque


class TextDelta(Event, frozen=True, kw_only=True):
    """More of a text block."""

    index: int
    text: str


class ThinkingDelta(Event, frozen=True, kw_only=True):
    """More of a thinking block."""

    index: int
    thinking: str


class SignatureDelta(Event, frozen=True, kw_only=True):
    """The signature of a thinking block, whole."""

    index: int
    signature: str


class InputJsonDelta(Event, frozen=True, kw_only=True):
    """More of a tool use's input, as a piece of JSON text."""

    index: int
    partial_json: str


class OpaqueDelta(Event, frozen=True, kw_only=True):
    """A delta of a type we don't know (citations, say), kept as it came."""

    index: int
    raw: Json


class BlockStop(Event, frozen=True, kw_only=True):
    """The block is complete."""

    index: int


class MessageDelta(Event, frozen=True, kw_only=True):
    """How the reply ended, and the final usage."""

    stop_reason: str | None
    stop_sequence: str | None = None
    usage: Usage = Usage()


class MessageStop(Event, frozen=True, kw_only=True):
    """The reply is complete. Nothing follows."""


class Ping(Event, frozen=True, kw_only=True):
    """The upstream is alive and has nothing to say yet."""


AnyDelta = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta | OpaqueDelta
AnyEvent = MessageStart | BlockStart | AnyDelta | BlockStop | MessageDelta | MessageStop | Ping
