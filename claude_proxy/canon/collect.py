"""A whole reply out of its events: the only way a non-streamed answer is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from claude_proxy.canon.blocks import UNREADABLE, AnyBlock, Opaque, RedactedThinking, Text, Thinking, ToolUse
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from claude_proxy.canon.grammar import Grammar


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A finished reply."""

    id: str
    model: str
    content: tuple[AnyBlock, ...]
    stop_reason: str | None
    stop_sequence: str | None
    usage: Usage


@dataclass(slots=True)
class _Open:
    """A block under way: what it started as, and the pieces that came."""

    block: Text | Thinking | RedactedThinking | ToolUse | Opaque
    pieces: list[str] = field(default_factory=list)
    signature: str = ""

    def closed(self) -> AnyBlock:
        block, joined = self.block, "".join(self.pieces)
        if isinstance(block, Text):
            return msgspec.structs.replace(block, text=block.text + joined)
        if isinstance(block, Thinking):
            return Thinking(thinking=block.thinking + joined, signature=block.signature + self.signature)
        if isinstance(block, ToolUse) and joined:
            return msgspec.structs.replace(block, input=parse_input(joined))
        return block


def parse_input(text: str) -> dict[str, object]:
    """Read a tool input's JSON; what isn't an object (a reply cut off by max_tokens) becomes ``{}``."""
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Collector:
    """Feeds on events and holds the reply so far."""

    _start: MessageStart | None = None
    _end: MessageDelta | None = None
    _usage: Usage = field(default_factory=Usage)
    _blocks: list[_Open] = field(default_factory=list)

    def feed(self, event: AnyEvent) -> None:
        """Take the next event of a legal sequence."""
        match event:
            case TextDelta(text=piece) | ThinkingDelta(thinking=piece) | InputJsonDelta(partial_json=piece):
                self._blocks[-1].pieces.append(piece)
            case BlockStart(block=block):
                self._blocks.append(_Open(block))
            case SignatureDelta(signature=signature):
                self._blocks[-1].signature += signature
            case MessageStart():
                self._start = event
                self._usage = event.usage
            case MessageDelta():
                self._end = event
                self._usage = self._usage.merged(event.usage)

    def reply(self) -> Reply:
        """Give the reply. Call it after the last event; raises ``AssertionError`` before the first."""
        assert self._start is not None
        return Reply(
            id=self._start.id,
            model=self._start.model,
            content=tuple(block.closed() for block in self._blocks),
            stop_reason=self._end.stop_reason if self._end else None,
            stop_sequence=self._end.stop_sequence if self._end else None,
            usage=self._usage,
        )


def collect(events: Iterable[AnyEvent]) -> Reply:
    """Give the reply that a complete, legal sequence of events makes; raise ``UpstreamError`` where it isn't one."""
    grammar, collector = Grammar(), Collector()
    for event in events:
        grammar.check(event)
        collector.feed(event)
    grammar.check_end()
    return collector.reply()
