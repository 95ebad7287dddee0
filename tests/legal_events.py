"""Hypothesis strategies for replies: any sequence of events that the grammar allows."""

from __future__ import annotations

from hypothesis import strategies as st

from claude_proxy.canon.blocks import Json, Opaque, RedactedThinking, Text, Thinking, ToolUse
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

AWKWARD_TEXTS = ("\0", "\r\n", "\n\ndata: [DONE]\n\n", "👩‍👩‍👧‍👦", "é", '"\\', "\u2028\u2029\x85", "```json")
STOP_REASONS = (
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",
    "model_context_window_exceeded",
    "pause_turn",
    "never_heard_of",
    None,
)

texts = st.text(max_size=12) | st.sampled_from(AWKWARD_TEXTS)
pieces = st.lists(texts, max_size=4)
counts = st.none() | st.integers(min_value=0, max_value=10**6)
json_objects: st.SearchStrategy[Json] = st.dictionaries(
    st.text(max_size=4), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.lists(texts), max_size=3
)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_creation_input_tokens=counts,
    cache_read_input_tokens=counts,
    thinking_tokens=counts,
)


@st.composite
def text_blocks(draw: st.DrawFn, index: int) -> list[AnyEvent]:
    """A text block, with or without text in its start."""
    deltas = [TextDelta(index=index, text=piece) for piece in draw(pieces)]
    return [BlockStart(index=index, block=Text(text=draw(st.just("") | texts))), *deltas, BlockStop(index=index)]


@st.composite
def thinking_blocks(draw: st.DrawFn, index: int) -> list[AnyEvent]:
    """A thinking block, signed."""
    deltas = [ThinkingDelta(index=index, thinking=piece) for piece in draw(pieces)]
    start = BlockStart(index=index, block=Thinking(thinking=draw(st.just("") | texts)))
    return [start, *deltas, SignatureDelta(index=index, signature="c2ln"), BlockStop(index=index)]


@st.composite
def other_blocks(draw: st.DrawFn, index: int) -> list[AnyEvent]:
    """A block that only some dialects can show."""
    raw = {"type": "server_tool_use", "id": "srvtoolu_1"}
    block: RedactedThinking | Opaque = RedactedThinking(data="eHg=") if draw(st.booleans()) else Opaque(raw)
    deltas: list[AnyEvent] = [OpaqueDelta(index=index, raw={"type": "citations_delta"})] if draw(st.booleans()) else []
    return [BlockStart(index=index, block=block), *deltas, BlockStop(index=index)]


@st.composite
def tool_use_blocks(draw: st.DrawFn, index: int) -> list[AnyEvent]:
    """A tool use, its input streamed in any pieces, whole in the start, or empty."""
    encoded = draw(st.sampled_from(("", "{}", '{"path": "/tmp", "deep": {"a": [1, "é"]}}', '{"cut": "of')))
    cuts = sorted(draw(st.lists(st.integers(0, len(encoded)), max_size=3)))
    deltas = [
        InputJsonDelta(index=index, partial_json=encoded[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(encoded)], strict=True)
    ]
    name = draw(st.sampled_from(("read", "mcp__x__write", "a-b_c")))
    whole = {} if encoded else draw(json_objects)
    start = BlockStart(index=index, block=ToolUse(id=f"toolu_{index}{draw(st.integers(0))}", name=name, input=whole))
    return [start, *deltas, BlockStop(index=index)]


@st.composite
def replies(draw: st.DrawFn) -> list[AnyEvent]:
    """A whole legal reply, pings in it."""
    kinds = draw(st.lists(st.sampled_from((text_blocks, thinking_blocks, other_blocks, tool_use_blocks)), max_size=5))
    blocks = [event for index, kind in enumerate(kinds) for event in draw(kind(index))]
    events: list[AnyEvent] = [
        MessageStart(id="msg_1", model="claude-sonnet-5", usage=draw(usages)),
        *blocks,
        MessageDelta(stop_reason=draw(st.sampled_from(STOP_REASONS)), usage=draw(usages)),
        MessageStop(),
    ]
    for place in draw(st.lists(st.integers(0, len(events)), max_size=2)):
        events.insert(place, Ping())
    return events
