"""A Messages request's tools, and which of them the model may or must call. Pure.

Only tools with a schema of their own can be called here. The API's own (a web search, a sandbox, and its ``bash`` or
text editor, whose schema only the API has) are named as lost, and the others work.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_proxy.canon.request import Tool, ToolChoice
from claude_proxy.dialects import messages_wire as wire
from claude_proxy.dialects.messages_content import TOOL_NAME, check_pattern
from claude_proxy.dialects.messages_wire import one_of, refusal, take

Toolbox = tuple[tuple[Tool, ...], ToolChoice | None]
"""The tools that are offered, and the choice among them."""


def toolbox(request: wire.MessagesRequest, losses: list[str]) -> Toolbox:
    """Read a request's tools and tool choice; append losses to ``losses``."""
    tools: dict[str, Tool] = {}
    for index, raw in enumerate(request.tools or ()):
        tool = _tool(raw, f"tools.{index}", losses)
        if tool is not None and tools.setdefault(tool.name, tool) is not tool:
            raise refusal("tools", "Tool names must be unique.")
    return tuple(tools.values()), _choice(request.tool_choice, tools)


def _tool(raw: Any, where: str, losses: list[str]) -> Tool | None:
    kind = take(raw, _Typed, where).type or "custom"
    if kind != "custom":
        losses.append(f"tools.{kind}")
        return None
    path = f"{where}.custom"
    tool = take(raw, wire.CustomTool, path)
    check_pattern(tool.name, TOOL_NAME, f"{path}.name")
    extra = {
        name: value
        for name, value in raw.items()
        if name not in wire.CustomTool.__struct_fields__ and value not in (None, [], {})
    }
    if extra.get("allowed_callers") == ["direct"]:
        del extra["allowed_callers"]
    return Tool(name=tool.name, description=tool.description or None, input_schema=tool.input_schema, extra=extra)


class _Typed(msgspec.Struct):
    type: str | None = None


def _choice(raw: Any, tools: dict[str, Tool]) -> ToolChoice | None:
    if raw is None:
        return None
    given = take(raw, wire.Choice, "tool_choice")
    kind = one_of(given.type, ("auto", "any", "tool", "none"), "tool_choice.type")
    alone = bool(given.disable_parallel_tool_use)
    if kind == "tool":
        if given.name is None:
            raise refusal("tool_choice.tool.name", "Field required")
        if given.name not in tools:
            raise refusal("tool_choice", f"Tool '{given.name}' not found in provided tools")
        return ToolChoice(type="tool", name=given.name, disable_parallel_tool_use=alone)
    if kind == "any" and not tools:
        raise refusal("tool_choice", "a call is required, but no tool is there to be called")
    if not tools:
        return None
    if kind == "any":
        return ToolChoice(type="any", disable_parallel_tool_use=alone)
    return ToolChoice(type="none") if kind == "none" else ToolChoice(disable_parallel_tool_use=alone)
