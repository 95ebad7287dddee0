"""The one legal order of events: each transition that is in the table, and each that isn't."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from legal_events import replies

from claude_proxy.canon.blocks import AnyBlock, Opaque, RedactedThinking, Text, Thinking, ToolUse
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
)
from claude_proxy.canon.grammar import Grammar, State
from claude_proxy.errors import UpstreamError

START = MessageStart(id="msg_1", model="m")
OPEN = BlockStart(index=0, block=Opaque({"type": "anything"}))
CLOSE = BlockStop(index=0)
END = MessageDelta(stop_reason="end_turn")
STOP = MessageStop()
DELTAS: dict[str, AnyEvent] = {
    "text": TextDelta(index=0, text="a"),
    "thinking": ThinkingDelta(index=0, thinking="a"),
    "signature": SignatureDelta(index=0, signature="a"),
    "json": InputJsonDelta(index=0, partial_json="a"),
    "opaque": OpaqueDelta(index=0, raw={}),
}
WAYS: dict[State, list[AnyEvent]] = {
    State.BEFORE: [],
    State.BETWEEN: [START],
    State.IN_BLOCK: [START, OPEN],
    State.ENDING: [START, END],
    State.DONE: [START, END, STOP],
}
EVENTS: list[AnyEvent] = [START, OPEN, *DELTAS.values(), CLOSE, END, STOP]
LEGAL = {
    (State.BEFORE, MessageStart): State.BETWEEN,
    (State.BETWEEN, BlockStart): State.IN_BLOCK,
    (State.BETWEEN, MessageDelta): State.ENDING,
    (State.ENDING, MessageDelta): State.ENDING,
    (State.ENDING, MessageStop): State.DONE,
    (State.IN_BLOCK, BlockStop): State.BETWEEN,
}


def at(state: State) -> Grammar:
    """Give a grammar that has come to ``state``."""
    grammar = Grammar()
    for event in WAYS[state]:
        grammar.check(event)
    assert grammar.state is state
    return grammar


def expected(state: State, event: AnyEvent) -> State | None:
    """Give where ``event`` leads, ``None`` where it can't come."""
    if state is State.IN_BLOCK and event in DELTAS.values():
        return State.IN_BLOCK
    return LEGAL.get((state, type(event)))


@pytest.mark.parametrize(
    ("state", "event"), list(product(State, EVENTS)), ids=lambda value: getattr(value, "name", None)
)
def test_each_event_in_each_state(state: State, event: AnyEvent) -> None:
    """An event leads to its next state, or is refused as the upstream's fault."""
    grammar, after = at(state), expected(state, event)
    if after is None:
        with pytest.raises(UpstreamError, match=f"{type(event).__name__} while the reply was {state.name}"):
            grammar.check(event)
    else:
        grammar.check(event)
        assert grammar.state is after


@pytest.mark.parametrize("state", list(State))
def test_a_ping_may_come_anywhere(state: State) -> None:
    """A ping changes nothing."""
    grammar = at(state)
    grammar.check(Ping())
    assert grammar.state is state


@pytest.mark.parametrize(
    ("block", "allowed"),
    [
        (Text(text=""), {"text", "opaque"}),
        (Thinking(thinking=""), {"thinking", "signature", "opaque"}),
        (RedactedThinking(data=""), {"opaque"}),
        (ToolUse(id="a", name="b", input={}), {"json", "opaque"}),
        (Opaque({}), set(DELTAS)),
    ],
)
@pytest.mark.parametrize("name", list(DELTAS))
def test_a_delta_is_of_its_blocks_kind(block: AnyBlock, allowed: set[str], name: str) -> None:
    """Text deltas come in text blocks, and so on; in a block we don't know, anything may."""
    grammar = at(State.BETWEEN)
    assert isinstance(block, Text | Thinking | RedactedThinking | ToolUse | Opaque)
    grammar.check(BlockStart(index=0, block=block))
    if name in allowed:
        grammar.check(DELTAS[name])
        assert grammar.state is State.IN_BLOCK
    else:
        with pytest.raises(UpstreamError, match=f"inside a {type(block).__name__} block"):
            grammar.check(DELTAS[name])


@pytest.mark.parametrize("event", [TextDelta(index=1, text="a"), BlockStop(index=1)])
def test_an_event_is_for_the_open_block(event: AnyEvent) -> None:
    """An event for another block than the open one is refused."""
    with pytest.raises(UpstreamError, match="for block 1 inside block 0"):
        at(State.IN_BLOCK).check(event)


@pytest.mark.parametrize("index", [0, 2])
def test_indexes_are_dense(index: int) -> None:
    """After block 0 comes block 1, neither 0 again nor 2."""
    grammar = at(State.IN_BLOCK)
    grammar.check(CLOSE)
    with pytest.raises(UpstreamError, match=f"opened block {index} after block 0"):
        grammar.check(BlockStart(index=index, block=Text(text="")))


@pytest.mark.parametrize("state", list(State))
def test_only_a_complete_reply_may_end(state: State) -> None:
    """A stream that ends before ``message_stop`` broke off (C35)."""
    grammar = at(state)
    if state is State.DONE:
        grammar.check_end()
    else:
        with pytest.raises(UpstreamError, match=rf"broke off \({state.name}\)"):
            grammar.check_end()


@given(replies())
def test_any_legal_reply_passes(events: list[AnyEvent]) -> None:
    """What the strategy calls legal is what the grammar lets through, in every prefix."""
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    grammar.check_end()


@given(replies(), st.data())
def test_a_reply_with_an_event_missing_is_no_reply(events: list[AnyEvent], data: st.DataObject) -> None:
    """Taking out any event that frames the reply or a block is noticed, then or at the end."""
    framing = [event for event in events if isinstance(event, MessageStart | BlockStart | BlockStop | MessageStop)]
    events.remove(data.draw(st.sampled_from(framing)))
    grammar = Grammar()
    with pytest.raises(UpstreamError):  # noqa: PT012 - which of the calls notices depends on what is missing
        for event in events:
            grammar.check(event)
        grammar.check_end()
