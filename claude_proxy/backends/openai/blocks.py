"""A reply's pieces as blocks of ours, of which only one is open at a time. Pure.

A text or reasoning block ends when something else comes. A tool call ends when its arguments are a whole object and
something else comes; until then what comes beside it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from claude_proxy.backends.openai.calls import Call, Calls
from claude_proxy.canon.blocks import Text, Thinking, ToolUse
from claude_proxy.canon.events import AnyEvent, BlockStart, BlockStop, InputJsonDelta, TextDelta, ThinkingDelta
from claude_proxy.errors import UpstreamError


@dataclass(slots=True)
class _Words:
    """A run of text or of reasoning, and what of it hasn't been told."""

    is_thinking: bool
    pieces: list[str]


@dataclass(slots=True)
class Blocks:
    """Takes pieces as they come; every method gives the events that they allow."""

    calls: Calls
    _index: int = -1
    _open: _Words | Call | None = None
    _waiting: list[_Words | Call] = field(default_factory=list)

    def text(self, piece: str) -> Iterator[AnyEvent]:
        """Take more of what the model says."""
        return self._say(piece, is_thinking=False)

    def thinking(self, piece: str) -> Iterator[AnyEvent]:
        """Take more of the model's reasoning."""
        return self._say(piece, is_thinking=True)

    def call(self, raw: Any, index: int | None = None) -> Iterator[AnyEvent]:
        """Take a piece of a tool call; ``index`` holds where it has none of its own."""
        call = self.calls.take(raw, index)
        if call is None:
            return
        if call.is_closed:
            if len(call.arguments) > call.told:
                raise UpstreamError("the upstream sent more arguments for a tool call that was complete")
            return
        if call is not self._open and call not in self._waiting:
            self._waiting.append(call)
        yield from self._advance()

    def close(self) -> Iterator[AnyEvent]:
        """End all that is open, and tell all that waits."""
        yield from self._advance(is_last=True)

    def _say(self, piece: str, *, is_thinking: bool) -> Iterator[AnyEvent]:
        if not piece:
            return
        last = self._waiting[-1] if self._waiting else self._open
        if isinstance(last, _Words) and last.is_thinking == is_thinking:
            last.pieces.append(piece)
        else:
            self._waiting.append(_Words(is_thinking, [piece]))
        yield from self._advance()

    def _advance(self, *, is_last: bool = False) -> Iterator[AnyEvent]:
        while True:
            if self._open is None:
                if not self._waiting or not (is_last or _can_begin(self._waiting[0])):
                    return
                self._open = self._waiting.pop(0)
                yield self._begun(self._open)
            yield from self._told(self._open)
            if not (is_last or (self._waiting and _may_end(self._open))):
                return
            if isinstance(self._open, Call):
                self._open.is_closed = True
            self._open = None
            yield BlockStop(index=self._index)

    def _begun(self, block: _Words | Call) -> AnyEvent:
        self._index += 1
        if isinstance(block, _Words):
            return BlockStart(index=self._index, block=Thinking(thinking="") if block.is_thinking else Text(text=""))
        if not block.name:
            raise UpstreamError("the upstream sent a tool call without a name")
        return BlockStart(index=self._index, block=ToolUse(id=self.calls.name(block), name=block.name, input={}))

    def _told(self, block: _Words | Call) -> Iterator[AnyEvent]:
        if isinstance(block, Call):
            if piece := block.untold():
                yield InputJsonDelta(index=self._index, partial_json=piece)
            return
        for piece in block.pieces:
            if block.is_thinking:
                yield ThinkingDelta(index=self._index, thinking=piece)
            else:
                yield TextDelta(index=self._index, text=piece)
        block.pieces.clear()


def _can_begin(block: _Words | Call) -> bool:
    return isinstance(block, _Words) or block.can_begin


def _may_end(block: _Words | Call) -> bool:
    return isinstance(block, _Words) or block.is_complete
