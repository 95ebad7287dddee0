"""A request's ``messages`` to system blocks and alternating turns. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from claude_proxy.canon.blocks import Text
from claude_proxy.canon.request import Message
from claude_proxy.dialects import chat_parts
from claude_proxy.dialects.chat_wire import ChatMessage, FunctionCall, ToolCall
from claude_proxy.dialects.fields import lost_fields, take
from claude_proxy.dialects.turns import OPENING, Call, Turns, check_tool_name, read_arguments
from claude_proxy.errors import BadRequest


@dataclass(slots=True)
class Conversation:
    """Takes a request's messages one by one; ``system``, ``turns()`` and ``losses`` are what they come to."""

    system: list[Text] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    _turns: Turns = field(default_factory=Turns)
    _calls: dict[str, Call] = field(default_factory=dict)
    _functions: dict[str, Call] = field(default_factory=dict)

    def add(self, raw: Any, where: str) -> None:
        """Take the next message, whose path in the request is ``where``."""
        message = take(raw, ChatMessage, where)
        read = _ROLES.get(message.role)
        if read is None:
            raise BadRequest(f"{where}.role: there is no role {message.role!r}", param=f"{where}.role")
        if message.role != "assistant" and (message.tool_calls or message.function_call):
            raise BadRequest(f"{where}.role: only an assistant message can call tools", param=f"{where}.role")
        self.losses += lost_fields(raw, ChatMessage, "messages.")
        if message.name and message.role not in ("tool", "function"):
            self.losses.append("messages.name")
        read(self, message, where)

    def turns(self) -> tuple[Message, ...]:
        """Give the turns; raise ``BadRequest`` where there are none, or where a call has no result."""
        messages = self._turns.messages()
        if messages:
            return messages
        if self.system:
            return (OPENING,)
        raise BadRequest("messages: there is nothing in them to answer", param="messages")

    def read_system(self, message: ChatMessage, where: str) -> None:
        """Hoist a system message: where it stood doesn't split the turns."""
        self.system += chat_parts.texts(message.content, f"{where}.content", self.losses)

    def read_user(self, message: ChatMessage, where: str) -> None:
        """Read what the user said."""
        self._turns.say("user", chat_parts.blocks(message.content, f"{where}.content", self.losses))

    def read_assistant(self, message: ChatMessage, where: str) -> None:
        """Read what the model said and called."""
        self._turns.say("assistant", chat_parts.texts(message.content, f"{where}.content", self.losses))
        self._turns.say("assistant", chat_parts.texts(message.refusal, f"{where}.refusal", self.losses))
        for index, raw in enumerate(message.tool_calls or ()):
            self._read_call(raw, f"{where}.tool_calls[{index}]")
        if message.function_call is not None:
            # The older API has no ids. The message's place gives one that stays the same in the next request.
            name, path = message.function_call.name, f"{where}.function_call"
            self._functions[name] = self._call(f"call_{where}", message.function_call, path, (path, name))

    def _read_call(self, raw: Any, where: str) -> None:
        call = take(raw, ToolCall, where)
        if call.type not in (None, "", "function"):
            raise BadRequest(f"{where}.type: there are no calls of type {call.type!r} here", param=f"{where}.type")
        if not call.id:
            raise BadRequest(f"{where}.id: a tool call needs an id", param=f"{where}.id")
        self.losses += lost_fields(raw, ToolCall, "messages.tool_calls.")
        known = self._calls.get(call.id)
        if known and self._turns.is_open(known):
            raise BadRequest(f"{where}.id: two calls of one turn have the id {call.id!r}", param=f"{where}.id")
        self._calls[call.id] = self._call(call.id, call.function, f"{where}.function", (where, call.id))

    def _call(self, given: str, function: FunctionCall, where: str, told: tuple[str, str]) -> Call:
        check_tool_name(function.name, f"{where}.name")
        arguments = read_arguments(function.arguments)
        if arguments is None:
            self.losses.append(re.sub(r"\[\d+]", "", where) + ".arguments")
        return self._turns.call(given, function.name, arguments or {}, told)

    def read_tool(self, message: ChatMessage, where: str) -> None:
        """Put a tool's result into the turn that follows its call."""
        param = f"{where}.tool_call_id"
        call = self._calls.get(message.tool_call_id or "")
        if call is None:
            raise BadRequest(f"{param}: no message before it called a tool as {message.tool_call_id!r}", param=param)
        self._answer(call, message, where)

    def read_function(self, message: ChatMessage, where: str) -> None:
        """Put an older function's result into the turn that follows its call."""
        call = self._functions.get(message.name or "")
        if call is None:
            raise BadRequest(f"{where}.name: no message before it called {message.name!r}", param=f"{where}.name")
        self._answer(call, message, where)

    def _answer(self, call: Call, message: ChatMessage, where: str) -> None:
        self._turns.answer(call, chat_parts.blocks(message.content, f"{where}.content", self.losses))


_ROLES: dict[str, Callable[[Conversation, ChatMessage, str], None]] = {
    "system": Conversation.read_system,
    "developer": Conversation.read_system,
    "user": Conversation.read_user,
    "assistant": Conversation.read_assistant,
    "tool": Conversation.read_tool,
    "function": Conversation.read_function,
}
