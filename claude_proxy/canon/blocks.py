"""Content blocks of a message.

Each is a tagged struct whose JSON is exactly the Messages API's; what we don't know travels as :class:`Opaque`.
"""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding raises for bytes that are no JSON: not its grammar, not even text, or nested without end."""
"""A JSON object as the ``json`` module would give it."""


class Block(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all known blocks share."""


class Text(Block, frozen=True, kw_only=True, tag="text"):
    """Plain text."""

    text: str
    cache_control: Json | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an image or a document comes from; ``type`` says how: ``base64``, ``url``, ``text`` and so on."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Any = None


class Image(Block, frozen=True, kw_only=True, tag="image"):
    """A picture."""

    source: Source
    cache_control: Json | None = None


class Document(Block, frozen=True, kw_only=True, tag="document"):
    """A PDF or a plain text file."""

    source: Source
    title: str | None = None
    context: str | None = None
    citations: Json | None = None
    cache_control: Json | None = None


class Thinking(Block, frozen=True, kw_only=True, tag="thinking", omit_defaults=False):
    """The model's reasoning; ``signature`` proves to the API that it is unchanged."""

    thinking: str
    signature: str = ""


class RedactedThinking(Block, frozen=True, kw_only=True, tag="redacted_thinking"):
    """Reasoning that only the API can read."""

    data: str


class ToolUse(Block, frozen=True, kw_only=True, tag="tool_use"):
    """The model asks for a tool. ``input`` is a JSON object."""

    id: str
    name: str
    input: Json
    cache_control: Json | None = None


class ToolResult(Block, frozen=True, kw_only=True, tag="tool_result"):
    """What a tool gave back."""

    tool_use_id: str
    content: tuple[Text | Image | Document | Opaque, ...] = ()
    is_error: bool = False
    cache_control: Json | None = None


class Opaque(msgspec.Struct, frozen=True):
    """A block of a type we don't know, kept as it came. ``raw`` is its JSON object."""

    raw: Json


AnyBlock = Text | Image | Document | Thinking | RedactedThinking | ToolUse | ToolResult | Opaque
