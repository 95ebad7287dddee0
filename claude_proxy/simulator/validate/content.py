"""The content blocks of a message, each by its type. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from claude_proxy.simulator.script import Json
from claude_proxy.simulator.validate.fields import Kinds, kind, one_of, refuse, shape, tag

_IMAGE_LIMIT = 5 << 20
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF"}
_ID = r"^[a-zA-Z0-9_-]+$"
_NAME = r"^[a-zA-Z0-9_-]{1,128}$"


@dataclass(frozen=True)
class _Kind:
    """What a block of one type looks like, and whose messages it may stand in."""

    required: Kinds
    optional: Kinds
    roles: tuple[str, ...] = ("user", "assistant")


_CACHED: Kinds = {"type": "string", "cache_control": "object"}
_USER = ("user",)
_ASSISTANT = ("assistant",)
_SERVER = ("server_tool_use", "mcp_tool_use", "mcp_tool_result", "compaction", "container_upload", "fallback")

_KINDS: dict[str, _Kind] = {
    "text": _Kind({"text": "string"}, {**_CACHED, "citations": "list"}, ("user", "assistant", "system")),
    "image": _Kind({"source": "object"}, {**_CACHED, "transformations": "object"}, _USER),
    "document": _Kind(
        {"source": "object"}, {**_CACHED, "title": "string", "context": "string", "citations": "object"}, _USER
    ),
    "search_result": _Kind(
        {"source": "string", "title": "string", "content": "list"}, {**_CACHED, "citations": "object"}, _USER
    ),
    "thinking": _Kind({"thinking": "string", "signature": "string"}, {"type": "string"}, _ASSISTANT),
    "redacted_thinking": _Kind({"data": "string"}, {"type": "string"}, _ASSISTANT),
    "tool_use": _Kind(
        {"id": "string", "name": "string", "input": "object"},
        {**_CACHED, "caller": "object", "toolset_name": "string"},
        _ASSISTANT,
    ),
    "tool_result": _Kind(
        {"tool_use_id": "string"},
        {**_CACHED, "content": "any", "is_error": "boolean", "toolset_name": "string"},
        _USER,
    ),
}
_RESULT_TYPES = ("text", "image", "document", "search_result", "tool_reference")


def check_content(content: Any, path: str, role: str, signatures: Collection[str]) -> None:
    """Refuse a message's content that the API refuses; a system message in mid-conversation may be empty."""
    if isinstance(content, str):
        if content and not content.strip() and role != "system":
            refuse(path, "text content blocks must contain non-whitespace text")
        return
    kind(content, path, "list")
    for index, block in enumerate(content):
        _check_block(block, f"{path}.{index}", role, signatures)


def _check_block(block: Any, path: str, role: str, signatures: Collection[str]) -> None:
    if _is_from_server(block):
        return
    name = tag(block, path, (*_KINDS, *_SERVER))
    rules = _KINDS[name]
    if role not in rules.roles:
        refuse(path, f"`{name}` blocks can only be in `{rules.roles[0]}` messages")
    inside = f"{path}.{name}"
    shape(block, inside, rules.required, rules.optional)
    match name:
        case "text":
            _check_text(block["text"], inside)
        case "image":
            _check_image(block["source"], f"{inside}.source")
        case "document":
            _check_document(block["source"], f"{inside}.source")
        case "thinking":
            _check_signature(block["signature"], path, signatures)
        case "tool_use":
            _matches(block["id"], f"{inside}.id", _ID)
            _matches(block["name"], f"{inside}.name", _NAME)
        case "tool_result":
            _matches(block["tool_use_id"], f"{inside}.tool_use_id", _ID)
            _check_result(block.get("content"), f"{inside}.content")


def _is_from_server(block: Any) -> bool:
    """Say whether it is a block that the API's own tools made, whose inside isn't looked at here."""
    name = block.get("type") if isinstance(block, dict) else None
    return isinstance(name, str) and (
        name in _SERVER
        or (name.endswith("_tool_result") and name.startswith(("web_", "code_", "bash_", "text_", "tool_")))
    )


def check_text_blocks(blocks: Any, path: str) -> None:
    """Refuse what isn't a list of text blocks, as ``system`` is one."""
    kind(blocks, path, "list")
    for index, block in enumerate(blocks):
        tag(block, f"{path}.{index}", ("text",))
        shape(block, f"{path}.{index}", {"type": "string", "text": "string"}, _KINDS["text"].optional)
        _check_text(block["text"], f"{path}.{index}")


def _check_text(text: str, path: str) -> None:
    if not text:
        refuse(path, "text content blocks must be non-empty")
    if not text.strip():
        refuse(path, "text content blocks must contain non-whitespace text")


def _check_signature(signature: str, path: str, signatures: Collection[str]) -> None:
    if not signature.startswith("sig") and (not signature or signature not in signatures):
        refuse(path, "Invalid `signature` in `thinking` block")


def _matches(value: str, path: str, pattern: str) -> None:
    if not re.fullmatch(pattern, value):
        refuse(path, f"String should match pattern '{pattern}'")


def _check_result(content: Any, path: str) -> None:
    if content is None or isinstance(content, str):
        return
    kind(content, path, "list")
    for index, block in enumerate(content):
        name = tag(block, f"{path}.{index}", _RESULT_TYPES)
        if name in _KINDS:
            _check_block(block, f"{path}.{index}", "user", ())


def _check_image(source: Json, path: str) -> None:
    if _check_source(source, path, ("base64", "url", "file")) != "base64":
        return
    one_of(source["media_type"], f"{path}.base64.media_type", _IMAGE_TYPES)
    data = _decoded(source["data"], f"{path}.base64")
    if len(source["data"]) > _IMAGE_LIMIT:
        refuse(f"{path}.base64", f"image exceeds 5 MB maximum: {len(source['data'])} bytes > {_IMAGE_LIMIT} bytes")
    real = next((name for name, magic in _MAGIC.items() if data.startswith(magic)), source["media_type"])
    if real != source["media_type"]:
        refuse(
            f"{path}.base64.data",
            f"The image was specified using the {source['media_type']} media type, "
            f"but the image appears to be a {real} image",
        )


def _check_document(source: Json, path: str) -> None:
    match _check_source(source, path, ("base64", "text", "content", "url", "file")):
        case "base64":
            one_of(source["media_type"], f"{path}.base64.media_type", ("application/pdf",))
            _decoded(source["data"], f"{path}.base64")
        case "text":
            one_of(source["media_type"], f"{path}.text.media_type", ("text/plain",))
            _check_text(source["data"], f"{path}.text.data")


_SOURCES: dict[str, Kinds] = {
    "base64": {"type": "string", "media_type": "string", "data": "string"},
    "text": {"type": "string", "media_type": "string", "data": "string"},
    "content": {"type": "string", "content": "any"},
    "url": {"type": "string", "url": "string"},
    "file": {"type": "string", "file_id": "string"},
}


def _check_source(source: Json, path: str, allowed: tuple[str, ...]) -> str:
    name = tag(source, path, allowed)
    shape(source, f"{path}.{name}", _SOURCES[name], {})
    if name == "url" and not re.match(r"https?://[^\s/]", source["url"]):
        refuse(f"{path}.url.url", "Input should be a valid URL with the scheme http or https")
    return name


def _decoded(data: str, path: str) -> bytes:
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        refuse(f"{path}.data", "Invalid base64 data")
    if not decoded:
        refuse(f"{path}.data", "cannot be empty")
    return decoded
