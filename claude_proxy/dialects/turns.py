"""A conversation as the Messages API takes it, built up from an OpenAI client's messages or items. Pure.

Turns alternate, each tool call has a result in the very next turn, results stand before what else the user said
there, and call ids are unique and of legal characters: what the Messages API demands, and OpenAI's doesn't.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec

from claude_proxy.canon.blocks import UNREADABLE, AnyBlock, Document, Image, Json, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Message
from claude_proxy.errors import BadRequest

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""The names that the Messages API takes for a tool."""

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]+")

OPENING = Message(role="user", content=(Text(text="Go ahead."),))
"""What the user says where a request has nothing but a system prompt: the Messages API needs a user turn."""


@dataclass(slots=True)
class Call:
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
class Turns:
    """Takes what was said, called and answered, in the order of the request."""

    _turns: list[_Turn] = field(default_factory=list)
    _used_ids: set[str] = field(default_factory=set)

    def say(self, role: Literal["user", "assistant"], blocks: Iterable[AnyBlock]) -> None:
        """Add to the role's turn; nothing at all makes none."""
        said = list(blocks)
        if said:
            self._turn(role).blocks += said

    def _turn(self, role: Literal["user", "assistant"]) -> _Turn:
        """Give the last turn, a new one where that is the other side's."""
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def is_open(self, call: Call) -> bool:
        """Say whether the turn that made a call is still the last one."""
        return call.turn == len(self._turns) - 1 and self._turns[call.turn].role == "assistant"

    def call(self, given_id: str, name: str, arguments: Json, told: tuple[str, str]) -> Call:
        """Add a call. ``told`` is its path in the request and what its client calls it, for when it has no result."""
        turn = self._turn("assistant")
        call = Call(self._fresh_id(given_id), len(self._turns) - 1)
        turn.blocks.append(ToolUse(id=call.id, name=name, input=arguments))
        turn.calls[call.id] = told
        return call

    def _fresh_id(self, given: str) -> str:
        """Give a legal id that no other call of the conversation has: some clients count from 0 in each turn."""
        mapped, again = upstream_id(given), 0
        while mapped in self._used_ids:
            again += 1
            mapped = upstream_id(given, again)
        self._used_ids.add(mapped)
        return mapped

    def answer(self, call: Call, content: Sequence[Text | Image | Document]) -> None:
        """Put a call's result into the turn that follows it. Of several results the last one counts."""
        answering = call.turn + 1
        if answering == len(self._turns):
            self._turns.append(_Turn("user"))
        self._turns[answering].results[call.id] = _result(call.id, content)

    def messages(self) -> tuple[Message, ...]:
        """Give the turns, or none where nothing was said; raise ``BadRequest`` where a call has no result."""
        for turn, after in pairwise([*self._turns, _Turn("user")]):
            _check_answered(turn, after)
        return tuple(Message(role=turn.role, content=(*turn.results.values(), *turn.blocks)) for turn in self._turns)


def upstream_id(given: str, again: int = 0) -> str:
    """Give a call id of legal characters: itself where it is one, else always the same other one.

    A digest of the id keeps two apart that differ in illegal characters alone. ``again`` over 0 gives further ones.
    """
    if not again and _LEGAL_ID.fullmatch(given):
        return given
    return legal(given, f"{again}:{given}", 48)


def legal(given: str, seed: str, length: int) -> str:
    """Give a name of legal characters that begins like ``given`` and ends in a digest of ``seed``."""
    digest = hashlib.sha256(seed.encode()).hexdigest()[:12]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', given)[:length]}_{digest}"


def is_tool_name(name: str) -> bool:
    """Say whether the Messages API takes a tool of this name."""
    return _TOOL_NAME.fullmatch(name) is not None


def check_tool_name(name: str, where: str) -> None:
    """Raise ``BadRequest`` where the name at the path ``where`` can't be a tool's."""
    if not is_tool_name(name):
        raise BadRequest(
            f"{where}: {name!r} can't be a tool's name: use 1 to 128 of a-z, A-Z, 0-9, _ and -", param=where
        )


def read_arguments(given: Any) -> Json | None:
    """Read a call's arguments; ``None`` where they aren't a JSON object."""
    try:
        value = msgspec.json.decode(given) if isinstance(given, str) else given
    except UNREADABLE:
        return None
    return value if isinstance(value, dict) else None


def _result(call_id: str, content: Sequence[Text | Image | Document]) -> ToolResult:
    # Inside a result nothing can carry a cache marker; the result itself can.
    markers = [block.cache_control for block in content if block.cache_control]
    bare = tuple(msgspec.structs.replace(block, cache_control=None) for block in content)
    return ToolResult(tool_use_id=call_id, content=bare, cache_control=markers[-1] if markers else None)


def _check_answered(turn: _Turn, after: _Turn) -> None:
    missing = [call for call_id, call in turn.calls.items() if call_id not in after.results]
    if missing:
        names = ", ".join(name for _, name in missing)
        param = missing[0][0]
        raise BadRequest(
            f"{param}: after a call comes a message with its result; there is none for {names}", param=param
        )
