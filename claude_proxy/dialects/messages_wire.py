"""The shapes that Messages clients send, and a wrong one told as the API tells it. Pure.

Source: https://docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.dialects.fields import Misfit, Shape, fit
from claude_proxy.errors import BadRequest


class Format(msgspec.Struct):
    """``output_config.format``, and the older ``output_format``."""

    type: str
    schema: Json | None = None


class OutputConfig(msgspec.Struct):
    """``output_config``."""

    effort: str | None = None
    format: Format | None = None


class Thinking(msgspec.Struct):
    """``thinking``."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Metadata(msgspec.Struct):
    """``metadata``."""

    user_id: str | None = None


class MessagesRequest(msgspec.Struct):
    """A request's top level: the fields that we read."""

    messages: list[Any]
    model: str = ""
    max_tokens: int | None = None
    system: str | list[Any] | None = None
    stream: bool | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None
    thread: Any = None


class Message(msgspec.Struct):
    """One of ``messages``."""

    role: str
    content: str | list[Any]


class Tagged(msgspec.Struct):
    """Anything that says what it is."""

    type: str


class CachedBlock(Tagged):
    """What most blocks share."""

    cache_control: Json | None = None


class TextBlock(CachedBlock, kw_only=True):
    """A ``text`` block."""

    text: str


class ImageBlock(CachedBlock, kw_only=True):
    """An ``image`` block."""

    source: Json


class DocumentBlock(CachedBlock, kw_only=True):
    """A ``document`` block."""

    source: Json
    title: str | None = None
    context: str | None = None
    citations: Json | None = None


class ThinkingBlock(Tagged, kw_only=True):
    """A ``thinking`` block."""

    thinking: str
    signature: str


class RedactedThinkingBlock(Tagged, kw_only=True):
    """A ``redacted_thinking`` block."""

    data: str


class ToolUseBlock(CachedBlock, kw_only=True):
    """A ``tool_use`` block. ``caller`` says who called; only where that is another tool it tells anything."""

    id: str
    name: str
    input: Json
    caller: Any = None


class ToolResultBlock(CachedBlock, kw_only=True):
    """A ``tool_result`` block."""

    tool_use_id: str
    content: str | list[Any] | None = None
    is_error: bool | None = None


class Base64Source(Tagged, kw_only=True):
    """A source whose data is here, in base64."""

    media_type: str
    data: str


class TextSource(Tagged, kw_only=True):
    """A source whose text is here."""

    data: str
    media_type: str | None = None


class ContentSource(Tagged, kw_only=True):
    """A source of text (and picture) blocks."""

    content: str | list[Any]


class UrlSource(Tagged, kw_only=True):
    """A source that the upstream fetches."""

    url: str


class CustomTool(msgspec.Struct):
    """A tool with a schema, which the client runs."""

    name: str
    input_schema: Json
    description: str | None = None
    type: str | None = None


class Choice(Tagged):
    """``tool_choice``."""

    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_MISSING = re.compile(r"Object missing required field `(.*)`")
_EXPECTED = re.compile(r"Expected `(.*?)`.*")
_KINDS = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "array": "list",
    "object": "dictionary",
}


def take(raw: Any, shape: type[Shape], path: str = "") -> Shape:
    """Read ``raw`` as ``shape``; raise ``BadRequest`` naming the field under ``path`` that is of a wrong type."""
    try:
        return fit(raw, shape)
    except Misfit as error:
        where = path + error.where.replace("[", ".").replace("]", "")
        raise _told(where.removeprefix("."), error.what) from error


def _told(where: str, what: str) -> BadRequest:
    missing = _MISSING.fullmatch(what)
    if missing is not None:
        return refusal(f"{where}.{missing[1]}".removeprefix("."), "Field required")
    expected = _EXPECTED.fullmatch(what) if where else None
    # Of several kinds the API tells the last one it tries.
    kinds = [kind for kind in expected[1].split(" | ") if kind in _KINDS] if expected else []
    return refusal(where, f"Input should be a valid {_KINDS[kinds[-1]]}" if kinds else what)


def refusal(where: str, why: str) -> BadRequest:
    """Give the ``BadRequest`` for the field at ``where``, as the API words it."""
    return BadRequest(f"{where or 'the body'}: {why}", param=where or None)


def one_of(value: str, allowed: tuple[str, ...], where: str) -> str:
    """Give ``value`` where it is one of these; raise ``BadRequest`` otherwise."""
    if value not in allowed:
        *first, last = (f"'{name}'" for name in allowed)
        raise refusal(where, f"Input should be {', '.join(first)}{' or ' if first else ''}{last}")
    return value
