"""A request's tools, and which of them the model may or must call. Pure.

Upstream there are only functions with names of their own. So a custom tool becomes a function of one text, a tool
in a namespace gets the namespace into its name, and :class:`Callee` is how the reply finds back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Tool
from claude_proxy.dialects.fields import lost_fields, take
from claude_proxy.dialects.responses_wire import Custom, Function, Named, Namespace
from claude_proxy.dialects.turns import check_tool_name, is_tool_name, legal
from claude_proxy.errors import BadRequest

CUSTOM_SCHEMA: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""What a custom tool takes, as a function."""

_RUN_BY_THE_CLIENT = frozenset(
    ("local_shell", "shell", "apply_patch", "computer", "computer_use_preview", "computer_use")
)
"""Built-in tools with calls of their own kind, which their client waits for. No model here makes such calls."""


@dataclass(frozen=True, slots=True)
class Callee:
    """What a client calls one of its tools."""

    name: str
    namespace: str | None = None
    custom: bool = False


@dataclass(slots=True)
class Toolbox:
    """Takes a request's tools one by one. ``tools`` are the upstream's, ``callees`` whose they are, by their names.

    ``hosted`` are the types of the tools that the server itself would run.
    """

    tools: list[Tool] = field(default_factory=list)
    callees: dict[str, Callee] = field(default_factory=dict)
    hosted: set[str] = field(default_factory=set)
    losses: list[str] = field(default_factory=list)

    def add_all(self, raws: Iterable[Any], where: str) -> None:
        """Take a list of tools, whose path in the request is ``where``."""
        for index, raw in enumerate(raws):
            self._add(raw, f"{where}[{index}]")

    def _add(self, raw: Any, where: str) -> None:
        kind = take(raw, Named, where).type
        read = _READERS.get(kind or "function")
        if read is not None:
            read(self, raw, where)
        elif kind in _RUN_BY_THE_CLIENT:
            raise BadRequest(
                f"{where}.type: the model doesn't know the built-in {kind!r}: offer it as a function or custom tool",
                param=f"{where}.type",
            )
        else:
            # A tool that the server would run (a web search, say): the others work without it.
            self.hosted.add(str(kind))
            self.losses.append(f"tools.{kind}")

    def add_function(self, raw: Json, where: str, namespace: Namespace | None = None) -> None:
        """Take a tool of type ``function``."""
        given = take(raw, Function, where)
        self.losses += lost_fields(raw, Function, "tools.")
        extra: Json = {"strict": True} if given.strict else {}
        tool = Tool(name=given.name, description=given.description or None, extra=extra | _marker(given))
        if given.parameters is not None:
            tool = msgspec.structs.replace(tool, input_schema=given.parameters)
        self._put(tool, Callee(given.name), where, namespace)

    def add_custom(self, raw: Json, where: str, namespace: Namespace | None = None) -> None:
        """Take a tool of type ``custom``. What its text must look like can only be told, not enforced."""
        given = take(raw, Custom, where)
        self.losses += lost_fields(raw, Custom, "tools.")
        words = [given.description or "", "`input` is passed on exactly as written."]
        format_ = given.format or {}
        if format_.get("type") not in (None, "text"):
            self.losses.append("tools.format")
            words.append(f"It must follow this {format_.get('syntax')} grammar:\n{format_.get('definition')}")
        text = "\n\n".join(word for word in words if word)
        tool = Tool(name=given.name, description=text, input_schema=CUSTOM_SCHEMA, extra=_marker(given))
        self._put(tool, Callee(given.name, custom=True), where, namespace)

    def add_namespace(self, raw: Json, where: str) -> None:
        """Take the tools of a namespace. What is said of them all stands with the first of them."""
        given = take(raw, Namespace, where)
        if not given.name:
            raise BadRequest(f"{where}.name: a namespace needs a name", param=f"{where}.name")
        self.losses += lost_fields(raw, Namespace, "tools.")
        for index, inner in enumerate(given.tools or ()):
            path = f"{where}.tools[{index}]"
            kind = take(inner, Named, path).type or "function"
            if kind not in ("function", "custom"):
                raise BadRequest(f"{path}.type: a namespace holds no tools of type {kind!r}", param=f"{path}.type")
            add = self.add_custom if kind == "custom" else self.add_function
            add(inner, path, given)
            given.description = None

    def _put(self, tool: Tool, callee: Callee, where: str, namespace: Namespace | None) -> None:
        if namespace is None:
            check_tool_name(tool.name, f"{where}.name")
        else:
            if not tool.name:
                raise BadRequest(f"{where}.name: a tool needs a name", param=f"{where}.name")
            callee = Callee(callee.name, namespace.name, callee.custom)
            about = f"Of all tools in {namespace.name}: {namespace.description}" if namespace.description else ""
            text = "\n\n".join(word for word in (tool.description, about) if word)
            name = upstream_name(tool.name, namespace.name)
            tool = msgspec.structs.replace(tool, name=name, description=text or None)
        if tool.name in self.callees:
            raise BadRequest(f"tools: two of them have the name {tool.name!r}", param="tools")
        self.callees[tool.name] = callee
        self.tools.append(tool)


def upstream_name(name: str, namespace: str | None) -> str:
    """Give a tool's name upstream, the same in each request: a digest makes it legal where it isn't."""
    if not namespace:
        return name
    joined = namespace + name if namespace.endswith("__") else f"{namespace}__{name}"
    return joined if is_tool_name(joined) else legal(joined, f"{namespace}\0{name}", 64)


def _marker(given: Function | Custom) -> Json:
    return {"cache_control": given.cache_control} if given.cache_control else {}


_READERS: dict[str, Callable[[Toolbox, Any, str], None]] = {
    "function": Toolbox.add_function,
    "custom": Toolbox.add_custom,
    "namespace": Toolbox.add_namespace,
}
