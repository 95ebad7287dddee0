"""A conversation of ours as a Chat Completions request's ``messages``. Pure.

Chat Completions knows less: cache markers are left out (they change what a request costs, not what it means), as is
signed reasoning, which only the model that made it can read. A result's pictures and files follow in a user message,
since a ``tool`` message carries text alone.
Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon.blocks import (
    AnyBlock,
    Document,
    Image,
    Json,
    Opaque,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.codec import decode_block
from claude_proxy.canon.request import Message
from claude_proxy.errors import BadRequest

REASONING = "reasoning_content"
"""Where some upstreams give their reasoning, and want it back."""

_FAILED = "Error: "
_NO_TEXT = "(the result is in the next message)"


@dataclass(slots=True)
class Conversation:
    """Takes turns; ``messages`` and ``losses`` (by our field names) are what they come to.

    ``with_reasoning``: give unsigned reasoning back, which is this kind of upstream's own. ``wants_reasoning``: there
    must be some beside tool calls, if only an empty one.
    """

    with_reasoning: bool = True
    wants_reasoning: bool = False
    messages: list[Json] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def add_system(self, blocks: Sequence[Text]) -> None:
        """Take the system prompt, as one message: many models' templates know no second one."""
        if text := "\n\n".join(block.text for block in blocks if block.text):
            self.messages.append({"role": "system", "content": text})

    def add(self, message: Message) -> None:
        """Take the next turn."""
        if message.role == "assistant":
            self._add_assistant(message.content)
        else:
            self._add_user(message.content)

    def _add_assistant(self, blocks: Sequence[AnyBlock]) -> None:
        reasoning = "".join(self._reasoning(blocks))
        calls = [_call(block) for block in blocks if isinstance(block, ToolUse)]
        rest = [block for block in blocks if not isinstance(block, ToolUse | Thinking | RedactedThinking)]
        content = _content(self._parts(rest))
        if content is None and not calls and not reasoning:
            return
        said: Json = {"role": "assistant", "content": content}
        if reasoning or (calls and self.wants_reasoning):
            said[REASONING] = reasoning
        if calls:
            said["tool_calls"] = calls
        self.messages.append(said)

    def _reasoning(self, blocks: Sequence[AnyBlock]) -> Iterable[str]:
        for block in blocks:
            if not isinstance(block, Thinking) or block.signature:
                continue
            if self.with_reasoning:
                yield block.thinking
            else:
                self.losses.append("messages.content.thinking")

    def _add_user(self, blocks: Sequence[AnyBlock]) -> None:
        # Results come first, whatever else was said: nothing may stand between calls and their results.
        attached: list[Json] = []
        for block in blocks:
            if isinstance(block, ToolResult):
                attached += self._add_result(block)
        parts = self._parts(block for block in blocks if not isinstance(block, ToolResult))
        content = _content([*attached, *parts])
        if content is not None:
            self.messages.append({"role": "user", "content": content})

    def _add_result(self, result: ToolResult) -> list[Json]:
        """Append a call's result; return the parts that must follow in a user message."""
        parts = self._parts(result.content)
        said = [part for part in parts if part["type"] == "text"]
        attached = [part for part in parts if part["type"] != "text"]
        if attached:
            said = said or [_text(_NO_TEXT)]
            attached.insert(0, _text(f"What the tool call {result.tool_use_id} gave besides text:"))
        if result.is_error:
            said = [_text(_FAILED + (said[0]["text"] if said else "the tool failed")), *said[1:]]
        content = _content(said)
        self.messages.append({"role": "tool", "tool_call_id": result.tool_use_id, "content": content or ""})
        return attached

    def _parts(self, blocks: Iterable[AnyBlock]) -> list[Json]:
        return [part for block in blocks for part in _PARTS.get(type(block), Conversation.unknown)(self, block)]

    def text(self, block: Text) -> list[Json]:
        """A text part; empty ones are refused by some upstreams."""
        return [_text(block.text)] if block.text else []

    def image(self, block: Image) -> list[Json]:
        """An image part."""
        return [{"type": "image_url", "image_url": {"url": _url(block.source)}}]

    def document(self, block: Document) -> list[Json]:
        """A document: text as text, another as a file."""
        if block.citations and block.citations.get("enabled"):
            self.losses.append("messages.content.citations")
        about = [_text(block.context)] if block.context else []
        source = block.source
        if source.type == "text":
            titled = [_text(block.title)] if block.title else []
            return [*titled, *about, *([_text(source.data)] if source.data else [])]
        if source.type == "content":
            titled = [_text(block.title)] if block.title else []
            return [*titled, *about, *self._parts(_inside(source.content))]
        name = block.title or "document.pdf"
        return [*about, {"type": "file", "file": {"filename": name, "file_data": _url(source)}}]

    def unknown(self, _: Any) -> list[Json]:
        """Nothing: Chat Completions has no word for it."""
        self.losses.append("messages.content")
        return []


_PARTS: dict[type, Callable[[Conversation, Any], list[Json]]] = {
    Text: Conversation.text,
    Image: Conversation.image,
    Document: Conversation.document,
}


def _content(parts: list[Json]) -> str | list[Json] | None:
    """Give ``content`` in the simplest form there is: not every upstream takes a list."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _call(block: ToolUse) -> Json:
    arguments = msgspec.json.encode(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _url(source: Source) -> str:
    if source.type == "base64" and source.data:
        return f"data:{source.media_type or 'application/octet-stream'};base64,{source.data}"
    if source.type == "url" and source.url:
        return source.url
    raise BadRequest(
        f"messages: a {source.type!r} source can't be sent to this upstream: send the content itself, as base64",
        param="messages",
    )


def _inside(content: Any) -> list[AnyBlock]:
    """Give the blocks of a document that is made of blocks."""
    if isinstance(content, str):
        return [Text(text=content)]
    items = content if isinstance(content, list) else []
    return [decode_block(item) if isinstance(item, dict) else Opaque({}) for item in items]
