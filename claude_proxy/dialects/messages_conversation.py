"""A Messages client's ``messages`` to system blocks and alternating turns, held to the API's own rules. Pure.

Neighbours of one role merge. A system message inside ``messages`` goes to the system blocks. Results come out before
what else the user said in their turn, where the API wants them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from claude_proxy.canon.blocks import AnyBlock, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Message
from claude_proxy.dialects import messages_content
from claude_proxy.dialects import messages_wire as wire
from claude_proxy.dialects.fields import lost_fields
from claude_proxy.dialects.messages_wire import one_of, refusal, take

_NO_CONTENT = "all messages must have non-empty content except for the optional final assistant message"
_UNEXPECTED = (
    "unexpected `tool_use_id` found in `tool_result` blocks: {}. "
    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
)
_TWICE = "each tool_use must have a single result. Found multiple `tool_result` blocks with id: {}"
_UNANSWERED = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: {}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
)


@dataclass(slots=True)
class _Turn:
    """A turn under way. ``calls`` are an assistant turn's, by id with their paths; ``results`` a user turn's."""

    role: Literal["user", "assistant"]
    blocks: list[AnyBlock] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    results: dict[str, ToolResult] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """Takes a request's messages one by one; ``system``, ``turns()`` and ``losses`` are what they come to."""

    system: list[Text] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    _turns: list[_Turn] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _empty: str | None = None
    """The path of an assistant message without content, which only the last message may be."""

    def add(self, raw: Any, where: str) -> None:
        """Take the next message, whose path in the request is ``where``."""
        message = take(raw, wire.Message, where)
        self.losses += lost_fields(raw, wire.Message, "messages.")
        one_of(message.role, ("user", "assistant", "system"), f"{where}.role")
        if message.role == "system":
            self._add_system(message, where)
            return
        if self._empty is not None:
            raise refusal(self._empty, _NO_CONTENT)
        found = messages_content.blocks(message.content, f"{where}.content", message.role, self.losses)
        if found:
            self._add_turn("user" if message.role == "user" else "assistant", found, where)
        elif message.role == "assistant":
            self._empty = where
        else:
            raise refusal(where, _NO_CONTENT)

    def _add_system(self, message: wire.Message, where: str) -> None:
        # The API takes the first one after the user's opening: up to there nothing moves.
        if any(turn.role == "assistant" for turn in self._turns):
            self.losses.append("messages.role")
        self.system += messages_content.system_texts(message.content, f"{where}.content", self.losses)

    def _add_turn(self, role: Literal["user", "assistant"], found: list[AnyBlock], where: str) -> None:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        turn = self._turns[-1]
        for index, block in enumerate(found):
            path = f"{where}.content.{index}"
            if isinstance(block, ToolResult):
                self._add_result(block, path)
                continue
            if isinstance(block, ToolUse):
                if block.id in self._ids:
                    raise refusal(path, "`tool_use` ids must be unique")
                self._ids.add(block.id)
                turn.calls[block.id] = where
            turn.blocks.append(block)

    def _add_result(self, block: ToolResult, path: str) -> None:
        called = self._turns[-2].calls if len(self._turns) > 1 else {}
        results = self._turns[-1].results
        if block.tool_use_id not in called:
            raise refusal(path, _UNEXPECTED.format(block.tool_use_id))
        if block.tool_use_id in results:
            raise refusal(path, _TWICE.format(block.tool_use_id))
        results[block.tool_use_id] = block

    def turns(self) -> tuple[Message, ...]:
        """Give the turns; raise ``BadRequest`` where there are none, or where they can't stand as they do."""
        if not self._turns:
            raise refusal("messages", "at least one message is required")
        for turn, after in pairwise([*self._turns, _Turn("user")]):
            missing = [name for name in turn.calls if name not in after.results]
            if missing:
                raise refusal(turn.calls[missing[0]], _UNANSWERED.format(", ".join(missing)))
        last = self._turns[-1]
        if last.role == "assistant" and isinstance(last.blocks[-1], Text) and last.blocks[-1].text[-1].isspace():
            raise refusal("messages", "final assistant content cannot end with trailing whitespace")
        return tuple(Message(role=turn.role, content=(*turn.results.values(), *turn.blocks)) for turn in self._turns)
