"""A Messages client's content blocks to ours, each by its type. Pure.

What we know is checked as the API checks it; a block of a type we don't know goes on as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from claude_proxy.canon.blocks import (
    AnyBlock,
    Document,
    Image,
    Opaque,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.dialects import messages_wire as wire
from claude_proxy.dialects.fields import lost_fields
from claude_proxy.dialects.media import IMAGE_TYPES, is_web, packed_base64
from claude_proxy.dialects.messages_wire import one_of, refusal, take

TOOL_NAME = "^[a-zA-Z0-9_-]{1,128}$"
"""The names that the API takes for a tool."""

_ID = "^[a-zA-Z0-9_-]+$"
_EMPTY = "text content blocks must be non-empty"
_BLANK = "text content blocks must contain non-whitespace text"


def system_texts(content: str | list[Any], where: str, losses: list[str]) -> list[Text]:
    """Read a system prompt, or a system message. An empty one is none."""
    prefix = re.sub(r"\d+\.", "", f"{where}.")
    if isinstance(content, str):
        return [Text(text=content)] if content.strip() else []
    found: list[Text] = []
    for index, raw in enumerate(content):
        path = f"{where}.{index}"
        one_of(take(raw, wire.Tagged, path).type, ("text",), f"{path}.type")
        losses += lost_fields(raw, wire.TextBlock, prefix)
        found.append(_text(take(raw, wire.TextBlock, path), path, losses))
    return found


def blocks(content: str | list[Any], where: str, role: str, losses: list[str]) -> list[AnyBlock]:
    """Read a message's content, whose path is ``where``; append what is lost to ``losses``."""
    if isinstance(content, str):
        if content and not content.strip():
            raise refusal(where, _BLANK)
        return [Text(text=content)] if content else []
    return [_block(raw, f"{where}.{index}", role, losses) for index, raw in enumerate(content)]


def _block(raw: Any, where: str, role: str, losses: list[str]) -> AnyBlock:
    name = take(raw, wire.Tagged, where).type
    kind = _KINDS.get(name)
    if kind is None:
        return Opaque(raw)
    if role not in kind.roles:
        raise refusal(where, f"`{name}` blocks can only be in `{kind.roles[0]}` messages")
    path = f"{where}.{name}"
    losses += lost_fields(raw, kind.shape, "messages.content.")
    return kind.build(take(raw, kind.shape, path), path, losses)


def _text(block: wire.TextBlock, path: str, _: list[str]) -> Text:
    if not block.text:
        raise refusal(path, _EMPTY)
    if not block.text.strip():
        raise refusal(path, _BLANK)
    return Text(text=block.text, cache_control=block.cache_control)


def _image(block: wire.ImageBlock, path: str, _: list[str]) -> Image:
    return Image(source=_source(block.source, _IMAGE_SOURCES, f"{path}.source"), cache_control=block.cache_control)


def _document(block: wire.DocumentBlock, path: str, _: list[str]) -> Document:
    return Document(
        source=_source(block.source, _DOCUMENT_SOURCES, f"{path}.source"),
        title=block.title,
        context=block.context,
        citations=block.citations,
        cache_control=block.cache_control,
    )


def _thinking(block: wire.ThinkingBlock, _: str, __: list[str]) -> Thinking:
    return Thinking(thinking=block.thinking, signature=block.signature)


def _redacted(block: wire.RedactedThinkingBlock, _: str, __: list[str]) -> RedactedThinking:
    return RedactedThinking(data=block.data)


def _tool_use(block: wire.ToolUseBlock, path: str, losses: list[str]) -> ToolUse:
    check_pattern(block.id, _ID, f"{path}.id")
    check_pattern(block.name, TOOL_NAME, f"{path}.name")
    if block.caller not in (None, {"type": "direct"}):
        losses.append("messages.content.caller")
    return ToolUse(id=block.id, name=block.name, input=block.input, cache_control=block.cache_control)


def _tool_result(block: wire.ToolResultBlock, path: str, losses: list[str]) -> ToolResult:
    check_pattern(block.tool_use_id, _ID, f"{path}.tool_use_id")
    return ToolResult(
        tool_use_id=block.tool_use_id,
        content=_result_content(block.content or "", f"{path}.content", losses),
        is_error=bool(block.is_error),
        cache_control=block.cache_control,
    )


