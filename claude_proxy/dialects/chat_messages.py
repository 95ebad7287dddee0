"""A request's ``messages`` to system blocks and alternating turns. Pure.

Turns alternate, each tool call has a result in the very next turn, results stand before what else the user said
there, and call ids are unique and of legal characters: what the Messages API demands, and OpenAI's doesn't.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec

from claude_proxy.canon.blocks import AnyBlock, Document, Image, Json, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Message
from claude_proxy.dialects import chat_parts
from claude_proxy.dialects.chat_wire import ChatMessage, FunctionCall, ToolCall, lost_fields, take
from claude_proxy.errors import BadRequest

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""The names that the Messages API takes for a tool."""

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_OPENING = "Go ahead."
"""What the user says where a request has nothing but a system prompt: the Messages API needs a user turn."""


@dataclass(slots=True)
class _Call:
    """A tool call of the history: its id upstream, and the turn (counted from 0) that made it."""

    id: str
    turn: int


@dataclass(slots=True)
class _Turn:
    """A turn under way. ``results`` are a user turn's, ``calls`` an assistant turn's.

    Both are by our ids; a call has its path in the request, and what its client calls it.
    """

    role: Literal["user", "assistant"]
    blocks: list[AnyBlock] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)
    calls: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """Takes a request's messages one by one; ``system``, ``turns()`` and ``losses`` are what they come to."""

    system: list[Text] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    _turns: list[_Turn] = field(default_factory=list)
    _calls: dict[str, _Call] = field(default_factory=dict)
    _functions: dict[str, _Call] = field(default_factory=dict)
    _used_ids: set[str] = field(default_factory=set)

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
        for turn, after in pairwise([*self._turns, _Turn("user")]):
            _check_answered(turn, after)
        if self._turns:
            return tuple(
                Message(role=turn.role, content=(*turn.results.values(), *turn.blocks)) for turn in self._turns
            )
        if self.system:
            return (Message(role="user", content=(Text(text=_OPENING),)),)
        raise BadRequest("messages: there is nothing in them to answer", param="messages")

    def _turn(self, role: Literal["user", "assistant"]) -> _Turn:
        """Give the last turn, a new one where that is the other side's."""
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _say(self, role: Literal["user", "assistant"], blocks: Iterable[AnyBlock]) -> None:
        said = list(blocks)
        if said:
            self._turn(role).blocks += said

    def read_system(self, message: ChatMessage, where: str) -> None:
        """Hoist a system message: where it stood doesn't split the turns."""
        self.system += chat_parts.texts(message.content, f"{where}.content", self.losses)

    def read_user(self, message: ChatMessage, where: str) -> None:
        """Read what the user said."""
        self._say("user", chat_parts.blocks(message.content, f"{where}.content", self.losses))

    def read_assistant(self, message: ChatMessage, where: str) -> None:
        """Read what the model said and called."""
        self._say("assistant", chat_parts.texts(message.content, f"{where}.content", self.losses))
        self._say("assistant", chat_parts.texts(message.refusal, f"{where}.refusal", self.losses))
        for index, raw in enumerate(message.tool_calls or ()):
            self._read_call(raw, f"{where}.tool_calls[{index}]")
        if message.function_call is not None:
            # The older API has no ids. The message's place gives one that stays the same in the next request.
            name, path = message.function_call.name, f"{where}.function_call"
            self._functions[name] = self._call(f"call_{where}", message.function_call, path)
            self._turns[-1].calls[self._functions[name].id] = (path, name)

    def _read_call(self, raw: Any, where: str) -> None:
        call = take(raw, ToolCall, where)
        if call.type not in (None, "", "function"):
            raise BadRequest(f"{where}.type: there are no calls of type {call.type!r} here", param=f"{where}.type")
        if not call.id:
            raise BadRequest(f"{where}.id: a tool call needs an id", param=f"{where}.id")
        self.losses += lost_fields(raw, ToolCall, "messages.tool_calls.")
        known = self._calls.get(call.id)
        turn = len(self._turns) - 1
        if known and known.turn == turn and self._turns[turn].role == "assistant":
            raise BadRequest(f"{where}.id: two calls of one turn have the id {call.id!r}", param=f"{where}.id")
        self._calls[call.id] = self._call(call.id, call.function, f"{where}.function")
        self._turns[-1].calls[self._calls[call.id].id] = (where, call.id)

    def _call(self, given: str, function: FunctionCall, where: str) -> _Call:
        if not TOOL_NAME.fullmatch(function.name):
            raise BadRequest(
                f"{where}.name: {function.name!r} can't be a tool's name: use 1 to 128 of a-z, A-Z, 0-9, _ and -",
                param=f"{where}.name",
            )
        arguments = _arguments(function.arguments)
        if arguments is None:
            self.losses.append(re.sub(r"\[\d+]", "", where) + ".arguments")
        turn = self._turn("assistant")
        call = _Call(self._fresh_id(given), len(self._turns) - 1)
        turn.blocks.append(ToolUse(id=call.id, name=function.name, input=arguments or {}))
        return call

    def _fresh_id(self, given: str) -> str:
        """Give a legal id that no other call of the conversation has: some clients count from 0 in each turn."""
        mapped, again = upstream_id(given), 0
        while mapped in self._used_ids:
            again += 1
            mapped = upstream_id(given, again)
        self._used_ids.add(mapped)
        return mapped

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

    def _answer(self, call: _Call, message: ChatMessage, where: str) -> None:
        content = chat_parts.blocks(message.content, f"{where}.content", self.losses)
        answering = call.turn + 1
        if answering == len(self._turns):
            self._turns.append(_Turn("user"))
        self._turns[answering].results[call.id] = _result(call.id, content)


def upstream_id(given: str, again: int = 0) -> str:
    """Give a call id of legal characters: itself where it is one, else always the same other one.

    A digest of the id keeps two apart that differ in illegal characters alone. ``again`` over 0 gives further ones.
    """
    if not again and _LEGAL_ID.fullmatch(given):
        return given
    digest = hashlib.sha256(f"{again}:{given}".encode()).hexdigest()[:12]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', given)[:48]}_{digest}"


def _result(call_id: str, content: list[Text | Image | Document]) -> ToolResult:
    # Inside a result nothing can carry a cache marker; the result itself can.
    markers = [block.cache_control for block in content if block.cache_control]
    bare = tuple(msgspec.structs.replace(block, cache_control=None) for block in content)
    return ToolResult(tool_use_id=call_id, content=bare, cache_control=markers[-1] if markers else None)


def _arguments(given: Any) -> Json | None:
    """Read a call's arguments; ``None`` where they aren't a JSON object."""
    try:
        value = msgspec.json.decode(given) if isinstance(given, str) else given
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _check_answered(turn: _Turn, after: _Turn) -> None:
    missing = [call for call_id, call in turn.calls.items() if call_id not in after.results]
    if missing:
        names = ", ".join(name for _, name in missing)
        param = missing[0][0]
        raise BadRequest(
            f"{param}: after a call comes a message with its result; there is none for {names}", param=param
        )


_ROLES: dict[str, Callable[[Conversation, ChatMessage, str], None]] = {
    "system": Conversation.read_system,
    "developer": Conversation.read_system,
    "user": Conversation.read_user,
    "assistant": Conversation.read_assistant,
    "tool": Conversation.read_tool,
    "function": Conversation.read_function,
}
