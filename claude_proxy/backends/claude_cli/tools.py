"""The client's tools as the child's MCP server: definitions in, results out. Pure.

The CLI drops *every* tool without a word when one schema isn't to its liking, so each becomes a plain object schema
here, and the rewriting is named as lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from claude_proxy.backends.claude_cli import schemas
from claude_proxy.canon.blocks import Image, Json, Text, ToolResult
from claude_proxy.canon.request import Tool
from claude_proxy.errors import BadRequest

MAX_HELD_CHARACTERS = 450_000
"""A held result above it would be cut by the CLI (its limit, which we raise as far as it goes, is 500,000)."""

MAX_HELD_ERROR_CHARACTERS = 10_000
"""The same for a result that is an error: no setting raises it."""

_CUT_ABOVE = 500_000
_COMBINATORS = ("anyOf", "oneOf", "allOf")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What the API takes as the name of a tool's argument, and the CLI since 2.1.332: it drops the tool."""

_SHOWN = 80

_OURS_TO_DROP = frozenset({"cache_control"})
"""The CLI sets its own markers: nothing is lost."""


def plain_schema(schema: Json) -> tuple[Json, bool]:
    """Give a schema that the CLI takes, and whether it says less than the given one did."""
    schema, lossy = schemas.repaired(schema)
    combined = any(key in schema for key in _COMBINATORS)
    plain = _merged(schema) if combined else dict(schema)
    lossy = lossy or combined
    kind = plain.get("type")
    if kind != "object":
        lossy = lossy or kind is not None
        plain["type"] = "object"
    plain.setdefault("properties", {})
    return plain, lossy


def _merged(schema: Json) -> Json:
    """Fold a root's alternatives into one object: all their properties, and what every alternative requires."""
    plain = {key: value for key, value in schema.items() if key not in _COMBINATORS}
    properties = dict(plain.get("properties", {}))
    required = set(plain.get("required", ()))
    for combinator in _COMBINATORS:
        # ``true`` allows everything and so demands nothing, ``false`` is no alternative.
        branches = [{} if branch is True else branch for branch in schema.get(combinator, ()) if branch is not False]
        for branch in branches:
            properties = {**branch.get("properties", {}), **properties}
        demands = [set(branch.get("required", ())) for branch in branches]
        if demands:
            required |= set.union(*demands) if combinator == "allOf" else set.intersection(*demands)
    plain["properties"] = properties
    if required:
        plain["required"] = sorted(required)
    return plain


@dataclass(frozen=True, slots=True)
class _Tools:
    """A request's tools: the same as others whose JSON is the same."""

    encoded: bytes
    tools: Sequence[Tool] = field(compare=False)


def listing(tools: Sequence[Tool]) -> tuple[Sequence[Json], tuple[str, ...]]:
    """Give the ``tools/list`` answer's tools, and what of the definitions is lost.

    An agent sends the same twenty tools with every turn, so the last few answers are known.

    Raises ``BadRequest`` for what the CLI would drop without a word: the second of two tools of one name, and a tool of
    which an argument has a name that the API doesn't take.
    """
    return _listing(_Tools(msgspec.json.encode(tools), tools))


@lru_cache(maxsize=8)
def _listing(given: _Tools) -> tuple[Sequence[Json], tuple[str, ...]]:
    listed: list[Json] = []
    losses: dict[str, None] = {}
    names: set[str] = set()
    for tool in given.tools:
        if tool.name in names:
            raise BadRequest(f"two tools are named {tool.name!r}", param="tools")
        names.add(tool.name)
        schema, lossy = plain_schema(tool.input_schema)
        if lossy:
            losses["tools.input_schema"] = None
        _check_arguments(tool.name, schema)
        asked = {name for name, value in tool.extra.items() if value not in (None, False)} - _OURS_TO_DROP
        losses.update({f"tools.{name}": None for name in sorted(asked)})
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


def _check_arguments(name: str, schema: Json) -> None:
    for argument in schema["properties"]:
        if not _PROPERTY.fullmatch(argument):
            raise BadRequest(
                f"the tool {name!r} has an argument {argument[:_SHOWN]!r}: such names are made of 1 to 64 letters, "
                "digits, `_`, `.` and `-`",
                param="tools",
            )


def answer(method: str, params: Json, listed: Sequence[Json]) -> Json:
    """Give the result of an MCP request other than a tool call."""
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "client", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": list(listed)}
    return {}


def can_be_held(result: ToolResult) -> bool:
    """Tell whether a held call can be answered with this result unchanged; if not, the conversation is rebuilt.

    A blank result becomes a sentence of the CLI's own. Of an error it keeps the text, trimmed, joined and cut.
    """
    texts = [block.text for block in result.content if isinstance(block, Text)]
    images = [block for block in result.content if isinstance(block, Image) and _is_inline(block)]
    if len(texts) + len(images) != len(result.content) or not (images or any(map(_trimmed, texts))):
        return False
    size = sum(map(_length, texts))
    if result.is_error:
        return not images and [_trimmed(text) for text in texts[:1]] == texts and size <= MAX_HELD_ERROR_CHARACTERS
    return size <= MAX_HELD_CHARACTERS


def _is_inline(image: Image) -> bool:
    return image.source.type == "base64" and bool(image.source.data) and bool(image.source.media_type)


def _trimmed(text: str) -> str:
    """Trim what either language calls white space: a byte order mark is some in JavaScript only."""
    return text.strip().strip("\ufeff").strip()


def _length(text: str) -> int:
    """Count characters as the CLI does, in UTF-16 units: an emoji is two."""
    return len(text) + sum(character > "\uffff" for character in text)


def call_result(result: ToolResult) -> Json:
    """Give the ``tools/call`` answer for a result that :func:`can_be_held`."""
    content: list[Json] = []
    for block in result.content:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, Image):
            content.append({"type": "image", "data": block.source.data, "mimeType": block.source.media_type})
    return {"content": content, "isError": result.is_error}
