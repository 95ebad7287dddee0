"""A conversation as the child takes it, and the fingerprint by which a child finds its conversation again. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from claude_proxy.backends.claude_cli import control, tools
from claude_proxy.canon.blocks import (
    AnyBlock,
    Image,
    Json,
    Opaque,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.codec import encode_block
from claude_proxy.canon.request import Message, Request

_LARGE_IMAGE = 1_400_000
"""Characters of base64 (about 1 MB) above which the CLI recompresses an image."""

_TEXT_ALONE = {Text}
_THINKING = {Thinking, RedactedThinking}

CONTINUE = Text(text="Continue exactly where your last message ends.")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of history. The CLI answers a user's with a ``result`` line, which must be awaited before the next."""

    line: bytes
    awaited: bool


def encode_content(content: Sequence[AnyBlock]) -> list[Json]:
    """Give the blocks' JSON. Cache markers go: the CLI sets its own, and more than four make a request invalid."""
    return [_unmarked(encode_block(block)) for block in content]


def _unmarked(raw: Json) -> Json:
    raw = {key: value for key, value in raw.items() if key != "cache_control"}
    # A tool's result, a document's source and a search result hold blocks again.
    if isinstance(raw.get("content"), list):
        raw["content"] = [_unmarked(item) if isinstance(item, dict) else item for item in raw["content"]]
    if raw.get("type") == "document" and isinstance(raw.get("source"), dict):
        raw["source"] = _unmarked(raw["source"])
    return raw


def history(messages: Sequence[Message], model: str) -> list[Step]:
    """Give the lines for the messages before the last."""
    steps: list[Step] = []
    for number, message in enumerate(messages):
        content = encode_content(message.content)
        if message.role == "user":
            steps.append(Step(control.user_message(content, ask=False), awaited=True))
        else:
            steps.append(Step(control.assistant_message(f"msg_history_{number}", model, content), awaited=False))
    return steps


def system_prompt(request: Request, notes: Sequence[str]) -> str:
    """Give the system prompt; several blocks are joined by a blank line."""
    return "\n\n".join([*(block.text for block in request.system), *notes])


def image_losses(messages: Sequence[Message]) -> tuple[str, ...]:
    """Name the loss where the last turn holds an image that the CLI would recompress."""
    for message in messages:
        for block in message.content:
            inner = block.content if isinstance(block, ToolResult) else (block,)
            if any(isinstance(item, Image) and len(item.source.data or "") > _LARGE_IMAGE for item in inner):
                return ("image-detail",)
    return ()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a conversation up to and including an assistant's turn; it grows with the conversation.

    It covers all that a child can't be told anew (client, model, system prompt with its notes, tools) and the
    history, and is blind to what a client doesn't carry back: thinking, white space at the ends of the model's text,
    how text is split, how arguments are written. Parameters never decide.
    """

    _digest: hashlib._Hash

    @property
    def key(self) -> str:
        """The digest of all so far."""
        return self._digest.hexdigest()

    def then(self, messages: Iterable[Message]) -> Fingerprint:
        """Give the fingerprint of the conversation with these messages more."""
        digest = self._digest.copy()
        for message in messages:
            # A user's white space is the user's: the client has it as it was sent.
            clean: Callable[[str], str] = str.strip if message.role == "assistant" else str
            digest.update(_canonical([message.role, _essence(message.content, clean)]))
        return Fingerprint(digest)


def block_losses(messages: Sequence[Message]) -> tuple[str, ...]:
    """Name what the CLI takes out of a conversation: references to tools, and turns that are thinking alone."""
    losses: dict[str, None] = {}
    for message in messages:
        kinds = {type(block) for block in message.content}
        if kinds == _TEXT_ALONE:  # nearly all of them
            continue
        if kinds and kinds <= _THINKING:
            losses["messages.thinking"] = None
        inner = [item for block in message.content if isinstance(block, ToolResult) for item in block.content]
        if any(isinstance(item, Opaque) and item.raw.get("type") == "tool_reference" for item in inner):
            losses["messages.tool_reference"] = None
    return tuple(losses)


def fingerprint(model: str, system: str, listed: Sequence[Json], *, client: str) -> Fingerprint:
    """Give the fingerprint of a conversation without a message yet; ``listed`` are the tools as the child has them."""
    return Fingerprint(hashlib.sha256(_canonical([client, model, system, listed])))


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _essence(content: Sequence[AnyBlock], clean: Callable[[str], str]) -> list[Any]:
    parts: list[Any] = []
    text = ""
    for block in content:
        if isinstance(block, Thinking | RedactedThinking):
            continue
        if isinstance(block, Text):
            text += block.text
            continue
        parts += [clean(text), _block_essence(block)]
        text = ""
    return [part for part in (*parts, clean(text)) if part]


def _block_essence(block: AnyBlock) -> Any:
    if isinstance(block, ToolUse):
        return ["tool_use", block.id, block.name, block.input]
    if isinstance(block, ToolResult):
        return ["tool_result", block.tool_use_id, _essence(block.content, str), block.is_error]
    return _unmarked(encode_block(block))


def continuation(messages: Sequence[Message]) -> dict[str, ToolResult] | None:
    """Say whether a child that holds all messages but the last can simply go on, and with which tool results.

    ``None``: it can't, so the conversation must be told anew. ``{}``: it gets the last message. Otherwise the last
    message is exactly the results of the calls that the assistant made, each of which a held call can be answered with.
    """
    if len(messages) < 2 or messages[-2].role != "assistant":  # noqa: PLR2004
        return None
    calls = {block.id for block in messages[-2].content if isinstance(block, ToolUse)}
    results = {block.tool_use_id: block for block in messages[-1].content if isinstance(block, ToolResult)}
    if not calls and not results:
        return {}
    exact = results.keys() == calls and len(messages[-1].content) == len(results)
    return results if exact and all(map(tools.can_be_held, results.values())) else None


def ended_by_user(messages: Sequence[Message]) -> tuple[tuple[Message, ...], bool]:
    """Give the messages with a user's turn at the end, and whether it had to be added (a prefill is refused)."""
    if messages and messages[-1].role == "user":
        return tuple(messages), False
    return (*messages, Message(role="user", content=(CONTINUE,))), True
