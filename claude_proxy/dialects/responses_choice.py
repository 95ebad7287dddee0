"""``tool_choice``: which of the tools the model may, must or must not call. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Tool, ToolChoice
from claude_proxy.dialects.fields import take
from claude_proxy.dialects.responses_tools import Toolbox
from claude_proxy.errors import BadRequest

_FIELD = "tool_choice"

Offer = tuple[tuple[Tool, ...], ToolChoice | None]
"""The tools that are offered, and the choice among them."""


def offer(given: str | Json | None, box: Toolbox, *, parallel: bool) -> Offer:
    """Read the choice; what is lost goes to the box's losses."""
    offered, choice = _choice(given, box)
    if not parallel and offered and (choice is None or choice.type != "none"):
        choice = msgspec.structs.replace(choice or ToolChoice(), disable_parallel_tool_use=True)
    return offered, choice


def _choice(given: str | Json | None, box: Toolbox) -> Offer:
    tools = tuple(box.tools)
    if given is None:
        return tools, None
    if isinstance(given, str):
        return tools, _free_choice(given, tools)
    kind = str(given.get("type"))
    read = _READERS.get(kind)
    if read is not None:
        return read(given, box)
    raise BadRequest(f"{_FIELD}: {_missing(kind)}", param=_FIELD)


def _missing(kind: str) -> str:
    return f"the model can't be made to use {kind!r}: there is no such tool here"


def _free_choice(given: str, tools: Sequence[Tool]) -> ToolChoice | None:
    types = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
    if given not in types:
        raise BadRequest(f"{_FIELD}: there is no choice {given!r}", param=_FIELD)
    if not tools and types[given] == "any":
        raise BadRequest(f"{_FIELD}: a call is required, but no tool is there to be called", param=_FIELD)
    return msgspec.convert({"type": types[given]}, ToolChoice) if tools else None


def _this_tool(given: Json, box: Toolbox) -> Offer:
    (name,) = _names(given, box, _FIELD)
    return tuple(box.tools), ToolChoice(type="tool", name=name)


class _Allowed(msgspec.Struct):
    tools: list[dict[str, Any]]
    mode: str = "auto"


def _some_tools(given: Json, box: Toolbox) -> Offer:
    """Leave only what ``allowed_tools`` names. Where only tools that aren't here are allowed, none may be called."""
    allowed = take(given, _Allowed, _FIELD)
    if allowed.mode not in ("auto", "required"):
        raise BadRequest(f"{_FIELD}.mode: {allowed.mode!r} isn't one of auto, required", param=f"{_FIELD}.mode")
    names: set[str] = set()
    for index, raw in enumerate(allowed.tools):
        if raw.get("type") in box.hosted:
            box.losses.append(_FIELD)
            continue
        names.update(_names(raw, box, f"{_FIELD}.tools[{index}]"))
    subset = tuple(tool for tool in box.tools if tool.name in names)
    if subset:
        return subset, ToolChoice(type="auto" if allowed.mode == "auto" else "any")
    if allowed.mode == "required":
        raise BadRequest(f"{_FIELD}: a call is required, but no tool is there to be called", param=_FIELD)
    return tuple(box.tools), ToolChoice(type="none") if box.tools else None


class _Wanted(msgspec.Struct):
    name: str
    type: str = "function"
    namespace: str | None = None


def _names(raw: Json, box: Toolbox, where: str) -> list[str]:
    """Give the upstream's names of the tool that is meant, or of all tools of a namespace."""
    wanted = take(raw, _Wanted, where)
    if wanted.type == "namespace":
        found = [name for name, callee in box.callees.items() if callee.namespace == wanted.name]
    else:
        found = [name for name, callee in box.callees.items() if callee.name == wanted.name]
        exact = [name for name in found if box.callees[name].namespace == wanted.namespace]
        # Some clients name a tool of a namespace without it: right where there is only one of that name.
        found = exact or (found if len(found) == 1 and wanted.namespace is None else [])
    if not found:
        raise BadRequest(f"{where}: there is no tool {wanted.name!r} among the tools", param=where)
    return found


_READERS: dict[str, Callable[[Json, Toolbox], Offer]] = {
    "function": _this_tool,
    "custom": _this_tool,
    "allowed_tools": _some_tools,
}
