"""A request's ``input`` items to system blocks and alternating turns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from claude_proxy.canon.blocks import Json, RedactedThinking, Text, Thinking
from claude_proxy.canon.request import Message
from claude_proxy.dialects import responses_parts
from claude_proxy.dialects.fields import lost_fields, take
from claude_proxy.dialects.responses_reasoning import unseal
from claude_proxy.dialects.responses_tools import upstream_name
from claude_proxy.dialects.responses_wire import (
    AdditionalTools,
    CallItem,
    MessageItem,
    Named,
    OutputItem,
    ReasoningItem,
)
from claude_proxy.dialects.turns import OPENING, Call, Turns, check_tool_name, read_arguments
from claude_proxy.errors import BadRequest

_OF_OTHERS = frozenset(
    f"{tool}_call"
    for tool in ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search", "computer")
) | {
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "tool_search_output",
    "computer_call_output",
    "compaction",
    "program",
    "program_output",
    "configuration_update",
}
"""What other models' built-in tools left in a conversation. Nothing here can read it, and all else goes on without."""


@dataclass(slots=True)
class Conversation:
    """Takes a request's items one by one; ``system``, ``tools``, ``turns()`` and ``losses`` are what they come to."""

    system: list[Text] = field(default_factory=list)
    tools: list[tuple[list[Any], str]] = field(default_factory=list)
    """Tools that came with the input, and their paths in the request."""
    losses: list[str] = field(default_factory=list)
    _turns: Turns = field(default_factory=Turns)
    _calls: dict[str, Call] = field(default_factory=dict)
    _thoughts: list[Thinking | RedactedThinking] = field(default_factory=list)
    """Thinking waits for what was said after it: alone it can't end a turn."""

    def add_all(self, items: Iterable[Any], where: str) -> None:
        """Take items, whose list's path in the request is ``where``."""
        for index, raw in enumerate(items):
            self._add(raw, f"{where}[{index}]")

    def _add(self, raw: Any, where: str) -> None:
        kind = take(raw, Named, where).type or "message"
        read = _READERS.get(kind)
        if read is not None:
            read(self, raw, where)
        elif kind in _OF_OTHERS:
            self.losses.append(f"input.{kind}")
        else:
            raise BadRequest(f"{where}.type: {_UNREADABLE.get(kind, _UNKNOWN)} ({kind!r})", param=f"{where}.type")

    def turns(self) -> tuple[Message, ...]:
        """Give the turns; raise ``BadRequest`` where there are none, or where a call has no result."""
        self._forget_thoughts()
        messages = self._turns.messages()
        if messages:
            return messages
        if self.system:
            return (OPENING,)
        raise BadRequest("input: there is nothing in it to answer", param="input")

    def read_message(self, raw: Json, where: str) -> None:
        """Read what one of the sides said. System messages are hoisted: where they stood doesn't split the turns."""
        item = take(raw, MessageItem, where)
        self.losses += lost_fields(raw, MessageItem, "input.")
        path = f"{where}.content"
        if item.role in ("system", "developer"):
            self.system += responses_parts.texts(item.content, path, self.losses)
        elif item.role == "user":
            self._forget_thoughts()
            self._turns.say("user", responses_parts.blocks(item.content, path, self.losses))
        elif item.role == "assistant":
            said = responses_parts.texts(item.content, path, self.losses)
            if said:
                self._think()
            self._turns.say("assistant", said)
        else:
            raise BadRequest(f"{where}.role: there is no role {item.role!r}", param=f"{where}.role")

    def read_reasoning(self, raw: Json, where: str) -> None:
        """Keep what the model thought, where it is ours: another's signature means nothing to this upstream."""
        item = take(raw, ReasoningItem, where)
        block = unseal(item.encrypted_content or "")
        if block is not None:
            self._thoughts.append(block)
        elif item.encrypted_content:
            self.losses.append("input.encrypted_content")
        elif item.summary or item.content:
            self.losses.append("input.summary")

    def _think(self) -> None:
        self._turns.say("assistant", self._thoughts)
        self._thoughts = []

    def _forget_thoughts(self) -> None:
        if self._thoughts:
            self.losses.append("input.encrypted_content")
            self._thoughts = []

    def read_function_call(self, raw: Json, where: str) -> None:
        """Read a call of a function."""
        item = self._call_item(raw, where)
        arguments = read_arguments(item.arguments)
        if arguments is None:
            self.losses.append("input.arguments")
        self._call(item, arguments or {}, where)

    def read_custom_call(self, raw: Json, where: str) -> None:
        """Read a call of a custom tool, which is a function of one text upstream."""
        item = self._call_item(raw, where)
        self._call(item, {"input": item.input or ""}, where)

    def _call_item(self, raw: Json, where: str) -> CallItem:
        item = take(raw, CallItem, where)
        if not item.call_id:
            raise BadRequest(f"{where}.call_id: a call needs an id", param=f"{where}.call_id")
        self.losses += lost_fields(raw, CallItem, "input.")
        return item

    def _call(self, item: CallItem, arguments: Json, where: str) -> None:
        name = upstream_name(item.name, item.namespace)
        check_tool_name(name, f"{where}.name")
        known = self._calls.get(item.call_id)
        if known and self._turns.is_open(known):
            raise BadRequest(
                f"{where}.call_id: two calls of one turn have the id {item.call_id!r}", param=f"{where}.call_id"
            )
        self._think()
        self._calls[item.call_id] = self._turns.call(item.call_id, name, arguments, (where, item.call_id))

    def read_output(self, raw: Json, where: str) -> None:
        """Put a call's output into the turn that follows the call."""
        item = take(raw, OutputItem, where)
        param = f"{where}.call_id"
        call = self._calls.get(item.call_id)
        if call is None:
            raise BadRequest(f"{param}: no item before it called a tool as {item.call_id!r}", param=param)
        self.losses += lost_fields(raw, OutputItem, "input.")
        self._forget_thoughts()
        self._turns.answer(call, responses_parts.blocks(item.output, f"{where}.output", self.losses))

    def read_tools(self, raw: Json, where: str) -> None:
        """Keep tools that came with the input for when all tools are read."""
        self.tools.append((take(raw, AdditionalTools, where).tools or [], f"{where}.tools"))


_READERS: dict[str, Callable[[Conversation, Any, str], None]] = {
    "message": Conversation.read_message,
    "reasoning": Conversation.read_reasoning,
    "function_call": Conversation.read_function_call,
    "function_call_output": Conversation.read_output,
    "custom_tool_call": Conversation.read_custom_call,
    "custom_tool_call_output": Conversation.read_output,
    "additional_tools": Conversation.read_tools,
}

_UNKNOWN = "there are no items of this type here"
_UNREADABLE = {
    "item_reference": "only whole items can be read here: send the item itself, or previous_response_id",
} | {
    kind: "only calls of functions and custom tools can be read here"
    for tool in ("local_shell", "shell", "apply_patch")
    for kind in (f"{tool}_call", f"{tool}_call_output")
}
