"""A scripted reply becomes the message and the events that the real API would send."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_proxy.canon.blocks import RedactedThinking, Text, Thinking, ToolUse
from claude_proxy.canon.codec import decode_event
from claude_proxy.canon.collect import Reply as Collected
from claude_proxy.canon.collect import collect
from claude_proxy.simulator import Reply, error, text, thinking, tool_calls
from claude_proxy.simulator.render import events, render

INPUT = {"input_tokens": 7, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "cache_creation": {}}


def sent(reply: Reply, **options: Any) -> list[dict[str, Any]]:
    """The events of a reply to a request with these fields."""
    omit = options.pop("omit_thinking", False)
    body = {"model": "m", "max_tokens": 100, **options}
    return list(events(render(reply, body, token="abc", input_usage=INPUT, omit_thinking=omit)))


def collected(reply: Reply, **options: Any) -> Collected:
    """The reply as a client puts it together."""
    decoded = [decode_event(msgspec.json.encode(event)) for event in sent(reply, **options)]
    return collect(event for event in decoded if event is not None)


def deltas(reply: Reply, **options: Any) -> list[str]:
    """The pieces of all blocks, in order."""
    found = [event["delta"] for event in sent(reply, **options) if event["type"] == "content_block_delta"]
    return [next(value for name, value in delta.items() if name != "type") for delta in found]


def test_order_of_events() -> None:
    """A text reply has the API's events in the API's order, a ping after the first."""
    assert [event["type"] for event in sent(text("one"))] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_block_starts_empty() -> None:
    """Every block opens without its content, which only its deltas bring."""
    reply = Reply(blocks=(*thinking("hm", "said").blocks, *tool_calls(("get", {"a": 1})).blocks))
    starts = [event["content_block"] for event in sent(reply) if event["type"] == "content_block_start"]
    assert [start[name] for start, name in zip(starts, ("thinking", "text", "input"), strict=True)] == ["", "", {}]


def test_collects_to_what_was_scripted() -> None:
    """All kinds of blocks come out of the stream as they were scripted."""
    said = thinking("let me see", "Hello there", signature="sig-x").blocks
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"city": "São Paulo", "days": [1, 2]}}
    reply = collected(Reply(blocks=(redacted, *said, call), stop_reason="tool_use"))
    assert reply.content == (
        RedactedThinking(data="xyz"),
        Thinking(thinking="let me see", signature="sig-x"),
        Text(text="Hello there"),
        ToolUse(id="toolu_1", name="get", input={"city": "São Paulo", "days": [1, 2]}),
    )
    assert reply.stop_reason == "tool_use"


def test_stream_and_message_are_one() -> None:
    """The answer that isn't streamed holds what the stream brings."""
    reply = thinking("hm hm", "Hello there")
    rendered = render(reply, {"model": "m", "max_tokens": 9}, token="abc", input_usage=INPUT)
    assert [block["text"] for block in rendered.message["content"] if block["type"] == "text"] == ["Hello there"]
    assert rendered.message["usage"]["output_tokens"] == collected(reply).usage.output_tokens


def test_words_are_the_usual_pieces() -> None:
    """A single text is split by words, each with the blank before it."""
    assert deltas(text(" one two\n three ")) == [" one", " two", "\n three", " "]


@pytest.mark.parametrize(("pieces", "expected"), [(1, ["abcdefg"]), (2, ["abcd", "efg"]), (99, list("abcdefg"))])
def test_pieces(pieces: int, expected: list[str]) -> None:
    """``pieces`` says into how many deltas a block is split."""
    assert deltas(text("abcdefg", pieces=pieces)) == expected


def test_parts_are_exact_deltas() -> None:
    """Several parts are the deltas as given, empty ones too."""
    assert deltas(text("He", "", "llo \U0001f44b")) == ["He", "", "llo \U0001f44b"]


def test_exact_deltas_are_the_first_text_blocks() -> None:
    """A second text block is split by words again."""
    reply = Reply(blocks=(*text("a b").blocks, *text("c d").blocks), deltas=("a ", "b"))
    assert deltas(reply) == ["a ", "b", "c", " d"]


