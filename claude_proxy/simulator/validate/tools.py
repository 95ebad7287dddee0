"""The tools of a request, and the choice among them. Pure."""

from __future__ import annotations

import re
from typing import Any

from claude_proxy.simulator.script import Json
from claude_proxy.simulator.validate.fields import Kinds, kind, refuse, shape, tag
from claude_proxy.simulator.validate.schemas import check_input_schema, check_output_schema

_NAME = r"^[a-zA-Z0-9_-]{1,128}$"
_SERVER_TOOLS = (
    "advisor_",
    "bash_",
    "browser_",
    "code_execution_",
    "computer_",
    "mcp_toolset",
    "memory_",
    "text_editor_",
    "tool_search_tool_",
    "web_fetch_",
    "web_search_",
)
_OPTIONAL: Kinds = {
    "type": "string",
    "description": "string",
    "cache_control": "object",
    "strict": "boolean",
    "defer_loading": "boolean",
    "input_examples": "list",
    "allowed_callers": "list",
    "eager_input_streaming": "boolean",
}
_CHOICES: dict[str, tuple[Kinds, Kinds]] = {
    "auto": ({"type": "string"}, {"disable_parallel_tool_use": "boolean"}),
    "any": ({"type": "string"}, {"disable_parallel_tool_use": "boolean"}),
    "tool": ({"type": "string", "name": "string"}, {"disable_parallel_tool_use": "boolean"}),
    "none": ({"type": "string"}, {}),
}


def check_tools(tools: Any) -> None:
    """Refuse tools that the API refuses; the API's own are only looked at by name."""
    kind(tools, "tools", "list")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        name = _check_tool(tool, f"tools.{index}")
        if name in names:
            refuse("tools", "Tool names must be unique.")
        names |= {name} if name else set()


def _check_tool(tool: Any, path: str) -> str | None:
    kind(tool, path, "object")
    type_ = tool.get("type") or "custom"
    if isinstance(type_, str) and type_.startswith(_SERVER_TOOLS):
        return str(tool["name"]) if "name" in tool else None
    tag({"type": type_}, path, ("custom", *(f"{name.rstrip('_')}_…" for name in _SERVER_TOOLS)))
    path = f"{path}.custom"
    shape(tool, path, {"name": "string", "input_schema": "object"}, _OPTIONAL)
    if not re.fullmatch(_NAME, tool["name"]):
        refuse(f"{path}.name", f"String should match pattern '{_NAME}'")
    check_input_schema(tool["input_schema"], f"{path}.input_schema")
    if tool.get("strict"):
        check_output_schema(tool["input_schema"], path)
    return str(tool["name"])


def check_choice(choice: Any, tools: list[Json], *, thinks: bool) -> None:
    """Refuse a ``tool_choice`` that can't be honoured."""
    name = tag(choice, "tool_choice", _CHOICES)
    shape(choice, f"tool_choice.{name}", *_CHOICES[name])
    if not tools:
        refuse("tool_choice", "tool_choice may only be specified while providing tools.")
    if name == "tool" and all(tool.get("name") != choice["name"] for tool in tools):
        refuse("tool_choice", f"Tool '{choice['name']}' not found in provided tools")
    if name in ("any", "tool") and thinks:
        refuse("tool_choice", "Thinking may not be enabled when tool_choice forces tool use.")
