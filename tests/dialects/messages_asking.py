"""Short ways to put a Messages request, and to read a reply."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from claude_proxy.canon.codec import encode_message
from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import BadRequest

STAMP = Stamp(id="abc", created=1_800_000_000)
HI = {"role": "user", "content": "hi"}


def body(*messages: Any, **fields: Any) -> bytes:
    """Give the body of a request with these messages (``HI`` where there are none) and top-level fields."""
    return json.dumps({"model": "sonnet", "max_tokens": 4096, "messages": list(messages) or [HI], **fields}).encode()


def ask(*messages: Any, **fields: Any) -> Parsed:
    """Parse such a request."""
    return MESSAGES.parse(body(*messages, **fields))


def refused(*messages: Any, **fields: Any) -> BadRequest:
    """Give the ``BadRequest`` that such a request is answered with."""
    with pytest.raises(BadRequest) as raised:
        ask(*messages, **fields)
    return raised.value


def turns(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    """Give the upstream's messages for these."""
    return [encode_message(message) for message in ask(*messages, **fields).request.messages]


def user(*blocks: Any) -> dict[str, Any]:
    """Give a user's message of these blocks."""
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    """Give an assistant's message of these blocks."""
    return {"role": "assistant", "content": list(blocks)}


def system(content: Any) -> dict[str, Any]:
    """Give a system message."""
    return {"role": "system", "content": content}


def said(text: str, **fields: Any) -> dict[str, Any]:
    """Give a text block."""
    return {"type": "text", "text": text, **fields}


def call(call_id: str, **fields: Any) -> dict[str, Any]:
    """Give a tool use block."""
    return {"type": "tool_use", "id": call_id, "name": "f", "input": {"a": 1}, **fields}


def result(call_id: str, **fields: Any) -> dict[str, Any]:
    """Give a tool result block."""
    return {"type": "tool_result", "tool_use_id": call_id, **fields}


def tool(name: str = "f", **fields: Any) -> dict[str, Any]:
    """Give a tool."""
    return {"name": name, "input_schema": {"type": "object"}, **fields}


def frames(parsed: Parsed, events: Iterable[AnyEvent]) -> bytes:
    """Give the bytes of a streamed reply."""
    stream = MESSAGES.stream(parsed, STAMP)
    return b"".join([*(stream.feed(event) for event in events), stream.finish()])


def read(streamed: bytes) -> list[Any]:
    """Give the events in a stream's bytes, having made sure that each is named by its own type."""
    found = []
    for frame in streamed.decode().removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def streamed(parsed: Parsed, events: Iterable[AnyEvent]) -> list[Any]:
    """Give the events of a streamed reply."""
    return read(frames(parsed, events))


def inside(parsed: Parsed, events: Iterable[AnyEvent]) -> list[Any]:
    """Give the events between ``message_start`` and ``message_delta``, the middle of their names left out."""
    return [
        [event["type"].removeprefix("content_block_"), event["index"], event.get("delta", event.get("content_block"))]
        for event in streamed(parsed, events)
        if event["type"].startswith("content_block_")
    ]


def completed(parsed: Parsed, events: Iterable[AnyEvent]) -> Any:
    """Give the reply that isn't streamed."""
    return json.loads(MESSAGES.collect(parsed, events, STAMP))
