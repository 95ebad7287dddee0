"""The one legal order of a reply's events, as a transition table. Every stream of every backend passes it.

``message_start (block_start delta* block_stop)* message_delta message_stop``, one block at a time, indexes dense
from 0, each delta of its block's kind; ``ping`` anywhere. Source: https://docs.anthropic.com/en/api/messages-streaming.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from claude_proxy.canon.blocks import Opaque, RedactedThinking, Text, Thinking, ToolUse
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
)
from claude_proxy.errors import UpstreamError


class State(Enum):
    """Where in the reply we are."""

    BEFORE = auto()
    BETWEEN = auto()
    """After ``message_start``, no block open."""
    IN_BLOCK = auto()
    ENDING = auto()
    """After ``message_delta``."""
    DONE = auto()


_NEXT: dict[tuple[State, type], State] = {
    (State.BEFORE, MessageStart): State.BETWEEN,
    (State.BETWEEN, BlockStart): State.IN_BLOCK,
    (State.IN_BLOCK, TextDelta): State.IN_BLOCK,
    (State.IN_BLOCK, ThinkingDelta): State.IN_BLOCK,
    (State.IN_BLOCK, SignatureDelta): State.IN_BLOCK,
    (State.IN_BLOCK, InputJsonDelta): State.IN_BLOCK,
    (State.IN_BLOCK, OpaqueDelta): State.IN_BLOCK,
    (State.IN_BLOCK, BlockStop): State.BETWEEN,
    (State.BETWEEN, MessageDelta): State.ENDING,
    (State.ENDING, MessageDelta): State.ENDING,
    (State.ENDING, MessageStop): State.DONE,
}

_DELTAS: dict[type, tuple[type, ...]] = {
    Text: (TextDelta, OpaqueDelta),
    Thinking: (ThinkingDelta, SignatureDelta, OpaqueDelta),
    RedactedThinking: (OpaqueDelta,),
    ToolUse: (InputJsonDelta, OpaqueDelta),
    Opaque: (TextDelta, ThinkingDelta, SignatureDelta, InputJsonDelta, OpaqueDelta),
}


@dataclass(slots=True)
class Grammar:
    """Follows one reply; ``check`` raises ``UpstreamError`` at the first event out of order."""

    state: State = State.BEFORE
    _index: int = -1
    _block: type = Text

    def check(self, event: AnyEvent) -> None:
        """Take the next event; raise ``UpstreamError`` (502) where it can't come now."""
        kind = type(event)
        if kind is Ping:
            return
        after = _NEXT.get((self.state, kind))
        if after is None:
            raise UpstreamError(f"the upstream sent {kind.__name__} while the reply was {self.state.name}")
        if isinstance(event, BlockStart):
            if event.index != self._index + 1:
                raise UpstreamError(f"the upstream opened block {event.index} after block {self._index}")
            self._index = event.index
            self._block = type(event.block)
        elif self.state is State.IN_BLOCK:
            self._check_inside(event, kind)
        self.state = after

    def _check_inside(self, event: AnyEvent, kind: type) -> None:
        index = getattr(event, "index", None)
        if index != self._index:
            raise UpstreamError(f"the upstream sent {kind.__name__} for block {index} inside block {self._index}")
        if kind is not BlockStop and kind not in _DELTAS[self._block]:
            raise UpstreamError(f"the upstream sent {kind.__name__} inside a {self._block.__name__} block")

    def check_end(self) -> None:
        """Raise ``UpstreamError`` where the stream ended before ``message_stop``."""
        if self.state is not State.DONE:
            raise UpstreamError(f"the upstream's reply broke off ({self.state.name})")
