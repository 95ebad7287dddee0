"""The tool calls of a streamed reply, put together from pieces however an upstream cuts and labels them. Pure.

Upstreams leave out ids, names or indexes, give all calls index 0, repeat a call's name in each piece, send arguments
before the name, or mix the pieces of several calls. A piece belongs to the call with its index, unless its id says
otherwise; without either, to the last one, unless that one is complete and the piece names a function again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon.blocks import UNREADABLE, Json
from claude_proxy.errors import UpstreamError


@dataclass(slots=True, eq=False)
class Call:
    """One tool call as far as it has come. ``given_id`` is the upstream's, ``id`` what we call it once it is told."""

    index: int | None
    given_id: str
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    told: int = 0
    """How many of ``arguments`` have been given on."""
    is_closed: bool = False
    """Its block has ended: nothing more of it can be told."""

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a whole JSON object, after which nothing can follow."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        return _is_object("".join(self.arguments))

    @property
    def can_begin(self) -> bool:
        """Whether it can be told: its name is known, and its id, where it hasn't come, is late."""
        return bool(self.name) and bool(self.given_id or self.arguments)

    def take(self, piece: str) -> None:
        """Take more arguments; the whole of them again, which some upstreams send at the end, changes nothing."""
        if not piece or (piece.lstrip().startswith("{") and self.is_complete and "".join(self.arguments) == piece):
            return
        if not piece.strip() and (self.is_complete or not self.arguments):
            return
        self.arguments.append(piece)

    def untold(self) -> str:
        """Give the arguments that haven't been given on yet."""
        pieces = self.arguments[self.told :]
        self.told = len(self.arguments)
        return "".join(pieces)


@dataclass(slots=True)
class Calls:
    """All calls of one reply. ``token`` makes the ids that the upstream leaves out."""

    token: str
    all: list[Call] = field(default_factory=list)

    def take(self, raw: Any, index: int | None = None) -> Call | None:
        """Take a piece of a call, an entry of ``tool_calls``; return its call. ``index`` holds where it has none."""
        if not isinstance(raw, dict):
            raise UpstreamError("the upstream sent a tool call that is none")
        function = raw.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = _string(function.get("name")), _arguments(function.get("arguments"))
        given = raw.get("index")
        index = given if isinstance(given, int) and not isinstance(given, bool) else index
        given_id = _string(raw.get("id"))
        call = self._find(index, given_id, name, arguments)
        if call is None:
            if not (name or arguments or given_id):
                return None
            call = Call(index, given_id)
            self.all.append(call)
        call.given_id = call.given_id or given_id
        call.name = call.name or name
        call.take(arguments)
        return call

    def _find(self, index: int | None, given_id: str, name: str, arguments: str) -> Call | None:
        """Find the call that a piece belongs to; ``None``: it begins one."""
        exact = [call for call in self.all if call.index == index]
        near = exact or [call for call in self.all if index is None or call.index is None]
        if given_id:
            # One id for several calls is as common as one index for all: a name beside it says that it is another.
            same = [call for call in self.all if call.given_id == given_id and (call in near or not name)]
            if same:
                return same[-1]
        if not near:
            return None
        last = near[-1]
        if given_id and last.given_id:
            return None
        return None if _begins_another(last, name, arguments) else last

    def name(self, call: Call) -> str:
        """Settle the id that a call is told by: its own, or one that no other call of the reply has."""
        is_free = bool(call.given_id) and all(call.given_id != other.id for other in self.all)
        call.id = call.given_id if is_free else f"call_{self.token}_{self.all.index(call)}"
        return call.id


def _begins_another(last: Call, name: str, arguments: str) -> bool:
    """Say whether a piece that could belong to ``last`` is the begin of the next call."""
    if not name or not last.name:
        return False
    return name != last.name or (bool(arguments.strip()) and last.is_complete)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Any) -> str:
    """Give a piece of arguments as text; some upstreams send the object itself."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return _string(value)


def _is_object(text: str) -> bool:
    try:
        value: Json | Any = msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return isinstance(value, dict)
