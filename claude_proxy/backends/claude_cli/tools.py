"""The client's tools as the child's MCP server: definitions in, results out. Pure.

The CLI drops *every* tool without a word when one schema isn't to its liking, so each becomes a plain object schema
here, and the rewriting is named as lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claude_proxy.canon.blocks import Image, Json, Text, ToolResult
from claude_proxy.canon.request import Tool

MAX_HELD_CHARACTERS = 450_000
"""A held result above it would be cut by the CLI (its limit, which we raise as far as it goes, is 500,000)."""

_CUT_ABOVE = 500_000
_COMBINATORS = ("anyOf", "oneOf", "allOf")


def plain_schema(schema: Json) -> tuple[Json, bool]:
    """Give a schema that the CLI takes, and whether it says less than the given one did."""
    combined = any(key in schema for key in _COMBINATORS)
    plain = _merged(schema) if combined else dict(schema)
    lossy = combined
    kind = plain.get("type")
    if kind != "object":
        lossy = lossy or kind is not None
        plain["type"] = "object"
    if "required" in plain and not _is_names(plain["required"]):
        del plain["required"]
    properties = plain.get("properties")
    if not isinstance(properties, dict):
        plain["properties"] = {}
    elif not all(isinstance(value, dict) for value in properties.values()):
        plain["properties"] = {name: value if isinstance(value, dict) else {} for name, value in properties.items()}
    return plain, lossy


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _merged(schema: Json) -> Json:
    """Fold a root's alternatives into one object: all their properties, and what every alternative requires."""
    plain = {key: value for key, value in schema.items() if key not in _COMBINATORS}
    properties: Json = dict(plain.get("properties") or {})
    required: set[str] = set(plain.get("required") or ())
    for combinator in _COMBINATORS:
        branches = [branch for branch in schema.get(combinator) or () if isinstance(branch, dict)]
        for branch in branches:
            properties = {**(branch.get("properties") or {}), **properties}
        demands = [set(branch.get("required") or ()) for branch in branches]
        if demands:
            required |= set.union(*demands) if combinator == "allOf" else set.intersection(*demands)
    plain["properties"] = properties
    if required:
        plain["required"] = sorted(required)
    return plain


def listing(tools: Sequence[Tool]) -> tuple[list[Json], tuple[str, ...]]:
    """Give the ``tools/list`` answer's tools, and what of the definitions is lost."""
    listed: list[Json] = []
    losses: dict[str, None] = {}
    for tool in tools:
        schema, lossy = plain_schema(tool.input_schema)
        if lossy:
            losses["tools.input_schema"] = None
        losses.update({f"tools.{name}": None for name, value in tool.extra.items() if value not in (None, False)})
        listed.append(
            {
                "name": tool.name,
                "description": tool.description or "",
                "inputSchema": schema,
                # Read-only tools are called in parallel, which is what the API does with all of them.
                "annotations": {"readOnlyHint": True},
                "_meta": {"anthropic/maxResultSizeChars": _CUT_ABOVE},
            }
        )
    return listed, tuple(losses)


def answer(method: str, params: Json, listed: Sequence[Json]) -> Json:
    """Give the result of an MCP request other than a tool call."""
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "client", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": list(listed)}
    return {}


def can_be_held(result: ToolResult) -> bool:
    """Tell whether a held call can be answered with this result unchanged; if not, the conversation is rebuilt."""
    if not result.content:
        return False
    size = 0
    for block in result.content:
        if isinstance(block, Text):
            size += len(block.text)
        elif not (isinstance(block, Image) and block.source.type == "base64"):
            return False
    return 0 < size <= MAX_HELD_CHARACTERS or (size == 0 and all(isinstance(b, Image) for b in result.content))


def call_result(result: ToolResult) -> Json:
    """Give the ``tools/call`` answer for a result that :func:`can_be_held`."""
    content: list[Json] = []
    for block in result.content:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, Image):
            content.append({"type": "image", "data": block.source.data, "mimeType": block.source.media_type})
    return {"content": content, "isError": result.is_error}
