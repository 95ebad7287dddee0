"""Short ways to put a Responses request, and to make a reply."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import pytest
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response import Response
from pydantic import BaseModel

from claude_proxy.canon.blocks import Json, Opaque, RedactedThinking, Thinking, ToolUse
from claude_proxy.canon.codec import encode_message
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    SignatureDelta,
    ThinkingDelta,
)
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.dialects.responses_request import parse
from claude_proxy.errors import BadRequest

STAMP = Stamp(id="abc", created=1_800_000_000)
HI = {"role": "user", "content": "hi"}
THINKING: dict[str, Any] = {"reasoning": {"effort": "high", "summary": "auto"}}
ENCRYPTED: dict[str, Any] = {"include": ["reasoning.encrypted_content"]}

EVENTS: dict[str, type[BaseModel]] = {
    name: event
    for event in get_args(get_args(ResponseStreamEvent)[0])
    for name in get_args(event.model_fields["type"].annotation)
}
"""The official types of events, by their names."""


def body(*items: Any, **fields: Any) -> bytes:
    """Give a request's body with these items (``HI`` where there are none) and top-level fields."""
    return json.dumps({"model": "sonnet", "input": list(items) or [HI], **fields}).encode()


def ask(*items: Any, earlier: Sequence[Json] = (), **fields: Any) -> Parsed:
    """Parse such a request."""
    return parse(body(*items, **fields), earlier)


def refused(*items: Any, **fields: Any) -> BadRequest:
    """Give the ``BadRequest`` that such a request is answered with."""
    with pytest.raises(BadRequest) as raised:
        ask(*items, **fields)
    assert raised.value.param is None or raised.value.param in raised.value.message
    return raised.value


def turns(*items: Any, **fields: Any) -> list[dict[str, Any]]:
    """Give the upstream's messages for these items."""
    return [encode_message(message) for message in ask(*items, **fields).request.messages]


def call(call_id: str, name: str = "f", arguments: Any = "{}", **fields: Any) -> dict[str, Any]:
    """Give a function call's item."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **fields}


def output(call_id: str, content: Any = "done", **fields: Any) -> dict[str, Any]:
    """Give the item of a function call's output."""
    return {"type": "function_call_output", "call_id": call_id, "output": content, **fields}


def function(name: str = "f", **fields: Any) -> dict[str, Any]:
    """Give a tool."""
    return {"type": "function", "name": name, **fields}


def custom(name: str = "patch", **fields: Any) -> dict[str, Any]:
    """Give a custom tool."""
    return {"type": "custom", "name": name, **fields}


def namespace(name: str, *tools: Any, **fields: Any) -> dict[str, Any]:
    """Give a namespace of tools."""
    return {"type": "namespace", "name": name, "description": "", "tools": list(tools), **fields}


def signed(*pieces: str, signature: str = "c2ln", index: int = 0) -> list[AnyEvent]:
    """Give a signed thinking block's events."""
    deltas: list[AnyEvent] = [ThinkingDelta(index=index, thinking=piece) for piece in pieces]
    if signature:
        deltas.append(SignatureDelta(index=index, signature=signature))
    return [BlockStart(index=index, block=Thinking(thinking="")), *deltas, BlockStop(index=index)]


def redacted(index: int = 0) -> list[AnyEvent]:
    """Give a redacted thinking block's events."""
    return [BlockStart(index=index, block=RedactedThinking(data="eHg=")), BlockStop(index=index)]


def hosted(*pieces: str, index: int = 0) -> list[AnyEvent]:
    """Give the events of a block that the Responses API has no word for."""
    deltas = [InputJsonDelta(index=index, partial_json=piece) for piece in pieces]
    block = Opaque({"type": "server_tool_use", "id": "srvtoolu_1"})
    return [BlockStart(index=index, block=block), *deltas, BlockStop(index=index)]


def use(name: str, *pieces: str, index: int = 0, whole: dict[str, Any] | None = None) -> list[AnyEvent]:
    """Give a tool use block's events."""
    deltas = [InputJsonDelta(index=index, partial_json=piece) for piece in pieces]
    start = BlockStart(index=index, block=ToolUse(id=f"toolu_{index}", name=name, input=whole or {}))
    return [start, *deltas, BlockStop(index=index)]


def streamed(parsed: Parsed, events: Iterable[AnyEvent]) -> bytes:
    """Give a reply's bytes."""
    stream = RESPONSES.stream(parsed, STAMP)
    return b"".join([*(stream.feed(event) for event in events), stream.finish()])


def told(frames: bytes) -> list[dict[str, Any]]:
    """Give the events in these bytes, having made sure that they are as the reference has them."""
    assert frames.endswith(b"\n\n")
    found = [_event(frame) for frame in frames.decode().removesuffix("\n\n").split("\n\n")]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    for event in found:
        check_event(event)
    return found


def _event(frame: str) -> dict[str, Any]:
    name, data = frame.split("\n")
    event: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert name == f"event: {event['type']}"
    return event


def check_event(event: dict[str, Any]) -> None:
    """Make sure that the official types know an event, and all of its fields."""
    model: Any = EVENTS[event["type"]].model_validate(event, strict=True)
    assert not model.model_extra
    if "response" in event:
        check_response(event["response"])
    if event["type"].startswith("response.output_item"):
        item = model.item
        assert item.type == event["item"]["type"]
        assert set(item.model_extra or ()) <= {"status"}


def check_response(response: dict[str, Any]) -> None:
    """Make sure that the official type knows a response, and all of its fields but ``store``."""
    model = Response.model_validate(response, strict=True)
    assert set(model.model_extra or ()) == {"store"}
    assert [item.type for item in model.output] == [item["type"] for item in response["output"]]


def events_of(parsed: Parsed, events: Iterable[AnyEvent]) -> list[dict[str, Any]]:
    """Give a streamed reply's events."""
    return told(streamed(parsed, events))


def types(found: Iterable[dict[str, Any]]) -> list[str]:
    """Give the events' names, without what they all begin with."""
    return [event["type"].removeprefix("response.") for event in found]


def completed(parsed: Parsed, events: Iterable[AnyEvent]) -> Any:
    """Give the reply that isn't streamed, having made sure that it is what the stream's last event tells."""
    events = list(events)
    response = json.loads(RESPONSES.collect(parsed, events, STAMP))
    check_response(response)
    assert events_of(parsed, events)[-1]["response"] == response
    return response
