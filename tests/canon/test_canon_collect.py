"""A whole reply out of its events."""

from __future__ import annotations

import pytest
from hypothesis import given
from legal_events import replies

from claude_proxy.canon.blocks import Opaque, RedactedThinking, Text, Thinking, ToolUse
from claude_proxy.canon.collect import Collector, collect, parse_input
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
from claude_proxy.errors import UpstreamError

START = MessageStart(id="msg_1", model="m", usage=Usage(input_tokens=3, output_tokens=1))
END: list[AnyEvent] = [MessageDelta(stop_reason="end_turn", usage=Usage(output_tokens=9)), MessageStop()]


def test_every_kind_of_block() -> None:
    """Deltas join what their block began with; blocks that have none stay as they came."""
    events: list[AnyEvent] = [
        START,
        BlockStart(index=0, block=Thinking(thinking="h")),
        ThinkingDelta(index=0, thinking="m"),
        SignatureDelta(index=0, signature="s"),
        BlockStop(index=0),
        BlockStart(index=1, block=RedactedThinking(data="x")),
        BlockStop(index=1),
        BlockStart(index=2, block=Text(text="a")),
        TextDelta(index=2, text="b"),
        OpaqueDelta(index=2, raw={"type": "citations_delta"}),
        Ping(),
        TextDelta(index=2, text="c"),
        BlockStop(index=2),
        BlockStart(index=3, block=ToolUse(id="t", name="n", input={})),
        InputJsonDelta(index=3, partial_json='{"a"'),
        InputJsonDelta(index=3, partial_json=":1}"),
        BlockStop(index=3),
        BlockStart(index=4, block=ToolUse(id="u", name="n", input={"whole": True})),
        BlockStop(index=4),
        BlockStart(index=5, block=Opaque({"type": "new"})),
        BlockStop(index=5),
        *END,
    ]
    reply = collect(events)
    assert reply.content == (
        Thinking(thinking="hm", signature="s"),
        RedactedThinking(data="x"),
        Text(text="abc"),
        ToolUse(id="t", name="n", input={"a": 1}),
        ToolUse(id="u", name="n", input={"whole": True}),
        Opaque({"type": "new"}),
    )
    assert (reply.id, reply.model, reply.stop_reason, reply.stop_sequence) == ("msg_1", "m", "end_turn", None)
    assert reply.usage == Usage(input_tokens=3, output_tokens=9)


def test_a_broken_stream_is_no_reply() -> None:
    """Events that end before ``message_stop`` raise (C35)."""
    with pytest.raises(UpstreamError, match="broke off"):
        collect([START])


def test_a_reply_so_far() -> None:
    """A collector can be asked before the end: there is no stop reason yet."""
    collector = Collector()
    collector.feed(START)
    reply = collector.reply()
    assert (reply.content, reply.stop_reason, reply.stop_sequence) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": [1]}', {"a": [1]}), ("", {}), ('{"a": "cut o', {}), ("[1]", {}), ("null", {})]
)
def test_input_is_an_object_or_empty(text: str, value: dict[str, object]) -> None:
    """What max_tokens cut off, or what is no object, is an empty one: never an error."""
    assert parse_input(text) == value


@given(replies())
def test_any_legal_reply_collects(events: list[AnyEvent]) -> None:
    """All text that was streamed is in the reply, in order."""
    reply = collect(events)
    starts = [event.block.text for event in events if isinstance(event, BlockStart) and isinstance(event.block, Text)]
    deltas = [event.text for event in events if isinstance(event, TextDelta)]
    text = "".join(block.text for block in reply.content if isinstance(block, Text))
    assert sorted(text) == sorted("".join(starts + deltas))
    assert len(reply.content) == sum(isinstance(event, BlockStart) for event in events)
