"""A whole Chat Completions reply: the stream's own chunks, folded together. Pure.

Nothing is translated here a second time, so what is streamed and what isn't can't differ.
Source: https://platform.openai.com/docs/api-reference/chat/object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.chat_response import ChatStream


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    index: int
    function: _Function
    id: str = ""


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] = msgspec.field(default_factory=list)
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[_Choice]
    usage: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


def collect(parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> bytes:
    """Give the completion that a complete, legal sequence of events makes."""
    # The usage belongs to every completion; in a stream, only who asks for it gets it.
    parsed = dataclasses.replace(parsed, options=dataclasses.replace(parsed.options, include_usage=True))
    stream = ChatStream(parsed, stamp)
    frames = b"".join([stream.feed(event) for event in events])
    chunks = [_decode(frame.removeprefix(b"data: ")) for frame in frames.split(b"\n\n") if frame]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    completion: Json = {
        "id": chunks[0].id,
        "object": "chat.completion",
        "created": chunks[0].created,
        "model": chunks[0].model,
        "choices": [
            {
                "index": 0,
                "message": _message([choice.delta for choice in choices]),
                "logprobs": None,
                "finish_reason": choices[-1].finish_reason,
            }
        ],
    }
    if chunks[-1].usage is not None:
        completion["usage"] = chunks[-1].usage
    return msgspec.json.encode(completion)


def _message(deltas: list[_Delta]) -> Json:
    message: Json = {
        "role": "assistant",
        "content": _joined([delta.content for delta in deltas]),
        "refusal": None,
        "annotations": [],
    }
    reasoning = _joined([delta.reasoning_content for delta in deltas])
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    calls = _tool_calls([call for delta in deltas for call in delta.tool_calls])
    if calls:
        message["tool_calls"] = calls
    functions = [delta.function_call for delta in deltas if delta.function_call]
    if functions:
        message["function_call"] = _function(functions)
    return message


def _joined(pieces: list[str | None]) -> str | None:
    given = [piece for piece in pieces if piece is not None]
    return "".join(given) if given else None


def _tool_calls(pieces: list[_ToolCall]) -> list[Json]:
    by_index: dict[int, list[_ToolCall]] = {}
    for piece in pieces:
        by_index.setdefault(piece.index, []).append(piece)
    return [
        {"id": call[0].id, "type": "function", "function": _function([piece.function for piece in call])}
        for call in by_index.values()
    ]


def _function(pieces: list[_Function]) -> Json:
    return {"name": pieces[0].name, "arguments": "".join(piece.arguments for piece in pieces)}