def _result_content(
    content: str | list[Any], where: str, losses: list[str]
) -> tuple[Text | Image | Document | Opaque, ...]:
    """Read what a tool gave back. A tool may say nothing: blank text is left out, since no block may hold it."""
    listed = [{"type": "text", "text": content}] if isinstance(content, str) else content
    said = [(index, raw) for index, raw in enumerate(listed) if not _is_blank_text(raw)]
    found: list[Text | Image | Document | Opaque] = []
    for index, raw in said:
        block = _block(raw, f"{where}.{index}", "user", losses)
        if not isinstance(block, Text | Image | Document | Opaque):
            raise refusal(f"{where}.{index}", "a tool_result can't hold another one")
        found.append(block)
    return tuple(found)


def _is_blank_text(raw: Any) -> bool:
    text = raw.get("text") if isinstance(raw, dict) and raw.get("type") == "text" else None
    return isinstance(text, str) and not text.strip()


def check_pattern(value: str, pattern: str, where: str) -> None:
    """Raise ``BadRequest`` where a value isn't of this pattern."""
    if not re.fullmatch(pattern, value):
        raise refusal(where, f"String should match pattern '{pattern}'")


_Sources = dict[str, Callable[[Any, str], Source]]


def _source(raw: Any, allowed: _Sources, where: str) -> Source:
    name = take(raw, wire.Tagged, where).type
    one_of(name, tuple(allowed), f"{where}.type")
    return allowed[name](raw, f"{where}.{name}")


def _base64(raw: Any, where: str, types: tuple[str, ...]) -> Source:
    source = take(raw, wire.Base64Source, where)
    one_of(source.media_type, types, f"{where}.media_type")
    return Source(type="base64", media_type=source.media_type, data=packed_base64(source.data, f"{where}.data"))


def _picture(raw: Any, where: str) -> Source:
    return _base64(raw, where, IMAGE_TYPES)


def _pdf(raw: Any, where: str) -> Source:
    return _base64(raw, where, ("application/pdf",))


def _plain(raw: Any, where: str) -> Source:
    source = take(raw, wire.TextSource, where)
    if not source.data.strip():
        raise refusal(f"{where}.data", _EMPTY)
    return Source(type="text", media_type="text/plain", data=source.data)


def _content(raw: Any, where: str) -> Source:
    return Source(type="content", content=take(raw, wire.ContentSource, where).content)


def _url(raw: Any, where: str) -> Source:
    source = take(raw, wire.UrlSource, where)
    if not is_web(source.url):
        raise refusal(f"{where}.url", "Input should be a valid URL with the scheme http or https")
    return Source(type="url", url=source.url)


def _no_file(_: Any, where: str) -> Source:
    # Without its picture or document a request means something else: no loss can stand for that.
    raise refusal(where, "no uploaded files can be read here: send the data itself")


_IMAGE_SOURCES: _Sources = {"base64": _picture, "url": _url, "file": _no_file}
_DOCUMENT_SOURCES: _Sources = {"base64": _pdf, "text": _plain, "content": _content, "url": _url, "file": _no_file}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of block: what it looks like, what it becomes, and whose messages it may stand in."""

    shape: type[msgspec.Struct]
    build: Callable[[Any, str, list[str]], AnyBlock]
    roles: tuple[str, ...]


_KINDS: dict[str, _Kind] = {
    "text": _Kind(wire.TextBlock, _text, ("user", "assistant")),
    "image": _Kind(wire.ImageBlock, _image, ("user",)),
    "document": _Kind(wire.DocumentBlock, _document, ("user",)),
    "thinking": _Kind(wire.ThinkingBlock, _thinking, ("assistant",)),
    "redacted_thinking": _Kind(wire.RedactedThinkingBlock, _redacted, ("assistant",)),
    "tool_use": _Kind(wire.ToolUseBlock, _tool_use, ("assistant",)),
    "tool_result": _Kind(wire.ToolResultBlock, _tool_result, ("user",)),
}
