"""A request's tools, and which of them the model may or must call. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Tool, ToolChoice
from claude_proxy.dialects import chat_wire
from claude_proxy.dialects.chat_wire import ChatRequest, Function
from claude_proxy.dialects.fields import lost_fields, take
from claude_proxy.dialects.turns import check_tool_name
from claude_proxy.errors import BadRequest

Toolbox = tuple[tuple[Tool, ...], ToolChoice | None]
"""The tools that are offered, and the choice among them."""


def toolbox(wire: ChatRequest, losses: list[str]) -> Toolbox:
    """Read a request's tools and tool choice, the older ``functions`` included; append losses to ``losses``."""
    tools = tuple(_tools(wire, losses))
    _refuse_duplicates(tools)
    field, given = ("tool_choice", wire.tool_choice) if wire.tool_choice is not None else _older_choice(wire)
    offered, choice = _choice(given, tools, field)
    # The older API's answer has room for one call.
    alone = wire.parallel_tool_calls is False or is_legacy(wire)
    if alone and offered and (choice is None or choice.type != "none"):
        choice = msgspec.structs.replace(choice or ToolChoice(), disable_parallel_tool_use=True)
    return offered, choice


def is_legacy(wire: ChatRequest) -> bool:
    """Say whether the client speaks of functions, and wants to be answered so."""
    return bool(wire.functions) and not wire.tools


def _tools(wire: ChatRequest, losses: list[str]) -> list[Tool]:
    found = []
    for index, raw in enumerate(wire.tools or ()):
        where = f"tools[{index}]"
        tool = take(raw, chat_wire.Tool, where)
        if tool.type == "custom":
            raise BadRequest(f"{where}.type: only function tools can be called here", param=f"{where}.type")
        if tool.type != "function":
            # A tool that the server would run (a web search, say): the others work without it.
            losses.append("tools")
            continue
        losses += lost_fields(raw, chat_wire.Tool, "tools.")
        found.append(_tool(tool.function, f"{where}.function", tool.cache_control, losses))
    for index, raw in enumerate(wire.functions or ()):
        found.append(_tool(raw, f"functions[{index}]", None, losses))
    return found


def _tool(raw: Any, where: str, cache_control: Json | None, losses: list[str]) -> Tool:
    function = take(raw, Function, where)
    check_tool_name(function.name, f"{where}.name")
    losses += lost_fields(raw, Function, "tools.function.")
    extra: Json = {"strict": True} if function.strict else {}
    if marker := cache_control or function.cache_control:
        extra["cache_control"] = marker
    tool = Tool(name=function.name, description=function.description or None, extra=extra)
    return tool if function.parameters is None else msgspec.structs.replace(tool, input_schema=function.parameters)


def _refuse_duplicates(tools: tuple[Tool, ...]) -> None:
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            raise BadRequest(f"tools: two of them have the name {tool.name!r}", param="tools")
        seen.add(tool.name)


def _older_choice(wire: ChatRequest) -> tuple[str, Any]:
    given = wire.function_call
    named = {"type": "function", "function": given} if isinstance(given, dict) else given
    return "function_call", named


def _choice(given: str | Json | None, tools: tuple[Tool, ...], field: str) -> Toolbox:
    if given is None:
        return tools, None
    kind, body = (given, {}) if isinstance(given, str) else (given.get("type"), given)
    read = _CHOICES.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise BadRequest(f"{field}: there is no choice {kind!r}", param=field)
    return read(body, tools, field)


def _free(_: Json, tools: tuple[Tool, ...], __: str) -> Toolbox:
    return tools, ToolChoice(type="auto") if tools else None


def _no_tool(_: Json, tools: tuple[Tool, ...], __: str) -> Toolbox:
    return tools, ToolChoice(type="none") if tools else None


def _some_tool(_: Json, tools: tuple[Tool, ...], field: str) -> Toolbox:
    if not tools:
        raise BadRequest(f"{field}: a call is required, but no tool is there to be called", param=field)
    return tools, ToolChoice(type="any")


def _this_tool(body: Json, tools: tuple[Tool, ...], field: str) -> Toolbox:
    return tools, ToolChoice(type="tool", name=_named(body, tools, field))


def _one_of(body: Json, tools: tuple[Tool, ...], field: str) -> Toolbox:
    """Leave only the tools that ``allowed_tools`` names; some clients send its fields without that wrapping."""
    where = f"{field}.allowed_tools"
    allowed = take(body.get("allowed_tools", body), _Allowed, where)
    names = {_named(tool, tools, f"{where}.tools[{index}]") for index, tool in enumerate(allowed.tools)}
    subset = tuple(tool for tool in tools if tool.name in names)
    if not subset or allowed.mode not in ("auto", "required"):
        raise BadRequest(f"{where}: it needs a mode, auto or required, and at least one tool", param=where)
    return subset, ToolChoice(type="auto" if allowed.mode == "auto" else "any")


def _named(body: Json, tools: tuple[Tool, ...], where: str) -> str:
    function = body.get("function", body)
    name = take(function, _Named, where).name
    if name not in {tool.name for tool in tools}:
        raise BadRequest(f"{where}: there is no tool {name!r} among the tools", param=where)
    return name


class _Named(msgspec.Struct):
    name: str


class _Allowed(msgspec.Struct):
    tools: list[dict[str, Any]]
    mode: str = "auto"


_CHOICES: dict[str, Callable[[Json, tuple[Tool, ...], str], Toolbox]] = {
    "auto": _free,
    "none": _no_tool,
    "required": _some_tool,
    "any": _some_tool,
    "function": _this_tool,
    "allowed_tools": _one_of,
}
