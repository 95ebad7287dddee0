"""Our types to and from the Messages API's JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_proxy.canon.blocks import (
    UNREADABLE,
    AnyBlock,
    Document,
    Image,
    Json,
    Opaque,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    OpaqueDelta,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from claude_proxy.canon.request import Message
from claude_proxy.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    Overloaded,
    ProxyError,
    RateLimited,
    TooLarge,
    Unauthorized,
    UpstreamError,
    UpstreamTimeout,
)

_BLOCKS: dict[str, type] = {
    "text": Text,
    "image": Image,
    "document": Document,
    "thinking": Thinking,
    "redacted_thinking": RedactedThinking,
    "tool_use": ToolUse,
}


def decode_block(raw: Json) -> AnyBlock:
    """Read one content block; a type we don't know, or a known one in a shape we don't, becomes ``Opaque``."""
    try:
        if raw.get("type") == "tool_result":
            return _decode_result(msgspec.convert(raw, _Result))
        cls = _BLOCKS.get(raw.get("type", ""))
        block: AnyBlock = Opaque(raw) if cls is None else msgspec.convert(raw, cls)
    except (msgspec.ValidationError, TypeError):
        return Opaque(raw)
    return block


class _Result(msgspec.Struct):
    """A tool result as it may come: its content as text, or as blocks still to be read."""

    tool_use_id: str
    content: str | list[Json] | None = None
    is_error: bool | None = None
    cache_control: Json | None = None


def _decode_result(raw: _Result) -> AnyBlock:
    items = raw.content or []
    if isinstance(items, str):
        items = [{"type": "text", "text": items}]
    blocks = tuple(map(decode_block, items))
    return ToolResult(
        tool_use_id=raw.tool_use_id,
        content=tuple(b for b in blocks if isinstance(b, Text | Image | Document | Opaque)),
        is_error=bool(raw.is_error),
        cache_control=raw.cache_control,
    )


def encode_block(block: AnyBlock) -> Json:
    """Give a block's JSON object as the Messages API writes it."""
    if isinstance(block, Opaque):
        return block.raw
    raw: Json = msgspec.to_builtins(block)
    if isinstance(block, ToolResult):
        raw["content"] = [encode_block(item) for item in block.content]
    return raw


def encode_message(message: Message) -> Json:
    """Give a message's JSON object."""
    return {"role": message.role, "content": [encode_block(block) for block in message.content]}


def decode_usage(raw: Json | None) -> Usage:
    """Read a ``usage`` object; whatever isn't there stays ``None``."""
    rest = dict(raw or {})
    counts = {name: _count(rest.pop(name, None)) for name in _COUNTS}
    details = rest.get("output_tokens_details")
    thinking = _count(details.get("thinking_tokens")) if isinstance(details, dict) else None
    return Usage(**counts, thinking_tokens=thinking, extra=rest)


_COUNTS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""


class _Wire(msgspec.Struct):
    """The fields that any streaming event may have; what most of them don't need stays undecoded."""

    type: str
    index: int = 0
    delta: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    content_block: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_decode_wire = msgspec.json.Decoder(_Wire).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode
_decode_any = msgspec.json.Decoder(Json).decode


def decode_event(data: bytes | msgspec.Raw) -> AnyEvent | None:
    """Read one streaming event's JSON; an event type we don't know gives ``None``.

    Raises the ``ProxyError`` that an ``error`` event stands for, and ``UpstreamError`` for what isn't an event at all.
    """
    try:
        wire = _decode_wire(data)
        if wire.type == "content_block_delta":
            return _delta_event(wire)
        return _EVENTS[wire.type](wire) if wire.type in _EVENTS else None
    except (*UNREADABLE, LookupError, AttributeError, TypeError, ValueError) as error:
        raise UpstreamError(f"the upstream sent an event that can't be read: {error}") from error


def _delta_event(wire: _Wire) -> AnyEvent:
    delta = _decode_delta(wire.delta)
    match delta.type:
        case "text_delta":
            return TextDelta(index=wire.index, text=delta.text)
        case "input_json_delta":
            return InputJsonDelta(index=wire.index, partial_json=delta.partial_json)
        case "thinking_delta":
            return ThinkingDelta(index=wire.index, thinking=delta.thinking)
        case "signature_delta":
            return SignatureDelta(index=wire.index, signature=delta.signature)
        case _:
            return OpaqueDelta(index=wire.index, raw=_decode_any(wire.delta))


def _message_start(wire: _Wire) -> AnyEvent:
    message = _decode_any(wire.message)
    return MessageStart(id=message["id"], model=message["model"], usage=decode_usage(message.get("usage")))


def _block_start(wire: _Wire) -> AnyEvent:
    block = decode_block(_decode_any(wire.content_block))
    if isinstance(block, Text | Thinking | RedactedThinking | ToolUse | Opaque):
        return BlockStart(index=wire.index, block=block)
    return BlockStart(index=wire.index, block=Opaque(encode_block(block)))


def _message_delta(wire: _Wire) -> AnyEvent:
    delta = _decode_any(wire.delta)
    usage = _decode_any(wire.usage) if bytes(wire.usage) not in (b"", b"null") else None
    return MessageDelta(
        stop_reason=delta.get("stop_reason"), stop_sequence=delta.get("stop_sequence"), usage=decode_usage(usage)
    )


def _error(wire: _Wire) -> AnyEvent:
    error = _decode_any(wire.error)
    raise error_from_json(error)


_KINDS: dict[str, type[ProxyError]] = {
    cls.kind: cls
    for cls in (BadRequest, Unauthorized, Forbidden, NotFound, TooLarge, RateLimited, UpstreamTimeout, Overloaded)
}


def error_from_json(error: Json) -> ProxyError:
    """Give the ``ProxyError`` for an API error object (``{"type", "message"}``), by its type."""
    cls = _KINDS.get(error.get("type", ""), UpstreamError)
    return cls(str(error.get("message") or "the upstream gave an error without a message"))


_EVENTS = {
    "message_start": _message_start,
    "content_block_start": _block_start,
    "content_block_stop": lambda wire: BlockStop(index=wire.index),
    "message_delta": _message_delta,
    "message_stop": lambda _: MessageStop(),
    "ping": lambda _: Ping(),
    "error": _error,
}