def test_tool_without_arguments_streams_nothing() -> None:
    """A call without arguments has one empty delta, as the API sends it."""
    assert deltas(tool_calls(("now", {}))) == [""]


def test_calls_get_ids() -> None:
    """Two calls in one turn have different ids, and another turn's are different again."""
    reply = tool_calls(("a", {}), ("a", {}), text="Calling.")
    ids = [block["id"] for block in render(reply, {}, token="x", input_usage={}).message["content"][1:]]
    others = [block["id"] for block in render(reply, {}, token="y", input_usage={}).message["content"][1:]]
    assert len({*ids, *others}) == 4


def test_stop_sequence_ends_before_itself() -> None:
    """The text stops before the earliest stop sequence, and later blocks are gone."""
    reply = Reply(blocks=(*text("one two END three").blocks, *text("four").blocks))
    got = collected(reply, stop_sequences=["three", "END"])
    assert got.content == (Text(text="one two "),)
    assert (got.stop_reason, got.stop_sequence) == ("stop_sequence", "END")


def test_stop_sequence_clips_exact_deltas() -> None:
    """Exact deltas end where the text ends."""
    assert deltas(text("one EN", "D two"), stop_sequences=["END"]) == ["one "]


def test_stop_sequence_at_the_beginning() -> None:
    """A text that begins with a stop sequence leaves no empty block behind."""
    got = collected(text("END"), stop_sequences=["END"])
    assert (got.content, got.stop_reason) == ((), "stop_sequence")


def test_max_tokens_cuts_by_words() -> None:
    """A text of more words than ``max_tokens`` is cut; so is a second block, by what the first has left."""
    reply = Reply(blocks=(*text("one two").blocks, *text("three four").blocks))
    got = collected(reply, max_tokens=3)
    assert got.content == (Text(text="one two"), Text(text="three"))
    assert got.stop_reason == "max_tokens"


def test_max_tokens_just_enough() -> None:
    """A text of exactly ``max_tokens`` words ends as scripted."""
    assert collected(text("one two"), max_tokens=2).stop_reason == "end_turn"


def test_max_tokens_before_the_stop_sequence() -> None:
    """Where both would end the text, the earlier one does."""
    got = collected(text("one two END"), max_tokens=1, stop_sequences=["END"])
    assert (got.content, got.stop_reason) == ((Text(text="one"),), "max_tokens")


def test_omitted_thinking_keeps_its_signature() -> None:
    """Thinking that isn't to be shown comes as a signature only."""
    got = collected(thinking("secret", "said", signature="sig-x"), omit_thinking=True)
    assert got.content[0] == Thinking(thinking="", signature="sig-x")


def test_usage_at_start_and_end() -> None:
    """``message_start`` has the input's counts, ``message_delta`` the totals with the thinking's share (M11)."""
    all_events = sent(thinking("one two", "three"))
    start, end = all_events[0]["message"]["usage"], all_events[-2]["usage"]
    assert (start["input_tokens"], start["output_tokens"]) == (7, 1)
    assert "output_tokens_details" not in start
    assert (end["cache_read_input_tokens"], end["output_tokens"]) == (3, 3)
    assert end["output_tokens_details"] == {"thinking_tokens": 2}


def test_usage_of_the_script_wins() -> None:
    """Given counts are put over the computed ones, and ``None`` leaves one out."""
    reply = text("one", usage={"input_tokens": 1000, "output_tokens": None})
    start, end = sent(reply)[0]["message"]["usage"], sent(reply)[-2]["usage"]
    assert (start["input_tokens"], end["input_tokens"]) == (1000, 1000)
    assert "output_tokens" not in {**start, **end}


def test_error_maker() -> None:
    """An error reply has a status and the API's error object."""
    reply = error(529, "overloaded_error", "Overloaded", headers={"retry-after": "1"})
    assert (reply.status, reply.error) == (529, {"type": "overloaded_error", "message": "Overloaded"})


def test_thinking_alone() -> None:
    """A reply may think and say nothing."""
    assert [block["type"] for block in thinking("hm").blocks] == ["thinking"]
